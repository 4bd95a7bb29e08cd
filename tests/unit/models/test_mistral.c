/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/models/families/llama_like.h"
#include "tests/support/configured.h"

static void missing_keys_take_the_defaults(void **state)
{
    static const struct {
        const char *config;
        int32_t n_heads, n_kv_heads, d_head, reach;
    } rows[] = {
        {"{}", 32, 8, 128, 4096},
        {"{\"sliding_window\": null}", 32, 8, 128, INT32_MAX},
        {"{\"sliding_window\": 6}", 32, 8, 128, 6},
        {"{\"num_key_value_heads\": null}", 32, 32, 128, 4096},
        {"{\"num_attention_heads\": 16, \"head_dim\": 10}", 16, 8, 10, 4096},
        {"{\"num_attention_heads\": 8, \"num_key_value_heads\": 2, \"head_dim\": null}", 8, 2, 512,
         4096},
        {"{\"num_hidden_layers\": 32, \"layer_types\": null}", 32, 8, 128, 4096},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("mistral", rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
        assert_int_equal(s->d_model, 4096);
        assert_int_equal(s->d_ff, 14336);
        assert_int_equal(s->n_layers, 32);
        assert_int_equal(s->vocabulary, 32000);
        assert_int_equal(s->n_heads, rows[i].n_heads);
        assert_int_equal(s->n_kv_heads, rows[i].n_kv_heads);
        assert_int_equal(s->d_head, rows[i].d_head);
        assert_int_equal(s->reach, rows[i].reach);
        assert_int_equal(s->max_tokens, KO_MAX_POSITIONS);
        assert_int_equal(s->bos_id, 1);
        assert_false(model->ends.tied);
        ko_model_free(model);
    }
}

#define TWO_LAYERS(types) "\"num_hidden_layers\": 2, \"layer_types\": [" types "]"
#define FULL              "\"full_attention\""
#define SLIDING           "\"sliding_attention\""

/* A file with layer_types is one of Ministral for transformers. */
static void layer_types_say_which_layers_slide(void **state)
{
    static const struct {
        const char *config;
        int32_t reach[2];
    } rows[] = {
        {"{\"num_hidden_layers\": 2}", {4096, 4096}},
        {"{\"num_hidden_layers\": 2, \"sliding_window\": null}", {INT32_MAX, INT32_MAX}},
        {"{" TWO_LAYERS(SLIDING ", " FULL) "}", {4096, INT32_MAX}},
        {"{" TWO_LAYERS(FULL ", " FULL) "}", {INT32_MAX, INT32_MAX}},
        {"{\"sliding_window\": null, " TWO_LAYERS(FULL ", " FULL) "}", {INT32_MAX, INT32_MAX}},
        {"{\"sliding_window\": 5, " TWO_LAYERS(FULL ", " SLIDING) "}", {INT32_MAX, 5}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("mistral", rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        assert_int_equal(test_reach(model, 0), rows[i].reach[0]);
        assert_int_equal(test_reach(model, 1), rows[i].reach[1]);
        ko_model_free(model);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"sliding_window\": 0}",
         "toy: sliding_window: expected a whole number from 1 to 2147483647, got 0"},
        {"{\"sliding_window\": false}",
         "toy: sliding_window: expected a whole number from 1 to 2147483647, got false"},
        {"{\"sliding_window\": null, " TWO_LAYERS(FULL ", " SLIDING) "}",
         "toy: layer_types: sliding_attention needs a sliding_window"},
        {"{" TWO_LAYERS(FULL ", \"chunked_attention\"") "}",
         "toy: layer_types: 'chunked_attention' is not supported for Mistral, only full_attention "
         "or sliding_attention"},
        {"{" TWO_LAYERS(FULL) "}", "toy: layer_types: expected a list of 2 words, one per layer"},
        {"{\"layer_types\": \"full_attention\"}",
         "toy: layer_types: expected a list of 32 words, one per layer"},
        {"{" TWO_LAYERS(FULL ", null") "}",
         "toy: layer_types: 'null' is not supported for Mistral, only full_attention or "
         "sliding_attention"},
        {"{\"num_key_value_heads\": 5}",
         "toy: num_key_value_heads: 5 do not divide num_attention_heads of 32"},
        {"{\"rope_parameters\": {\"rope_type\": \"dynamic\"}}",
         "toy: rope_parameters: rope_type: 'dynamic' is not supported for Mistral, only default or "
         "llama3"},
        {"{\"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for Mistral, only silu or swish"},
    };
    (void)state;
    assert_int_equal(test_refusals("mistral", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(layer_types_say_which_layers_slide),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
