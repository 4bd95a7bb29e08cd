/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/models/sublayers/deltanet.h"
#include "src/models/sublayers/latent_attention.h"
#include "src/models/sublayers/mlp.h"
#include "src/models/sublayers/moe.h"
#include "tests/support/configured.h"

static double flop_of(const struct ko_model *model, size_t i)
{
    double flop[3];
    model->sublayer[i].kind->row_flop(&model->sublayer[i], model->shape.d_model, flop);
    return flop[0] + flop[1] + flop[2];
}

static void missing_keys_take_the_defaults(void **state)
{
    const double d = 2304, w = 4096;
    (void)state;
    struct ko_model *model = test_accepted("kimi_linear", "{}");
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 2304);
    assert_int_equal(s->n_layers, 27);
    assert_int_equal(s->vocabulary, 163840);
    assert_int_equal(s->max_tokens, 0);
    assert_int_equal(s->bos_id, 163584);
    assert_int_equal(s->n_heads, 32);
    assert_int_equal(s->n_kv_heads, 32);
    assert_int_equal(s->d_head, 192);
    assert_int_equal(s->n_ssm_heads, 32);
    assert_int_equal(s->d_ssm_head, 128);
    assert_int_equal(s->n_groups, 32);
    assert_int_equal(s->d_state, 128);
    assert_int_equal(s->d_conv, 4);
    assert_true(s->norm_eps == 1e-5F);
    assert_false(model->ends.tied);
    assert_int_equal(model->n_ropes, 0);
    assert_int_equal(model->n_sublayers, 54);
    assert_int_equal(model->sublayer[1].size.d_ff, 9216);
    assert_int_equal(model->sublayer[3].size.d_ff, 1024);
    /* Kimi Delta Attention, the MLP, experts, latent attention */
    assert_true(flop_of(model, 0) == 2 * d * (3 * w + 32 + 2 * 128) + 2 * 128 * 2 * w + 2 * d * w);
    assert_true(flop_of(model, 1) == 6 * d * 9216);
    assert_true(flop_of(model, 3) == 2 * d * (256 + 3 * 8 * 1024 + 3 * 1024));
    assert_true(flop_of(model, 8) ==
                2 * d * (32 * 192 + 512 + 64) + 2 * 512 * (32 * 256) + 2 * d * w);
    assert_true(test_has_weight(model, "model.layers.0.self_attn.q_conv1d.weight"));
    assert_true(test_has_weight(model, "model.layers.4.self_attn.kv_a_layernorm.weight"));
    assert_true(test_has_weight(model, "model.layers.26.block_sparse_moe.experts.255.w2.weight"));
    assert_true(
        test_has_weight(model, "model.layers.1.block_sparse_moe.gate.e_score_correction_bias"));
    assert_false(test_has_weight(model, "model.layers.4.self_attn.o_proj.bias"));
    ko_model_free(model);
}

static void layers_have_delta_or_latent_attention(void **state)
{
    static const struct {
        const char *config;
        bool attends[6];
    } rows[] = {
        {"{\"num_hidden_layers\": 6}", {0, 0, 0, 0, 1, 0}},
        {"{\"num_hidden_layers\": 6, \"linear_attn_config\": {\"full_attn_layers\": [1, 6], "
         "\"kda_layers\": [2, 3, 4, 5]}}",
         {1, 0, 0, 0, 0, 1}},
        {"{\"num_hidden_layers\": 6, \"linear_attn_config\": {\"kda_layers\": [1, 2, 3, 4, 5, 6]}}",
         {0}},
        {"{\"num_hidden_layers\": 6, \"linear_attn_config\": {\"full_attn_layers\": [1]}, "
         "\"layer_types\": [\"linear_attention\", \"full_attention\", \"linear_attention\", "
         "\"linear_attention\", \"linear_attention\", \"linear_attention\"]}",
         {0, 1, 0, 0, 0, 0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_model *model = test_accepted("kimi_linear", rows[i].config);
        assert_int_equal(model->n_stages, 6);
        for (size_t l = 0; l < 6; l++) {
            assert_true(
                model->sublayer[2 * l].kind ==
                (rows[i].attends[l] ? &ko_sublayer_latent_attention : &ko_sublayer_deltanet));
        }
        ko_model_free(model);
    }
}

static void the_first_layers_have_an_mlp(void **state)
{
    static const struct {
        const char *config;
        bool dense[4];
    } rows[] = {
        {"{\"num_hidden_layers\": 4}", {1, 0, 0, 0}},
        {"{\"num_hidden_layers\": 4, \"first_k_dense_replace\": 0}", {0}},
        {"{\"num_hidden_layers\": 4, \"first_k_dense_replace\": 9, \"moe_layer_freq\": 2}",
         {1, 1, 1, 1}},
        {"{\"num_hidden_layers\": 4, \"first_k_dense_replace\": 3, \"mlp_layer_types\": "
         "[\"sparse\", \"dense\", \"sparse\", \"sparse\"]}",
         {0, 1, 0, 0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_model *model = test_accepted("kimi_linear", rows[i].config);
        for (size_t l = 0; l < 4; l++) {
            assert_true(model->sublayer[2 * l + 1].kind ==
                        (rows[i].dense[l] ? &ko_sublayer_mlp : &ko_sublayer_moe));
        }
        ko_model_free(model);
    }
}

static void keys_have_two_names(void **state)
{
    static const char *const configs[] = {
        "{\"num_hidden_layers\": 2, \"num_experts\": 6, \"num_experts_per_token\": 3, "
        "\"num_shared_experts\": 2, \"linear_attn_config\": {\"num_heads\": 3, \"head_dim\": 10, "
        "\"short_conv_kernel_size\": 2}}",
        "{\"num_hidden_layers\": 2, \"num_local_experts\": 6, \"num_experts_per_tok\": 3, "
        "\"n_shared_experts\": 2, \"linear_num_heads\": 3, \"linear_head_dim\": 10, "
        "\"linear_conv_kernel_dim\": 2}",
    };
    (void)state;
    for (size_t k = 0; k < sizeof configs / sizeof configs[0]; k++) {
        struct ko_model *model = test_accepted("kimi_linear", configs[k]);
        const struct ko_sizes *s = &model->sublayer[0].size;
        assert_int_equal(s->n_ssm_heads, 3);
        assert_int_equal(s->d_state, 10);
        assert_int_equal(s->d_conv, 2);
        assert_int_equal(s->conv_channels, 90);
        assert_true(flop_of(model, 3) == 2.0 * 2304 * (6 + 3 * 3 * 1024 + 3 * 2048));
        ko_model_free(model);
    }
}

static void biases_are_declared_where_they_are_configured(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted("kimi_linear", "{\"attention_bias\": true}");
    assert_true(test_has_weight(model, "model.layers.4.self_attn.kv_a_proj_with_mqa.bias"));
    assert_true(test_has_weight(model, "model.layers.4.self_attn.o_proj.bias"));
    assert_false(test_has_weight(model, "model.layers.4.self_attn.q_proj.bias"));
    assert_false(test_has_weight(model, "model.layers.0.self_attn.o_proj.bias"));
    ko_model_free(model);
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"q_lora_rank\": 8}", "toy: q_lora_rank: 8 is not supported for Kimi Linear, only null"},
        {"{\"mla_use_nope\": false}",
         "toy: mla_use_nope: false is not supported for Kimi Linear, only true"},
        {"{\"num_key_value_heads\": 8}",
         "toy: num_key_value_heads: 8 is not supported for Kimi Linear, only 32, as "
         "num_attention_heads"},
        {"{\"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for Kimi Linear, only silu or swish"},
        {"{\"qk_nope_head_dim\": 1048576}",
         "toy: num_attention_heads: 32 heads with keys of 1048640 and values of 128 are together "
         "wider than 1048576"},
        {"{\"linear_attn_config\": 3}", "toy: linear_attn_config: expected an object"},
        {"{\"linear_attn_config\": {\"head_dim\": 0}}",
         "toy: linear_attn_config: head_dim: expected a whole number from 1 to 1048576, got 0"},
        {"{\"linear_attn_config\": {\"head_dim\": 65536}}",
         "toy: linear_attn_config: num_heads: queries, keys and values of 32 heads of 65536 are "
         "wider than 1048576"},
        {"{\"num_hidden_layers\": 2, \"linear_attn_config\": {\"full_attn_layers\": [0]}}",
         "toy: linear_attn_config: full_attn_layers: expected layers from 1 to 2, got 0"},
        {"{\"num_hidden_layers\": 2, \"linear_attn_config\": {\"full_attn_layers\": [2]}}",
         "toy: linear_attn_config: full_attn_layers: layer 1 is in neither this list nor "
         "kda_layers"},
        {"{\"num_hidden_layers\": 2, \"linear_attn_config\": {\"full_attn_layers\": [2], "
         "\"kda_layers\": [1, 2]}}",
         "toy: linear_attn_config: full_attn_layers: layer 2 is in kda_layers too"},
        {"{\"mlp_layer_types\": [\"dense\"]}",
         "toy: mlp_layer_types: expected a list of 27 words, one per layer"},
        {"{\"first_k_dense_replace\": -1}",
         "toy: first_k_dense_replace: expected a whole number from 0 to 2147483647, got -1"},
        {"{\"num_experts\": 4}", "toy: num_experts_per_token: 8 experts of 4 cannot be chosen"},
        {"{\"num_experts\": 4096}",
         "toy: num_hidden_layers: 27 layers of 4096 experts have more than 65536 experts"},
        {"{\"num_expert_group\": 3}",
         "toy: num_expert_group: 256 experts cannot be divided into 3 groups of two or more"},
        {"{\"n_group\": 64}",
         "toy: topk_group: 1 groups of 4 experts are fewer than the 8 to choose"},
        {"{\"moe_router_activation_func\": \"softmax\"}",
         "toy: moe_router_activation_func: 'softmax' is not supported for Kimi Linear, only "
         "sigmoid"},
        {"{\"use_grouped_topk\": false}",
         "toy: use_grouped_topk: false is not supported for Kimi Linear, only true"},
        {"{\"moe_layer_freq\": 2}",
         "toy: moe_layer_freq: 2 is not supported for Kimi Linear, only 1"},
        {"{\"routed_scaling_factor\": 0}",
         "toy: routed_scaling_factor: expected a number above 0, got 0"},
        {"{\"num_shared_experts\": 0}",
         "toy: num_shared_experts: expected a whole number from 1 to 4096, got 0"},
        {"{\"num_shared_experts\": 2048}",
         "toy: num_shared_experts: 2048 experts of width 1024 are together wider than 1048576"},
    };
    (void)state;
    assert_int_equal(test_refusals("kimi_linear", rows, sizeof rows / sizeof rows[0]), 0);
}

/* Kimi Linear 48B-A3B: its config.json as programs that convert it quote it. */
static void the_published_sizes_have_49_billion_parameters(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted(
        "kimi_linear",
        "{\"bos_token_id\": 163584, \"first_k_dense_replace\": 1, \"head_dim\": 72, "
        "\"hidden_act\": \"silu\", \"hidden_size\": 2304, \"intermediate_size\": 9216, "
        "\"kv_lora_rank\": 512, \"linear_attn_config\": {\"full_attn_layers\": [4, 8, 12, 16, 20, "
        "24, 27], \"head_dim\": 128, \"kda_layers\": [1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15, 17, "
        "18, 19, 21, 22, 23, 25, 26], \"num_heads\": 32, \"short_conv_kernel_size\": 4}, "
        "\"mla_use_nope\": true, \"moe_intermediate_size\": 1024, \"moe_layer_freq\": 1, "
        "\"moe_renormalize\": true, \"moe_router_activation_func\": \"sigmoid\", "
        "\"num_attention_heads\": 32, \"num_expert_group\": 1, \"num_experts\": 256, "
        "\"num_experts_per_token\": 8, \"num_hidden_layers\": 27, \"num_key_value_heads\": 32, "
        "\"num_shared_experts\": 1, \"q_lora_rank\": null, \"qk_nope_head_dim\": 128, "
        "\"qk_rope_head_dim\": 64, \"rms_norm_eps\": 1e-05, \"routed_scaling_factor\": 2.446, "
        "\"tie_word_embeddings\": false, \"topk_group\": 1, \"use_grouped_topk\": true, "
        "\"v_head_dim\": 128, \"vocab_size\": 163840}");
    const double billions = (double)ko_model_floats(model) / 1e9;
    assert_true(billions > 48.9 && billions < 49.3);
    ko_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(the_published_sizes_have_49_billion_parameters),
        cmocka_unit_test(layers_have_delta_or_latent_attention),
        cmocka_unit_test(the_first_layers_have_an_mlp),
        cmocka_unit_test(keys_have_two_names),
        cmocka_unit_test(biases_are_declared_where_they_are_configured),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
