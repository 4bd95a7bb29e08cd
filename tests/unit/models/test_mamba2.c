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

static void missing_keys_take_the_defaults(void **state)
{
    static const struct {
        const char *config;
        int32_t d_model, d_inner, n_heads, d_head, n_groups, d_state, conv_channels;
    } rows[] = {
        {"{}", 4096, 8192, 128, 64, 8, 128, 8192 + 2 * 8 * 128},
        {"{\"hidden_size\": 768, \"num_heads\": 24, \"n_groups\": 1}", 768, 1536, 24, 64, 1, 128,
         1536 + 256},
        {"{\"hidden_size\": 48, \"num_heads\": 6, \"head_dim\": 16, \"n_groups\": 2, "
         "\"state_size\": 16}",
         48, 96, 6, 16, 2, 16, 96 + 64},
        {"{\"hidden_size\": 48, \"expand\": 16, \"intermediate_size\": 96, \"num_heads\": 8, "
         "\"head_dim\": 12}",
         48, 96, 8, 12, 8, 128, 96 + 2 * 8 * 128},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("mamba2", rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
        assert_int_equal(s->n_layers, 64);
        assert_int_equal(s->vocabulary, 32768);
        assert_int_equal(s->d_conv, 4);
        assert_int_equal(s->bos_id, 0);
        assert_true(s->norm_eps == 1e-5f);
        assert_int_equal(s->d_model, rows[i].d_model);
        assert_int_equal(s->d_inner, rows[i].d_inner);
        assert_int_equal(s->n_ssm_heads, rows[i].n_heads);
        assert_int_equal(s->n_features, rows[i].n_heads);
        assert_int_equal(s->d_ssm_head, rows[i].d_head);
        assert_int_equal(s->n_groups, rows[i].n_groups);
        assert_int_equal(s->d_state, rows[i].d_state);
        assert_int_equal(s->conv_channels, rows[i].conv_channels);
        assert_string_equal(model->weights[model->n_weights - 1].tensor, "lm_head.weight");
        ko_model_free(model);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"num_heads\": 24}",
         "toy: num_heads: 24 heads of head_dim 64 are not the inner width of 8192 "
         "(intermediate_size, or expand times hidden_size)"},
        {"{\"hidden_size\": 768}",
         "toy: num_heads: 128 heads of head_dim 64 are not the inner width of 1536 "
         "(intermediate_size, or expand times hidden_size)"},
        {"{\"n_groups\": 3}", "toy: n_groups: 3 groups do not divide num_heads of 128"},
        {"{\"state_size\": 1048576}", "toy: state_size: 1048576 in 8 groups is wider than 1048576"},
        {"{\"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for Mamba-2, only silu or swish"},
        {"{\"time_step_limit\": [0.5, 0.1]}",
         "toy: time_step_limit: expected two numbers from 0, the first no larger than the second, "
         "got [0.5,0.1]"},
        {"{\"time_step_limit\": [0.0]}",
         "toy: time_step_limit: expected two numbers from 0, the first no larger than the second, "
         "got [0.0]"},
        {"{\"time_step_limit\": [NaN, 1]}",
         "toy: time_step_limit: expected two numbers from 0, the first no larger than the second, "
         "got [NaN,1]"},
        {"{\"time_step_limit\": 3}",
         "toy: time_step_limit: expected two numbers from 0, the first no larger than the second, "
         "got 3"},
        {"{\"time_step_limit\": [0, \"inf\"]}",
         "toy: time_step_limit: expected a number, got \"inf\""},
        {"{\"use_conv_bias\": 1}", "toy: use_conv_bias: expected true or false, got 1"},
    };
    (void)state;
    assert_int_equal(test_refusals("mamba2", rows, sizeof rows / sizeof rows[0]), 0);
}

/* B and C serve every head of a group. */
static void taps_of_b_and_c_go_where_every_head_goes(void **state)
{
    enum { HEADS_ = 4, WIDTH_ = 3, INNER_ = 12, ALL = INNER_ + 2 * 2 * 5 };
    struct ko_error err = {0};
    uint8_t conv[ALL];
    (void)state;
    struct ko_model *model =
        test_configured("mamba2",
                        "{\"hidden_size\": 6, \"num_heads\": 4, \"head_dim\": 3, \"n_groups\": 2, "
                        "\"state_size\": 5}",
                        &err);
    assert_non_null(model);
    assert_int_equal(test_sizes_of(model).conv_channels, ALL);
    static const uint8_t masks[][HEADS_] = {{1, 0, 1, 1}, {0, 0, 0, 0}, {1, 1, 1, 1}};
    for (int i = 0; i < 3; i++) {
        memset(conv, 7, sizeof conv);
        model->sublayer[0].kind->conv_mask(&model->sublayer[0], masks[i], conv);
        for (int c = 0; c < ALL; c++) {
            assert_int_equal(conv[c], c < INNER_ ? masks[i][c / WIDTH_] : i == 2);
        }
    }
    ko_model_free(model);
}

/* ---- One clean pass against the formulas in double precision (transformers' Mamba2Mixer). */

enum { D = 8, HEADS = 4, WIDTH = 3, GROUPS = 2, STATE = 5, TAPS = 3, LAYERS = 2, TOKENS = 6 };
enum { INNER = HEADS * WIDTH, CONV = INNER + 2 * GROUPS * STATE, ALL = INNER + CONV + HEADS };

struct reference {
    const struct ko_model *model;
    const float *arena;
    double low, high; /* of delta */
};

/* The weight, or NULL where the model has none of the name. */
static const float *find(const struct reference *r, int layer, const char *name)
{
    char full[96];
    snprintf(full, sizeof full, "backbone.layers.%d.%s", layer, name);
    for (size_t w = 0; w < r->model->n_weights; w++) {
        if (strcmp(r->model->weights[w].tensor, full) == 0) {
            return test_place(r->model, r->arena, &r->model->weights[w]);
        }
    }
    return NULL;
}

static double silu(double x)
{
    return x / (1 + exp(-x));
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

static void rms_norm(const double *x, int n, const float *weight, double *y)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    for (int i = 0; i < n; i++) {
        y[i] = x[i] / sqrt(sum / n + 1e-5) * (double)weight[i];
    }
}

static void convolve(const struct reference *r, int l, double in[TOKENS][ALL], int t, double *out)
{
    const float *taps = find(r, l, "mixer.conv1d.weight"), *bias = find(r, l, "mixer.conv1d.bias");
    for (int c = 0; c < CONV; c++) {
        double sum = bias ? (double)bias[c] : 0;
        for (int k = 0; k < TAPS; k++) { /* transposed in the arena */
            if (t - (TAPS - 1 - k) >= 0) {
                sum += (double)taps[k * CONV + c] * in[t - (TAPS - 1 - k)][INNER + c];
            }
        }
        out[c] = silu(sum);
    }
}

/* y [INNER] of row t: the attention form of the state space, gated and normed by group. */
static void mix(const struct reference *r, int l, double in[TOKENS][ALL],
                double convolved[TOKENS][CONV], int t, double *y)
{
    const float *dt_bias = find(r, l, "mixer.dt_bias"), *a = find(r, l, "mixer.A_log");
    const float *d = find(r, l, "mixer.D"), *norm = find(r, l, "mixer.norm.weight");
    for (int h = 0; h < HEADS; h++) {
        const int group = h / (HEADS / GROUPS);
        double span = 0;
        for (int p = 0; p < WIDTH; p++) {
            y[h * WIDTH + p] = (double)d[h] * convolved[t][h * WIDTH + p];
        }
        for (int j = t; j >= 0; j--) {
            const double *b = convolved[j] + INNER + group * STATE;
            const double *c = convolved[t] + INNER + GROUPS * STATE + group * STATE;
            double delta = log1p(exp(in[j][INNER + CONV + h] + (double)dt_bias[h])), score = 0;
            delta = fmin(fmax(delta, r->low), r->high);
            for (int n = 0; n < STATE; n++) {
                score += b[n] * c[n];
            }
            for (int p = 0; p < WIDTH; p++) {
                y[h * WIDTH + p] +=
                    score * exp((double)a[h] * span) * delta * convolved[j][h * WIDTH + p];
            }
            span += delta;
        }
    }
    for (int i = 0; i < INNER; i++) {
        y[i] *= silu(in[t][i]);
    }
    for (int g = 0; g < GROUPS; g++) {
        rms_norm(y + g * INNER / GROUPS, INNER / GROUPS, norm + g * INNER / GROUPS,
                 y + g * INNER / GROUPS);
    }
}

static void reference_layer(const struct reference *r, int l, double x[TOKENS][D])
{
    double in[TOKENS][ALL], convolved[TOKENS][CONV];
    for (int t = 0; t < TOKENS; t++) {
        double normed[D], y[INNER], out[D];
        rms_norm(x[t], D, find(r, l, "norm.weight"), normed);
        linear(normed, D, find(r, l, "mixer.in_proj.weight"), find(r, l, "mixer.in_proj.bias"), ALL,
               in[t]);
        convolve(r, l, in, t, convolved[t]);
        mix(r, l, in, convolved, t, y);
        linear(y, INNER, find(r, l, "mixer.out_proj.weight"), find(r, l, "mixer.out_proj.bias"), D,
               out);
        for (int i = 0; i < D; i++) {
            x[t][i] += out[i];
        }
    }
}

static void check_pass(const char *more, double low, double high, size_t n_weights)
{
    static const int32_t tokens[TOKENS] = {3, 0, 8, 8, 1, 5};
    struct ko_error err = {0};
    char config[512];
    snprintf(config, sizeof config,
             "{\"hidden_size\": 8, \"num_heads\": 4, \"head_dim\": 3, \"expand\": 1.5, "
             "\"n_groups\": 2, \"state_size\": 5, \"conv_kernel\": 3, \"num_hidden_layers\": 2, "
             "\"vocab_size\": 9%s}",
             more);
    struct ko_model *model = test_configured("mamba2", config, &err);
    if (!model) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(model->n_weights, n_weights);
    float *arena = calloc(ko_model_floats(model), sizeof *arena), got[TOKENS][D];
    assert_non_null(arena);
    ko_model_fill_random(model, 1, arena);
    test_run_trunk(model, arena, tokens, TOKENS, &got[0][0]);

    const struct reference r = {model, arena, low, high};
    const float *embedding = test_weight(model, arena, "backbone.embeddings.weight");
    double x[TOKENS][D], expected[D];
    for (int t = 0; t < TOKENS; t++) {
        for (int i = 0; i < D; i++) {
            x[t][i] = (double)embedding[tokens[t] * D + i];
        }
    }
    for (int l = 0; l < LAYERS; l++) {
        reference_layer(&r, l, x);
    }
    for (int t = 0; t < TOKENS; t++) {
        rms_norm(x[t], D, test_weight(model, arena, "backbone.norm_f.weight"), expected);
        for (int i = 0; i < D; i++) { /* observed: at most 5e-7 */
            if (!(fabs((double)got[t][i] - expected[i]) <= 1e-5)) {
                fail_msg("row %d, feature %d: %g, expected %g", t, i, (double)got[t][i],
                         expected[i]);
            }
        }
    }
    free(arena);
    ko_model_free(model);
}

/* Infinity in both spellings that transformers writes. */
static void a_clean_pass_equals_the_formulas(void **state)
{
    (void)state;
    check_pass("", 0, INFINITY, LAYERS * 10 + 3);
    check_pass(", \"time_step_limit\": [0.0, Infinity]", 0, INFINITY, LAYERS * 10 + 3);
    check_pass(", \"time_step_limit\": [0.02, {\"__float__\": \"Infinity\"}]", 0.02, INFINITY,
               LAYERS * 10 + 3);
    check_pass(", \"time_step_limit\": [0.01, 0.03]", 0.01, 0.03, LAYERS * 10 + 3);
    check_pass(", \"use_bias\": true, \"use_conv_bias\": false, \"tie_word_embeddings\": true", 0,
               INFINITY, LAYERS * 11 + 2);
}

static void sizes_follow_from_the_shape(void **state)
{
    struct ko_error err = {0};
    int32_t widths[KO_N_BUFFERS];
    double flop[3];
    (void)state;
    struct ko_model *model =
        test_configured("mamba2",
                        "{\"hidden_size\": 8, \"num_heads\": 4, \"head_dim\": 3, "
                        "\"intermediate_size\": 12, \"n_groups\": 2, \"state_size\": 5}",
                        &err);
    assert_non_null(model);
    ko_model_widths(model, widths);
    assert_int_equal(widths[1], INNER);
    assert_true(widths[0] >= D + INNER && widths[0] >= CONV);
    ko_model_stage_flop(model, 0, flop);
    assert_true(flop[0] == 2 * D * ALL);
    assert_true(flop[1] == 0);
    assert_true(flop[2] == 2 * INNER * D);
    ko_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
        cmocka_unit_test(taps_of_b_and_c_go_where_every_head_goes),
        cmocka_unit_test(a_clean_pass_equals_the_formulas),
        cmocka_unit_test(sizes_follow_from_the_shape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
