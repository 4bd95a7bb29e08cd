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
#include "src/models/pass.h"
#include "tests/support/configured.h"
#include "tests/support/trunk.h"

static struct ko_model *configured(const char *config, struct ko_error *err)
{
    return test_configured("gpt2", config, err);
}

static void missing_keys_take_the_defaults(void **state)
{
    static const struct {
        const char *config;
        int32_t d_model, n_layers, vocabulary, n_heads, d_head, d_ff, max_tokens, bos;
    } rows[] = {
        {"{}", 768, 12, 50257, 12, 64, 3072, 1024, 50256},
        {"{\"n_embd\": 48, \"n_head\": 4, \"n_inner\": null}", 48, 12, 50257, 4, 12, 192, 1024,
         50256},
        {"{\"n_inner\": 100, \"n_positions\": 20}", 768, 12, 50257, 12, 64, 100, 20, 50256},
        {"{\"hidden_size\": 24, \"num_attention_heads\": 3, \"num_hidden_layers\": 2, "
         "\"max_position_embeddings\": 9}",
         24, 2, 50257, 3, 8, 96, 9, 50256},
        {"{\"n_embd\": 24, \"hidden_size\": 36}", 24, 12, 50257, 12, 2, 96, 1024, 50256},
        {"{\"vocab_size\": 512}", 768, 12, 512, 12, 64, 3072, 1024, -1},
        {"{\"bos_token_id\": null}", 768, 12, 50257, 12, 64, 3072, 1024, -1},
        {"{\"activation_function\": \"gelu_pytorch_tanh\", \"reorder_and_upcast_attn\": true, "
         "\"bos_token_id\": 0}",
         768, 12, 50257, 12, 64, 3072, 1024, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = configured(rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
        assert_int_equal(s->d_model, rows[i].d_model);
        assert_int_equal(s->n_layers, rows[i].n_layers);
        assert_int_equal(s->vocabulary, rows[i].vocabulary);
        assert_int_equal(s->n_heads, rows[i].n_heads);
        assert_int_equal(s->n_kv_heads, rows[i].n_heads);
        assert_int_equal(s->d_head, rows[i].d_head);
        assert_int_equal(s->d_ff, rows[i].d_ff);
        assert_int_equal(s->max_tokens, rows[i].max_tokens);
        assert_int_equal(s->bos_id, rows[i].bos);
        assert_int_equal(s->reach, INT32_MAX);
        assert_int_equal(s->n_features, 0);
        assert_null(ko_model_featured(model));
        ko_model_decay_norms(model, NULL, NULL); /* there are none to write */
        ko_model_free(model);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"activation_function\": \"gelu\"}", "toy: activation_function: 'gelu' is not supported "
                                                "for GPT-2, only gelu_new or gelu_pytorch_tanh"},
        {"{\"scale_attn_weights\": false}",
         "toy: scale_attn_weights: false is not supported for GPT-2, only true"},
        {"{\"scale_attn_by_inverse_layer_idx\": true}",
         "toy: scale_attn_by_inverse_layer_idx: true is not supported for GPT-2, only false"},
        {"{\"add_cross_attention\": true}",
         "toy: add_cross_attention: true is not supported for GPT-2, only false"},
        {"{\"n_head\": 5}", "toy: n_head: 5 heads do not divide n_embd of 768"},
        {"{\"n_layer\": 1.5}", "toy: n_layer: expected a whole number from 1 to 16384, got 1.5"},
        {"{\"layer_norm_epsilon\": NaN}",
         "toy: layer_norm_epsilon: expected a number from 0 to 1, got nan"},
        {"{\"tie_word_embeddings\": 1}", "toy: tie_word_embeddings: expected true or false, got 1"},
    };
    (void)state;
    assert_int_equal(test_refusals("gpt2", rows, sizeof rows / sizeof rows[0]), 0);
}

/* ---- One clean pass against the formulas in double precision (transformers' GPT2Block). */

enum { D = 12, HEADS = 3, FF = 20, LAYERS = 2, TOKENS = 5, VOCABULARY = 9 };

static void linear(const double *x, int n_in, const float *w, const float *bias, int n_out,
                   double *y)
{
    for (int o = 0; o < n_out; o++) {
        y[o] = (double)bias[o];
        for (int i = 0; i < n_in; i++) {
            y[o] += x[i] * (double)w[i * n_out + o];
        }
    }
}

static void layer_norm(const double *x, const float *weight, const float *bias, double *y)
{
    double mean = 0, variance = 0;
    for (int i = 0; i < D; i++) {
        mean += x[i] / D;
    }
    for (int i = 0; i < D; i++) {
        variance += (x[i] - mean) * (x[i] - mean) / D;
    }
    for (int i = 0; i < D; i++) {
        y[i] = (x[i] - mean) / sqrt(variance + 1e-5) * (double)weight[i] + (double)bias[i];
    }
}

static double gelu_new(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

/* One head's context of position t. */
static void attend(double qkv[TOKENS][3 * D], int t, int head, double *out)
{
    const int width = D / HEADS, q = head * width, k = D + q, v = 2 * D + q;
    double weight[TOKENS], sum = 0;
    for (int j = 0; j <= t; j++) {
        double score = 0;
        for (int i = 0; i < width; i++) {
            score += qkv[t][q + i] * qkv[j][k + i];
        }
        weight[j] = exp(score / sqrt(width));
        sum += weight[j];
    }
    for (int i = 0; i < width; i++) {
        out[q + i] = 0;
        for (int j = 0; j <= t; j++) {
            out[q + i] += weight[j] / sum * qkv[j][v + i];
        }
    }
}

static void reference_layer(const float *const w[12], double x[TOKENS][D])
{
    double qkv[TOKENS][3 * D];
    for (int t = 0; t < TOKENS; t++) {
        double normed[D], context[D], out[D], hidden[FF];
        layer_norm(x[t], w[0], w[1], normed);
        linear(normed, D, w[2], w[3], 3 * D, qkv[t]);
        for (int head = 0; head < HEADS; head++) {
            attend(qkv, t, head, context);
        }
        linear(context, D, w[4], w[5], D, out);
        for (int i = 0; i < D; i++) {
            x[t][i] += out[i];
        }
        layer_norm(x[t], w[6], w[7], normed);
        linear(normed, D, w[8], w[9], FF, hidden);
        for (int i = 0; i < FF; i++) {
            hidden[i] = gelu_new(hidden[i]);
        }
        linear(hidden, FF, w[10], w[11], D, out);
        for (int i = 0; i < D; i++) {
            x[t][i] += out[i];
        }
    }
}

static void a_clean_pass_equals_the_formulas(void **state)
{
    static const char *const names[12] = {
        "ln_1.weight",        "ln_1.bias",        "attn.c_attn.weight", "attn.c_attn.bias",
        "attn.c_proj.weight", "attn.c_proj.bias", "ln_2.weight",        "ln_2.bias",
        "mlp.c_fc.weight",    "mlp.c_fc.bias",    "mlp.c_proj.weight",  "mlp.c_proj.bias"};
    static const int32_t tokens[TOKENS] = {3, 0, 8, 8, 5};
    struct ko_error err = {0};
    (void)state;
    struct ko_model *model = configured("{\"n_embd\": 12, \"n_head\": 3, \"n_inner\": 20, "
                                        "\"n_layer\": 2, \"vocab_size\": 9, \"n_positions\": 7, "
                                        "\"tie_word_embeddings\": false}",
                                        &err);
    assert_non_null(model);
    float *arena = calloc(ko_model_floats(model), sizeof *arena), got[TOKENS][D];
    assert_non_null(arena);
    ko_model_fill_random(model, 1, arena);
    test_run_trunk(model, arena, tokens, TOKENS, &got[0][0]);

    const float *wte = test_weight(model, arena, "transformer.wte.weight");
    const float *wpe = test_weight(model, arena, "transformer.wpe.weight");
    double x[TOKENS][D], expected[D];
    for (int t = 0; t < TOKENS; t++) {
        for (int i = 0; i < D; i++) {
            x[t][i] = (double)wte[tokens[t] * D + i] + (double)wpe[t * D + i];
        }
    }
    for (int l = 0; l < LAYERS; l++) {
        const float *w[12];
        for (int i = 0; i < 12; i++) {
            char name[64];
            snprintf(name, sizeof name, "transformer.h.%d.%s", l, names[i]);
            w[i] = test_weight(model, arena, name);
        }
        reference_layer(w, x);
    }
    for (int t = 0; t < TOKENS; t++) {
        layer_norm(x[t], test_weight(model, arena, "transformer.ln_f.weight"),
                   test_weight(model, arena, "transformer.ln_f.bias"), expected);
        for (int i = 0; i < D; i++) { /* observed: at most 5e-7 */
            if (!(fabs((double)got[t][i] - expected[i]) <= 1e-5)) {
                fail_msg("row %d, feature %d: %g, expected %g", t, i, (double)got[t][i],
                         expected[i]);
            }
        }
    }
    const struct ko_arena host = ko_model_host_arena(model, arena);
    assert_ptr_equal(ko_model_unembedding(model, &host).data,
                     test_weight(model, arena, "lm_head.weight"));
    free(arena);
    ko_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
        cmocka_unit_test(a_clean_pass_equals_the_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
