/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/models/details.h"
#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mamba2.h"
#include "src/models/sublayers/mlp.h"
#include "src/models/sublayers/moe.h"
#include "tests/support/configured.h"

#define PATTERN "\"hybrid_override_pattern\": \"M-*M\""
#define EXPERTS "\"hybrid_override_pattern\": \"ME\""

static void missing_keys_take_the_defaults(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted("nemotron_h", "{" PATTERN "}");
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 4096);
    assert_int_equal(s->d_ff, 21504);
    assert_int_equal(s->n_layers, 4);
    assert_int_equal(s->vocabulary, 131072);
    assert_int_equal(s->max_tokens, 0);
    assert_int_equal(s->bos_id, 1);
    assert_int_equal(s->n_heads, 32);
    assert_int_equal(s->n_kv_heads, 8);
    assert_int_equal(s->d_head, 128);
    assert_int_equal(s->n_ssm_heads, 128);
    assert_int_equal(s->d_ssm_head, 64);
    assert_int_equal(s->n_groups, 8);
    assert_int_equal(s->d_state, 128);
    assert_int_equal(s->d_conv, 4);
    assert_true(s->norm_eps == 1e-5f);
    assert_false(model->ends.tied);
    assert_int_equal(model->n_ropes, 0);
    assert_true(test_has_weight(model, "backbone.layers.0.mixer.conv1d.bias"));
    assert_false(test_has_weight(model, "backbone.layers.0.mixer.in_proj.bias"));
    assert_true(test_has_weight(model, "backbone.norm_f.weight"));
    ko_model_free(model);
}

static void a_layer_has_one_sublayer(void **state)
{
    static const char *const configs[] = {
        "{" PATTERN "}",
        "{\"layers_block_type\": [\"mamba\", \"mlp\", \"attention\", \"mamba\"], "
        "\"hybrid_override_pattern\": \"----\", \"num_hidden_layers\": 4}",
        "{\"layer_types\": [\"linear_attention\", \"mlp\", \"full_attention\", "
        "\"linear_attention\"]}",
    };
    static const struct ko_sublayer_kind *const kinds[] = {
        &ko_sublayer_mamba2, &ko_sublayer_mlp, &ko_sublayer_attention, &ko_sublayer_mamba2};
    static const int32_t stages[] = {0, 0, 1, 2};
    (void)state;
    for (size_t k = 0; k < sizeof configs / sizeof configs[0]; k++) {
        struct ko_model *model = test_accepted("nemotron_h", configs[k]);
        assert_int_equal(model->n_sublayers, 4);
        assert_int_equal(model->n_stages, 3);
        for (int32_t l = 0; l < 4; l++) {
            assert_true(model->sublayer[l].kind == kinds[l]);
            assert_int_equal(model->sublayer[l].layer, l);
            assert_int_equal(model->sublayer[l].stage, stages[l]);
        }
        ko_model_free(model);
    }
}

static void sizes_have_two_names(void **state)
{
    static const char *const configs[] = {
        "{" PATTERN ", \"attention_head_dim\": 10, \"mamba_n_groups\": 4, \"mamba_d_conv\": 3}",
        "{" PATTERN ", \"head_dim\": 10, \"n_groups\": 4, \"conv_kernel\": 3}",
        "{" PATTERN ", \"head_dim\": 10, \"attention_head_dim\": 12, \"n_groups\": 4, "
        "\"mamba_n_groups\": 2, \"conv_kernel\": 3, \"rms_norm_eps\": 0.5}",
    };
    (void)state;
    for (size_t k = 0; k < sizeof configs / sizeof configs[0]; k++) {
        struct ko_model *model = test_accepted("nemotron_h", configs[k]);
        const struct test_sizes sizes = test_sizes_of(model);
        assert_int_equal(sizes.d_head, 10);
        assert_int_equal(sizes.n_groups, 4);
        assert_int_equal(sizes.d_conv, 3);
        assert_true(sizes.norm_eps == 1e-5f);
        ko_model_free(model);
    }
}

static void biases_are_declared_where_they_are_configured(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted(
        "nemotron_h", "{" PATTERN ", \"attention_bias\": true, \"mlp_bias\": true, \"use_bias\": "
                      "true, \"mamba_proj_bias\": false, \"use_conv_bias\": false}");
    assert_true(test_has_weight(model, "backbone.layers.2.mixer.q_proj.bias"));
    assert_true(test_has_weight(model, "backbone.layers.2.mixer.o_proj.bias"));
    assert_true(test_has_weight(model, "backbone.layers.1.mixer.up_proj.bias"));
    assert_true(test_has_weight(model, "backbone.layers.0.mixer.in_proj.bias"));
    assert_true(test_has_weight(model, "backbone.layers.0.mixer.out_proj.bias"));
    assert_false(test_has_weight(model, "backbone.layers.0.mixer.conv1d.bias"));
    ko_model_free(model);
}

static void experts_are_chosen_by_sigmoids_and_have_an_mlp_beside_them(void **state)
{
    double flop[3];
    (void)state;
    struct ko_model *model =
        test_accepted("nemotron_h", "{\"hybrid_override_pattern\": \"ME\", \"hidden_size\": 40}");
    assert_true(model->sublayer[1].kind == &ko_sublayer_moe);
    assert_int_equal(model->sublayer[1].size.d_ff, 7688);
    ko_sublayer_moe.row_flop(&model->sublayer[1], 40, flop);
    assert_true(flop[2] == 2.0 * 40 * (8 + 2.0 * 2 * 7688 + 2.0 * 7688));
    assert_true(test_has_weight(model, "backbone.layers.1.mixer.gate.e_score_correction_bias"));
    assert_true(test_has_weight(model, "backbone.layers.1.mixer.experts.7.down_proj.weight"));
    assert_true(test_has_weight(model, "backbone.layers.1.mixer.shared_experts.up_proj.weight"));
    assert_false(test_has_weight(model, "backbone.layers.1.mixer.experts.0.gate_proj.weight"));
    ko_model_free(model);
}

static void expect_details(const char *config, const char *const *want, size_t n)
{
    struct ko_strings got = {0};
    struct ko_error err = {0};
    struct ko_model *model = test_accepted("nemotron_h", config);
    assert_int_equal(ko_model_details(model, &got, &err), KO_OK);
    for (size_t i = 0; i < got.n && i < n; i++) {
        assert_string_equal(got.item[i], want[i]);
    }
    assert_int_equal(got.n, n);
    ko_strings_free(&got);
    ko_model_free(model);
}

static void details_name_the_mixers_and_how_experts_are_chosen(void **state)
{
    static const char *const plain[] = {
        "mamba2 in 2 of 4 layers",
        "attention in 1 of 4 layers",
        "delta from 0 to 0.5",
        "MLPs with squared ReLU",
        "no positions",
    };
    static const char *const experts[] = {
        "mamba2 in 1 of 2 layers",     "2 of 8 experts",
        "experts of 1 of 4 groups",    "sigmoids as shares of experts",
        "shares of experts times 2.5", "experts with squared ReLU",
        "a shared expert of width 20",
    };
    (void)state;
    expect_details("{" PATTERN ", \"time_step_limit\": [0, 0.5]}", plain,
                   sizeof plain / sizeof plain[0]);
    expect_details("{\"hybrid_override_pattern\": \"ME\", \"n_group\": 4, "
                   "\"routed_scaling_factor\": 2.5, \"moe_shared_expert_intermediate_size\": 20}",
                   experts, sizeof experts / sizeof experts[0]);
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{}", "toy: hybrid_override_pattern: expected 1 to 16384 layers, got 0"},
        {"{\"hybrid_override_pattern\": \"M-X\"}",
         "toy: hybrid_override_pattern: 'X' of layer 2 is not supported, only M, *, - or E"},
        {"{\"hybrid_override_pattern\": 3}",
         "toy: hybrid_override_pattern: expected a string, got 3"},
        {"{" PATTERN ", \"num_hidden_layers\": 5}",
         "toy: num_hidden_layers: 5, but hybrid_override_pattern has 4 layers"},
        {"{\"layers_block_type\": [\"mamba\"], \"num_hidden_layers\": 2}",
         "toy: num_hidden_layers: 2, but layers_block_type has 1 layers"},
        {"{\"layers_block_type\": \"mamba\"}",
         "toy: layers_block_type: expected 1 to 16384 layers, got 0"},
        {"{\"layers_block_type\": [\"conv\"]}",
         "toy: layers_block_type: 'conv' is not supported for Nemotron-H, only mamba, "
         "attention, mlp or moe"},
        {"{" PATTERN ", \"mlp_hidden_act\": \"silu\"}",
         "toy: mlp_hidden_act: 'silu' is not supported for Nemotron-H, only relu2"},
        {"{" PATTERN ", \"mamba_hidden_act\": \"relu2\"}",
         "toy: mamba_hidden_act: 'relu2' is not supported for Nemotron-H, only silu or swish"},
        {"{" PATTERN ", \"sliding_window\": 128}",
         "toy: sliding_window: 128 is not supported for Nemotron-H, only null"},
        {"{" PATTERN ", \"n_groups\": 3}",
         "toy: n_groups: 3 groups do not divide mamba_num_heads of 128"},
        {"{" PATTERN ", \"mamba_num_heads\": 1048576, \"mamba_head_dim\": 2}",
         "toy: mamba_head_dim: 1048576 heads of width 2 are wider than 1048576"},
        {"{" PATTERN ", \"time_step_limit\": [0.2, 0.1]}",
         "toy: time_step_limit: expected two numbers from 0, the first no larger than the second, "
         "got [0.2,0.1]"},
        {"{" PATTERN ", \"mamba_dt_limit\": [-1, 1]}",
         "toy: mamba_dt_limit: expected two numbers from 0, the first no larger than the second, "
         "got [-1,1]"},
        {"{" EXPERTS ", \"moe_latent_size\": 1024}",
         "toy: moe_latent_size: 1024 is not supported for Nemotron-H, only null"},
        {"{" EXPERTS ", \"num_experts_per_tok\": 9}",
         "toy: num_experts_per_tok: 9 experts of 8 cannot be chosen"},
        {"{" EXPERTS ", \"n_group\": 3}",
         "toy: n_group: 8 experts cannot be divided into 3 groups of two or more"},
        {"{" EXPERTS ", \"n_group\": 8}",
         "toy: n_group: 8 experts cannot be divided into 8 groups of two or more"},
        {"{" EXPERTS ", \"n_group\": 65}",
         "toy: n_group: expected a whole number from 1 to 64, got 65"},
        {"{" EXPERTS ", \"n_group\": 2, \"topk_group\": 3}",
         "toy: topk_group: expected a whole number from 1 to 2, got 3"},
        {"{" EXPERTS ", \"n_group\": 4, \"topk_group\": 1, \"num_experts_per_tok\": 3}",
         "toy: topk_group: 1 groups of 2 experts are fewer than the 3 to choose"},
        {"{" EXPERTS ", \"routed_scaling_factor\": 0}",
         "toy: routed_scaling_factor: expected a number above 0, got 0"},
        {"{" EXPERTS ", \"norm_topk_prob\": 1}",
         "toy: norm_topk_prob: expected true or false, got 1"},
    };
    (void)state;
    assert_int_equal(test_refusals("nemotron_h", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(a_layer_has_one_sublayer),
        cmocka_unit_test(sizes_have_two_names),
        cmocka_unit_test(biases_are_declared_where_they_are_configured),
        cmocka_unit_test(experts_are_chosen_by_sigmoids_and_have_an_mlp_beside_them),
        cmocka_unit_test(details_name_the_mixers_and_how_experts_are_chosen),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
