/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mamba1.h"
#include "src/models/sublayers/mlp.h"
#include "src/models/sublayers/moe.h"
#include "tests/support/configured.h"

static void missing_keys_take_the_defaults(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted("jamba", "{}");
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 4096);
    assert_int_equal(s->d_ff, 14336);
    assert_int_equal(s->n_layers, 32);
    assert_int_equal(s->vocabulary, 65536);
    assert_int_equal(s->max_tokens, 0);
    assert_int_equal(s->bos_id, 1);
    assert_int_equal(s->n_heads, 32);
    assert_int_equal(s->n_kv_heads, 8);
    assert_int_equal(s->d_head, 128);
    assert_int_equal(s->d_inner, 8192);
    assert_int_equal(s->d_state, 16);
    assert_int_equal(s->d_conv, 4);
    assert_int_equal(s->dt_rank, 256);
    assert_true(s->norm_eps == 1e-6f);
    assert_false(model->ends.tied);
    assert_int_equal(model->n_ropes, 0);
    assert_true(test_has_weight(model, "model.layers.0.mamba.b_layernorm.weight"));
    assert_true(test_has_weight(model, "model.layers.1.feed_forward.experts.15.up_proj.weight"));
    assert_false(test_has_weight(model, "model.layers.1.feed_forward.experts.16.up_proj.weight"));
    assert_false(test_has_weight(model, "model.layers.0.mamba.in_proj.bias"));
    ko_model_free(model);
}

static void periods_say_which_layers_have_attention_and_experts(void **state)
{
    static const struct {
        const char *config;
        bool attends[6], chooses[6];
    } rows[] = {
        {"{\"num_hidden_layers\": 6}", {0, 0, 0, 0, 1, 0}, {0, 1, 0, 1, 0, 1}},
        {"{\"num_hidden_layers\": 6, \"num_experts\": 1, \"attn_layer_period\": 3, "
         "\"attn_layer_offset\": 0}",
         {1, 0, 0, 1, 0, 0},
         {0}},
        {"{\"num_hidden_layers\": 6, \"num_local_experts\": 4, \"expert_layer_period\": 4, "
         "\"expert_layer_offset\": 2, \"attn_layer_period\": 20}",
         {0, 0, 0, 0, 1, 0},
         {0, 0, 1, 0, 0, 0}},
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct ko_model *model = test_accepted("jamba", rows[k].config);
        for (size_t l = 0; l < 6; l++) {
            assert_true(model->sublayer[2 * l].kind ==
                        (rows[k].attends[l] ? &ko_sublayer_attention : &ko_sublayer_mamba1));
            assert_true(model->sublayer[2 * l + 1].kind ==
                        (rows[k].chooses[l] ? &ko_sublayer_moe : &ko_sublayer_mlp));
        }
        ko_model_free(model);
    }
}

static void the_rank_of_delta_is_a_number_or_follows_from_the_width(void **state)
{
    (void)state;
    struct ko_model *model =
        test_accepted("jamba", "{\"hidden_size\": 40, \"num_attention_heads\": 5, "
                               "\"num_key_value_heads\": 1, \"mamba_dt_rank\": \"auto\"}");
    assert_int_equal(ko_model_sizes(model).dt_rank, 3);
    assert_int_equal(ko_model_sizes(model).d_inner, 80);
    ko_model_free(model);
    model = test_accepted("jamba", "{\"mamba_dt_rank\": 5, \"mamba_expand\": 1}");
    assert_int_equal(ko_model_sizes(model).dt_rank, 5);
    assert_int_equal(ko_model_sizes(model).d_inner, 4096);
    ko_model_free(model);
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"attn_layer_offset\": 8}",
         "toy: attn_layer_offset: 8 is not below attn_layer_period of 8"},
        {"{\"expert_layer_offset\": -1}",
         "toy: expert_layer_offset: expected a whole number from 0 to 16384, got -1"},
        {"{\"expert_layer_period\": 0}",
         "toy: expert_layer_period: expected a whole number from 1 to 16384, got 0"},
        {"{\"num_experts_per_tok\": 17}",
         "toy: num_experts_per_tok: 17 experts of 16 cannot be chosen"},
        {"{\"num_experts\": 4096}",
         "toy: num_hidden_layers: 32 layers of 4096 experts have more than 65536 experts"},
        {"{\"sliding_window\": 2048}",
         "toy: sliding_window: 2048 is not supported for Jamba, only null"},
        {"{\"mamba_inner_layernorms\": false}",
         "toy: mamba_inner_layernorms: false is not supported for Jamba, only true"},
        {"{\"mamba_expand\": 300}",
         "toy: mamba_expand: 300 times the hidden size of 4096 is wider than 1048576"},
        {"{\"mamba_dt_rank\": \"none\"}",
         "toy: mamba_dt_rank: expected a whole number from 1 to 1048576, got \"none\""},
        {"{\"hidden_act\": \"relu\"}",
         "toy: hidden_act: 'relu' is not supported for Jamba, only silu or swish"},
    };
    (void)state;
    assert_int_equal(test_refusals("jamba", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(periods_say_which_layers_have_attention_and_experts),
        cmocka_unit_test(the_rank_of_delta_is_a_number_or_follows_from_the_width),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
