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
#include "src/models/sublayers/moe.h"
#include "tests/support/configured.h"

#define DENSE "\"num_local_experts\": 0"

static void missing_keys_take_the_defaults(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted("granitemoehybrid", "{" DENSE "}");
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 4096);
    assert_int_equal(s->d_ff, 1024);
    assert_int_equal(s->n_layers, 32);
    assert_int_equal(s->vocabulary, 32000);
    assert_int_equal(s->max_tokens, 0);
    assert_int_equal(s->bos_id, 1);
    assert_int_equal(s->n_ssm_heads, 128);
    assert_int_equal(s->d_ssm_head, 64);
    assert_int_equal(s->n_groups, 1);
    assert_int_equal(s->d_state, 256);
    assert_int_equal(s->d_conv, 4);
    assert_int_equal(s->n_heads, 0); /* no layer has attention */
    assert_true(s->norm_eps == 1e-6f);
    assert_false(model->ends.tied);
    assert_true(model->ends.embedding_scale == 1);
    assert_true(model->ends.logit_scale == 1);
    assert_int_equal(model->n_sublayers, 64);
    assert_int_equal(model->n_stages, 32);
    assert_int_equal(model->n_ropes, 0);
    for (size_t i = 0; i < model->n_sublayers; i++) {
        assert_true(model->sublayer[i].out_scale == 1);
    }
    assert_true(test_has_weight(model, "model.layers.0.mamba.conv1d.bias"));
    assert_false(test_has_weight(model, "model.layers.0.mamba.in_proj.bias"));
    ko_model_free(model);
}

static void layers_have_mamba_or_attention_and_an_mlp(void **state)
{
    static const char *const configs[] = {
        "{" DENSE ", \"num_hidden_layers\": 3, "
        "\"layer_types\": [\"mamba\", \"attention\", \"mamba\"], \"attention_bias\": true}",
        "{" DENSE ", \"num_hidden_layers\": 3, \"attention_bias\": true, \"layers_block_type\": "
        "[\"linear_attention\", \"full_attention\", \"linear_attention\"]}",
    };
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct ko_model *model = test_accepted("granitemoehybrid", configs[k]);
        assert_int_equal(model->n_sublayers, 6);
        for (size_t i = 0; i < 6; i++) {
            const struct ko_sublayer_kind *want = i % 2 == 1 ? &ko_sublayer_mlp
                                                  : i == 2   ? &ko_sublayer_attention
                                                             : &ko_sublayer_mamba2;
            assert_true(model->sublayer[i].kind == want);
            assert_int_equal(model->sublayer[i].stage, i / 2);
        }
        assert_int_equal(model->sublayer[2].size.n_kv_heads, 32);
        assert_true(test_has_weight(model, "model.layers.1.self_attn.o_proj.bias"));
        assert_true(test_has_weight(model, "model.layers.1.shared_mlp.input_linear.weight"));
        ko_model_free(model);
    }
}

static void experts_are_the_default_and_have_an_mlp_beside_them(void **state)
{
    double flop[3];
    int32_t widths[KO_N_BUFFERS] = {0};
    (void)state;
    struct ko_model *model = test_accepted("granitemoehybrid", "{\"residual_multiplier\": 0.5}");
    const struct ko_sublayer *experts = &model->sublayer[1];
    assert_true(experts->kind == &ko_sublayer_moe);
    assert_true(experts->out_scale == 0.5f);
    assert_int_equal(experts->size.d_ff, 11008);
    ko_sublayer_moe.row_flop(experts, 4096, flop);
    assert_true(flop[2] == 2.0 * 4096 * (8 + 3.0 * 2 * 11008 + 3.0 * 1024));
    assert_true(test_has_weight(model, "model.layers.0.block_sparse_moe.input_linear.weight"));
    assert_true(test_has_weight(model, "model.layers.0.shared_mlp.output_linear.weight"));
    ko_model_free(model);
    model = test_accepted("granitemoehybrid",
                          "{\"intermediate_size\": 2, \"shared_intermediate_size\": 50000}");
    ko_sublayer_moe.widths(&model->sublayer[1], 4096, widths);
    assert_int_equal(widths[6], 2 * 50000); /* the shared MLP is wider than the experts' room */
    ko_model_free(model);
}

static void multipliers_scale_the_ends_and_the_sublayers(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted(
        "granitemoehybrid",
        "{" DENSE ", \"num_hidden_layers\": 2, \"layer_types\": [\"mamba\", \"attention\"], "
        "\"embedding_multiplier\": 12, \"residual_multiplier\": 0.25, \"logits_scaling\": 8}");
    assert_true(model->ends.embedding_scale == 12);
    assert_true(model->ends.logit_scale == 0.125f);
    for (size_t i = 0; i < model->n_sublayers; i++) {
        assert_true(model->sublayer[i].out_scale == 0.25f);
    }
    ko_model_free(model);
}

static void positions_are_rotary_or_none(void **state)
{
    (void)state;
    struct ko_model *model =
        test_accepted("granitemoehybrid",
                      "{" DENSE ", \"num_hidden_layers\": 1, \"layer_types\": [\"attention\"], "
                      "\"position_embedding_type\": \"rope\", \"rope_theta\": 7000}");
    assert_int_equal(model->n_ropes, 1);
    assert_true(model->rope[0].config.theta == 7000);
    assert_int_equal(model->rope[0].config.n_rotated, 128);
    assert_int_equal(model->shape.max_tokens, 2048);
    ko_model_free(model);
    model =
        test_accepted("granitemoehybrid",
                      "{" DENSE ", \"num_hidden_layers\": 1, \"layer_types\": [\"attention\"], "
                      "\"head_dim\": 7, \"position_embedding_type\": \"nope\", \"mamba_n_heads\": "
                      "7}"); /* no layer has Mamba-2 */
    assert_int_equal(model->n_ropes, 0);
    assert_int_equal(model->shape.max_tokens, 0);
    assert_int_equal(model->sublayer[0].size.d_head, 7);
    ko_model_free(model);
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{" DENSE ", \"residual_multiplier\": 0}",
         "toy: residual_multiplier: expected a number above 0, got 0"},
        {"{" DENSE ", \"layer_types\": [\"mamba\"]}",
         "toy: layer_types: expected a list of 32 words, one per layer"},
        {"{" DENSE ", \"num_hidden_layers\": 2, \"layer_types\": [\"mamba\", \"mlp\"]}",
         "toy: layer_types: 'mlp' is not supported for Granite 4, only mamba or attention"},
        {"{" DENSE ", \"num_hidden_layers\": 1, \"layers_block_type\": [null]}",
         "toy: layers_block_type: 'null' is not supported for Granite 4, only mamba or attention"},
        {"{" DENSE ", \"position_embedding_type\": \"alibi\"}",
         "toy: position_embedding_type: 'alibi' is not supported for Granite 4, only nope or rope"},
        {"{" DENSE ", \"normalization_function\": \"layernorm\"}",
         "toy: normalization_function: 'layernorm' is not supported for Granite 4, only rmsnorm"},
        {"{" DENSE ", \"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for Granite 4, only silu or swish"},
        {"{" DENSE ", \"mamba_d_head\": 32}",
         "toy: mamba_n_heads: 128 heads of mamba_d_head 32 are not mamba_expand times hidden_size, "
         "8192"},
        {"{" DENSE ", \"mamba_n_groups\": 3}",
         "toy: mamba_n_groups: 3 groups do not divide mamba_n_heads of 128"},
        {"{" DENSE ", \"mamba_d_head\": \"wide\"}",
         "toy: mamba_d_head: expected a whole number from 1 to 1048576, got \"wide\""},
        {"{" DENSE ", \"time_step_limit\": [0.5, 0.1]}",
         "toy: time_step_limit: expected two numbers from 0, the first no larger than the second, "
         "got [0.5,0.1]"},
        {"{" DENSE ", \"num_hidden_layers\": 1, \"layer_types\": [\"attention\"], \"head_dim\": 7, "
         "\"position_embedding_type\": \"rope\"}",
         "toy: head_dim: 7 is odd, and rotary embedding turns pairs"},
        {"{\"num_local_experts\": 4, \"num_experts_per_tok\": 5}",
         "toy: num_experts_per_tok: 5 experts of 4 cannot be chosen"},
        {"{\"num_local_experts\": 4097}",
         "toy: num_local_experts: expected a whole number from 0 to 4096, got 4097"},
        {"{\"num_experts_per_tok\": 0}",
         "toy: num_experts_per_tok: expected a whole number from 1 to 4096, got 0"},
        {"{\"shared_intermediate_size\": 0}",
         "toy: shared_intermediate_size: expected a whole number from 1 to 1048576, got 0"},
    };
    (void)state;
    assert_int_equal(test_refusals("granitemoehybrid", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(layers_have_mamba_or_attention_and_an_mlp),
        cmocka_unit_test(experts_are_the_default_and_have_an_mlp_beside_them),
        cmocka_unit_test(multipliers_scale_the_ends_and_the_sublayers),
        cmocka_unit_test(positions_are_rotary_or_none),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
