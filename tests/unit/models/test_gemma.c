/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "src/models/families/llama_like.h"
#include "tests/support/configured.h"

/* The three families' defaults are those of transformers' GemmaConfig, Gemma2Config and
   Gemma3TextConfig. */
static void missing_keys_take_the_defaults(void **state)
{
    static const struct {
        const char *family;
        int32_t d_model, d_ff, n_layers, n_heads, n_kv_heads, vocabulary, max_tokens, n_full;
        float logit_cap;
        size_t n_weights, n_ropes;
    } rows[] = {
        {"gemma", 3072, 24576, 28, 16, 16, 256000, 8192, 28, 0, 28 * 9 + 2, 1},
        {"gemma2", 2304, 9216, 26, 8, 4, 256000, 8192, 13, 30, 26 * 11 + 2, 1},
        {"gemma3_text", 2304, 9216, 26, 8, 4, 262208, KO_MAX_POSITIONS, 4, 0, 26 * 13 + 2, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured(rows[i].family, "{}", &err);
        if (!model) {
            fail_msg("%s: %s", rows[i].family, err.text);
        }
        const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
        assert_int_equal(s->d_model, rows[i].d_model);
        assert_int_equal(s->d_ff, rows[i].d_ff);
        assert_int_equal(s->n_layers, rows[i].n_layers);
        assert_int_equal(s->n_heads, rows[i].n_heads);
        assert_int_equal(s->n_kv_heads, rows[i].n_kv_heads);
        assert_int_equal(s->d_head, 256);
        assert_int_equal(s->vocabulary, rows[i].vocabulary);
        assert_int_equal(s->max_tokens, rows[i].max_tokens);
        assert_int_equal(s->bos_id, 2);
        int32_t n_full = 0;
        for (int32_t l = 0; l < s->n_layers; l++) {
            const int32_t reach = test_reach(model, l);
            assert_true(reach == INT32_MAX || reach == 4096);
            n_full += reach == INT32_MAX;
        }
        assert_int_equal(n_full, rows[i].n_full);
        assert_true(model->ends.tied);
        assert_true(model->ends.final_norm.one_plus);
        assert_true(model->ends.embedding_scale == sqrtf((float)s->d_model));
        assert_true(model->ends.logit_cap == rows[i].logit_cap);
        assert_int_equal(model->n_weights, rows[i].n_weights);
        assert_int_equal(model->n_ropes, rows[i].n_ropes);
        ko_model_free(model);
    }
}

#define LAYERS(types) "\"num_hidden_layers\": 3, \"layer_types\": [" types "]"
#define FULL          "\"full_attention\""
#define SLIDING       "\"sliding_attention\""

static void layers_slide_by_pattern_or_as_listed(void **state)
{
    static const struct {
        const char *family, *config;
        int32_t reach[3];
    } rows[] = {
        {"gemma", "{\"num_hidden_layers\": 3}", {INT32_MAX, INT32_MAX, INT32_MAX}},
        {"gemma2", "{\"num_hidden_layers\": 3, \"sliding_window\": 7}", {7, INT32_MAX, 7}},
        {"gemma2",
         "{\"sliding_window\": 7, " LAYERS(FULL ", " FULL ", " SLIDING) "}",
         {INT32_MAX, INT32_MAX, 7}},
        {"gemma2",
         "{\"sliding_window\": null, " LAYERS(FULL ", " FULL ", " FULL) "}",
         {INT32_MAX, INT32_MAX, INT32_MAX}},
        {"gemma3_text", "{\"num_hidden_layers\": 3}", {4096, 4096, 4096}},
        {"gemma3_text",
         "{\"num_hidden_layers\": 3, \"sliding_window\": 7, \"sliding_window_pattern\": 3}",
         {7, 7, INT32_MAX}},
        {"gemma3_text",
         "{\"sliding_window\": 7, \"sliding_window_pattern\": 3, " LAYERS(SLIDING ", " FULL
                                                                                  ", " SLIDING) "}",
         {7, INT32_MAX, 7}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured(rows[i].family, rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        for (int32_t l = 0; l < 3; l++) {
            if (test_reach(model, l) != rows[i].reach[l]) {
                fail_msg("row %zu, layer %d: %d", i, l, test_reach(model, l));
            }
        }
        ko_model_free(model);
    }
}

static void caps_are_the_default_if_absent_and_none_if_null(void **state)
{
    static const struct {
        const char *family, *config;
        float cap;
    } rows[] = {
        {"gemma2", "{}", 30},
        {"gemma2", "{\"final_logit_softcapping\": null, \"attn_logit_softcapping\": null}", 0},
        {"gemma2", "{\"final_logit_softcapping\": 2.5}", 2.5f},
        {"gemma3_text", "{}", 0},
        {"gemma3_text", "{\"final_logit_softcapping\": null}", 0},
        {"gemma3_text", "{\"final_logit_softcapping\": 20}", 20},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured(rows[i].family, rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        assert_true(model->ends.logit_cap == rows[i].cap);
        ko_model_free(model);
    }
}

/* Tables of Gemma 3: of full layers, then of layers that slide. */
static void full_and_sliding_layers_have_rotary_settings_of_their_own(void **state)
{
    static const struct {
        const char *config;
        double theta[2];
        enum ko_rope_scaling scaling;
        double factor;
    } rows[] = {
        {"{}", {1e6, 1e4}, KO_ROPE_DEFAULT, 0},
        {"{\"rope_theta\": 500, \"rope_local_base_freq\": 20}", {500, 20}, KO_ROPE_DEFAULT, 0},
        {"{\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 8.0}}",
         {1e6, 1e4},
         KO_ROPE_LINEAR,
         8},
        {"{\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"linear\", \"factor\": 4.0, "
         "\"rope_theta\": 700}, \"sliding_attention\": {\"rope_type\": \"default\", "
         "\"rope_theta\": 30}}}",
         {700, 30},
         KO_ROPE_LINEAR,
         4},
        {"{\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"default\"}, "
         "\"sliding_attention\": {}}, \"rope_theta\": 500, \"rope_local_base_freq\": 20}",
         {500, 20},
         KO_ROPE_DEFAULT,
         0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("gemma3_text", rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        assert_int_equal(model->n_ropes, 2);
        for (int k = 0; k < 2; k++) {
            assert_true(model->rope[k].config.theta == rows[i].theta[k]);
            assert_int_equal(model->rope[k].config.n_rotated, 256);
        }
        assert_int_equal(model->rope[0].config.scaling, rows[i].scaling);
        assert_int_equal(model->rope[1].config.scaling, KO_ROPE_DEFAULT);
        if (rows[i].factor > 0) {
            assert_true(model->rope[0].config.factor == rows[i].factor);
        }
        ko_model_free(model);
    }
}

static void unsupported_values_of_gemma_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"hidden_activation\": \"gelu\"}", "toy: hidden_activation: 'gelu' is not supported for "
                                              "Gemma, only gelu_pytorch_tanh or gelu_new"},
        {"{\"hidden_act\": \"silu\"}", "toy: hidden_act: 'silu' is not supported for Gemma, only "
                                       "gelu_pytorch_tanh or gelu_new or gelu"},
        {"{\"use_bidirectional_attention\": true}",
         "toy: use_bidirectional_attention: true is not supported for Gemma, only false"},
        {"{\"attention_bias\": 1}", "toy: attention_bias: expected true or false, got 1"},
        {"{\"head_dim\": 21}", "toy: head_dim: 21 is odd, and rotary embedding turns pairs"},
        {"{\"num_key_value_heads\": 3}",
         "toy: num_key_value_heads: 3 do not divide num_attention_heads of 16"},
    };
    static const char *const fine[] = {
        "{\"hidden_act\": \"gelu\", \"hidden_activation\": null}",
        "{\"hidden_act\": \"gelu_pytorch_tanh\", \"hidden_activation\": \"gelu_pytorch_tanh\"}",
    };
    (void)state;
    assert_int_equal(test_refusals("gemma", rows, sizeof rows / sizeof rows[0]), 0);
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("gemma", fine[i], &err);
        assert_non_null(model);
        ko_model_free(model);
    }
}

static void unsupported_values_of_gemma_2_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"query_pre_attn_scalar\": 0}",
         "toy: query_pre_attn_scalar: expected a number above 0, got 0"},
        {"{\"attn_logit_softcapping\": -1}",
         "toy: attn_logit_softcapping: expected a number above 0, got -1"},
        {"{\"final_logit_softcapping\": 0}",
         "toy: final_logit_softcapping: expected a number above 0, got 0"},
        {"{\"sliding_window\": null}",
         "toy: sliding_window: null, but some layers are of type sliding_attention"},
        {"{" LAYERS(FULL ", " FULL) "}",
         "toy: layer_types: expected a list of 3 words, one per layer"},
        {"{\"use_bidirectional_attention\": true}",
         "toy: use_bidirectional_attention: true is not supported for Gemma 2, only false"},
    };
    (void)state;
    assert_int_equal(test_refusals("gemma2", rows, sizeof rows / sizeof rows[0]), 0);
}

static void unsupported_values_of_gemma_3_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"attn_logit_softcapping\": 50}",
         "toy: attn_logit_softcapping: 50 is not supported for Gemma 3, only null"},
        {"{\"rope_local_base_freq\": 0}",
         "toy: rope_local_base_freq: expected a number above 0, got 0"},
        {"{\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"default\"}}}",
         "toy: rope_parameters: sliding_attention: missing, although there are numbers for "
         "full_attention"},
        {"{\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4.0}}",
         "toy: rope_scaling: rope_type: 'yarn' is not supported for Gemma 3, only default or "
         "linear"},
        {"{\"rope_parameters\": {\"full_attention\": {}, \"sliding_attention\": {\"rope_type\": "
         "\"linear\", \"factor\": 4.0}}}",
         "toy: rope_parameters: sliding_attention: rope_type: 'linear' is not supported for Gemma "
         "3, "
         "only default"},
        {"{\"use_bidirectional_attention\": true}",
         "toy: use_bidirectional_attention: true is not supported for Gemma 3, only false"},
    };
    (void)state;
    assert_int_equal(test_refusals("gemma3_text", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(layers_slide_by_pattern_or_as_listed),
        cmocka_unit_test(caps_are_the_default_if_absent_and_none_if_null),
        cmocka_unit_test(full_and_sliding_layers_have_rotary_settings_of_their_own),
        cmocka_unit_test(unsupported_values_of_gemma_are_refused_by_name),
        cmocka_unit_test(unsupported_values_of_gemma_2_are_refused_by_name),
        cmocka_unit_test(unsupported_values_of_gemma_3_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
