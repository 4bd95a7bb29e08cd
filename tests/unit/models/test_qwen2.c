/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/models/families/llama_like.h"
#include "tests/support/configured.h"

#define FULL    "\"full_attention\""
#define SLIDING "\"sliding_attention\""
#define TWO     "\"num_hidden_layers\": 2, "
#define SLIDES  "\"use_sliding_window\": true, "

static void missing_keys_take_the_defaults(void **state)
{
    struct ko_error err = {0};
    (void)state;
    struct ko_model *model = test_configured("qwen2", "{}", &err);
    assert_non_null(model);
    const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
    assert_int_equal(s->d_model, 4096);
    assert_int_equal(s->d_ff, 22016);
    assert_int_equal(s->n_layers, 32);
    assert_int_equal(s->vocabulary, 151936);
    assert_int_equal(s->n_heads, 32);
    assert_int_equal(s->n_kv_heads, 32);
    assert_int_equal(s->d_head, 128);
    assert_int_equal(s->max_tokens, KO_MAX_POSITIONS);
    assert_int_equal(s->bos_id, -1);
    assert_int_equal(s->reach, INT32_MAX);
    assert_false(model->ends.tied);
    assert_true(test_has_weight(model, "model.layers.0.self_attn.k_proj.bias"));
    assert_false(test_has_weight(model, "model.layers.0.self_attn.o_proj.bias"));
    assert_false(test_has_weight(model, "model.layers.0.mlp.up_proj.bias"));
    ko_model_free(model);
    model = test_configured("qwen2", "{\"num_attention_heads\": 8, \"num_key_value_heads\": null}",
                            &err);
    assert_non_null(model);
    assert_int_equal(test_sizes_of(model).n_kv_heads, 8);
    ko_model_free(model);
}

/* transformers' Qwen2Config: layers from max_window_layers on slide, if use_sliding_window. */
static void layers_slide_from_max_window_layers_on_or_as_listed(void **state)
{
    static const struct {
        const char *config;
        int32_t reach[2];
    } rows[] = {
        {"{" TWO "\"sliding_window\": 6, \"max_window_layers\": 0}", {INT32_MAX, INT32_MAX}},
        {"{" TWO "\"sliding_window\": 6, \"layer_types\": [" FULL ", " FULL "]}",
         {INT32_MAX, INT32_MAX}},
        {"{" TWO SLIDES "\"sliding_window\": 6}", {INT32_MAX, INT32_MAX}},
        {"{" TWO SLIDES "\"sliding_window\": 6, \"max_window_layers\": 2}", {INT32_MAX, INT32_MAX}},
        {"{" TWO SLIDES "\"sliding_window\": 6, \"max_window_layers\": 1}", {INT32_MAX, 6}},
        {"{" TWO SLIDES "\"sliding_window\": 6, \"max_window_layers\": 0}", {6, 6}},
        {"{" TWO SLIDES "\"max_window_layers\": 0}", {4096, 4096}},
        {"{" TWO SLIDES "\"sliding_window\": null, \"max_window_layers\": 1}",
         {INT32_MAX, INT32_MAX}},
        {"{" TWO SLIDES "\"sliding_window\": 6, \"max_window_layers\": 0, \"layer_types\": [" FULL
         ", " FULL "]}",
         {INT32_MAX, INT32_MAX}},
        {"{" TWO SLIDES "\"sliding_window\": 6, \"layer_types\": [" SLIDING ", " FULL "]}",
         {6, INT32_MAX}},
    };
    static const char *const families[] = {"qwen2", "qwen3"};
    (void)state;
    for (size_t i = 0; i < 2 * (sizeof rows / sizeof rows[0]); i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured(families[i % 2], rows[i / 2].config, &err);
        if (!model || test_reach(model, 0) != rows[i / 2].reach[0] ||
            test_reach(model, 1) != rows[i / 2].reach[1]) {
            fail_msg("row %zu: %s %d %d", i / 2, err.text, model ? test_reach(model, 0) : 0,
                     model ? test_reach(model, 1) : 0);
        }
        ko_model_free(model);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{" TWO "\"sliding_window\": 6, \"layer_types\": [" FULL ", " SLIDING "]}",
         "toy: layer_types: sliding_attention needs a sliding_window"},
        {"{" TWO SLIDES "\"sliding_window\": null, \"layer_types\": [" SLIDING ", " SLIDING "]}",
         "toy: layer_types: sliding_attention needs a sliding_window"},
        {"{" TWO "\"layer_types\": [" FULL ", \"linear_attention\"]}",
         "toy: layer_types: 'linear_attention' is not supported for Qwen2, only full_attention or "
         "sliding_attention"},
        {"{\"use_sliding_window\": \"yes\"}",
         "toy: use_sliding_window: expected true or false, got \"yes\""},
        {"{\"max_window_layers\": -1}",
         "toy: max_window_layers: expected a whole number from 0 to 2147483647, got -1"},
        {"{\"num_attention_heads\": 14, \"hidden_size\": 896, \"num_key_value_heads\": 4}",
         "toy: num_key_value_heads: 4 do not divide num_attention_heads of 14"},
        {"{\"rope_scaling\": {\"type\": \"mrope\"}}",
         "toy: rope_scaling: type: 'mrope' is not supported for Qwen2, only default or llama3"},
        {"{\"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for Qwen2, only silu or swish"},
    };
    (void)state;
    assert_int_equal(test_refusals("qwen2", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(layers_slide_from_max_window_layers_on_or_as_listed),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
