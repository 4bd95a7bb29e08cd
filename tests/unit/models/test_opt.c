/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/configured.h"

static void missing_keys_take_the_defaults(void **state)
{
    static const struct {
        const char *config;
        int32_t d_model, n_layers, vocabulary, n_heads, n_kv_heads, d_head, d_ff, max_tokens, bos,
            width;
    } rows[] = {
        {"{}", 768, 12, 50272, 12, 12, 64, 3072, 2048, 2, 768},
        {"{\"hidden_size\": 48, \"num_attention_heads\": 4, \"ffn_dim\": 100, "
         "\"num_hidden_layers\": 2, \"vocab_size\": 9, \"max_position_embeddings\": 20, "
         "\"word_embed_proj_dim\": 32, \"bos_token_id\": null}",
         48, 2, 9, 4, 4, 12, 100, 20, -1, 32},
        {"{\"word_embed_proj_dim\": null, \"bos_token_id\": 0}", 768, 12, 50272, 12, 12, 64, 3072,
         2048, 0, 768},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("opt", rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
        assert_int_equal(s->d_model, rows[i].d_model);
        assert_int_equal(s->n_layers, rows[i].n_layers);
        assert_int_equal(s->vocabulary, rows[i].vocabulary);
        assert_int_equal(s->n_heads, rows[i].n_heads);
        assert_int_equal(s->n_kv_heads, rows[i].n_kv_heads);
        assert_int_equal(s->d_head, rows[i].d_head);
        assert_int_equal(s->d_ff, rows[i].d_ff);
        assert_int_equal(s->max_tokens, rows[i].max_tokens);
        assert_int_equal(s->bos_id, rows[i].bos);
        assert_int_equal(s->reach, INT32_MAX);
        assert_int_equal(model->ends.embedding_width, rows[i].width);
        assert_int_equal(model->ends.first_position, 2);
        assert_int_equal(model->n_ropes, 0);
        assert_true(model->ends.tied);
        assert_int_equal(test_has_weight(model, "model.decoder.project_in.weight"),
                         rows[i].width != rows[i].d_model);
        ko_model_free(model);
    }
}

static void keys_of_the_layer_are_heeded(void **state)
{
    static const struct {
        const char *config;
        bool norm_before, final_norm, bias;
    } rows[] = {
        {"{}", true, true, true},
        {"{\"do_layer_norm_before\": false}", false, false, true},
        {"{\"_remove_final_layer_norm\": true}", true, false, true},
        {"{\"enable_bias\": false}", true, true, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("opt", rows[i].config, &err);
        assert_non_null(model);
        const enum ko_norm_kind after = rows[i].norm_before ? KO_NO_NORM : KO_LAYER_NORM;
        const enum ko_norm_kind last = rows[i].final_norm ? KO_LAYER_NORM : KO_NO_NORM;
        assert_int_equal(model->sublayer[0].sum_norm.kind, after);
        assert_int_equal(model->sublayer[1].sum_norm.kind, after);
        assert_int_equal(model->ends.final_norm.kind, last);
        assert_int_equal(test_has_weight(model, "model.decoder.final_layer_norm.weight"),
                         rows[i].final_norm);
        assert_true(test_has_weight(model, "model.decoder.layers.0.final_layer_norm.bias"));
        assert_int_equal(test_has_weight(model, "model.decoder.layers.0.fc1.bias"), rows[i].bias);
        assert_int_equal(test_has_weight(model, "model.decoder.layers.0.self_attn.out_proj.bias"),
                         rows[i].bias);
        ko_model_free(model);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"activation_function\": \"gelu\"}",
         "toy: activation_function: 'gelu' is not supported for OPT, only relu"},
        {"{\"layer_norm_elementwise_affine\": false}",
         "toy: layer_norm_elementwise_affine: false is not supported for OPT, only true"},
        {"{\"num_attention_heads\": 7}",
         "toy: num_attention_heads: 7 heads do not divide hidden_size of 768"},
        {"{\"word_embed_proj_dim\": 0}",
         "toy: word_embed_proj_dim: expected a whole number from 1 to 1048576, got 0"},
        {"{\"do_layer_norm_before\": \"yes\"}",
         "toy: do_layer_norm_before: expected true or false, got \"yes\""},
        {"{\"enable_bias\": 0}", "toy: enable_bias: expected true or false, got 0"},
        {"{\"ffn_dim\": 0.5}", "toy: ffn_dim: expected a whole number from 1 to 1048576, got 0.5"},
        {"{\"max_position_embeddings\": 0}",
         "toy: max_position_embeddings: expected a whole number from 1 to 67108864, got 0"},
    };
    (void)state;
    assert_int_equal(test_refusals("opt", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(keys_of_the_layer_are_heeded),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
