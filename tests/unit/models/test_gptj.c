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
            n_rotated;
    } rows[] = {
        {"{}", 4096, 28, 50400, 16, 16, 256, 16384, 2048, 50256, 64},
        {"{\"n_embd\": 48, \"n_head\": 3, \"n_layer\": 2, \"n_inner\": null, \"n_positions\": 20, "
         "\"vocab_size\": 9, \"rotary_dim\": 8, \"bos_token_id\": 0}",
         48, 2, 9, 3, 3, 16, 192, 20, 0, 8},
        {"{\"hidden_size\": 48, \"num_attention_heads\": 3, \"num_hidden_layers\": 2, "
         "\"max_position_embeddings\": 32768, \"n_inner\": 100, \"rotary_dim\": 16, "
         "\"vocab_size\": 512}",
         48, 2, 512, 3, 3, 16, 100, KO_MAX_POSITIONS, -1, 16},
        {"{\"activation_function\": \"gelu_fast\", \"tie_word_embeddings\": true}", 4096, 28, 50400,
         16, 16, 256, 16384, 2048, 50256, 64},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("gptj", rows[i].config, &err);
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
        assert_int_equal(model->rope[0].config.n_rotated, rows[i].n_rotated);
        assert_true(model->rope[0].config.interleaved);
        assert_true(model->rope[0].config.theta == 10000);
        assert_true(model->sublayer[1].parallel);
        assert_true(test_has_weight(model, "lm_head.bias"));
        assert_false(test_has_weight(model, "transformer.h.0.attn.q_proj.bias"));
        ko_model_free(model);
    }
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"activation_function\": \"gelu\"}",
         "toy: activation_function: 'gelu' is not supported for GPT-J, only gelu_new or gelu_fast "
         "or gelu_pytorch_tanh"},
        {"{\"rotary\": false}", "toy: rotary: false is not supported for GPT-J, only true"},
        {"{\"scale_attn_weights\": false}",
         "toy: scale_attn_weights: false is not supported for GPT-J, only true"},
        {"{\"rotary_dim\": null}",
         "toy: rotary_dim: null is not supported for GPT-J, only a number"},
        {"{\"rotary_dim\": 7}",
         "toy: rotary_dim: expected an even number, at most the head's width of 256, got 7"},
        {"{\"rotary_dim\": 258}",
         "toy: rotary_dim: expected an even number, at most the head's width of 256, got 258"},
        {"{\"rotary_dim\": 0}",
         "toy: rotary_dim: expected a whole number from 1 to 1048576, got 0"},
        {"{\"n_head\": 5}", "toy: n_head: 5 heads do not divide n_embd of 4096"},
        {"{\"n_layer\": 1.5}", "toy: n_layer: expected a whole number from 1 to 16384, got 1.5"},
        {"{\"layer_norm_epsilon\": 2}",
         "toy: layer_norm_epsilon: expected a number from 0 to 1, got 2"},
    };
    (void)state;
    assert_int_equal(test_refusals("gptj", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_the_defaults),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
