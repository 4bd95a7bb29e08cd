/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/mixer.h"
#include "tests/support/configured.h"
#include "tests/support/trunk.h"

static void missing_keys_take_the_defaults(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted("falcon_h1", "{}");
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 4096);
    assert_int_equal(s->d_ff, 14336);
    assert_int_equal(s->n_layers, 32);
    assert_int_equal(s->vocabulary, 128000);
    assert_int_equal(s->n_heads, 32);
    assert_int_equal(s->n_kv_heads, 8);
    assert_int_equal(s->d_head, 128);
    assert_int_equal(s->d_inner, 1024);
    assert_int_equal(s->n_ssm_heads, 128);
    assert_int_equal(s->d_ssm_head, 8);
    assert_int_equal(s->d_state, 256);
    assert_int_equal(s->n_groups, 1);
    assert_int_equal(s->d_conv, 4);
    assert_int_equal(s->max_tokens, 8192);
    assert_true(s->norm_eps == 1e-5f);
    assert_false(model->ends.tied);
    assert_true(model->ends.embedding_scale == 1 && model->ends.logit_scale == 1);
    for (size_t i = 0; i < model->n_sublayers; i++) {
        assert_true(model->sublayer[i].out_scale == 1);
    }
    /* Without mamba_rms_norm the gate has no norm. */
    assert_false(test_has_weight(model, "model.layers.0.mamba.norm.weight"));
    assert_false(test_has_weight(model, "model.layers.0.mamba.in_proj.bias"));
    assert_false(test_has_weight(model, "model.layers.0.mamba.out_proj.bias"));
    assert_true(test_has_weight(model, "model.layers.0.mamba.conv1d.bias"));
    ko_model_free(model);
}

/* A layer is attention and Mamba-2, which read the same row, and an MLP. The layers are as many
   stages. */
static void mixers_stand_side_by_side(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted("falcon_h1", "{\"num_hidden_layers\": 3}");
    assert_int_equal(model->n_sublayers, 9);
    assert_int_equal(model->n_stages, 3);
    for (size_t i = 0; i < 9; i++) {
        const struct ko_sublayer *sublayer = &model->sublayer[i];
        static const uint8_t mixers[] = {KO_MIXER_ATTENTION, KO_MIXER_SSM, 0};
        assert_int_equal(sublayer->kind->mixer, mixers[i % 3]);
        assert_int_equal(sublayer->parallel, i % 3 == 1);
        assert_int_equal(sublayer->layer, i / 3);
        assert_int_equal(sublayer->stage, i / 3);
    }
    ko_model_free(model);
}

static void factors_are_read(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted(
        "falcon_h1",
        "{\"embedding_multiplier\": 5.5, \"lm_head_multiplier\": 0.25, \"ssm_out_multiplier\": "
        "0.5, "
        "\"attention_out_multiplier\": 0.75, \"mlp_multipliers\": [0.5, 2], \"ssm_in_multiplier\": "
        "1.25, \"ssm_multipliers\": [1, 2, 3, 4, 5], \"key_multiplier\": 0.5, "
        "\"attention_in_multiplier\": 1.5, \"num_hidden_layers\": 1, \"mamba_n_heads\": 16}");
    assert_true(model->ends.embedding_scale == 5.5f);
    assert_true(model->ends.logit_scale == 0.25f);
    assert_true(model->sublayer[0].out_scale == 0.75f);
    assert_true(model->sublayer[1].out_scale == 0.5f);
    assert_true(model->sublayer[2].out_scale == 2);
    /* The factors of columns: of attention's rows, of Mamba-2's rows and of its parts, of the gate. */
    static const struct {
        size_t n;
        float value;
    } rows[] = {{4096, 1.5f}, {4096, 1.25f}, {1024, 1}, {1024, 2},
                {256, 3},     {256, 4},      {16, 5},   {14336, 0.5f}};
    assert_int_equal(model->n_constants, sizeof rows / sizeof rows[0]);
    for (size_t i = 0; i < model->n_constants; i++) {
        assert_int_equal(model->constant[i].n, rows[i].n);
        assert_true(model->constant[i].value == rows[i].value);
    }
    ko_model_free(model);
}

static void the_inner_width_is_given_or_a_multiple(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted(
        "falcon_h1",
        "{\"hidden_size\": 64, \"num_attention_heads\": 4, \"num_key_value_heads\": 2, "
        "\"mamba_d_ssm\": null, \"mamba_expand\": 3, \"mamba_n_heads\": 12, "
        "\"mamba_d_head\": 16, \"mamba_rms_norm\": true, \"projectors_bias\": true}");
    const struct test_sizes sizes = test_sizes_of(model);
    assert_int_equal(sizes.d_inner, 192);
    assert_int_equal(sizes.d_ssm_head, 16);
    assert_true(test_has_weight(model, "model.layers.0.mamba.norm.weight"));
    assert_true(test_has_weight(model, "model.layers.0.mamba.out_proj.bias"));
    assert_false(test_has_weight(model, "model.layers.0.mamba.in_proj.bias"));
    ko_model_free(model);
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"mamba_n_heads\": 100}",
         "toy: mamba_n_heads: 100 heads do not divide the inner width of 1024"},
        {"{\"mamba_d_head\": 16}",
         "toy: mamba_d_head: 16 times 128 heads is not the inner width of 1024"},
        {"{\"mlp_multipliers\": [1]}", "toy: mlp_multipliers: expected a list of 2 numbers"},
        {"{\"mlp_multipliers\": [1, -1]}", "toy: mlp_multipliers: expected positive numbers"},
        {"{\"ssm_multipliers\": 1}", "toy: ssm_multipliers: expected a list of 5 numbers"},
        {"{\"ssm_multipliers\": [1, 1, 1, 1, \"x\"]}",
         "toy: ssm_multipliers: expected positive numbers"},
    };
    (void)state;
    assert_int_equal(test_refusals("falcon_h1", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(mixers_stand_side_by_side),
        cmocka_unit_test(factors_are_read),
        cmocka_unit_test(the_inner_width_is_given_or_a_multiple),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
