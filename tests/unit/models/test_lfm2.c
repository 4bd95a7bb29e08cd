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

#include "src/base/mixer.h"
#include "src/models/details.h"
#include "src/models/model_random.h"
#include "tests/support/configured.h"
#include "tests/support/trunk.h"

static void missing_keys_take_the_defaults(void **state)
{
    char kinds[40];
    (void)state;
    struct ko_model *model = test_accepted("lfm2", "{}");
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 2560);
    assert_int_equal(s->d_ff, 8192);
    assert_int_equal(s->n_layers, 32);
    assert_int_equal(s->vocabulary, 65536);
    assert_int_equal(s->n_heads, 32);
    assert_int_equal(s->n_kv_heads, 8);
    assert_int_equal(s->d_head, 80);
    assert_int_equal(s->max_tokens, KO_MAX_POSITIONS);
    assert_int_equal(s->bos_id, 1);
    assert_true(s->norm_eps == 1e-5f);
    assert_true(model->ends.tied);
    assert_true(model->rope[0].config.theta == 1e6);
    test_mixers_of(model, KO_MIXER_CONV, 'c', kinds);
    assert_string_equal(kinds, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    ko_model_free(model);
}

/* The width of the MLPs is that of LFM2-1.2B, -350M and -2.6B, whose files differ in their keys. */
static void widths_of_the_mlps_are_adjusted(void **state)
{
    static const struct {
        const char *config;
        int32_t d_ff;
    } rows[] = {
        {"{\"block_ff_dim\": 12288, \"block_multiple_of\": 256}", 8192},
        {"{\"block_ff_dim\": 6656, \"intermediate_size\": 7}", 4608},
        {"{\"intermediate_size\": 6656}", 4608},
        {"{\"block_ff_dim\": 10752, \"block_auto_adjust_ff_dim\": false}", 10752},
        {"{\"block_ff_dim\": 90, \"block_multiple_of\": 16}", 64},
        {"{\"block_ff_dim\": 90, \"block_multiple_of\": 1, \"block_ffn_dim_multiplier\": 1.21}",
         72},
        {"{\"block_ff_dim\": 8, \"block_multiple_of\": 1, \"block_ffn_dim_multiplier\": null}", 5},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_model *model = test_accepted("lfm2", rows[i].config);
        assert_int_equal(test_sizes_of(model).d_ff, rows[i].d_ff);
        ko_model_free(model);
    }
}

static void layers_convolve_where_the_file_says(void **state)
{
    static const struct {
        const char *config, *kinds;
    } rows[] = {
        {"{\"num_hidden_layers\": 4, \"full_attn_idxs\": [1, 3]}", "caca"},
        {"{\"num_hidden_layers\": 3, \"full_attn_idxs\": []}", "ccc"},
        {"{\"num_hidden_layers\": 3, \"full_attn_idxs\": null}", "aaa"},
        {"{\"num_hidden_layers\": 3, \"full_attn_idxs\": [0], "
         "\"layer_types\": [\"conv\", \"full_attention\", \"conv\"]}",
         "cac"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char kinds[8];
        struct ko_model *model = test_accepted("lfm2", rows[i].config);
        test_mixers_of(model, KO_MIXER_CONV, 'c', kinds);
        assert_string_equal(kinds, rows[i].kinds);
        ko_model_free(model);
    }
}

/* The taps reach as far as a window would, and are none of a state-space model's. */
static void a_convolution_reaches_its_taps(void **state)
{
    int32_t widths[KO_N_BUFFERS] = {0};
    double flop[3];
    (void)state;
    struct ko_model *model = test_accepted(
        "lfm2",
        "{\"num_hidden_layers\": 2, \"full_attn_idxs\": [1], \"conv_L_cache\": 5, "
        "\"hidden_size\": 8, \"num_attention_heads\": 4, \"num_key_value_heads\": 4, "
        "\"block_ff_dim\": 6, \"block_auto_adjust_ff_dim\": false, \"tie_word_embeddings\": true, "
        "\"tie_embedding\": false, \"theta\": 5000, \"rope_theta\": 9, \"conv_bias\": true}");
    const struct ko_sublayer *conv = &model->sublayer[0];
    assert_int_equal(conv->kind->mixer, KO_MIXER_CONV);
    assert_int_equal(test_reach(model, 0), 5);
    assert_int_equal(test_reach(model, 1), INT32_MAX);
    assert_int_equal(ko_model_sizes(model).d_conv, 0);
    assert_int_equal(ko_model_sizes(model).conv_channels, 0);
    conv->kind->widths(conv, 8, widths);
    assert_int_equal(widths[0], 8);
    assert_int_equal(widths[1], 8);
    assert_int_equal(widths[2], 24);
    conv->kind->row_flop(conv, 8, flop);
    assert_true(flop[0] == 2 * 8 * 24 && flop[1] == 0 && flop[2] == 2 * 8 * 8);
    assert_false(model->ends.tied);
    assert_true(model->rope[0].config.theta == 5000);
    assert_true(test_has_weight(model, "model.layers.0.conv.conv.bias"));
    assert_true(test_has_weight(model, "model.layers.1.self_attn.q_layernorm.weight"));
    assert_true(test_has_weight(model, "model.embedding_norm.weight"));
    ko_model_free(model);
}

static void check_details(const char *config, const char *const *expected, size_t n)
{
    struct ko_strings got = {0};
    struct ko_error err = {0};
    struct ko_model *model = test_accepted("lfm2", config);
    assert_int_equal(ko_model_details(model, &got, &err), KO_OK);
    assert_int_equal(got.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(got.item[i], expected[i]);
    }
    ko_strings_free(&got);
    ko_model_free(model);
}

static void the_details_count_the_convolutions(void **state)
{
    static const char *const expected[] = {
        "attention in 1 of 3 layers", "short_conv in 2 of 3 layers",
        "norms of queries and keys of each head", "short convolutions of 5 taps"};
    (void)state;
    check_details("{\"num_hidden_layers\": 3, \"full_attn_idxs\": [0], \"conv_L_cache\": 5}",
                  expected, 4);
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"layer_types\": [\"conv\"]}",
         "toy: layer_types: expected a list of 32 words, one per layer"},
        {"{\"num_hidden_layers\": 1, \"layer_types\": [\"sliding_attention\"]}",
         "toy: layer_types: 'sliding_attention' is not supported for LFM2, only full_attention or "
         "conv"},
        {"{\"full_attn_idxs\": 3}", "toy: full_attn_idxs: expected a list of layers"},
        {"{\"full_attn_idxs\": [2, 32]}",
         "toy: full_attn_idxs: expected layers from 0 to 31, got 32"},
        {"{\"full_attn_idxs\": [-1]}", "toy: full_attn_idxs: expected layers from 0 to 31, got -1"},
        {"{\"full_attn_idxs\": [1.5]}",
         "toy: full_attn_idxs: expected layers from 0 to 31, got 1.5"},
        {"{\"full_attn_idxs\": [null]}",
         "toy: full_attn_idxs: expected layers from 0 to 31, got null"},
        {"{\"conv_L_cache\": 0}",
         "toy: conv_L_cache: expected a whole number from 1 to 1048576, got 0"},
        {"{\"conv_bias\": 1}", "toy: conv_bias: expected true or false, got 1"},
        {"{\"norm_eps\": 2}", "toy: norm_eps: expected a number from 0 to 1, got 2"},
        {"{\"block_ffn_dim_multiplier\": 1e9}",
         "toy: block_ffn_dim_multiplier: 1e+09 times two thirds of 12288 is not a width from 1 to "
         "1048320"},
        {"{\"block_ff_dim\": 1}",
         "toy: block_ffn_dim_multiplier: 1 times two thirds of 1 is not a width from 1 to 1048320"},
        {"{\"block_auto_adjust_ff_dim\": \"no\"}",
         "toy: block_auto_adjust_ff_dim: expected true or false, got \"no\""},
        {"{\"num_attention_heads\": 24}",
         "toy: num_attention_heads: 24 heads do not divide hidden_size of 2560"},
        {"{\"rope_scaling\": {\"type\": \"yarn\"}}",
         "toy: rope_scaling: type: 'yarn' is not supported for LFM2, only default"},
    };
    (void)state;
    assert_int_equal(test_refusals("lfm2", rows, sizeof rows / sizeof rows[0]), 0);
}

/* ---- One clean pass of convolutions against the formulas in double precision. */

enum { D = 10, FF = 6, TAPS = 3, LAYERS = 2, TOKENS = 6, VOCABULARY = 9 };

static const float *weight_of(const struct ko_model *model, const float *floats, int layer,
                              const char *name)
{
    char tensor[64];
    snprintf(tensor, sizeof tensor, "model.layers.%d.%s", layer, name);
    return test_weight(model, floats, tensor);
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

static void rms_norm(const double *x, const float *weight, double *y)
{
    double sum = 0;
    for (int i = 0; i < D; i++) {
        sum += x[i] * x[i];
    }
    for (int i = 0; i < D; i++) {
        y[i] = x[i] / sqrt(sum / D + 1e-3) * (double)weight[i];
    }
}

static void convolve(const struct ko_model *model, const float *floats, int l, double x[TOKENS][D])
{
    const float *taps = weight_of(model, floats, l, "conv.conv.weight"); /* [TAPS, D] in memory */
    const float *bias = weight_of(model, floats, l, "conv.conv.bias");
    double bcx[TOKENS][3 * D];
    for (int t = 0; t < TOKENS; t++) {
        double normed[D], mixed[D], out[D];
        rms_norm(x[t], weight_of(model, floats, l, "operator_norm.weight"), normed);
        linear(normed, D, weight_of(model, floats, l, "conv.in_proj.weight"),
               weight_of(model, floats, l, "conv.in_proj.bias"), 3 * D, bcx[t]);
        for (int c = 0; c < D; c++) {
            mixed[c] = (double)bias[c];
            for (int back = 0; back < TAPS && back <= t; back++) {
                mixed[c] += (double)taps[(TAPS - 1 - back) * D + c] * bcx[t - back][c] *
                            bcx[t - back][2 * D + c];
            }
            mixed[c] *= bcx[t][D + c];
        }
        linear(mixed, D, weight_of(model, floats, l, "conv.out_proj.weight"),
               weight_of(model, floats, l, "conv.out_proj.bias"), D, out);
        for (int c = 0; c < D; c++) {
            x[t][c] += out[c];
        }
    }
}

static void add_mlp(const struct ko_model *model, const float *floats, int l, double *x)
{
    double normed[D], gate[FF], up[FF], out[D];
    rms_norm(x, weight_of(model, floats, l, "ffn_norm.weight"), normed);
    linear(normed, D, weight_of(model, floats, l, "feed_forward.w1.weight"), NULL, FF, gate);
    linear(normed, D, weight_of(model, floats, l, "feed_forward.w3.weight"), NULL, FF, up);
    for (int k = 0; k < FF; k++) {
        up[k] *= gate[k] / (1 + exp(-gate[k]));
    }
    linear(up, FF, weight_of(model, floats, l, "feed_forward.w2.weight"), NULL, D, out);
    for (int c = 0; c < D; c++) {
        x[c] += out[c];
    }
}

static void a_clean_pass_follows_the_formulas(void **state)
{
    static const int32_t tokens[TOKENS] = {3, 0, 8, 8, 1, 5};
    float got[TOKENS * D];
    double x[TOKENS][D], largest = 0;
    (void)state;
    struct ko_model *model = test_accepted(
        "lfm2",
        "{\"hidden_size\": 10, \"num_hidden_layers\": 2, \"full_attn_idxs\": [], \"vocab_size\": "
        "9, \"num_attention_heads\": 5, \"num_key_value_heads\": 1, \"block_ff_dim\": 6, "
        "\"block_auto_adjust_ff_dim\": false, \"conv_bias\": true, \"norm_eps\": 1e-3}");
    float *floats = calloc(ko_model_floats(model), sizeof *floats);
    assert_non_null(floats);
    ko_model_fill_random(model, 1, floats);
    test_run_trunk(model, floats, tokens, TOKENS, got);
    const float *embedding = test_weight(model, floats, "model.embed_tokens.weight");
    for (int i = 0; i < TOKENS * D; i++) {
        x[i / D][i % D] = (double)embedding[tokens[i / D] * D + i % D];
    }
    for (int l = 0; l < LAYERS; l++) {
        convolve(model, floats, l, x);
        for (int t = 0; t < TOKENS; t++) {
            add_mlp(model, floats, l, x[t]);
        }
    }
    for (int t = 0; t < TOKENS; t++) {
        double out[D];
        rms_norm(x[t], test_weight(model, floats, "model.embedding_norm.weight"), out);
        for (int c = 0; c < D; c++) {
            const double off = fabs((double)got[t * D + c] - out[c]);
            largest = off > largest ? off : largest;
            assert_true(off <= 3e-6); /* observed: 5e-7 */
        }
    }
    print_message("%.1e from double precision\n", largest);
    free(floats);
    ko_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(widths_of_the_mlps_are_adjusted),
        cmocka_unit_test(layers_convolve_where_the_file_says),
        cmocka_unit_test(a_convolution_reaches_its_taps),
        cmocka_unit_test(the_details_count_the_convolutions),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
        cmocka_unit_test(a_clean_pass_follows_the_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
