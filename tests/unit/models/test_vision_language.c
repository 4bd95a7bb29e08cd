/* SPDX-License-Identifier: Apache-2.0 */
/* The language parts of vision-language models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/rope_axis.h"
#include "tests/support/configured.h"

/* llava-hf/llava-1.5-7b-hf says little more than this. */
static void text_config_is_that_of_its_family(void **state)
{
    (void)state;
    struct ko_model *model =
        test_accepted("llava", "{\"text_config\": {\"model_type\": \"llama\", "
                               "\"vocab_size\": 32064, \"rms_norm_eps\": 1e-5}, "
                               "\"tie_word_embeddings\": false}");
    const struct test_sizes sizes = test_sizes_of(model);
    assert_int_equal(sizes.d_model, 4096);
    assert_int_equal(sizes.n_layers, 32);
    assert_int_equal(sizes.vocabulary, 32064);
    assert_true(sizes.norm_eps == 1e-5F);
    assert_false(model->ends.tied);
    assert_int_equal(model->rope[0].config.section[0], 0);
    ko_model_free(model);
}

/* Older files of Qwen2.5-VL have no text_config. */
static void sections_turn_the_pairs_of_a_head(void **state)
{
    (void)state;
    static const int32_t parts[] = {16, 24, 24}, woven[] = {24, 20, 20};
    struct ko_model *model = test_accepted(
        "qwen2_5_vl",
        "{\"hidden_size\": 2048, \"num_attention_heads\": 16, \"num_key_value_heads\": 2, "
        "\"rope_scaling\": {\"type\": \"mrope\", "
        "\"mrope_section\": [16, 24, 24]}, \"tie_word_embeddings\": true}");
    assert_true(model->ends.tied);
    assert_false(model->rope[0].config.woven);
    assert_memory_equal(model->rope[0].config.section, parts, sizeof parts);
    ko_model_free(model);
    model = test_accepted("qwen3_vl",
                          "{\"tie_word_embeddings\": true, \"text_config\": {\"model_type\": "
                          "\"qwen3_vl_text\", \"rope_scaling\": {\"mrope_section\": [24, 20, 20], "
                          "\"mrope_interleaved\": true, \"rope_type\": \"default\"}}}");
    assert_true(model->ends.tied);
    assert_true(model->rope[0].config.woven);
    assert_memory_equal(model->rope[0].config.section, woven, sizeof woven);
    ko_model_free(model);
}

static void each_pair_has_its_axis(void **state)
{
    (void)state;
    static const int32_t parts[] = {1, 2, 3}, woven[] = {4, 3, 2};
    static const int32_t of_parts[] = {0, 1, 1, 2, 2, 2}, of_woven[] = {0, 1, 2, 0, 1, 2, 0, 1, 0};
    for (int32_t k = 0; k < 6; k++) {
        assert_int_equal(ko_rope_axis(parts, false, k), of_parts[k]);
    }
    for (int32_t k = 0; k < 9; k++) {
        assert_int_equal(ko_rope_axis(woven, true, k), of_woven[k]);
    }
}

static void other_parts_and_sections_are_refused(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"text_config\": {\"model_type\": \"gemma2\"}}",
         "toy: text_config: model_type 'gemma2' is not supported as a language part, only llama, "
         "mistral, qwen2 and qwen3"},
        {"{\"text_config\": 3}", "toy: text_config: expected an object"},
        {"{\"text_config\": {\"rope_scaling\": {\"rope_type\": \"default\", \"mrope_section\": "
         "[16, 24, 25]}}}",
         "toy: rope_scaling: mrope_section: expected three numbers above 0 that add up to the 64 "
         "pairs of a head that turn (at most 512), got [ 16, 24, 25 ]"},
        {"{\"text_config\": {\"rope_scaling\": {\"rope_type\": \"default\", \"mrope_section\": "
         "[64]}}}",
         "toy: rope_scaling: mrope_section: expected three numbers above 0 that add up to the 64 "
         "pairs of a head that turn (at most 512), got [ 64 ]"},
    };
    (void)state;
    assert_int_equal(test_refusals("llava", rows, sizeof rows / sizeof rows[0]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_config_is_that_of_its_family),
        cmocka_unit_test(sections_turn_the_pairs_of_a_head),
        cmocka_unit_test(each_pair_has_its_axis),
        cmocka_unit_test(other_parts_and_sections_are_refused),
    };
    return cmocka_run_group_tests_name("vision_language", tests, NULL, NULL);
}
