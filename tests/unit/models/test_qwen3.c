/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/models/families/llama_like.h"
#include "tests/support/configured.h"

/* The windows are tested with Qwen2's, the layers in test_transformer.c. */
static void missing_keys_take_the_defaults(void **state)
{
    struct ko_error err = {0};
    (void)state;
    struct ko_model *model = test_configured("qwen3", "{}", &err);
    assert_non_null(model);
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 4096);
    assert_int_equal(s->d_ff, 22016);
    assert_int_equal(s->n_layers, 32);
    assert_int_equal(s->vocabulary, 151936);
    assert_int_equal(s->n_heads, 32);
    assert_int_equal(s->n_kv_heads, 32);
    assert_int_equal(s->d_head, 128);
    assert_int_equal(s->max_tokens, KO_MAX_POSITIONS);
    assert_int_equal(s->bos_id, -1);
    assert_int_equal(s->reach, INT32_MAX);
    assert_false(model->ends.tied);
    assert_true(model->ends.embedding_scale == 1);
    assert_true(test_has_weight(model, "model.layers.31.self_attn.q_norm.weight"));
    assert_false(test_has_weight(model, "model.layers.0.self_attn.q_proj.bias"));
    ko_model_free(model);
}

/* Qwen3-0.6B: 16 heads of 128 are twice as wide as the model. */
static void a_head_is_as_wide_as_head_dim_says(void **state)
{
    static const struct {
        const char *config;
        int32_t d_head;
    } rows[] = {
        {"{\"hidden_size\": 1024, \"num_attention_heads\": 16, \"num_key_value_heads\": 8}", 128},
        {"{\"hidden_size\": 1000, \"num_attention_heads\": 24, \"num_key_value_heads\": 8, "
         "\"head_dim\": null}",
         128},
        {"{\"head_dim\": 64}", 64},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("qwen3", rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        assert_int_equal(test_sizes_of(model).d_head, rows[i].d_head);
        ko_model_free(model);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"attention_bias\": \"no\"}", "toy: attention_bias: expected true or false, got \"no\""},
        {"{\"head_dim\": 33}", "toy: head_dim: 33 is odd, and rotary embedding turns pairs"},
        {"{\"num_hidden_layers\": 1, \"layer_types\": [\"sliding_attention\"]}",
         "toy: layer_types: sliding_attention needs a sliding_window"},
        {"{\"max_window_layers\": -1}",
         "toy: max_window_layers: expected a whole number from 0 to 2147483647, got -1"},
        {"{\"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for Qwen3, only silu or swish"},
    };
    (void)state;
    assert_int_equal(test_refusals("qwen3", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(a_head_is_as_wide_as_head_dim_says),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
