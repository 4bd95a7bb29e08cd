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
    return test_configured("mamba", config, err);
}

static void missing_keys_take_the_defaults(void **state)
{
    static const struct {
        const char *config;
        int32_t d_model, n_layers, vocabulary, d_inner, d_state, d_conv, dt_rank, bos;
    } rows[] = {
        {"{}", 768, 32, 50280, 1536, 16, 4, 48, 0},
        {"{\"hidden_size\": 2560, \"num_hidden_layers\": 64}", 2560, 64, 50280, 5120, 16, 4, 160,
         0},
        {"{\"hidden_size\": 40, \"time_step_rank\": \"auto\"}", 40, 32, 50280, 80, 16, 4, 3, 0},
        {"{\"hidden_size\": 48, \"time_step_rank\": null}", 48, 32, 50280, 96, 16, 4, 3, 0},
        {"{\"hidden_size\": 40, \"time_step_rank\": 7}", 40, 32, 50280, 80, 16, 4, 7, 0},
        {"{\"hidden_size\": 40, \"expand\": 1.5}", 40, 32, 50280, 60, 16, 4, 3, 0},
        {"{\"hidden_size\": 40, \"expand\": 16, \"intermediate_size\": 72}", 40, 32, 50280, 72, 16,
         4, 3, 0},
        {"{\"hidden_size\": 40, \"intermediate_size\": null}", 40, 32, 50280, 80, 16, 4, 3, 0},
        {"{\"state_size\": 5, \"conv_kernel\": 2, \"bos_token_id\": 11}", 768, 32, 50280, 1536, 5,
         2, 48, 11},
        {"{\"bos_token_id\": null}", 768, 32, 50280, 1536, 16, 4, 48, -1},
        {"{\"vocab_size\": 100, \"bos_token_id\": 100}", 768, 32, 100, 1536, 16, 4, 48, -1},
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
        assert_int_equal(s->d_inner, rows[i].d_inner);
        assert_int_equal(s->n_features, rows[i].d_inner);
        assert_int_equal(s->conv_channels, rows[i].d_inner);
        assert_int_equal(s->d_state, rows[i].d_state);
        assert_int_equal(s->d_conv, rows[i].d_conv);
        assert_int_equal(s->dt_rank, rows[i].dt_rank);
        assert_int_equal(s->bos_id, rows[i].bos);
        assert_int_equal(s->max_tokens, 0);
        assert_true(s->norm_eps == 1e-5f);
        ko_model_free(model);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"hidden_act\": \"relu\"}",
         "toy: hidden_act: 'relu' is not supported for Mamba-1, only silu or swish"},
        {"{\"hidden_size\": 0}",
         "toy: hidden_size: expected a whole number from 1 to 1048576, got 0"},
        {"{\"hidden_size\": \"big\"}",
         "toy: hidden_size: expected a whole number from 1 to 1048576, got \"big\""},
        {"{\"time_step_rank\": \"half\"}",
         "toy: time_step_rank: expected a whole number from 1 to 1048576, got \"half\""},
        {"{\"expand\": 0}",
         "toy: expand: 0 times the hidden size of 768 is not a width from 1 to 1048576"},
        {"{\"expand\": 1e30}",
         "toy: expand: 1e+30 times the hidden size of 768 is not a width from 1 to 1048576"},
        {"{\"use_bias\": \"yes\"}", "toy: use_bias: expected true or false, got \"yes\""},
        {"{\"layer_norm_epsilon\": -1}",
         "toy: layer_norm_epsilon: expected a number from 0 to 1, got -1"},
    };
    (void)state;
    assert_int_equal(test_refusals("mamba", rows, sizeof rows / sizeof rows[0]), 0);
}

static void sizes_follow_from_the_shape(void **state)
{
    struct ko_error err = {0};
    int32_t widths[KO_N_BUFFERS];
    double flop[3];
    (void)state;
    struct ko_model *model = configured("{\"hidden_size\": 10, \"intermediate_size\": 6, "
                                        "\"state_size\": 3, \"time_step_rank\": 2}",
                                        &err);
    assert_non_null(model);
    ko_model_widths(model, widths);
    assert_int_equal(widths[1], 6);
    assert_true(widths[0] >= 10 + 6);
    size_t floats = 10;
    for (int b = 0; b < KO_N_BUFFERS; b++) {
        floats += (size_t)widths[b];
    }
    assert_int_equal(ko_model_row_floats(model), floats);
    ko_model_stage_flop(model, 0, flop);
    assert_true(flop[0] == 2 * 10 * 12);
    assert_true(flop[1] == 2 * 6 * 8 + 2 * 2 * 6);
    assert_true(flop[2] == 2 * 6 * 10);
    ko_model_free(model);
}

/* tiiuae/falcon-mamba-7b's file says expand 16 beside an intermediate_size of twice the width. */
static void falcon_mamba_differs_in_its_norms_alone(void **state)
{
    static const struct test_refusal refusals[] = {
        {"{\"mixer_rms_eps\": 2}", "toy: mixer_rms_eps: expected a number from 0 to 1, got 2"},
        {"{\"hidden_act\": \"relu\"}",
         "toy: hidden_act: 'relu' is not supported for Falcon-Mamba, only silu or swish"},
        {"{\"expand\": \"two\"}", "toy: expand: expected a number, got \"two\""},
        {"{\"num_hidden_layers\": 0}",
         "toy: num_hidden_layers: expected a whole number from 1 to 16384, got 0"},
    };
    struct ko_error err = {0};
    (void)state;
    struct ko_model *model = test_configured(
        "falcon_mamba", "{\"hidden_size\": 48, \"intermediate_size\": 96, \"expand\": 16}", &err);
    assert_non_null(model);
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_inner, 96);
    assert_int_equal(s->dt_rank, 3);
    assert_int_equal(s->d_state, 16);
    assert_int_equal(s->n_layers, 32);
    assert_int_equal(s->vocabulary, 50280);
    assert_int_equal(s->n_features, 96);
    assert_int_equal(s->bos_id, 0);
    assert_true(model->ends.tied);
    assert_int_equal(model->ends.head, model->ends.embedding);
    ko_model_free(model);
    assert_int_equal(test_refusals("falcon_mamba", refusals, sizeof refusals / sizeof refusals[0]),
                     0);
}

/* ---- One clean pass against the formulas of Gu & Dao 2023 in double precision, row after row. */

enum { D = 10, INNER = 14, STATE = 3, RANK = 2, TAPS = 3, LAYERS = 2, TOKENS = 6, VOCABULARY = 9 };

static double silu(double x)
{
    return x / (1 + exp(-x));
}

/* The weights of a layer in the arena; conv and a are transposed there. */
struct weights {
    const float *norm, *in, *in_bias, *conv, *conv_bias, *x, *dt, *dt_bias, *a, *d, *out, *out_bias;
};

static struct weights layer_weights(const struct ko_model *model, const float *arena, int layer,
                                    bool bias, bool conv_bias)
{
    const char *names[] = {"norm.weight",           "mixer.in_proj.weight",
                           "mixer.in_proj.bias",    "mixer.conv1d.weight",
                           "mixer.conv1d.bias",     "mixer.x_proj.weight",
                           "mixer.dt_proj.weight",  "mixer.dt_proj.bias",
                           "mixer.A_log",           "mixer.D",
                           "mixer.out_proj.weight", "mixer.out_proj.bias"};
    const float *at[12];
    for (int i = 0; i < 12; i++) {
        char name[64];
        bool absent = ((i == 2 || i == 11) && !bias) || (i == 4 && !conv_bias);
        snprintf(name, sizeof name, "backbone.layers.%d.%s", layer, names[i]);
        at[i] = absent ? NULL : test_weight(model, arena, name);
    }
    return (struct weights){at[0], at[1], at[2], at[3], at[4],  at[5],
                            at[6], at[7], at[8], at[9], at[10], at[11]};
}

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

static void rms_norm(const double *x, int n, const float *weight, double eps, double *y)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    for (int i = 0; i < n; i++) {
        y[i] = x[i] / sqrt(sum / n + eps) * (weight ? (double)weight[i] : 1);
    }
}

/* Adds the layer's mixer to x [TOKENS, D]. eps: of Falcon-Mamba's norms; 0: none. */
static void reference_layer(const struct weights *w, double eps, double x[TOKENS][D])
{
    double xz[TOKENS][2 * INNER], h[INNER][STATE] = {{0}};
    for (int t = 0; t < TOKENS; t++) {
        double normed[D], u[INNER], p[RANK + 2 * STATE], delta[INNER], y[INNER], out[D];
        rms_norm(x[t], D, w->norm, 1e-5, normed);
        linear(normed, D, w->in, w->in_bias, 2 * INNER, xz[t]);
        for (int c = 0; c < INNER; c++) {
            u[c] = w->conv_bias ? (double)w->conv_bias[c] : 0;
            for (int k = 0; k < TAPS; k++) {
                if (t - (TAPS - 1 - k) >= 0) {
                    u[c] += (double)w->conv[k * INNER + c] * xz[t - (TAPS - 1 - k)][c];
                }
            }
            u[c] = silu(u[c]);
        }
        linear(u, INNER, w->x, NULL, RANK + 2 * STATE, p);
        if (eps > 0) {
            rms_norm(p, RANK, NULL, eps, p);
            rms_norm(p + RANK, STATE, NULL, eps, p + RANK);
            rms_norm(p + RANK + STATE, STATE, NULL, eps, p + RANK + STATE);
        }
        linear(p, RANK, w->dt, w->dt_bias, INNER, delta);
        for (int c = 0; c < INNER; c++) {
            delta[c] = log1p(exp(delta[c]));
            y[c] = (double)w->d[c] * u[c];
            for (int n = 0; n < STATE; n++) {
                h[c][n] = exp(delta[c] * (double)w->a[n * INNER + c]) * h[c][n] +
                          delta[c] * p[RANK + n] * u[c];
                y[c] += p[RANK + STATE + n] * h[c][n];
            }
            y[c] *= silu(xz[t][INNER + c]);
        }
        linear(y, INNER, w->out, w->out_bias, D, out);
        for (int i = 0; i < D; i++) {
            x[t][i] += out[i];
        }
    }
}

static void check_pass(const char *family, bool bias, bool conv_bias, double eps)
{
    static const int32_t tokens[TOKENS] = {3, 0, 8, 8, 1, 5};
    struct ko_error err = {0};
    char config[512];
    snprintf(config, sizeof config,
             "{\"hidden_size\": %d, \"intermediate_size\": %d, \"state_size\": %d, "
             "\"time_step_rank\": %d, \"conv_kernel\": %d, \"num_hidden_layers\": %d, "
             "\"vocab_size\": %d, \"use_bias\": %s, \"use_conv_bias\": %s, "
             "\"tie_word_embeddings\": false, \"mixer_rms_eps\": %g}",
             D, INNER, STATE, RANK, TAPS, LAYERS, VOCABULARY, bias ? "true" : "false",
             conv_bias ? "true" : "false", eps);
    struct ko_model *model = test_configured(family, config, &err);
    assert_non_null(model);
    float *arena = calloc(ko_model_floats(model), sizeof *arena), got[TOKENS][D];
    assert_non_null(arena);
    ko_model_fill_random(model, 1, arena);
    test_run_trunk(model, arena, tokens, TOKENS, &got[0][0]);

    const float *embedding = test_weight(model, arena, "backbone.embeddings.weight");
    double x[TOKENS][D], expected[D];
    for (int t = 0; t < TOKENS; t++) {
        for (int i = 0; i < D; i++) {
            x[t][i] = (double)embedding[tokens[t] * D + i];
        }
    }
    for (int l = 0; l < LAYERS; l++) {
        struct weights w = layer_weights(model, arena, l, bias, conv_bias);
        reference_layer(&w, eps, x);
    }
    for (int t = 0; t < TOKENS; t++) {
        rms_norm(x[t], D, test_weight(model, arena, "backbone.norm_f.weight"), 1e-5, expected);
        for (int i = 0; i < D; i++) { /* observed: at most 2e-7 */
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

static void a_clean_pass_equals_the_formulas(void **state)
{
    (void)state;
    check_pass("mamba", false, true, 0);
    check_pass("mamba", true, true, 0);
    check_pass("mamba", false, false, 0);
    check_pass("mamba", true, false, 0);
    check_pass("falcon_mamba", false, true, 1e-6);
    check_pass("falcon_mamba", true, false, 1e-2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
        cmocka_unit_test(sizes_follow_from_the_shape),
        cmocka_unit_test(falcon_mamba_differs_in_its_norms_alone),
        cmocka_unit_test(a_clean_pass_equals_the_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
