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
    struct ko_error err = {0};
    (void)state;
    struct ko_model *model = test_configured("granite", "{}", &err);
    if (!model) {
        fail_msg("%s", err.text);
    }
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 4096);
    assert_int_equal(s->d_ff, 11008);
    assert_int_equal(s->n_layers, 32);
    assert_int_equal(s->vocabulary, 32000);
    assert_int_equal(s->n_heads, 32);
    assert_int_equal(s->n_kv_heads, 32);
    assert_int_equal(s->d_head, 128);
    assert_int_equal(s->max_tokens, 2048);
    assert_int_equal(s->bos_id, 1);
    assert_int_equal(s->reach, INT32_MAX);
    assert_true(s->norm_eps == 1e-6f);
    assert_false(model->ends.tied);
    assert_true(model->ends.embedding_scale == 1);
    assert_true(model->ends.logit_scale == 1);
    for (size_t i = 0; i < model->n_sublayers; i++) {
        assert_true(model->sublayer[i].out_scale == 1);
    }
    assert_false(test_has_weight(model, "model.layers.0.self_attn.o_proj.bias"));
    assert_false(test_has_weight(model, "model.layers.0.mlp.up_proj.bias"));
    ko_model_free(model);
}

static void multipliers_scale_the_ends_and_the_sublayers(void **state)
{
    struct ko_error err = {0};
    (void)state;
    struct ko_model *model =
        test_configured("granite",
                        "{\"embedding_multiplier\": 12, \"residual_multiplier\": 0.25, "
                        "\"logits_scaling\": 16.0, \"attention_bias\": true, \"mlp_bias\": true}",
                        &err);
    if (!model) {
        fail_msg("%s", err.text);
    }
    assert_true(model->ends.embedding_scale == 12);
    assert_true(model->ends.logit_scale == 0.0625f);
    for (size_t i = 0; i < model->n_sublayers; i++) {
        assert_true(model->sublayer[i].out_scale == 0.25f);
    }
    assert_true(test_has_weight(model, "model.layers.0.self_attn.o_proj.bias"));
    assert_true(test_has_weight(model, "model.layers.0.mlp.up_proj.bias"));
    ko_model_free(model);
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"embedding_multiplier\": 0}",
         "toy: embedding_multiplier: expected a number above 0, got 0"},
        {"{\"attention_multiplier\": -0.5}",
         "toy: attention_multiplier: expected a number above 0, got -0.5"},
        {"{\"residual_multiplier\": 0}",
         "toy: residual_multiplier: expected a number above 0, got 0"},
        {"{\"logits_scaling\": 0}", "toy: logits_scaling: expected a number above 0, got 0"},
        {"{\"logits_scaling\": Infinity}",
         "toy: logits_scaling: expected a number above 0, got inf"},
        {"{\"attention_bias\": \"no\"}", "toy: attention_bias: expected true or false, got \"no\""},
        {"{\"mlp_bias\": 1}", "toy: mlp_bias: expected true or false, got 1"},
        {"{\"num_key_value_heads\": 5}",
         "toy: num_key_value_heads: 5 do not divide num_attention_heads of 32"},
        {"{\"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for Granite, only silu or swish"},
        {"{\"rope_scaling\": {\"type\": \"dynamic\"}}",
         "toy: rope_scaling: type: 'dynamic' is not supported for Granite, only default or llama3"},
    };
    (void)state;
    assert_int_equal(test_refusals("granite", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(multipliers_scale_the_ends_and_the_sublayers),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
