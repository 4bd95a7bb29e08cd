/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mamba2.h"
#include "src/models/sublayers/mlp.h"
#include "tests/support/configured.h"

static void missing_keys_take_the_defaults(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted("bamba", "{\"attn_layer_indices\": [9]}");
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 4096);
    assert_int_equal(s->d_ff, 14336);
    assert_int_equal(s->n_layers, 32);
    assert_int_equal(s->vocabulary, 128000);
    assert_int_equal(s->max_tokens, 16384);
    assert_int_equal(s->bos_id, 1);
    assert_int_equal(s->n_heads, 32);
    assert_int_equal(s->n_kv_heads, 8);
    assert_int_equal(s->d_head, 128);
    assert_int_equal(s->n_ssm_heads, 128);
    assert_int_equal(s->d_ssm_head, 64);
    assert_int_equal(s->n_groups, 1);
    assert_int_equal(s->d_state, 256);
    assert_int_equal(s->d_conv, 4);
    assert_true(s->norm_eps == 1e-5f);
    assert_false(model->ends.tied);
    assert_true(model->rope[0].config.theta == 10000);
    assert_int_equal(model->rope[0].config.n_rotated, 64);
    assert_true(test_has_weight(model, "model.layers.0.mamba.conv1d.bias"));
    assert_false(test_has_weight(model, "model.layers.0.mamba.out_proj.bias"));
    assert_true(test_has_weight(model, "model.final_layernorm.weight"));
    ko_model_free(model);
}

static void the_listed_layers_have_attention(void **state)
{
    static const struct {
        const char *config;
        bool attends[4];
    } rows[] = {
        {"{\"num_hidden_layers\": 4}", {0}},
        {"{\"num_hidden_layers\": 4, \"attn_layer_indices\": null}", {0}},
        {"{\"num_hidden_layers\": 4, \"attn_layer_indices\": [3, 1]}", {0, 1, 0, 1}},
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct ko_model *model = test_accepted("bamba", rows[k].config);
        for (size_t l = 0; l < 4; l++) {
            assert_true(model->sublayer[2 * l].kind ==
                        (rows[k].attends[l] ? &ko_sublayer_attention : &ko_sublayer_mamba2));
            assert_true(model->sublayer[2 * l + 1].kind == &ko_sublayer_mlp);
        }
        ko_model_free(model);
    }
}

static void biases_are_declared_where_they_are_configured(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted(
        "bamba", "{\"num_hidden_layers\": 2, \"attn_layer_indices\": [1], \"attention_bias\": "
                 "true, \"mlp_bias\": true, \"mamba_proj_bias\": true, \"mamba_conv_bias\": "
                 "false, \"mamba_d_head\": 64}");
    assert_true(test_has_weight(model, "model.layers.1.self_attn.q_proj.bias"));
    assert_true(test_has_weight(model, "model.layers.1.self_attn.o_proj.bias"));
    assert_true(test_has_weight(model, "model.layers.0.feed_forward.down_proj.bias"));
    assert_true(test_has_weight(model, "model.layers.0.mamba.in_proj.bias"));
    assert_true(test_has_weight(model, "model.layers.0.mamba.out_proj.bias"));
    assert_false(test_has_weight(model, "model.layers.0.mamba.conv1d.bias"));
    ko_model_free(model);
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"partial_rotary_factor\": 1.0}",
         "toy: partial_rotary_factor: 128 numbers of a head are not supported for Bamba, only 64 "
         "of 128"},
        {"{\"attn_rotary_emb\": 32}",
         "toy: attn_rotary_emb: 32 numbers of a head are not supported for Bamba, only 64 of 128"},
        {"{\"attn_layer_indices\": [32]}",
         "toy: attn_layer_indices: expected layers from 0 to 31, got 32"},
        {"{\"attn_layer_indices\": 3}", "toy: attn_layer_indices: expected a list of layers"},
        {"{\"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for Bamba, only silu or swish"},
        {"{\"mamba_expand\": 1, \"mamba_d_head\": 64}",
         "toy: mamba_n_heads: 128 heads of mamba_d_head 64 are not mamba_expand times hidden_size, "
         "4096"},
        {"{\"rope_scaling\": {\"rope_type\": \"longrope\"}}",
         "toy: rope_scaling: rope_type: 'longrope' is not supported for Bamba, only default, "
         "linear, llama3 or yarn"},
        {"{\"time_step_limit\": 3}",
         "toy: time_step_limit: expected two numbers from 0, the first no larger than the second, "
         "got 3"},
    };
    (void)state;
    assert_int_equal(test_refusals("bamba", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(the_listed_layers_have_attention),
        cmocka_unit_test(biases_are_declared_where_they_are_configured),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
