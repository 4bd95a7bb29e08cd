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

#include "src/models/model_random.h"
#include "tests/support/configured.h"
#include "tests/support/trunk.h"

/* ---- One clean pass against the formulas in double precision (transformers' GemmaDecoderLayer,
   Gemma2DecoderLayer and Gemma3DecoderLayer). */

enum { D = 10, HEADS = 4, KV = 2, WIDTH = 6, FF = 7, LAYERS = 3, TOKENS = 6 };
enum { WIDE = HEADS * WIDTH, NARROW = KV * WIDTH };

#define SIZES                                                                                      \
    "\"hidden_size\": 10, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, \"head_dim\": "  \
    "6, \"intermediate_size\": 7, \"num_hidden_layers\": 3, \"vocab_size\": 9, "                   \
    "\"max_position_embeddings\": 20, \"rms_norm_eps\": 1e-3"

/* What a layer does beyond its weights. */
struct layer {
    int reach;
    double theta, factor; /* of the rotation: its base, and what divides the angles */
    double scale, cap;    /* of attention scores; cap 0: none */
};

static void linear(const double *x, int n_in, const float *w, int n_out, double *y)
{
    for (int o = 0; o < n_out; o++) {
        y[o] = 0;
        for (int i = 0; i < n_in; i++) {
            y[o] += x[i] * (double)w[o * n_in + i];
        }
    }
}

/* weight: as in memory, with the 1 added. NULL: x stays as it is. y may be x. */
static void rms_norm(int n, const double *x, const float *weight, double *y)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    const double root = sqrt(sum / n + 1e-3);
    for (int i = 0; i < n; i++) {
        y[i] = weight ? x[i] / root * (double)weight[i] : x[i];
    }
}

/* The heads of a row's queries or keys at position p. */
static void turn_heads(double *x, int n_heads, const float *norm, const struct layer *layer, int p)
{
    enum { HALF = WIDTH / 2 };
    for (double *head = x; head < x + n_heads * WIDTH; head += WIDTH) {
        rms_norm(WIDTH, head, norm, head);
        for (int k = 0; k < HALF; k++) {
            const double angle = p * pow(layer->theta, -2.0 * k / WIDTH) / layer->factor;
            const double first = head[k], second = head[k + HALF];
            head[k] = first * cos(angle) - second * sin(angle);
            head[k + HALF] = second * cos(angle) + first * sin(angle);
        }
    }
}

/* The weight, or NULL where the model has none of the name. */
static const float *find(const struct ko_model *model, const float *arena, int layer,
                         const char *name)
{
    char full[96];
    snprintf(full, sizeof full, "model.layers.%d.%s.weight", layer, name);
    return test_has_weight(model, full) ? test_weight(model, arena, full) : NULL;
}

static void attend(double q[TOKENS][WIDE], double k[TOKENS][NARROW], double v[TOKENS][NARROW],
                   int t, const struct layer *layer, double *out)
{
    for (int head = 0; head < HEADS; head++) {
        const int from = head * WIDTH, shared = head / (HEADS / KV) * WIDTH;
        double weight[TOKENS], sum = 0;
        for (int j = 0; j <= t; j++) {
            double score = 0;
            for (int i = 0; i < WIDTH; i++) {
                score += q[t][from + i] * k[j][shared + i] * layer->scale;
            }
            score = layer->cap > 0 ? layer->cap * tanh(score / layer->cap) : score;
            weight[j] = t - j < layer->reach ? exp(score) : 0;
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

static double gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

static void add(const double *y, double *x)
{
    for (int i = 0; i < D; i++) {
        x[i] += y[i];
    }
}

#define W(name) find(model, arena, l, name)

static void reference_mlp(const struct ko_model *model, const float *arena, int l, double *x)
{
    const float *before = W("pre_feedforward_layernorm");
    double normed[D], gate[FF], up[FF], out[D];
    rms_norm(D, x, before ? before : W("post_attention_layernorm"), normed);
    linear(normed, D, W("mlp.gate_proj"), FF, gate);
    linear(normed, D, W("mlp.up_proj"), FF, up);
    for (int i = 0; i < FF; i++) {
        gate[i] = gelu_tanh(gate[i]) * up[i];
    }
    linear(gate, FF, W("mlp.down_proj"), D, out);
    rms_norm(D, out, W("post_feedforward_layernorm"), out);
    add(out, x);
}

static void reference_layer(const struct ko_model *model, const float *arena, int l,
                            const struct layer *layer, double x[TOKENS][D])
{
    const bool four_norms = W("pre_feedforward_layernorm") != NULL;
    double q[TOKENS][WIDE], k[TOKENS][NARROW], v[TOKENS][NARROW];
    for (int t = 0; t < TOKENS; t++) {
        double normed[D];
        rms_norm(D, x[t], W("input_layernorm"), normed);
        linear(normed, D, W("self_attn.q_proj"), WIDE, q[t]);
        linear(normed, D, W("self_attn.k_proj"), NARROW, k[t]);
        linear(normed, D, W("self_attn.v_proj"), NARROW, v[t]);
        turn_heads(q[t], HEADS, W("self_attn.q_norm"), layer, t);
        turn_heads(k[t], KV, W("self_attn.k_norm"), layer, t);
    }
    for (int t = 0; t < TOKENS; t++) {
        double context[WIDE], out[D];
        attend(q, k, v, t, layer, context);
        linear(context, WIDE, W("self_attn.o_proj"), D, out);
        rms_norm(D, out, four_norms ? W("post_attention_layernorm") : NULL, out);
        add(out, x[t]);
        reference_mlp(model, arena, l, x[t]);
    }
}
#undef W

static void check_pass(const char *family, const char *config, const struct layer layers[LAYERS])
{
    static const int32_t tokens[TOKENS] = {3, 0, 8, 8, 1, 5};
    struct ko_error err = {0};
    struct ko_model *model = test_configured(family, config, &err);
    if (!model) {
        fail_msg("%s", err.text);
    }
    float *arena = calloc(ko_model_floats(model), sizeof *arena), got[TOKENS][D];
    assert_non_null(arena);
    ko_model_fill_random(model, 1, arena);
    test_run_trunk(model, arena, tokens, TOKENS, &got[0][0]);

    const float *embedding = test_weight(model, arena, "model.embed_tokens.weight");
    double x[TOKENS][D], expected[D];
    for (int t = 0; t < TOKENS; t++) {
        for (int i = 0; i < D; i++) {
            x[t][i] = sqrt(D) * (double)embedding[tokens[t] * D + i];
        }
    }
    for (int l = 0; l < LAYERS; l++) {
        reference_layer(model, arena, l, &layers[l], x);
    }
    for (int t = 0; t < TOKENS; t++) {
        rms_norm(D, x[t], test_weight(model, arena, "model.norm.weight"), expected);
        for (int i = 0; i < D; i++) { /* observed: at most 2e-6 */
            if (!(fabs((double)got[t][i] - expected[i]) <= 1e-5)) {
                fail_msg("%s, row %d, feature %d: %g, expected %g", family, t, i, (double)got[t][i],
                         expected[i]);
            }
        }
    }
    free(arena);
    ko_model_free(model);
}

static void a_clean_pass_of_gemma_equals_the_formulas(void **state)
{
    const struct layer plain = {TOKENS, 50, 1, 1 / sqrt(WIDTH), 0};
    (void)state;
    check_pass("gemma", "{" SIZES ", \"rope_theta\": 50.0}",
               (const struct layer[]){plain, plain, plain});
}

static void a_clean_pass_of_gemma_2_equals_the_formulas(void **state)
{
    /* With caps that bite. */
    const struct layer full = {TOKENS, 50, 1, 2, 0.05}, slides = {2, 50, 1, 2, 0.05};
    (void)state;
    check_pass("gemma2",
               "{" SIZES ", \"rope_theta\": 50.0, \"query_pre_attn_scalar\": 0.25, "
               "\"attn_logit_softcapping\": 0.05, \"sliding_window\": 2}",
               (const struct layer[]){slides, full, slides});
    check_pass(
        "gemma2",
        "{" SIZES ", \"rope_theta\": 50.0, \"query_pre_attn_scalar\": 0.25, "
        "\"attn_logit_softcapping\": null, \"sliding_window\": 2, \"layer_types\": "
        "[\"full_attention\", \"full_attention\", \"sliding_attention\"]}",
        (const struct layer[]){{TOKENS, 50, 1, 2, 0}, {TOKENS, 50, 1, 2, 0}, {2, 50, 1, 2, 0}});
}

static void a_clean_pass_of_gemma_3_equals_the_formulas(void **state)
{
    const struct layer full = {TOKENS, 50, 4, 0.5, 0}, slides = {2, 7, 1, 0.5, 0};
    (void)state;
    check_pass("gemma3_text",
               "{" SIZES ", \"rope_theta\": 50.0, \"rope_local_base_freq\": 7.0, \"rope_scaling\": "
               "{\"rope_type\": \"linear\", \"factor\": 4.0}, \"query_pre_attn_scalar\": 4, "
               "\"sliding_window\": 2, \"sliding_window_pattern\": 2}",
               (const struct layer[]){slides, full, slides});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_pass_of_gemma_equals_the_formulas),
        cmocka_unit_test(a_clean_pass_of_gemma_2_equals_the_formulas),
        cmocka_unit_test(a_clean_pass_of_gemma_3_equals_the_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
