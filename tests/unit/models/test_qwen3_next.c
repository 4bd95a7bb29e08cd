/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen3-Next and Qwen3.5: their configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/deltanet.h"
#include "src/models/sublayers/mlp.h"
#include "src/models/sublayers/moe.h"
#include "tests/support/configured.h"

static void missing_keys_take_the_defaults(void **state)
{
    double flop[3];
    (void)state;
    struct ko_model *model = test_accepted("qwen3_next", "{}");
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 2048);
    assert_int_equal(s->n_layers, 48);
    assert_int_equal(s->vocabulary, 151936);
    assert_int_equal(s->max_tokens, 16384);
    assert_int_equal(s->bos_id, -1);
    assert_int_equal(s->n_heads, 16);
    assert_int_equal(s->n_kv_heads, 2);
    assert_int_equal(s->d_head, 256);
    assert_int_equal(s->n_ssm_heads, 32);
    assert_int_equal(s->d_ssm_head, 128);
    assert_int_equal(s->n_groups, 16);
    assert_int_equal(s->d_state, 128);
    assert_int_equal(s->d_conv, 4);
    assert_true(s->norm_eps == 1e-6f);
    assert_false(model->ends.tied);
    assert_true(model->ends.final_norm.one_plus);
    assert_int_equal(model->n_ropes, 1);
    assert_true(model->rope[0].config.theta == 10000);
    assert_int_equal(model->rope[0].config.n_rotated, 64);
    for (size_t l = 0; l < 48; l++) {
        assert_true(model->sublayer[2 * l].kind ==
                    (l % 4 == 3 ? &ko_sublayer_attention : &ko_sublayer_deltanet));
        assert_true(model->sublayer[2 * l + 1].kind == &ko_sublayer_moe);
        assert_int_equal(model->sublayer[2 * l + 1].size.d_ff, 512);
    }
    ko_sublayer_moe.row_flop(&model->sublayer[1], 2048, flop);
    assert_true(flop[2] == 2.0 * 2048 * (512 + 3.0 * 10 * 512 + 3.0 * 512 + 1));
    const double billions = (double)ko_model_floats(model) / 1e9;
    assert_true(billions > 79 && billions < 81); /* Qwen3-Next 80B-A3B */
    assert_true(test_has_weight(model, "model.layers.0.linear_attn.in_proj_qkvz.weight"));
    assert_true(test_has_weight(model, "model.layers.3.self_attn.q_norm.weight"));
    assert_true(test_has_weight(model, "model.layers.47.mlp.experts.511.down_proj.weight"));
    assert_true(test_has_weight(model, "model.layers.0.mlp.shared_expert.up_proj.weight"));
    assert_true(test_has_weight(model, "model.layers.0.mlp.shared_expert_gate.weight"));
    ko_model_free(model);
}

static void missing_keys_of_qwen3_5_take_the_defaults(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted("qwen3_5", "{\"text_config\": {}}");
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 4096);
    assert_int_equal(s->d_ff, 12288);
    assert_int_equal(s->n_layers, 32);
    assert_int_equal(s->vocabulary, 248320);
    assert_int_equal(s->n_heads, 16);
    assert_int_equal(s->n_kv_heads, 4);
    assert_int_equal(s->d_head, 256);
    assert_int_equal(s->n_ssm_heads, 32);
    assert_int_equal(s->n_groups, 16);
    assert_true(model->sublayer[1].kind == &ko_sublayer_mlp);
    assert_true(test_has_weight(model, "model.layers.0.linear_attn.in_proj_z.weight"));
    ko_model_free(model);
    model = test_accepted("qwen3_5_text", "{\"num_hidden_layers\": 2, \"hidden_size\": 64}");
    assert_int_equal(model->shape.d_model, 64);
    assert_int_equal(model->n_sublayers, 4);
    ko_model_free(model);
}

static void layers_have_attention_or_deltanet(void **state)
{
    static const struct {
        const char *config;
        bool attends[6];
    } rows[] = {
        {"{\"num_hidden_layers\": 6}", {0, 0, 0, 1, 0, 0}},
        {"{\"num_hidden_layers\": 6, \"full_attention_interval\": 3}", {0, 0, 1, 0, 0, 1}},
        {"{\"num_hidden_layers\": 6, \"full_attention_interval\": 3, \"layer_types\": "
         "[\"full_attention\", \"linear_attention\", \"linear_attention\", \"linear_attention\", "
         "\"linear_attention\", \"full_attention\"]}",
         {1, 0, 0, 0, 0, 1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_model *model = test_accepted("qwen3_next", rows[i].config);
        for (size_t l = 0; l < 6; l++) {
            assert_true(model->sublayer[2 * l].kind ==
                        (rows[i].attends[l] ? &ko_sublayer_attention : &ko_sublayer_deltanet));
        }
        ko_model_free(model);
    }
}

static void layers_have_experts_or_an_mlp(void **state)
{
    static const struct {
        const char *config;
        bool dense[4];
    } rows[] = {
        {"{\"num_hidden_layers\": 4}", {0, 0, 0, 0}},
        {"{\"num_hidden_layers\": 4, \"decoder_sparse_step\": 2}", {1, 0, 1, 0}},
        {"{\"num_hidden_layers\": 4, \"mlp_only_layers\": [0, 3]}", {1, 0, 0, 1}},
        {"{\"num_hidden_layers\": 4, \"num_experts\": 0, \"num_experts_per_tok\": 0}",
         {1, 1, 1, 1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_model *model = test_accepted("qwen3_next", rows[i].config);
        for (size_t l = 0; l < 4; l++) {
            const struct ko_sublayer *sublayer = &model->sublayer[2 * l + 1];
            assert_true(sublayer->kind == (rows[i].dense[l] ? &ko_sublayer_mlp : &ko_sublayer_moe));
            assert_int_equal(sublayer->size.d_ff, rows[i].dense[l] ? 5632 : 512);
        }
        ko_model_free(model);
    }
}

static void a_shared_expert_may_be_wider_than_the_others_together(void **state)
{
    int32_t widths[KO_N_BUFFERS] = {0};
    (void)state;
    struct ko_model *model =
        test_accepted("qwen3_next", "{\"num_hidden_layers\": 1, \"moe_intermediate_size\": 2, "
                                    "\"shared_expert_intermediate_size\": 50000}");
    ko_sublayer_moe.widths(&model->sublayer[1], 2048, widths);
    assert_int_equal(widths[6], 2 * 50000);
    ko_model_free(model);
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"linear_num_key_heads\": 5}",
         "toy: linear_num_key_heads: 5 do not divide linear_num_value_heads of 32"},
        {"{\"linear_num_value_heads\": 1048576}",
         "toy: linear_num_value_heads: 1048576 heads of 128 and 16 of 128 are together wider than "
         "1048576"},
        {"{\"use_sliding_window\": true}",
         "toy: use_sliding_window: true is not supported for Qwen3-Next, only false"},
        {"{\"attn_output_gate\": false}",
         "toy: attn_output_gate: false is not supported for Qwen3-Next, only true"},
        {"{\"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for Qwen3-Next, only silu or swish"},
        {"{\"layer_types\": [\"full_attention\"]}",
         "toy: layer_types: expected a list of 48 words, one per layer"},
        {"{\"num_experts\": 4, \"num_experts_per_tok\": 5}",
         "toy: num_experts_per_tok: 5 experts of 4 cannot be chosen"},
        {"{\"num_experts\": 4097}",
         "toy: num_experts: expected a whole number from 0 to 4096, got 4097"},
        {"{\"num_experts\": 4096}",
         "toy: num_hidden_layers: 48 layers of 4096 experts have more than 65536 experts"},
        {"{\"shared_expert_intermediate_size\": 0}",
         "toy: shared_expert_intermediate_size: expected a whole number from 1 to 1048576, got 0"},
        {"{\"norm_topk_prob\": 1}", "toy: norm_topk_prob: expected true or false, got 1"},
    };
    (void)state;
    assert_int_equal(test_refusals("qwen3_next", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(missing_keys_of_qwen3_5_take_the_defaults),
        cmocka_unit_test(layers_have_attention_or_deltanet),
        cmocka_unit_test(layers_have_experts_or_an_mlp),
        cmocka_unit_test(a_shared_expert_may_be_wider_than_the_others_together),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
