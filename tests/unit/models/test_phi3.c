/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "src/models/families/llama_like.h"
#include "src/models/model_random.h"
#include "tests/support/configured.h"
#include "tests/support/trunk.h"

static void missing_keys_take_the_defaults(void **state)
{
    static const struct {
        const char *config;
        int32_t n_kv_heads, d_head, reach, n_rotated;
    } rows[] = {
        {"{}", 32, 96, INT32_MAX, 96},
        {"{\"sliding_window\": null, \"num_key_value_heads\": null}", 32, 96, INT32_MAX, 96},
        {"{\"sliding_window\": 2047}", 32, 96, 2047, 96},
        {"{\"num_key_value_heads\": 8, \"partial_rotary_factor\": 0.75}", 8, 96, INT32_MAX, 72},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("phi3", rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
        assert_int_equal(s->d_model, 3072);
        assert_int_equal(s->d_ff, 8192);
        assert_int_equal(s->n_layers, 32);
        assert_int_equal(s->vocabulary, 32064);
        assert_int_equal(s->n_heads, 32);
        assert_int_equal(s->n_kv_heads, rows[i].n_kv_heads);
        assert_int_equal(s->d_head, rows[i].d_head);
        assert_int_equal(s->reach, rows[i].reach);
        assert_int_equal(s->max_tokens, 4096);
        assert_int_equal(s->bos_id, 1);
        assert_true(s->norm_eps == 1e-5f);
        assert_int_equal(model->rope[0].config.n_rotated, rows[i].n_rotated);
        assert_int_equal(model->rope[0].config.scaling, KO_ROPE_DEFAULT);
        assert_false(model->ends.tied);
        assert_true(test_has_weight(model, "model.layers.0.self_attn.qkv_proj.weight"));
        assert_true(test_has_weight(model, "model.layers.0.mlp.gate_up_proj.weight"));
        assert_false(test_has_weight(model, "model.layers.0.self_attn.q_proj.weight"));
        ko_model_free(model);
    }
}

/* ---- LongRoPE: prompts of up to 4 tokens take the short factors, others the long ones. */

enum { D = 8, ORIGINAL = 4, MOST = 6 };

#define SIZES                                                                                      \
    "\"hidden_size\": 8, \"num_attention_heads\": 2, \"num_key_value_heads\": 1, "                 \
    "\"intermediate_size\": 6, \"num_hidden_layers\": 2, \"vocab_size\": 9, "                      \
    "\"max_position_embeddings\": 32, \"original_max_position_embeddings\": 4, \"rope_theta\": "   \
    "50.0"
#define LONGROPE(short_factor, long_factor)                                                        \
    "{" SIZES ", \"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [" short_factor      \
    "], \"long_factor\": [" long_factor "]}}"

/* x [n, D]: the rows of a clean pass with weights that depend on nothing. */
static void run_pass(const char *config, int32_t n, float *x)
{
    static const int32_t tokens[MOST] = {3, 0, 8, 8, 1, 5};
    struct ko_error err = {0};
    struct ko_model *model = test_configured("phi3", config, &err);
    if (!model) {
        fail_msg("%s", err.text);
    }
    float *arena = calloc(ko_model_floats(model), sizeof *arena);
    assert_non_null(arena);
    ko_model_fill_random(model, 1, arena);
    test_run_trunk(model, arena, tokens, n, x);
    free(arena);
    ko_model_free(model);
}

static void the_length_of_a_prompt_chooses_the_factors(void **state)
{
    static const char *const both = LONGROPE("1, 1.5", "2, 4"),
                             *const all_short = LONGROPE("1, 1.5", "1, 1.5"),
                             *const all_long = LONGROPE("2, 4", "2, 4");
    (void)state;
    for (int32_t n = ORIGINAL - 1; n <= MOST; n++) {
        float got[MOST][D], short_x[MOST][D], long_x[MOST][D];
        const size_t bytes = (size_t)n * D * sizeof(float);
        run_pass(both, n, &got[0][0]);
        run_pass(all_short, n, &short_x[0][0]);
        run_pass(all_long, n, &long_x[0][0]);
        assert_memory_not_equal(short_x, long_x, bytes);
        assert_memory_equal(got, n > ORIGINAL ? long_x : short_x, bytes);
    }
}

/* sqrt(1 + ln(max / original) / ln(original)), unless the file gives it. */
static void longrope_scales_the_tables(void **state)
{
    struct ko_error err = {0};
    (void)state;
    struct ko_model *model = test_configured("phi3", LONGROPE("1, 1.5", "2, 4"), &err);
    assert_non_null(model);
    assert_int_equal(model->n_ropes, 1);
    const struct ko_rope_config *rope = &model->rope[0].config;
    assert_int_equal(rope->scaling, KO_ROPE_LONGROPE);
    assert_true(rope->original == 4);
    assert_true(fabs(rope->attention_factor - sqrt(1 + log(8) / log(4))) <= 1e-12);
    assert_true(ko_rope_frequency(rope, 1, false) == pow(50, -0.5) / 1.5);
    assert_true(ko_rope_frequency(rope, 1, true) == pow(50, -0.5) / 4);
    ko_model_free(model);
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"attention_bias\": true}",
         "toy: attention_bias: true is not supported for Phi-3, only false"},
        {"{\"mlp_bias\": true}", "toy: mlp_bias: true is not supported for Phi-3, only false"},
        {"{\"lm_head_bias\": true}",
         "toy: lm_head_bias: true is not supported for Phi-3, only false"},
        {"{\"sliding_window\": 0}",
         "toy: sliding_window: expected a whole number from 1 to 2147483647, got 0"},
        {"{\"num_key_value_heads\": 5}",
         "toy: num_key_value_heads: 5 do not divide num_attention_heads of 32"},
        {"{\"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for Phi-3, only silu or swish"},
        {"{" SIZES ", \"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1, 1], "
         "\"long_factor\": [1]}}",
         "toy: rope_scaling: long_factor: expected a list of 2 numbers, one for each pair that "
         "turns"},
        {"{\"hidden_size\": 8, \"num_attention_heads\": 2, \"rope_scaling\": {\"type\": "
         "\"longrope\", \"short_factor\": [1, 1], \"long_factor\": [1, 1], "
         "\"original_max_position_embeddings\": 16}}",
         "toy: original_max_position_embeddings: missing, rope_type longrope needs it"},
        {"{\"partial_rotary_factor\": 1.5}",
         "toy: partial_rotary_factor: expected a number above 0 and at most 1, got 1.5"},
        {"{\"rope_scaling\": {\"type\": \"su\"}}",
         "toy: rope_scaling: type: 'su' is not supported for Phi-3, only default or longrope"},
        {"{\"rope_scaling\": {\"type\": \"yarn\"}}",
         "toy: rope_scaling: type: 'yarn' is not supported for Phi-3, only default or longrope"},
    };
    (void)state;
    assert_int_equal(test_refusals("phi3", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(the_length_of_a_prompt_chooses_the_factors),
        cmocka_unit_test(longrope_scales_the_tables),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
