/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/configured.h"

static void missing_keys_take_the_defaults(void **state)
{
    static const struct {
        const char *config;
        int32_t d_model, n_layers, vocabulary, n_heads, n_kv_heads, d_head, d_ff, max_tokens, bos,
            n_rotated;
        double theta;
    } rows[] = {
        {"{}", 6144, 44, 50432, 64, 64, 96, 24576, 2048, 0, 24, 10000},
        {"{\"hidden_size\": 48, \"num_attention_heads\": 3, \"intermediate_size\": 100, "
         "\"num_hidden_layers\": 2, \"vocab_size\": 9, \"max_position_embeddings\": 20, "
         "\"bos_token_id\": null}",
         48, 2, 9, 3, 3, 16, 100, 20, -1, 4, 10000},
        {"{\"rotary_pct\": 1.0, \"rotary_emb_base\": 25000, \"max_position_embeddings\": 65536}",
         6144, 44, 50432, 64, 64, 96, 24576, KO_MAX_POSITIONS, 0, 96, 25000},
        {"{\"hidden_size\": 2560, \"num_attention_heads\": 32, \"rope_scaling\": null, "
         "\"hidden_act\": \"gelu_fast\"}",
         2560, 44, 50432, 32, 32, 80, 24576, 2048, 0, 20, 10000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("gpt_neox", rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
        assert_int_equal(s->d_model, rows[i].d_model);
        assert_int_equal(s->n_layers, rows[i].n_layers);
        assert_int_equal(s->vocabulary, rows[i].vocabulary);
        assert_int_equal(s->n_heads, rows[i].n_heads);
        assert_int_equal(s->n_kv_heads, rows[i].n_kv_heads);
        assert_int_equal(s->d_head, rows[i].d_head);
        assert_int_equal(s->d_ff, rows[i].d_ff);
        assert_int_equal(s->max_tokens, rows[i].max_tokens);
        assert_int_equal(s->bos_id, rows[i].bos);
        assert_int_equal(s->reach, INT32_MAX);
        assert_int_equal(model->n_ropes, 1);
        assert_int_equal(model->rope[0].config.n_rotated, rows[i].n_rotated);
        assert_true(model->rope[0].config.theta == rows[i].theta);
        assert_false(model->rope[0].config.interleaved);
        assert_false(model->ends.tied);
        ko_model_free(model);
    }
}

/* The first MLP, and whether attention has biases. */
static void keys_of_the_layer_are_heeded(void **state)
{
    static const struct {
        const char *config;
        bool parallel, bias, tied;
    } rows[] = {
        {"{}", true, true, false},
        {"{\"use_parallel_residual\": false}", false, true, false},
        {"{\"attention_bias\": false}", true, false, false},
        {"{\"tie_word_embeddings\": true}", true, true, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("gpt_neox", rows[i].config, &err);
        assert_non_null(model);
        assert_false(model->sublayer[0].parallel);
        assert_int_equal(model->sublayer[1].parallel, rows[i].parallel);
        static const char *const biases[] = {"gpt_neox.layers.0.attention.query_key_value.bias",
                                             "gpt_neox.layers.0.attention.dense.bias"};
        assert_int_equal(test_has_weight(model, biases[0]), rows[i].bias);
        assert_int_equal(test_has_weight(model, biases[1]), rows[i].bias);
        assert_true(test_has_weight(model, "gpt_neox.layers.0.mlp.dense_4h_to_h.bias"));
        assert_int_equal(test_has_weight(model, "embed_out.weight"), !rows[i].tied);
        ko_model_free(model);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"hidden_act\": \"relu\"}", "toy: hidden_act: 'relu' is not supported for GPT-NeoX, "
                                       "only gelu or gelu_fast or gelu_new or gelu_pytorch_tanh"},
        {"{\"num_attention_heads\": 7}",
         "toy: num_attention_heads: 7 heads do not divide hidden_size of 6144"},
        {"{\"hidden_size\": 0}",
         "toy: hidden_size: expected a whole number from 1 to 1048576, got 0"},
        {"{\"num_hidden_layers\": \"six\"}",
         "toy: num_hidden_layers: expected a whole number from 1 to 16384, got \"six\""},
        {"{\"layer_norm_eps\": NaN}",
         "toy: layer_norm_eps: expected a number from 0 to 1, got nan"},
        {"{\"rotary_pct\": 0.2}",
         "toy: rotary_pct: 0.2 of a head of 96 is 19, and rotary embedding turns pairs"},
        {"{\"rotary_pct\": 1.5}",
         "toy: rotary_pct: expected a number above 0 and at most 1, got 1.5"},
        {"{\"rotary_pct\": 0.0}",
         "toy: rotary_pct: expected a number above 0 and at most 1, got 0"},
        {"{\"rotary_emb_base\": -1}", "toy: rotary_emb_base: expected a number above 0, got -1"},
        {"{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}}",
         "toy: rope_scaling: type: 'linear' is not supported for GPT-NeoX, only default"},
        {"{\"use_parallel_residual\": 1}",
         "toy: use_parallel_residual: expected true or false, got 1"},
        {"{\"attention_bias\": \"no\"}", "toy: attention_bias: expected true or false, got \"no\""},
    };
    (void)state;
    assert_int_equal(test_refusals("gpt_neox", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(keys_of_the_layer_are_heeded),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
