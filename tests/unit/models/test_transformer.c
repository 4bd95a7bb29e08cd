/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/models/families/llama_like.h"
#include "src/models/model_random.h"
#include "tests/support/configured.h"
#include "tests/support/trunk.h"

/* ---- One clean pass against the formulas in double precision (transformers' LlamaDecoderLayer).
 */

enum { D = 10, HEADS = 4, KV = 2, WIDTH = 6, FF = 7, LAYERS = 2, TOKENS = 6, VOCABULARY = 9 };
enum { WIDE = HEADS * WIDTH, NARROW = KV * WIDTH };

#define SIZES                                                                                      \
    "\"hidden_size\": 10, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": "  \
    "6, \"intermediate_size\": 7, \"num_hidden_layers\": 2, \"vocab_size\": 9, "                   \
    "\"max_position_embeddings\": 20, \"rope_theta\": 50.0, \"rms_norm_eps\": 1e-3"

static void linear(const double *x, int n_in, const float *w, const float *bias, int n_out,
                   double *y)
{
    for (int o = 0; o < n_out; o++) {
        y[o] = bias ? (double)bias[o] : 0;
        for (int i = 0; i < n_in; i++) {
            y[o] += x[i] * (double)w[o * n_in + i];
        }
    }
}

static void rms_norm_of(int n, const double *x, const float *weight, double *y)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    const double root = sqrt(sum / n + 1e-3);
    for (int i = 0; i < n; i++) {
        y[i] = x[i] / root * (double)weight[i];
    }
}

static void rms_norm(const double *x, const float *weight, double *y)
{
    rms_norm_of(D, x, weight, y);
}

/* One head of WIDTH at position p. */
static void rotate(double *x, int p)
{
    enum { HALF = WIDTH / 2 };
    for (int k = 0; k < HALF; k++) {
        double angle = p * pow(50, -2.0 * k / WIDTH), first = x[k], second = x[k + HALF];
        x[k] = first * cos(angle) - second * sin(angle);
        x[k + HALF] = second * cos(angle) + first * sin(angle);
    }
}

/* The heads of a row's queries or keys at position p. norm: of each head, or NULL. */
static void turn_heads(double *x, int n_heads, const float *norm, int p)
{
    for (int head = 0; head < n_heads; head++) {
        if (norm) {
            rms_norm_of(WIDTH, x + head * WIDTH, norm, x + head * WIDTH);
        }
        rotate(x + head * WIDTH, p);
    }
}

/* The weight, or NULL where the model has none of the name. */
static const float *find(const struct ko_model *model, const float *arena, int layer,
                         const char *name)
{
    char full[96];
    snprintf(full, sizeof full, "model.layers.%d.%s", layer, name);
    for (size_t w = 0; w < model->n_weights; w++) {
        if (strcmp(model->weights[w].tensor, full) == 0) {
            return test_place(model, arena, &model->weights[w]);
        }
    }
    return NULL;
}

static void attend(double q[TOKENS][WIDE], double k[TOKENS][NARROW], double v[TOKENS][NARROW],
                   int t, int reach, double *out)
{
    for (int head = 0; head < HEADS; head++) {
        const int from = head * WIDTH, shared = head / (HEADS / KV) * WIDTH;
        double weight[TOKENS], sum = 0;
        for (int j = 0; j <= t; j++) {
            double score = 0;
            for (int i = 0; i < WIDTH; i++) {
                score += q[t][from + i] * k[j][shared + i];
            }
            weight[j] = t - j < reach ? exp(score / sqrt(WIDTH)) : 0;
            sum += weight[j];
        }
        for (int i = 0; i < WIDTH; i++) {
            out[from + i] = 0;
            for (int j = 0; j <= t; j++) {
                out[from + i] += weight[j] / sum * v[j][shared + i];
            }
        }
    }
}

static void reference_layer(const struct ko_model *model, const float *arena, int l, int reach,
                            double x[TOKENS][D])
{
#define W(name) find(model, arena, l, name)
    double q[TOKENS][WIDE], k[TOKENS][NARROW], v[TOKENS][NARROW];
    for (int t = 0; t < TOKENS; t++) {
        double normed[D];
        rms_norm(x[t], W("input_layernorm.weight"), normed);
        linear(normed, D, W("self_attn.q_proj.weight"), W("self_attn.q_proj.bias"), WIDE, q[t]);
        linear(normed, D, W("self_attn.k_proj.weight"), W("self_attn.k_proj.bias"), NARROW, k[t]);
        linear(normed, D, W("self_attn.v_proj.weight"), W("self_attn.v_proj.bias"), NARROW, v[t]);
        turn_heads(q[t], HEADS, W("self_attn.q_norm.weight"), t);
        turn_heads(k[t], KV, W("self_attn.k_norm.weight"), t);
    }
    for (int t = 0; t < TOKENS; t++) {
        double normed[D], context[WIDE], out[D], gate[FF], up[FF];
        attend(q, k, v, t, reach, context);
        linear(context, WIDE, W("self_attn.o_proj.weight"), W("self_attn.o_proj.bias"), D, out);
        for (int i = 0; i < D; i++) {
            x[t][i] += out[i];
        }
        rms_norm(x[t], W("post_attention_layernorm.weight"), normed);
        linear(normed, D, W("mlp.gate_proj.weight"), W("mlp.gate_proj.bias"), FF, gate);
        linear(normed, D, W("mlp.up_proj.weight"), W("mlp.up_proj.bias"), FF, up);
        for (int i = 0; i < FF; i++) {
            gate[i] *= up[i] / (1 + exp(-gate[i]));
        }
        linear(gate, FF, W("mlp.down_proj.weight"), W("mlp.down_proj.bias"), D, out);
        for (int i = 0; i < D; i++) {
            x[t][i] += out[i];
        }
    }
#undef W
}

/* reach: of each layer. */
static void check_pass(const char *family, const char *config, const int reach[LAYERS],
                       size_t n_weights)
{
    static const int32_t tokens[TOKENS] = {3, 0, 8, 8, 1, 5};
    struct ko_error err = {0};
    struct ko_model *model = test_configured(family, config, &err);
    if (!model) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(model->n_weights, n_weights);
    float *arena = calloc(ko_model_floats(model), sizeof *arena), got[TOKENS][D];
    assert_non_null(arena);
    ko_model_fill_random(model, 1, arena);
    test_run_trunk(model, arena, tokens, TOKENS, &got[0][0]);

    const float *embedding = test_weight(model, arena, "model.embed_tokens.weight");
    double x[TOKENS][D], expected[D];
    for (int t = 0; t < TOKENS; t++) {
        for (int i = 0; i < D; i++) {
            x[t][i] = (double)embedding[tokens[t] * D + i];
        }
    }
    for (int l = 0; l < LAYERS; l++) {
        reference_layer(model, arena, l, reach[l], x);
    }
    for (int t = 0; t < TOKENS; t++) {
        rms_norm(x[t], test_weight(model, arena, "model.norm.weight"), expected);
        for (int i = 0; i < D; i++) { /* observed: at most 8e-7 */
            if (!(fabs((double)got[t][i] - expected[i]) <= 1e-5)) {
                fail_msg("row %d, feature %d: %g, expected %g", t, i, (double)got[t][i],
                         expected[i]);
            }
        }
    }
    free(arena);
    ko_model_free(model);
}

#define ALL(n)   ((const int[]){n, n})
#define SLIDES_2 ", \"use_sliding_window\": true, \"sliding_window\": 2, \"max_window_layers\": "
#define MIXED    ", \"layer_types\": [\"sliding_attention\", \"full_attention\"]"
#define BIASED   ", \"attention_bias\": true, \"mlp_bias\": true"

static void a_clean_pass_equals_the_formulas(void **state)
{
    (void)state;
    check_pass("llama", "{" SIZES "}", ALL(TOKENS), LAYERS * 9 + 3);
    check_pass("llama", "{" SIZES ", \"attention_bias\": true}", ALL(TOKENS), LAYERS * 13 + 3);
    check_pass("llama", "{" SIZES ", \"mlp_bias\": true, \"tie_word_embeddings\": true}",
               ALL(TOKENS), LAYERS * 12 + 2);
    check_pass("mistral", "{" SIZES "}", ALL(TOKENS), LAYERS * 9 + 3);
    check_pass("mistral", "{" SIZES ", \"sliding_window\": 3}", ALL(3), LAYERS * 9 + 3);
    check_pass("mistral", "{" SIZES ", \"sliding_window\": 1}", ALL(1), LAYERS * 9 + 3);
    check_pass("mistral", "{" SIZES ", \"sliding_window\": 3" MIXED "}", (const int[]){3, TOKENS},
               LAYERS * 9 + 3);
    check_pass("qwen2", "{" SIZES "}", ALL(TOKENS), LAYERS * 12 + 3);
    check_pass("qwen2", "{" SIZES SLIDES_2 "0}", ALL(2), LAYERS * 12 + 3);
    check_pass("qwen2", "{" SIZES SLIDES_2 "1}", (const int[]){TOKENS, 2}, LAYERS * 12 + 3);
    check_pass("qwen3", "{" SIZES "}", ALL(TOKENS), LAYERS * 11 + 3);
    check_pass("qwen3", "{" SIZES SLIDES_2 "1, \"attention_bias\": true}", (const int[]){TOKENS, 2},
               LAYERS * 15 + 3);
    check_pass("qwen3", "{" SIZES SLIDES_2 "0" MIXED "}", (const int[]){2, TOKENS},
               LAYERS * 11 + 3);
    check_pass("granite", "{" SIZES BIASED ", \"attention_multiplier\": 0.4082482904638631}",
               ALL(TOKENS), LAYERS * 16 + 3);
    check_pass("smollm3",
               "{" SIZES BIASED ", \"no_rope_layers\": [1, 1], \"tie_word_embeddings\": false}",
               ALL(TOKENS), LAYERS * 16 + 3);
}

static void sizes_follow_from_the_shape(void **state)
{
    struct ko_error err = {0};
    int32_t widths[KO_N_BUFFERS];
    double flop[3];
    (void)state;
    struct ko_model *model = test_configured("llama", "{" SIZES "}", &err);
    assert_non_null(model);
    ko_model_widths(model, widths);
    assert_int_equal(widths[1], WIDE);
    assert_true(widths[0] >= D + WIDE);
    ko_model_stage_flop(model, 0, flop);
    assert_true(flop[0] == 2 * D * (WIDE + 2 * NARROW));
    assert_true(flop[1] == 0);
    assert_true(flop[2] == 2 * D * WIDE + 3 * 2 * D * FF);
    assert_null(ko_model_featured(model));
    ko_model_free(model);
}

/* Heads and sizes, which are read alike for the three families. */
static void shapes_that_cannot_be_are_refused(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"num_attention_heads\": 7}",
         "toy: num_attention_heads: 7 heads do not divide hidden_size of 4096"},
        {"{\"num_attention_heads\": 8, \"num_key_value_heads\": 3}",
         "toy: num_key_value_heads: 3 do not divide num_attention_heads of 8"},
        {"{\"num_attention_heads\": 4, \"num_key_value_heads\": 8}",
         "toy: num_key_value_heads: 8 do not divide num_attention_heads of 4"},
        {"{\"num_key_value_heads\": 0}",
         "toy: num_key_value_heads: expected a whole number from 1 to 1048576, got 0"},
        {"{\"head_dim\": 33}", "toy: head_dim: 33 is odd, and rotary embedding turns pairs"},
        {"{\"hidden_size\": 96}", "toy: head_dim: 3 is odd, and rotary embedding turns pairs"},
        {"{\"head_dim\": 1048576}",
         "toy: head_dim: 32 heads and 32 of keys and values of width 1048576 are wider than "
         "1048576"},
        {"{\"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for Llama, only silu or swish"},
        {"{\"intermediate_size\": \"big\"}",
         "toy: intermediate_size: expected a whole number from 1 to 1048576, got \"big\""},
        {"{\"rms_norm_eps\": 2}", "toy: rms_norm_eps: expected a number from 0 to 1, got 2"},
        {"{\"num_hidden_layers\": 20000}",
         "toy: num_hidden_layers: expected a whole number from 1 to 16384, got 20000"},
        {"{\"max_position_embeddings\": 0}",
         "toy: max_position_embeddings: expected a whole number from 1 to 2147483647, got 0"},
        {"{\"tie_word_embeddings\": 1}", "toy: tie_word_embeddings: expected true or false, got 1"},
    };
    (void)state;
    assert_int_equal(test_refusals("llama", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_pass_equals_the_formulas),
        cmocka_unit_test(sizes_follow_from_the_shape),
        cmocka_unit_test(shapes_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
