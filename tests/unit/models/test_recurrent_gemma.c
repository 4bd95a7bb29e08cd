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
#include "src/models/model_random.h"
#include "tests/support/configured.h"
#include "tests/support/trunk.h"

static void missing_keys_take_the_defaults(void **state)
{
    char kinds[40];
    (void)state;
    struct ko_model *model = test_accepted("recurrent_gemma", "{}");
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 2560);
    assert_int_equal(s->d_ff, 3840);
    assert_int_equal(s->n_layers, 26);
    assert_int_equal(s->vocabulary, 256000);
    assert_int_equal(s->n_heads, 10);
    assert_int_equal(s->n_kv_heads, 10);
    assert_int_equal(s->d_head, 256);
    assert_int_equal(s->d_inner, 2560);
    assert_int_equal(s->d_conv, 4);
    assert_int_equal(s->conv_channels, 2560);
    assert_int_equal(s->n_features, 0);
    assert_int_equal(s->max_tokens, KO_MAX_POSITIONS);
    assert_int_equal(s->bos_id, 2);
    assert_true(s->norm_eps == 1e-6f);
    assert_int_equal(test_reach(model, 2), 2048);
    assert_true(model->ends.tied);
    assert_true(model->ends.logit_cap == 30);
    assert_true(model->ends.embedding_scale == 50.5f); /* sqrt(2560) is 50.596 */
    assert_true(model->ends.final_norm.one_plus);
    assert_true(model->rope[0].config.theta == 1e4 && model->rope[0].config.n_rotated == 128);
    test_mixers_of(model, KO_MIXER_SSM, 'r', kinds);
    assert_string_equal(kinds, "rrarrarrarrarrarrarrarrarr");
    ko_model_free(model);
}

static void blocks_are_repeated(void **state)
{
    static const struct {
        const char *config, *kinds;
    } rows[] = {
        {"{\"num_hidden_layers\": 5, \"block_types\": [\"attention\", \"recurrent\"]}", "arara"},
        {"{\"num_hidden_layers\": 2, \"block_types\": [\"recurrent\", \"attention\", "
         "\"recurrent\"]}",
         "ra"},
        {"{\"num_hidden_layers\": 4, \"block_types\": null}", "rrar"},
        {"{\"num_hidden_layers\": 3, \"_block_types\": [\"attention\"]}", "aaa"},
        {"{\"num_hidden_layers\": 2, \"block_types\": [\"attention\", \"recurrent\", "
         "\"recurrent\"], "
         "\"_block_types\": [\"attention\", \"recurrent\"]}",
         "ar"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char kinds[8];
        struct ko_model *model = test_accepted("recurrent_gemma", rows[i].config);
        test_mixers_of(model, KO_MIXER_SSM, 'r', kinds);
        assert_string_equal(kinds, rows[i].kinds);
        ko_model_free(model);
    }
}

static void keys_of_the_file_are_read(void **state)
{
    int32_t widths[KO_N_BUFFERS] = {0};
    double flop[3];
    (void)state;
    struct ko_model *model = test_accepted(
        "recurrent_gemma",
        "{\"hidden_size\": 40, \"num_attention_heads\": 5, \"num_key_value_heads\": 1, "
        "\"lru_width\": 50, \"conv1d_width\": 3, \"intermediate_size\": 15, \"vocab_size\": 9, "
        "\"num_hidden_layers\": 3, \"attention_window_size\": 6, \"logits_soft_cap\": 7.5, "
        "\"attention_bias\": true, \"partial_rotary_factor\": 0.25, \"rope_theta\": 500, "
        "\"tie_word_embeddings\": false, \"bos_token_id\": 1, \"rms_norm_eps\": 1e-5}");
    const struct ko_sublayer *recurrent = &model->sublayer[0];
    const struct test_sizes sizes = test_sizes_of(model);
    assert_int_equal(sizes.d_inner, 50);
    assert_int_equal(sizes.d_conv, 3);
    assert_int_equal(sizes.d_ff, 7);
    assert_int_equal(sizes.n_kv_heads, 1);
    assert_int_equal(sizes.bos_id, 1);
    assert_true(sizes.norm_eps == 1e-5f);
    assert_int_equal(test_reach(model, 2), 6);
    assert_false(model->ends.tied);
    assert_true(model->ends.logit_cap == 7.5f);
    assert_true(model->ends.embedding_scale == 6.3125f); /* sqrt(40) is 6.3246 */
    assert_true(model->rope[0].config.theta == 500 && model->rope[0].config.n_rotated == 2);
    recurrent->kind->widths(recurrent, 40, widths);
    assert_int_equal(widths[0], 50);
    assert_int_equal(widths[1], 50);
    assert_int_equal(widths[4], 100);
    recurrent->kind->row_flop(recurrent, 40, flop);
    assert_true(flop[0] == 2 * 40 * 100 && flop[1] == 2 * 2 * 50 * 10 && flop[2] == 2 * 50 * 40);
    assert_true(test_has_weight(model, "model.layers.2.temporal_block.q_proj.bias"));
    assert_true(test_has_weight(model, "model.layers.2.temporal_block.o_proj.bias"));
    assert_true(test_has_weight(model, "model.layers.2.mlp_block.down_proj.bias"));
    assert_true(test_has_weight(model, "lm_head.weight"));
    ko_model_free(model);
    model = test_accepted("recurrent_gemma", "{\"num_hidden_layers\": 3, \"sliding_window\": 9}");
    assert_int_equal(test_reach(model, 2), 9);
    assert_false(test_has_weight(model, "model.layers.2.temporal_block.q_proj.bias"));
    assert_true(test_has_weight(model, "model.layers.2.temporal_block.o_proj.bias"));
    ko_model_free(model);
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"block_types\": []}", "toy: block_types: expected a list of words"},
        {"{\"block_types\": \"recurrent\"}", "toy: block_types: expected a list of words"},
        {"{\"block_types\": [\"recurrent\", \"mamba\"]}",
         "toy: block_types: 'mamba' is not supported for RecurrentGemma, only recurrent or "
         "attention"},
        {"{\"_block_types\": [null]}",
         "toy: _block_types: 'null' is not supported for RecurrentGemma, only recurrent or "
         "attention"},
        {"{\"block_types\": [\"recurrent\"], \"_block_types\": [\"attention\"]}",
         "toy: _block_types: differs from block_types"},
        {"{\"layer_types\": []}",
         "toy: layer_types: [] is not supported for RecurrentGemma, only null"},
        {"{\"lru_width\": 2561}", "toy: lru_width: num_attention_heads of 10 does not divide 2561"},
        {"{\"lru_width\": 0}", "toy: lru_width: expected a whole number from 1 to 1048576, got 0"},
        {"{\"conv1d_width\": 0}",
         "toy: conv1d_width: expected a whole number from 1 to 1048576, got 0"},
        {"{\"attention_window_size\": 0}",
         "toy: attention_window_size: expected a whole number from 1 to 2147483647, got 0"},
        {"{\"intermediate_size\": 1}",
         "toy: intermediate_size: 1 is twice the width of the MLPs, which is 1 or more"},
        {"{\"logits_soft_cap\": 0}", "toy: logits_soft_cap: expected a number above 0, got 0"},
        {"{\"embeddings_scale_by_sqrt_dim\": false}",
         "toy: embeddings_scale_by_sqrt_dim: false is not supported for RecurrentGemma, only true"},
        {"{\"hidden_activation\": \"silu\"}",
         "toy: hidden_activation: 'silu' is not supported for RecurrentGemma, only "
         "gelu_pytorch_tanh or gelu_new"},
        {"{\"attention_bias\": 1}", "toy: attention_bias: expected true or false, got 1"},
        {"{\"num_attention_heads\": 24}",
         "toy: num_attention_heads: 24 heads do not divide hidden_size of 2560"},
        {"{\"rope_scaling\": {\"type\": \"yarn\"}}",
         "toy: rope_scaling: type: 'yarn' is not supported for RecurrentGemma, only default"},
    };
    (void)state;
    assert_int_equal(test_refusals("recurrent_gemma", rows, sizeof rows / sizeof rows[0]), 0);
}

/* ---- One clean pass of recurrent blocks against the formulas in double precision. */

enum { D = 10, INNER = 12, BLOCKS = 2, BLOCK = INNER / BLOCKS, FF = 7, TAPS = 3, LAYERS = 2 };
enum { TOKENS = 6, VOCABULARY = 9 };

static const float *weight_of(const struct ko_model *model, const float *floats, int layer,
                              const char *name)
{
    char tensor[80];
    snprintf(tensor, sizeof tensor, "model.layers.%d.%s", layer, name);
    return test_weight(model, floats, tensor);
}

#define W(name) weight_of(model, floats, l, name)

static void linear(const double *x, int n_in, const float *w, const float *bias, int n_out,
                   double *y)
{
    for (int o = 0; o < n_out; o++) {
        y[o] = (double)bias[o];
        for (int i = 0; i < n_in; i++) {
            y[o] += x[i] * (double)w[o * n_in + i];
        }
    }
}

/* weight: as in memory, with the 1 added. */
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

static double gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
}

/* sigmoid(u W + bias) of channel c, whose block has the matrix w[block] [in, out] */
static double gate_of(const double *u, const float *w, const float *bias, int c)
{
    const int block = c / BLOCK;
    double sum = (double)bias[c];
    for (int i = 0; i < BLOCK; i++) {
        sum += u[block * BLOCK + i] * (double)w[(block * BLOCK + i) * BLOCK + c % BLOCK];
    }
    return 1 / (1 + exp(-sum));
}

/* h [INNER] of position t from that of t - 1, by u of position t */
static void recur(const struct ko_model *model, const float *floats, int l, int t, const double *u,
                  double *h)
{
    for (int c = 0; c < INNER; c++) {
        const double gate = gate_of(u, W("temporal_block.rg_lru.input_gate_weight"),
                                    W("temporal_block.rg_lru.input_gate_bias"), c);
        const double recall = gate_of(u, W("temporal_block.rg_lru.recurrent_gate_weight"),
                                      W("temporal_block.rg_lru.recurrent_gate_bias"), c);
        const double param = (double)W("temporal_block.rg_lru.recurrent_param")[c];
        const double a = exp(-8 * recall * log(1 + exp(param)));
        h[c] = a * h[c] + (t == 0 ? 1 : sqrt(1 - a * a)) * gate * u[c];
    }
}

static void add_recurrent(const struct ko_model *model, const float *floats, int l,
                          double x[TOKENS][D])
{
    const float *taps = W("temporal_block.conv_1d.weight"); /* [TAPS, INNER] in memory */
    double in[TOKENS][INNER], h[INNER] = {0};
    for (int t = 0; t < TOKENS; t++) {
        double normed[D], u[INNER], y[INNER], out[D];
        rms_norm(x[t], W("temporal_pre_norm.weight"), normed);
        linear(normed, D, W("temporal_block.linear_x.weight"), W("temporal_block.linear_x.bias"),
               INNER, in[t]);
        linear(normed, D, W("temporal_block.linear_y.weight"), W("temporal_block.linear_y.bias"),
               INNER, y);
        for (int c = 0; c < INNER; c++) {
            u[c] = (double)W("temporal_block.conv_1d.bias")[c];
            for (int back = 0; back < TAPS && back <= t; back++) {
                u[c] += (double)taps[(TAPS - 1 - back) * INNER + c] * in[t - back][c];
            }
        }
        recur(model, floats, l, t, u, h);
        for (int c = 0; c < INNER; c++) {
            y[c] = h[c] * gelu_tanh(y[c]);
        }
        linear(y, INNER, W("temporal_block.linear_out.weight"), W("temporal_block.linear_out.bias"),
               D, out);
        for (int c = 0; c < D; c++) {
            x[t][c] += out[c];
        }
    }
}

static void add_mlp(const struct ko_model *model, const float *floats, int l, double *x)
{
    double normed[D], gate[FF], up[FF], out[D];
    rms_norm(x, W("channel_pre_norm.weight"), normed);
    linear(normed, D, W("mlp_block.gate_proj.weight"), W("mlp_block.gate_proj.bias"), FF, gate);
    linear(normed, D, W("mlp_block.up_proj.weight"), W("mlp_block.up_proj.bias"), FF, up);
    for (int k = 0; k < FF; k++) {
        up[k] *= gelu_tanh(gate[k]);
    }
    linear(up, FF, W("mlp_block.down_proj.weight"), W("mlp_block.down_proj.bias"), D, out);
    for (int c = 0; c < D; c++) {
        x[c] += out[c];
    }
}

/* Parameters whose a is from nearly 0 to nearly 1. */
static void spread_params(const struct ko_model *model, float *floats)
{
    for (int l = 0; l < LAYERS; l++) {
        const float *param = weight_of(model, floats, l, "temporal_block.rg_lru.recurrent_param");
        for (int c = 0; c < INNER; c++) {
            floats[param - floats + c] = 2.0f - (float)c;
        }
    }
}

static void a_clean_pass_follows_the_formulas(void **state)
{
    static const int32_t tokens[TOKENS] = {3, 0, 8, 8, 1, 5};
    float got[TOKENS * D];
    double x[TOKENS][D], largest = 0;
    (void)state;
    struct ko_model *model = test_accepted(
        "recurrent_gemma",
        "{\"hidden_size\": 10, \"num_hidden_layers\": 2, \"block_types\": [\"recurrent\"], "
        "\"vocab_size\": 9, \"num_attention_heads\": 2, \"head_dim\": 4, \"lru_width\": 12, "
        "\"intermediate_size\": 14, \"conv1d_width\": 3, \"rms_norm_eps\": 1e-3}");
    float *floats = calloc(ko_model_floats(model), sizeof *floats);
    assert_non_null(floats);
    ko_model_fill_random(model, 1, floats);
    spread_params(model, floats);
    test_run_trunk(model, floats, tokens, TOKENS, got);
    const float *embedding = test_weight(model, floats, "model.embed_tokens.weight");
    for (int i = 0; i < TOKENS * D; i++) { /* sqrt(10) as bfloat16 */
        x[i / D][i % D] = 3.15625 * (double)embedding[tokens[i / D] * D + i % D];
    }
    for (int l = 0; l < LAYERS; l++) {
        add_recurrent(model, floats, l, x);
        for (int t = 0; t < TOKENS; t++) {
            add_mlp(model, floats, l, x[t]);
        }
    }
    for (int t = 0; t < TOKENS; t++) {
        double out[D];
        rms_norm(x[t], test_weight(model, floats, "model.final_norm.weight"), out);
        for (int c = 0; c < D; c++) {
            const double off = fabs((double)got[t * D + c] - out[c]);
            largest = off > largest ? off : largest;
            assert_true(off <= 3e-6);
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
        cmocka_unit_test(blocks_are_repeated),
        cmocka_unit_test(keys_of_the_file_are_read),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
        cmocka_unit_test(a_clean_pass_follows_the_formulas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
