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
        {"{}", 2048, 24, 51200, 32, 32, 64, 8192, 2048, 1, 32, 10000},
        {"{\"hidden_size\": 48, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, "
         "\"intermediate_size\": 100, \"num_hidden_layers\": 2, \"vocab_size\": 9, "
         "\"partial_rotary_factor\": 0.4, \"max_position_embeddings\": 20, \"bos_token_id\": null}",
         48, 2, 9, 4, 2, 12, 100, 20, -1, 4, 10000},
        {"{\"hidden_size\": 2560, \"num_key_value_heads\": null, \"partial_rotary_factor\": 0.4, "
         "\"rope_theta\": 500.0, \"max_position_embeddings\": 65536}",
         2560, 24, 51200, 32, 32, 80, 8192, KO_MAX_POSITIONS, 1, 32, 500},
        {"{\"head_dim\": 64, \"qk_layernorm\": false, \"hidden_act\": \"gelu_fast\"}", 2048, 24,
         51200, 32, 32, 64, 8192, 2048, 1, 32, 10000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("phi", rows[i].config, &err);
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
        assert_int_equal(model->rope[0].config.n_rotated, rows[i].n_rotated);
        assert_false(model->rope[0].config.interleaved);
        assert_true(model->rope[0].config.theta == rows[i].theta);
        assert_true(model->sublayer[1].parallel);
        assert_true(test_has_weight(model, "lm_head.bias"));
        assert_true(test_has_weight(model, "model.layers.0.self_attn.dense.bias"));
        ko_model_free(model);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"hidden_act\": \"gelu\"}", "toy: hidden_act: 'gelu' is not supported for Phi, only "
                                       "gelu_new or gelu_fast or gelu_pytorch_tanh"},
        {"{\"qk_layernorm\": true}",
         "toy: qk_layernorm: true is not supported for Phi, only false"},
        {"{\"head_dim\": 128}",
         "toy: head_dim: 128 is not supported for Phi, only hidden_size / num_attention_heads, 64"},
        {"{\"num_attention_heads\": 7}",
         "toy: num_attention_heads: 7 heads do not divide hidden_size of 2048"},
        {"{\"num_key_value_heads\": 5}",
         "toy: num_key_value_heads: 5 do not divide num_attention_heads of 32"},
        {"{\"partial_rotary_factor\": 0.4}",
         "toy: partial_rotary_factor: 0.4 of a head of 64 is 25, and rotary embedding turns pairs"},
        {"{\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2.0}}",
         "toy: rope_scaling: type: 'dynamic' is not supported for Phi, only default"},
        {"{\"rope_theta\": 0}", "toy: rope_theta: expected a number above 0, got 0"},
        {"{\"intermediate_size\": -1}",
         "toy: intermediate_size: expected a whole number from 1 to 1048576, got -1"},
        {"{\"layer_norm_eps\": \"small\"}",
         "toy: layer_norm_eps: expected a number, got \"small\""},
    };
    (void)state;
    assert_int_equal(test_refusals("phi", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
