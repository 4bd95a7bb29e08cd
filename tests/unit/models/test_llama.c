/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/models/families/llama_like.h"
#include "tests/support/configured.h"

static void missing_keys_take_the_defaults(void **state)
{
    static const struct {
        const char *config;
        int32_t d_model, n_heads, n_kv_heads, d_head, d_ff, max_tokens, bos;
    } rows[] = {
        {"{}", 4096, 32, 32, 128, 11008, 2048, 1},
        {"{\"num_attention_heads\": 64}", 4096, 64, 64, 64, 11008, 2048, 1},
        {"{\"num_key_value_heads\": 8}", 4096, 32, 8, 128, 11008, 2048, 1},
        {"{\"num_key_value_heads\": null, \"head_dim\": null}", 4096, 32, 32, 128, 11008, 2048, 1},
        {"{\"hidden_size\": 100, \"num_attention_heads\": 3, \"head_dim\": 24}", 100, 3, 3, 24,
         11008, 2048, 1},
        {"{\"intermediate_size\": 14336, \"max_position_embeddings\": 131072, \"bos_token_id\": "
         "null}",
         4096, 32, 32, 128, 14336, KO_MAX_POSITIONS, -1},
        {"{\"bos_token_id\": 40000}", 4096, 32, 32, 128, 11008, 2048, -1},
        {"{\"hidden_act\": \"swish\", \"pretraining_tp\": 2, \"sliding_window\": 6}", 4096, 32, 32,
         128, 11008, 2048, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("llama", rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
        assert_int_equal(s->d_model, rows[i].d_model);
        assert_int_equal(s->n_layers, 32);
        assert_int_equal(s->vocabulary, 32000);
        assert_int_equal(s->n_heads, rows[i].n_heads);
        assert_int_equal(s->n_kv_heads, rows[i].n_kv_heads);
        assert_int_equal(s->d_head, rows[i].d_head);
        assert_int_equal(s->d_ff, rows[i].d_ff);
        assert_int_equal(s->max_tokens, rows[i].max_tokens);
        assert_int_equal(s->bos_id, rows[i].bos);
        assert_int_equal(s->reach, INT32_MAX);
        assert_true(s->norm_eps == 1e-6f);
        assert_false(model->ends.tied);
        assert_int_not_equal(model->ends.head, model->ends.embedding);
        ko_model_free(model);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"attention_bias\": 1}", "toy: attention_bias: expected true or false, got 1"},
        {"{\"mlp_bias\": \"no\"}", "toy: mlp_bias: expected true or false, got \"no\""},
        {"{\"num_hidden_layers\": 2, \"layer_types\": [\"full_attention\", "
         "\"sliding_attention\"]}",
         "toy: layer_types: sliding_attention is not supported for Llama, only full_attention"},
        {"{\"num_hidden_layers\": 1, \"layer_types\": [\"sliding_attention\"]}",
         "toy: layer_types: sliding_attention is not supported for Llama, only full_attention"},
        {"{\"hidden_act\": \"relu\"}",
         "toy: hidden_act: 'relu' is not supported for Llama, only silu or swish"},
    };
    (void)state;
    assert_int_equal(test_refusals("llama", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
