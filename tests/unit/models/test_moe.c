/* SPDX-License-Identifier: Apache-2.0 */
/* Mixtral, Qwen3-MoE, OLMoE and gpt-oss: their configurations, and the mixture as a sublayer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mlp.h"
#include "src/models/sublayers/moe.h"
#include "tests/support/configured.h"

/* What a family has where config.json says nothing. */
struct default_row {
    const char *family;
    int32_t d_model, expert_ff, n_layers, vocabulary, n_heads, n_kv_heads, d_head, bos_id;
    int32_t n_experts, n_chosen;
    double theta;
    float norm_eps;
};

static void check_defaults(const struct default_row *want)
{
    struct ko_error err = {0};
    struct ko_model *model = test_configured(want->family, "{}", &err);
    if (!model) {
        fail_msg("%s: %s", want->family, err.text);
        return;
    }
    const struct test_sizes sizes = test_sizes_of(model), *got = &sizes;
    assert_int_equal(got->d_model, want->d_model);
    assert_int_equal(got->d_ff, want->expert_ff);
    assert_int_equal(got->n_layers, want->n_layers);
    assert_int_equal(got->vocabulary, want->vocabulary);
    assert_int_equal(got->n_heads, want->n_heads);
    assert_int_equal(got->n_kv_heads, want->n_kv_heads);
    assert_int_equal(got->d_head, want->d_head);
    assert_int_equal(got->bos_id, want->bos_id);
    assert_true(got->norm_eps == want->norm_eps);
    assert_false(model->ends.tied);
    assert_true(model->rope[0].config.theta == want->theta);
    assert_int_equal(model->n_sublayers, 2 * want->n_layers);
    double flop[3];
    assert_true(model->sublayer[1].kind == &ko_sublayer_moe);
    ko_sublayer_moe.row_flop(&model->sublayer[1], got->d_model, flop);
    assert_true(flop[0] == 0 && flop[1] == 0); /* the router, and the chosen experts alone */
    assert_true(flop[2] == 2.0 * got->d_model * want->n_experts +
                               6.0 * got->d_model * want->n_chosen * want->expert_ff);
    ko_model_free(model);
}

static void missing_keys_take_the_defaults(void **state)
{
    static const struct default_row rows[] = {
        {"mixtral", 4096, 14336, 32, 32000, 32, 8, 128, 1, 8, 2, 1e6, 1e-5f},
        {"qwen3_moe", 2048, 768, 24, 151936, 32, 4, 64, -1, 128, 8, 1e4, 1e-6f},
        {"olmoe", 2048, 2048, 16, 50304, 16, 16, 128, -1, 64, 8, 1e4, 1e-5f},
        {"gpt_oss", 2880, 2880, 36, 201088, 64, 8, 64, -1, 128, 4, 15e4, 1e-5f},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_defaults(&rows[i]);
    }
}

static void some_layers_of_qwen3_moe_are_dense(void **state)
{
    static const struct {
        const char *config;
        bool dense[6];
    } rows[] = {
        {"{\"num_hidden_layers\": 6}", {0}},
        {"{\"num_hidden_layers\": 6, \"decoder_sparse_step\": 2}", {1, 0, 1, 0, 1, 0}},
        {"{\"num_hidden_layers\": 6, \"mlp_only_layers\": [0, 4]}", {1, 0, 0, 0, 1, 0}},
        {"{\"num_hidden_layers\": 6, \"decoder_sparse_step\": 3, \"mlp_only_layers\": [5]}",
         {1, 1, 0, 1, 1, 1}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_model *model = test_accepted("qwen3_moe", rows[i].config);
        for (int32_t l = 0; l < 6; l++) {
            const struct ko_sublayer *sublayer = &model->sublayer[2 * (size_t)l + 1];
            assert_true(sublayer->kind == (rows[i].dense[l] ? &ko_sublayer_mlp : &ko_sublayer_moe));
            assert_int_equal(sublayer->size.d_ff, rows[i].dense[l] ? 6144 : 768);
        }
        ko_model_free(model);
    }
}

static void every_other_layer_of_gpt_oss_slides(void **state)
{
    static const struct {
        const char *config;
        int32_t reach[3];
    } rows[] = {
        {"{\"num_hidden_layers\": 3}", {128, INT32_MAX, 128}},
        {"{\"num_hidden_layers\": 3, \"sliding_window\": 5}", {5, INT32_MAX, 5}},
        {"{\"num_hidden_layers\": 3, \"sliding_window\": null}", {INT32_MAX, INT32_MAX, INT32_MAX}},
        {"{\"num_hidden_layers\": 3, \"layer_types\": [\"full_attention\", \"full_attention\", "
         "\"sliding_attention\"]}",
         {INT32_MAX, INT32_MAX, 128}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_model *model = test_accepted("gpt_oss", rows[i].config);
        for (int32_t l = 0; l < 3; l++) {
            assert_int_equal(model->sublayer[2 * (size_t)l].size.reach, rows[i].reach[l]);
        }
        ko_model_free(model);
    }
}

static void gpt_oss_without_rotary_settings_takes_yarn(void **state)
{
    struct ko_model *model = test_accepted("gpt_oss", "{\"rope_theta\": 7000}");
    const struct ko_rope_config *rope = &model->rope[0].config;
    (void)state;
    assert_int_equal(rope->scaling, KO_ROPE_YARN);
    assert_true(rope->theta == 7000 && rope->factor == 32 && rope->original == 4096);
    assert_true(rope->low == 1 && rope->high == 32 && !rope->truncate);
    assert_true(fabs(rope->attention_factor - 1.3465735902799727) < 1e-15);
    ko_model_free(model);
    model = test_accepted("gpt_oss", "{\"rope_parameters\": {\"rope_type\": \"default\"}}");
    assert_int_equal(model->rope[0].config.scaling, KO_ROPE_DEFAULT);
    ko_model_free(model);
}

static void all_layers_of_mixtral_slide_or_none(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted("mixtral", "{}");
    assert_int_equal(model->sublayer[0].size.reach, INT32_MAX);
    ko_model_free(model);
    model = test_accepted("mixtral", "{\"sliding_window\": 7}");
    assert_int_equal(model->sublayer[0].size.reach, 7);
    assert_int_equal(model->sublayer[62].size.reach, 7);
    ko_model_free(model);
}

static void matrices_of_experts_lie_at_equal_distances(void **state)
{
    (void)state;
    struct ko_model *model = test_accepted(
        "olmoe", "{\"hidden_size\": 6, \"intermediate_size\": 5, \"num_attention_heads\": 1, "
                 "\"num_experts\": 3, \"num_experts_per_tok\": 3, \"num_hidden_layers\": 2}");
    static const char *const names[] = {"gate_proj", "up_proj", "down_proj"};
    size_t found = 0;
    for (size_t w = 0; w + 2 < model->n_weights; w++) {
        for (size_t k = 0; k < 3; k++) {
            char tensor[96];
            snprintf(tensor, sizeof tensor, "model.layers.1.mlp.experts.0.%s.weight", names[k]);
            if (strcmp(model->weights[w].tensor, tensor) == 0) {
                const size_t at = model->weights[w].offset;
                assert_int_equal(model->weights[w + 1].offset - at, 32);
                assert_int_equal(model->weights[w + 2].offset - at, 64);
                found++;
            }
        }
    }
    assert_int_equal(found, 3);
    int32_t widths[KO_N_BUFFERS] = {0};
    ko_sublayer_moe.widths(&model->sublayer[1], 6, widths);
    assert_int_equal(widths[6], 3 * 5 + 3 * 6 + 3 + 2 * 3 + 2);
    ko_model_free(model);
}

static void sides_of_matrices_are_those_of_one_expert(void **state)
{
    static const struct {
        struct ko_weight weight;
        int32_t n_out, n_in;
    } rows[] = {
        {{.n_dims = 2, .shape = {5, 7}}, 5, 7},
        {{.n_dims = 2, .shape = {5, 7}, .in_first = true}, 7, 5},
        {{.n_dims = 3, .shape = {3, 5, 7}, .in_first = true}, 7, 5},
        {{.n_dims = 4, .shape = {3, 5, 2, 16}, .transform = KO_FROM_MXFP4}, 5, 64},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int32_t n_out = 0, n_in = 0;
        ko_weight_sides(&rows[i].weight, &n_out, &n_in);
        assert_int_equal(n_out, rows[i].n_out);
        assert_int_equal(n_in, rows[i].n_in);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal mixtral[] = {
        {"{\"num_local_experts\": 4, \"num_experts_per_tok\": 5}",
         "toy: num_experts_per_tok: 5 experts of 4 cannot be chosen"},
        {"{\"num_local_experts\": 0}",
         "toy: num_local_experts: expected a whole number from 1 to 4096, got 0"},
        {"{\"num_experts\": 5000}",
         "toy: num_experts: expected a whole number from 1 to 4096, got 5000"},
        {"{\"num_experts_per_tok\": 0}",
         "toy: num_experts_per_tok: expected a whole number from 1 to 4096, got 0"},
        {"{\"num_hidden_layers\": 1, \"num_local_experts\": 4096, \"num_experts_per_tok\": 4096, "
         "\"intermediate_size\": "
         "1048576}",
         "toy: num_experts_per_tok: 4096 experts of width 1048576 are too large together for a "
         "row"},
        {"{\"num_hidden_layers\": 17, \"num_local_experts\": 4000}",
         "toy: num_hidden_layers: 17 layers of 4000 experts have more than 65536 experts"},
        {"{\"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for Mixtral, only silu or swish"},
        {"{\"rope_scaling\": {\"rope_type\": \"longrope\"}}",
         "toy: rope_scaling: rope_type: 'longrope' is not supported for Mixtral, only default, "
         "linear, llama3 or yarn"},
    };
    static const struct test_refusal qwen[] = {
        {"{\"use_sliding_window\": true}",
         "toy: use_sliding_window: true is not supported for Qwen3-MoE, only false"},
        {"{\"mlp_only_layers\": 3}", "toy: mlp_only_layers: expected a list of layers"},
        {"{\"num_hidden_layers\": 4, \"mlp_only_layers\": [4]}",
         "toy: mlp_only_layers: expected layers from 0 to 3, got 4"},
        {"{\"num_hidden_layers\": 4, \"mlp_only_layers\": [1, \"2\"]}",
         "toy: mlp_only_layers: expected layers from 0 to 3, got \"2\""},
        {"{\"decoder_sparse_step\": 0}",
         "toy: decoder_sparse_step: expected a whole number from 1 to 16384, got 0"},
        {"{\"norm_topk_prob\": 1}", "toy: norm_topk_prob: expected true or false, got 1"},
        {"{\"moe_intermediate_size\": 0}",
         "toy: moe_intermediate_size: expected a whole number from 1 to 1048576, got 0"},
        {"{\"quantization_config\": {\"quant_method\": \"mxfp4\"}}",
         "toy: quantization_config: quantised weights are not supported, use the checkpoint in "
         "F32, F16 or BF16"},
    };
    static const struct test_refusal olmoe[] = {
        {"{\"clip_qkv\": 8.0}", "toy: clip_qkv: 8.0 is not supported for OLMoE, only null"},
        {"{\"num_experts_per_tok\": 65}",
         "toy: num_experts_per_tok: 65 experts of 64 cannot be chosen"},
    };
    static const struct test_refusal oss[] = {
        {"{\"swiglu_alpha\": 1.5}",
         "toy: swiglu_alpha: 1.5 is not supported for gpt-oss, only 1.702"},
        {"{\"swiglu_limit\": 0}", "toy: swiglu_limit: expected a number above 0, got 0"},
        {"{\"attention_bias\": null, \"head_dim\": 7}",
         "toy: head_dim: 7 is odd, and rotary embedding turns pairs"},
        {"{\"layer_types\": [\"full_attention\"]}",
         "toy: layer_types: expected a list of 36 words, one per layer"},
        {"{\"quantization_config\": {\"quant_method\": \"fp8\"}}",
         "toy: quantization_config: quantised weights are not supported, use the checkpoint in "
         "F32, F16 or BF16"},
    };
    (void)state;
    assert_int_equal(test_refusals("mixtral", mixtral, sizeof mixtral / sizeof mixtral[0]), 0);
    assert_int_equal(test_refusals("qwen3_moe", qwen, sizeof qwen / sizeof qwen[0]), 0);
    assert_int_equal(test_refusals("olmoe", olmoe, sizeof olmoe / sizeof olmoe[0]), 0);
    assert_int_equal(test_refusals("gpt_oss", oss, sizeof oss / sizeof oss[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(some_layers_of_qwen3_moe_are_dense),
        cmocka_unit_test(every_other_layer_of_gpt_oss_slides),
        cmocka_unit_test(gpt_oss_without_rotary_settings_takes_yarn),
        cmocka_unit_test(all_layers_of_mixtral_slide_or_none),
        cmocka_unit_test(matrices_of_experts_lie_at_equal_distances),
        cmocka_unit_test(sides_of_matrices_are_those_of_one_expert),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
