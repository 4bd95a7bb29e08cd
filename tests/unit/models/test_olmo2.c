/* SPDX-License-Identifier: Apache-2.0 */
/* OLMo-2 and OLMo-3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/models/sublayers/attention.h"
#include "tests/support/configured.h"

#define FULL    "\"full_attention\""
#define SLIDING "\"sliding_attention\""
#define TWO     "\"num_hidden_layers\": 2, "

static void missing_keys_take_the_defaults(void **state)
{
    static const char *const families[] = {"olmo2", "olmo3"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured(families[i], "{}", &err);
        if (!model) {
            fail_msg("%s", err.text);
        }
        const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
        assert_int_equal(s->d_model, 4096);
        assert_int_equal(s->d_ff, 11008);
        assert_int_equal(s->n_layers, 32);
        assert_int_equal(s->vocabulary, 50304);
        assert_int_equal(s->n_heads, 32);
        assert_int_equal(s->n_kv_heads, 32);
        assert_int_equal(s->d_head, 128);
        assert_int_equal(s->max_tokens, 2048);
        assert_int_equal(s->bos_id, -1);
        assert_true(s->norm_eps == 1e-5f);
        assert_false(model->ends.tied);
        assert_int_equal(model->n_ropes, i + 1);
        assert_true(model->rope[i].config.theta == (i == 0 ? 1e4 : 5e5));
        ko_model_free(model);
    }
}

static void norms_follow_the_sublayers(void **state)
{
    struct ko_error err = {0};
    (void)state;
    struct ko_model *model =
        test_configured("olmo2", "{\"num_key_value_heads\": 8, \"attention_bias\": true}", &err);
    assert_non_null(model);
    for (size_t i = 0; i < model->n_sublayers; i++) {
        assert_int_equal(model->sublayer[i].post_norm.kind, KO_RMS_NORM);
        assert_true(model->sublayer[i].post_norm.eps == 1e-5f);
    }
    assert_false(test_has_weight(model, "model.layers.0.input_layernorm.weight"));
    assert_true(test_has_weight(model, "model.layers.0.post_attention_layernorm.weight"));
    assert_true(test_has_weight(model, "model.layers.0.post_feedforward_layernorm.weight"));
    assert_true(test_has_weight(model, "model.layers.0.self_attn.o_proj.bias"));
    assert_false(test_has_weight(model, "model.layers.0.mlp.up_proj.bias"));
    for (size_t w = 0; w < model->n_weights; w++) { /* norms of the whole width, not of a head */
        const struct ko_weight *weight = &model->weights[w];
        if (strcmp(weight->tensor, "model.layers.0.self_attn.q_norm.weight") == 0) {
            assert_int_equal(weight->n, 4096);
        }
        if (strcmp(weight->tensor, "model.layers.0.self_attn.k_norm.weight") == 0) {
            assert_int_equal(weight->n, 8 * 128);
        }
    }
    assert_true(test_has_weight(model, "model.layers.0.self_attn.k_norm.weight"));
    ko_model_free(model);
}

static void some_layers_of_olmo3_slide(void **state)
{
    static const struct {
        const char *config;
        int32_t reach[5];
    } rows[] = {
        {"{\"num_hidden_layers\": 5, \"sliding_window\": 6}", {6, 6, 6, INT32_MAX, 6}},
        {"{\"num_hidden_layers\": 5}", {4096, 4096, 4096, INT32_MAX, 4096}},
        {"{" TWO "\"sliding_window\": 7, \"layer_types\": [" FULL ", " SLIDING "]}",
         {INT32_MAX, 7}},
        {"{" TWO "\"sliding_window\": null, \"layer_types\": [" FULL ", " FULL "]}",
         {INT32_MAX, INT32_MAX}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("olmo3", rows[i].config, &err);
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

#define YARN "\"rope_type\": \"yarn\", \"factor\": 8.0, \"original_max_position_embeddings\": 256"

static void layers_of_olmo3_that_slide_turn_unscaled(void **state)
{
    static const struct {
        const char *config;
        double full_theta, sliding_theta;
        enum ko_rope_scaling full;
    } rows[] = {
        {"{}", 5e5, 5e5, KO_ROPE_DEFAULT},
        {"{\"rope_theta\": 7000}", 7000, 7000, KO_ROPE_DEFAULT},
        {"{\"rope_theta\": 7000, \"rope_scaling\": {" YARN "}}", 7000, 7000, KO_ROPE_YARN},
        {"{\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 7000, " YARN
         "}, \"sliding_attention\": {\"rope_theta\": 8000, \"rope_type\": \"default\"}}}",
         7000, 8000, KO_ROPE_YARN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("olmo3", rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        assert_int_equal(model->n_ropes, 2);
        assert_int_equal(model->rope[0].config.scaling, rows[i].full);
        assert_int_equal(model->rope[1].config.scaling, KO_ROPE_DEFAULT);
        assert_true(model->rope[0].config.theta == rows[i].full_theta);
        assert_true(model->rope[1].config.theta == rows[i].sliding_theta);
        ko_model_free(model);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal olmo2[] = {
        {"{\"attention_bias\": 1}", "toy: attention_bias: expected true or false, got 1"},
        {"{\"num_key_value_heads\": 3}",
         "toy: num_key_value_heads: 3 do not divide num_attention_heads of 32"},
        {"{\"hidden_act\": \"gelu\"}",
         "toy: hidden_act: 'gelu' is not supported for OLMo-2, only silu or swish"},
        {"{\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}}",
         "toy: rope_scaling: type: 'dynamic' is not supported for OLMo-2, only default or llama3"},
        {"{\"rms_norm_eps\": -1}", "toy: rms_norm_eps: expected a number from 0 to 1, got -1"},
    };
    static const struct test_refusal olmo3[] = {
        {"{\"sliding_window\": null}",
         "toy: sliding_window: null, but layer 0 has sliding_attention"},
        {"{\"sliding_window\": 0}",
         "toy: sliding_window: expected a whole number from 1 to 2147483647, got 0"},
        {"{" TWO "\"layer_types\": [" FULL "]}",
         "toy: layer_types: expected a list of 2 words, one per layer"},
        {"{" TWO "\"layer_types\": [" FULL ", \"chunked_attention\"]}",
         "toy: layer_types: 'chunked_attention' is not supported for OLMo-3, only full_attention "
         "or sliding_attention"},
        {"{\"rope_parameters\": {\"rope_theta\": 7000, " YARN "}}",
         "toy: rope_parameters: expected a set for each of full_attention and sliding_attention"},
        {"{\"rope_parameters\": 3}",
         "toy: rope_parameters: expected a set for each of full_attention and sliding_attention"},
        {"{\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"default\"}}}",
         "toy: rope_parameters: sliding_attention: missing, although there are numbers for "
         "full_attention"},
        {"{\"rope_parameters\": {\"full_attention\": {}, \"sliding_attention\": {" YARN "}}}",
         "toy: rope_parameters: sliding_attention: rope_type: 'yarn' is not supported for OLMo-3, "
         "only default"},
        {"{\"rope_scaling\": {\"rope_type\": \"longrope\"}}",
         "toy: rope_scaling: rope_type: 'longrope' is not supported for OLMo-3, only default, "
         "llama3 or yarn"},
    };
    (void)state;
    assert_int_equal(test_refusals("olmo2", olmo2, sizeof olmo2 / sizeof olmo2[0]), 0);
    assert_int_equal(test_refusals("olmo3", olmo3, sizeof olmo3 / sizeof olmo3[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(norms_follow_the_sublayers),
        cmocka_unit_test(some_layers_of_olmo3_slide),
        cmocka_unit_test(layers_of_olmo3_that_slide_turn_unscaled),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
