/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/models/families.h"
#include "src/models/original.h"
#include "tests/support/configured.h"

#define MAMBA2(more) "{\"d_model\": 768, \"ssm_cfg\": {\"layer\": \"Mamba2\"" more "}}"
#define MAMBA1(more) "{\"d_model\": 768, \"ssm_cfg\": {" more "}}"

static void missing_keys_take_mamba_ssms_defaults(void **state)
{
    static const struct {
        const char *config, *family;
        int32_t n_layers, vocabulary, d_inner, d_state, d_conv, dt_rank, n_heads, n_groups, bos;
    } rows[] = {
        {MAMBA1(""), "mamba", 64, 50280, 1536, 16, 4, 48, 0, 0, -1},
        {MAMBA1("\"layer\": \"Mamba1\", \"dt_rank\": \"auto\", \"use_fast_path\": false"), "mamba",
         64, 50280, 1536, 16, 4, 48, 0, 0, -1},
        {MAMBA1("\"d_state\": 8, \"d_conv\": 3, \"expand\": 1.5, \"dt_rank\": 5"), "mamba", 64,
         50280, 1152, 8, 3, 5, 0, 0, -1},
        {"{\"d_model\": 40, \"ssm_cfg\": null, \"n_layer\": 3, \"vocab_size\": 500, "
         "\"pad_vocab_size_multiple\": 16, \"bos_token_id\": 7}",
         "mamba", 3, 512, 80, 16, 4, 3, 0, 0, 7},
        {"{\"d_model\": 40, \"ssm_cfg\": {}, \"vocab_size\": 512, \"pad_vocab_size_multiple\": 1}",
         "mamba", 64, 512, 80, 16, 4, 3, 0, 0, -1},
        {MAMBA2(""), "mamba2", 64, 50280, 1536, 128, 4, 0, 24, 1, -1},
        {MAMBA2(", \"headdim\": 32, \"ngroups\": 4, \"d_state\": 16, \"d_ssm\": 1536, "
                "\"rmsnorm\": true, \"norm_before_gate\": false, \"dt_limit\": [0.0, Infinity], "
                "\"chunk_size\": 64"),
         "mamba2", 64, 50280, 1536, 16, 4, 0, 48, 4, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured(NULL, rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        const struct test_sizes sizes = test_sizes_of(model), *s = &sizes;
        assert_string_equal(model->family->name, rows[i].family);
        assert_int_equal(s->n_layers, rows[i].n_layers);
        assert_int_equal(s->vocabulary, rows[i].vocabulary);
        assert_int_equal(s->d_inner, rows[i].d_inner);
        assert_int_equal(s->d_state, rows[i].d_state);
        assert_int_equal(s->d_conv, rows[i].d_conv);
        assert_int_equal(s->dt_rank, rows[i].dt_rank);
        assert_int_equal(s->n_ssm_heads, rows[i].n_heads);
        assert_int_equal(s->n_groups, rows[i].n_groups);
        assert_int_equal(s->bos_id, rows[i].bos);
        assert_true(s->norm_eps == 1e-5f);
        assert_string_equal(model->tie_key, "tie_embeddings");
        /* Tied. */
        assert_string_equal(model->weights[model->n_weights - 1].tensor, "backbone.norm_f.weight");
        ko_model_free(model);
    }
}

static void every_key_reaches_its_twin(void **state)
{
    static const char config[] =
        "{\"d_model\": 48, \"n_layer\": 4, \"vocab_size\": 500, \"pad_vocab_size_multiple\": 16, "
        "\"tie_embeddings\": false, \"norm_epsilon\": 0.001, \"residual_in_fp32\": true, "
        "\"fused_add_norm\": true, \"attn_layer_idx\": [], \"attn_cfg\": {}, \"d_intermediate\": "
        "0, \"rms_norm\": true, \"ssm_cfg\": {\"layer\": \"Mamba2\", \"d_state\": 5, \"d_conv\": "
        "3, \"expand\": 4, \"headdim\": 12, \"ngroups\": 2, \"dt_limit\": [0.5, 1.5], \"bias\": "
        "true, \"conv_bias\": false}}";
    static const char expected[] =
        "{\"model_type\": \"mamba2\", \"hidden_size\": 48, \"num_hidden_layers\": 4, "
        "\"vocab_size\": 512, \"tie_word_embeddings\": false, \"layer_norm_epsilon\": 0.001, "
        "\"bos_token_id\": null, \"state_size\": 5, \"conv_kernel\": 3, \"intermediate_size\": "
        "192, \"head_dim\": 12, \"num_heads\": 16, \"n_groups\": 2, \"time_step_limit\": [0.5, "
        "1.5], \"use_bias\": true, \"use_conv_bias\": false}";
    struct ko_error err = {0};
    json_object *from = json_tokener_parse(config), *to = NULL;
    json_object *wanted = json_tokener_parse(expected);
    (void)state;
    assert_true(ko_config_is_original(from));
    assert_false(ko_config_is_original(wanted));
    if (ko_config_from_original("toy", from, &to, &err)) {
        fail_msg("%s", err.text);
    }
    if (!json_object_equal(to, wanted)) {
        fail_msg("%s", json_object_to_json_string(to));
    }
    json_object_put(from);
    json_object_put(to);
    json_object_put(wanted);
}

static void unsupported_values_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"d_model\": 768, \"ssm_cfg\": {}, \"attn_layer_idx\": [9, 18]}",
         "toy: attn_layer_idx: attention layers are not supported, only an empty list, got [9,18]"},
        {"{\"d_model\": 768, \"ssm_cfg\": {}, \"d_intermediate\": 2048}",
         "toy: d_intermediate: MLPs are not supported, only 0, got 2048"},
        {"{\"d_model\": 768, \"ssm_cfg\": {}, \"rms_norm\": false}",
         "toy: rms_norm: false is not supported, only true"},
        {"{\"d_model\": 768, \"ssm_cfg\": []}", "toy: ssm_cfg: expected an object, got []"},
        {"{\"d_model\": 0, \"ssm_cfg\": {}}",
         "toy: d_model: expected a whole number from 1 to 1048576, got 0"},
        {"{\"d_model\": 8, \"ssm_cfg\": {}, \"n_layer\": \"4\"}",
         "toy: n_layer: expected a whole number from 1 to 16384, got \"4\""},
        {"{\"d_model\": 8, \"ssm_cfg\": {}, \"tie_embeddings\": 1}",
         "toy: tie_embeddings: expected true or false, got 1"},
        {"{\"d_model\": 8, \"ssm_cfg\": {}, \"pad_vocab_size_multiple\": 0}",
         "toy: pad_vocab_size_multiple: expected a whole number from 1 to 67108864, got 0"},
        {"{\"d_model\": 8, \"ssm_cfg\": {}, \"vocab_size\": 67108864, "
         "\"pad_vocab_size_multiple\": 67108863}",
         "toy: pad_vocab_size_multiple: 67108863 makes a vocabulary of 134217726, beyond 67108864"},
        {MAMBA1("\"layer\": \"Mamba3\""),
         "toy: ssm_cfg: layer: 'Mamba3' is not supported, only Mamba1 or Mamba2"},
        {MAMBA1("\"ngroups\": 1"), "toy: ssm_cfg: ngroups: is not a key of Mamba1"},
        {MAMBA2(", \"head_dim\": 32"),
         "toy: ssm_cfg: head_dim: is not a key of Mamba2, did you mean 'headdim'?"},
        {MAMBA1("\"d_state\": 0"),
         "toy: ssm_cfg: d_state: expected a whole number from 1 to 1048576, got 0"},
        {MAMBA1("\"dt_rank\": \"half\""),
         "toy: ssm_cfg: dt_rank: expected a whole number from 1 to 1048576, got \"half\""},
        {MAMBA1("\"expand\": 0"),
         "toy: ssm_cfg: expand: 0 times d_model is not a width from 1 to 1048576"},
        {MAMBA2(", \"headdim\": 100"),
         "toy: ssm_cfg: headdim: 100 does not divide the inner width 1536"},
        {MAMBA2(", \"d_ssm\": 768"),
         "toy: ssm_cfg: d_ssm: 768 is not supported, only the inner width 1536"},
        {MAMBA2(", \"D_has_hdim\": true"),
         "toy: ssm_cfg: D_has_hdim: true is not supported, only false"},
        {MAMBA2(", \"rmsnorm\": false"),
         "toy: ssm_cfg: rmsnorm: false is not supported, only true"},
        {MAMBA2(", \"norm_before_gate\": true"),
         "toy: ssm_cfg: norm_before_gate: true is not supported, only false"},
        {MAMBA2(", \"dt_limit\": [1, 0]"),
         "toy: ssm_cfg: dt_limit: expected two numbers from 0, the first no larger than the "
         "second, got [1,0]"},
        {MAMBA2(", \"ngroups\": 5"), "toy: n_groups: 5 groups do not divide num_heads of 24"},
    };
    (void)state;
    assert_int_equal(test_refusals(NULL, rows, sizeof rows / sizeof rows[0]), 0);
}

static void a_layout_without_a_family_is_refused_with_all_that_are_known(void **state)
{
    static const char begin[] = "toy: model_type: missing from config.json, which names the family "
                                "in the layout of Hugging Face (known: mamba, falcon_mamba, ";
    static const char end[] = "); the original layout of Mamba has d_model and ssm_cfg";
    struct ko_error err = {0};
    (void)state;
    assert_null(test_configured(NULL, "{\"d_model\": 768}", &err));
    assert_true(strncmp(err.text, begin, strlen(begin)) == 0);
    assert_string_equal(err.text + strlen(err.text) - strlen(end), end);
    for (size_t f = 0; ko_families[f]; f++) {
        assert_non_null(strstr(err.text, ko_families[f]->model_types[0]));
    }
}

/* A file of Hugging Face's that keeps the original's keys, as state-spaces/mamba-130m-hf does. */
static void model_type_goes_before_the_original_keys(void **state)
{
    struct ko_error err = {0};
    (void)state;
    struct ko_model *model = test_configured(
        NULL,
        "{\"model_type\": \"mamba\", \"hidden_size\": 32, \"d_model\": 768, \"ssm_cfg\": {}, "
        "\"vocab_size\": 13, \"pad_vocab_size_multiple\": 8, \"rms_norm\": false}",
        &err);
    assert_non_null(model);
    assert_int_equal(model->shape.d_model, 32);
    assert_int_equal(model->shape.vocabulary, 13);
    assert_string_equal(model->tie_key, "tie_word_embeddings");
    ko_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_keys_take_mamba_ssms_defaults),
        cmocka_unit_test(every_key_reaches_its_twin),
        cmocka_unit_test(unsupported_values_are_refused_by_name),
        cmocka_unit_test(a_layout_without_a_family_is_refused_with_all_that_are_known),
        cmocka_unit_test(model_type_goes_before_the_original_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
