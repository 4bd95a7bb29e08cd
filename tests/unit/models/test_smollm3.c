/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "src/models/model_random.h"
#include "src/models/rope.h"
#include "src/models/sublayers/attention.h"
#include "tests/support/configured.h"
#include "tests/support/trunk.h"

#define FULL    "\"full_attention\""
#define SLIDING "\"sliding_attention\""
#define TWO     "\"num_hidden_layers\": 2, "
#define SLIDES  "\"use_sliding_window\": true, \"sliding_window\": 6"

static void missing_keys_take_the_defaults(void **state)
{
    struct ko_error err = {0};
    (void)state;
    struct ko_model *model = test_configured("smollm3", "{}", &err);
    if (!model) {
        fail_msg("%s", err.text);
    }
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 2048);
    assert_int_equal(s->d_ff, 11008);
    assert_int_equal(s->n_layers, 36);
    assert_int_equal(s->vocabulary, 128256);
    assert_int_equal(s->n_heads, 16);
    assert_int_equal(s->n_kv_heads, 4);
    assert_int_equal(s->d_head, 128);
    assert_int_equal(s->bos_id, 128000);
    assert_int_equal(s->reach, INT32_MAX);
    assert_true(s->norm_eps == 1e-6f);
    assert_true(model->ends.tied);
    assert_true(model->rope[0].config.theta == 2e6);
    ko_model_free(model);
    model = test_configured(
        "smollm3", "{\"num_key_value_heads\": null, \"bos_token_id\": null, \"mlp_bias\": true}",
        &err);
    assert_non_null(model);
    assert_int_equal(test_sizes_of(model).n_kv_heads, 16);
    assert_int_equal(test_sizes_of(model).bos_id, -1);
    assert_true(test_has_weight(model, "model.layers.0.mlp.up_proj.bias"));
    ko_model_free(model);
}

/* The windows of two layers. */
static void layers_slide_where_the_file_says(void **state)
{
    static const struct {
        const char *config;
        int32_t reach[2];
    } rows[] = {
        {"{" TWO "\"no_rope_layers\": [0, 1]}", {INT32_MAX, INT32_MAX}},
        {"{" TWO "\"no_rope_layers\": [0, 1], \"sliding_window\": 6}", {INT32_MAX, INT32_MAX}},
        {"{" TWO "\"no_rope_layers\": [0, 1], \"use_sliding_window\": true}",
         {INT32_MAX, INT32_MAX}},
        {"{" TWO "\"no_rope_layers\": [0, 1], " SLIDES "}", {6, INT32_MAX}},
        {"{" TWO "\"no_rope_layer_interval\": 2, " SLIDES "}", {INT32_MAX, 6}},
        {"{" TWO "\"no_rope_layers\": [0, 1], \"layer_types\": [" FULL ", " SLIDING "], " SLIDES
         "}",
         {INT32_MAX, 6}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("smollm3", rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        for (size_t k = 0; k < model->n_sublayers; k++) {
            const struct ko_sublayer *sublayer = &model->sublayer[k];
            if (sublayer->kind == &ko_sublayer_attention) {
                assert_int_equal(sublayer->size.reach, rows[i].reach[sublayer->layer]);
            }
        }
        ko_model_free(model);
    }
}

/* ---- Layers without rotary positions do not depend on the base of the angles. */

enum { D = 8, TOKENS = 5 };

#define SIZES                                                                                      \
    "\"hidden_size\": 8, \"num_attention_heads\": 2, \"num_key_value_heads\": 1, "                 \
    "\"intermediate_size\": 6, \"num_hidden_layers\": 2, \"vocab_size\": 9"

/* x [TOKENS, D]: the rows of a clean pass with weights that depend on nothing. */
static void run_pass(const char *config, float *x)
{
    static const int32_t tokens[TOKENS] = {3, 0, 8, 8, 1};
    struct ko_error err = {0};
    struct ko_model *model = test_configured("smollm3", config, &err);
    if (!model) {
        fail_msg("%s", err.text);
    }
    float *arena = calloc(ko_model_floats(model), sizeof *arena);
    assert_non_null(arena);
    ko_model_fill_random(model, 1, arena);
    test_run_trunk(model, arena, tokens, TOKENS, x);
    free(arena);
    ko_model_free(model);
}

static void layers_have_rotary_positions_or_none(void **state)
{
#define AT(theta, rest) "{" SIZES ", \"rope_theta\": " theta ", " rest "}"
    static const struct {
        const char *config[2];
        bool rotary;
    } rows[] = {
        {{AT("50", "\"no_rope_layers\": [0, 0]"), AT("70", "\"no_rope_layers\": [0, 0]")}, false},
        {{AT("50", "\"no_rope_layer_interval\": 1"), AT("70", "\"no_rope_layer_interval\": 1")},
         false},
        {{AT("50", "\"no_rope_layers\": [0, 1]"), AT("70", "\"no_rope_layers\": [0, 1]")}, true},
        {{AT("50", "\"no_rope_layers\": [1, 0, 0]"), AT("70", "\"no_rope_layers\": [1, 0, 0]")},
         true},
        {{AT("50", "\"no_rope_layers\": null"), AT("70", "\"no_rope_layers\": null")}, true},
    };
#undef AT
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        float x[2][TOKENS][D];
        run_pass(rows[i].config[0], &x[0][0][0]);
        run_pass(rows[i].config[1], &x[1][0][0]);
        bool differ = false;
        for (size_t k = 0; k < TOKENS; k++) {
            for (size_t d = 0; d < D; d++) {
                differ = differ || !(x[0][k][d] == x[1][k][d]);
            }
        }
        assert_int_equal(differ, rows[i].rotary);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{" TWO "\"no_rope_layers\": [1]}",
         "toy: no_rope_layers: expected a list of 2 numbers, one per layer"},
        {"{" TWO "\"no_rope_layers\": 1}",
         "toy: no_rope_layers: expected a list of 2 numbers, one per layer"},
        {"{" TWO "\"no_rope_layers\": [1, 2]}",
         "toy: no_rope_layers: expected 0 or 1 for layer 1, got 2"},
        {"{" TWO "\"no_rope_layers\": [null, 1]}",
         "toy: no_rope_layers: expected 0 or 1 for layer 0, got null"},
        {"{\"no_rope_layer_interval\": 0}",
         "toy: no_rope_layer_interval: expected a whole number from 1 to 2147483647, got 0"},
        {"{" TWO "\"layer_types\": [" FULL ", " SLIDING "]}",
         "toy: layer_types: sliding_attention needs use_sliding_window and a sliding_window"},
        {"{" TWO "\"use_sliding_window\": true, \"layer_types\": [" FULL ", " SLIDING "]}",
         "toy: layer_types: sliding_attention needs use_sliding_window and a sliding_window"},
        {"{" TWO "\"layer_types\": [" FULL "]}",
         "toy: layer_types: expected a list of 2 words, one per layer"},
        {"{\"use_sliding_window\": \"yes\"}",
         "toy: use_sliding_window: expected true or false, got \"yes\""},
        {"{\"sliding_window\": -1}",
         "toy: sliding_window: expected a whole number from 1 to 2147483647, got -1"},
        {"{\"attention_bias\": 1}", "toy: attention_bias: expected true or false, got 1"},
        {"{\"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for SmolLM3, only silu or swish"},
        {"{\"rope_scaling\": {\"type\": \"dynamic\"}}",
         "toy: rope_scaling: type: 'dynamic' is not supported for SmolLM3, only default, llama3 or "
         "yarn"},
    };
    (void)state;
    assert_int_equal(test_refusals("smollm3", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(layers_slide_where_the_file_says),
        cmocka_unit_test(layers_have_rotary_positions_or_none),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
