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
#include "src/models/rope.h"
#include "tests/support/configured.h"

#define LLAMA3_OF(times, positions)                                                                \
    .scaling = KO_ROPE_LLAMA3, .factor = (times), .low = 1, .high = 4, .original = (positions)

#define YARN_OF(times, positions)                                                                  \
    .scaling = KO_ROPE_YARN, .factor = (times), .low = 1, .high = 32, .original = (positions)

static const struct ko_rope_config long_rope = {.theta = 10000,
                                                .n_rotated = 6,
                                                .scaling = KO_ROPE_LONGROPE,
                                                .original = 4,
                                                .attention_factor = 1.5,
                                                .short_factor = {1, 1.05, 1.1},
                                                .long_factor = {1, 1.7, 2.4}};

/* Expected: theta ** (-2 k / d), and the functions of transformers 5.24's modeling_rope_utils
   (_compute_linear_scaling_rope_parameters, _compute_llama3_parameters, _compute_yarn_parameters,
   _compute_longrope_parameters) written in double precision. */
static void frequencies_agree_with_the_reference(void **state)
{
    static const struct ko_rope_config plain = {.theta = 10000, .n_rotated = 6};
    static const struct ko_rope_config small = {.theta = 500, .n_rotated = 8, LLAMA3_OF(8, 16)};
    static const struct ko_rope_config llama32 = {
        .theta = 500000, .n_rotated = 64, LLAMA3_OF(32, 8192)};
    static const struct ko_rope_config linear = {
        .theta = 1e6, .n_rotated = 6, .scaling = KO_ROPE_LINEAR, .factor = 8};
    static const struct ko_rope_config olmo3 = {
        .theta = 500000, .n_rotated = 128, YARN_OF(8, 8192), .truncate = true};
    static const struct ko_rope_config gpt_oss = {
        .theta = 150000, .n_rotated = 64, YARN_OF(32, 4096)};
    static const struct {
        const struct ko_rope_config *rope;
        int32_t k;
        double frequency;
    } rows[] = {
        {&plain, 0, 1.0},
        {&plain, 1, 0.046415888336127795},
        {&plain, 2, 0.0021544346900318843},
        {&small, 0, 0.5760564010955116},
        {&small, 1, 0.026434281586014102},
        {&small, 2, 0.005590169943749474},
        {&small, 3, 0.0011821770112539697},
        {&llama32, 1, 0.6636012376960885},
        {&llama32, 14, 0.003211445994752591},
        {&llama32, 15, 0.001290547928209264},
        {&llama32, 16, 0.00042955679655936815},
        {&llama32, 17, 9.70828780262767e-05},
        {&llama32, 18, 1.9461638184831125e-05},
        {&llama32, 31, 9.41830672543491e-08},
        {&linear, 0, 0.125},
        {&linear, 1, 0.0012500000000000002},
        {&linear, 2, 1.2500000000000006e-05},
        {&olmo3, 0, 1.0},
        {&olmo3, 15, 0.04616405026546052},
        {&olmo3, 30, 0.0008148398229369278},
        {&olmo3, 40, 3.428102195952591e-05},
        {&olmo3, 63, 3.068925988914511e-07},
        {&gpt_oss, 8, 0.050813274815461475},
        {&gpt_oss, 9, 0.03170569618466377},
        {&gpt_oss, 12, 0.006794959489732219},
        {&gpt_oss, 17, 0.00012931870124506317},
        {&gpt_oss, 18, 3.8308812373753384e-05},
        {&gpt_oss, 31, 3.0235114281192144e-07},
        {&long_rope, 0, 1.0},
        {&long_rope, 1, 0.044205607939169334},
        {&long_rope, 2, 0.0019585769909380765},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double got = ko_rope_frequency(rows[i].rope, rows[i].k, false);
        /* Observed: at most 3e-16. */
        if (!(fabs(got - rows[i].frequency) <= 1e-14 * rows[i].frequency)) {
            fail_msg("row %zu: %.17g", i, got);
        }
    }
}

static void tables_hold_a_row_a_position(void **state)
{
    enum { POSITIONS = 50, HALF = 4 };
    static const struct ko_rope_config rope = {.theta = 100, .n_rotated = 2 * HALF};
    float cosines[POSITIONS * HALF], sines[POSITIONS * HALF];
    (void)state;
    ko_rope_tables(&rope, POSITIONS, false, cosines, sines);
    for (int p = 0; p < POSITIONS; p++) {
        for (int k = 0; k < HALF; k++) {
            double angle = p * pow(100, -k / 4.0);
            assert_true(fabs((double)cosines[p * HALF + k] - cos(angle)) <= 1e-7);
            assert_true(fabs((double)sines[p * HALF + k] - sin(angle)) <= 1e-7);
        }
    }
}

static void long_prompts_have_tables_of_their_own(void **state)
{
    enum { POSITIONS = 3, HALF = 3 };
    /* 1 / (long_factor * 10000 ** (2 k / 6)), as above */
    static const double frequency[HALF] = {1.0, 0.027303463727134002, 0.0008976811208466186};
    float cosines[POSITIONS * HALF], sines[POSITIONS * HALF];
    (void)state;
    ko_rope_tables(&long_rope, POSITIONS, true, cosines, sines);
    for (int p = 0; p < POSITIONS; p++) {
        for (int k = 0; k < HALF; k++) {
            const double angle = p * frequency[k], got = ko_rope_frequency(&long_rope, k, true);
            /* Observed: at most 1.3e-16 of it. */
            assert_true(fabs(got - frequency[k]) <= 1e-14 * frequency[k]);
            /* Half a unit in the last place of 1.5. */
            assert_true(fabs((double)cosines[p * HALF + k] - 1.5 * cos(angle)) <= 6.1e-8);
            assert_true(fabs((double)sines[p * HALF + k] - 1.5 * sin(angle)) <= 6.1e-8);
        }
    }
}

#define LLAMA3                                                                                     \
    "\"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4, "                             \
    "\"original_max_position_embeddings\": 16"

/* What transformers' convert_rope_params_to_dict makes of them. */
static void old_and_new_keys_say_the_same(void **state)
{
    static const struct {
        const char *config;
        struct ko_rope_config rope;
    } rows[] = {
        {"{}", {.theta = 10000}},
        {"{\"rope_theta\": 500}", {.theta = 500}},
        {"{\"rope_theta\": 500.0, \"rope_scaling\": null}", {.theta = 500}},
        {"{\"rope_parameters\": {\"rope_theta\": 500.0, \"rope_type\": \"default\"}}",
         {.theta = 500}},
        {"{\"rope_theta\": 3, \"rope_parameters\": {\"rope_theta\": 500.0}}", {.theta = 500}},
        {"{\"rope_theta\": 500.0, \"rope_parameters\": {\"rope_type\": \"default\"}}",
         {.theta = 500}},
        {"{\"rope_scaling\": {\"type\": \"default\"}}", {.theta = 10000}},
        {"{\"rope_theta\": 500, \"rope_scaling\": {\"rope_type\": \"llama3\", " LLAMA3 "}}",
         {.theta = 500, LLAMA3_OF(8, 16)}},
        {"{\"rope_theta\": 500, \"rope_scaling\": {\"type\": \"llama3\", " LLAMA3 "}}",
         {.theta = 500, LLAMA3_OF(8, 16)}},
        {"{\"rope_parameters\": {\"rope_theta\": 500, \"rope_type\": \"llama3\", " LLAMA3 "}}",
         {.theta = 500, LLAMA3_OF(8, 16)}},
        {"{\"rope_parameters\": {\"rope_type\": \"default\"}, \"rope_scaling\": {\"rope_type\": "
         "\"llama3\", " LLAMA3 "}}",
         {.theta = 10000, LLAMA3_OF(8, 16)}},
        {"{\"max_position_embeddings\": 99, \"rope_scaling\": {\"rope_type\": \"llama3\", "
         "\"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0}}",
         {.theta = 10000, LLAMA3_OF(8, 99)}},
        {"{\"original_max_position_embeddings\": 32, \"rope_scaling\": {\"rope_type\": "
         "\"llama3\", " LLAMA3 "}}",
         {.theta = 10000, LLAMA3_OF(8, 32)}},
        {"{\"partial_rotary_factor\": 1.0}", {.theta = 10000}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_model *model = test_configured("llama", rows[i].config, &err);
        if (!model) {
            fail_msg("row %zu: %s", i, err.text);
        }
        const struct ko_rope_config *got = &model->rope[0].config;
        const struct ko_rope_config *expected = &rows[i].rope;
        if (!(got->theta == expected->theta && got->scaling == expected->scaling)) {
            fail_msg("row %zu: theta %g", i, got->theta);
        }
        if (got->scaling == KO_ROPE_LLAMA3 &&
            !(got->factor == expected->factor && got->low == expected->low &&
              got->high == expected->high && got->original == expected->original)) {
            fail_msg("row %zu: factor %g, original %g", i, got->factor, got->original);
        }
        ko_model_free(model);
    }
}

static void rotations_that_are_not_known_are_refused_by_name(void **state)
{
    static const struct test_refusal rows[] = {
        {"{\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4.0}}",
         "toy: rope_scaling: rope_type: 'yarn' is not supported for Llama, only default or llama3"},
        {"{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}}",
         "toy: rope_scaling: type: 'linear' is not supported for Llama, only default or llama3"},
        {"{\"rope_parameters\": {\"rope_type\": \"lama3\"}}",
         "toy: rope_parameters: rope_type: 'lama3' is not supported for Llama, only default or "
         "llama3"},
        {"{\"rope_parameters\": {\"rope_type\": 3}}",
         "toy: rope_parameters: rope_type: expected a string, got 3"},
        {"{\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 1e4}}}",
         "toy: rope_parameters: full_attention: numbers for one kind of layer are not supported, "
         "only one set for all layers"},
        {"{\"rope_scaling\": \"llama3\"}", "toy: rope_scaling: expected an object, got \"llama3\""},
        {"{\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": "
         "1.0}}",
         "toy: rope_scaling: high_freq_factor: missing, rope_type llama3 needs it"},
        {"{\"rope_scaling\": {\"rope_type\": \"llama3\"}}",
         "toy: rope_scaling: factor: missing, rope_type llama3 needs it"},
        {"{\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": "
         "4.0, \"high_freq_factor\": 4.0}}",
         "toy: rope_scaling: high_freq_factor: expected more than low_freq_factor of 4, got 4"},
        {"{\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 0}}",
         "toy: rope_scaling: factor: expected a number above 0, got 0"},
        {"{\"rope_theta\": -1}", "toy: rope_theta: expected a number above 0, got -1"},
        {"{\"rope_theta\": Infinity}", "toy: rope_theta: expected a number above 0, got inf"},
        {"{\"rope_parameters\": {\"rope_theta\": NaN}}",
         "toy: rope_parameters: rope_theta: expected a number above 0, got nan"},
        {"{\"partial_rotary_factor\": 0.5}",
         "toy: partial_rotary_factor: 0.5 is not supported, only 1"},
        {"{\"rope_parameters\": {\"partial_rotary_factor\": 0.25}}",
         "toy: rope_parameters: partial_rotary_factor: 0.25 is not supported, only 1"},
    };
    (void)state;
    assert_int_equal(test_refusals("llama", rows, sizeof rows / sizeof rows[0]), 0);
}

static void the_arena_holds_the_tables_of_the_positions_at_most(void **state)
{
    struct ko_error err = {0};
    (void)state;
    struct ko_model *model = test_configured(
        "llama",
        "{\"hidden_size\": 8, \"num_attention_heads\": 2, \"num_hidden_layers\": 1, "
        "\"intermediate_size\": 4, \"vocab_size\": 5, \"max_position_embeddings\": 131072}",
        &err);
    assert_non_null(model);
    assert_int_equal(model->shape.max_tokens, KO_MAX_POSITIONS);
    const struct ko_rope_table *t = &model->rope[0];
    const size_t last = (size_t)KO_MAX_POSITIONS * 2 - 1;
    assert_true(t->sin + last < ko_model_floats(model));
    float *arena = calloc(ko_model_floats(model), sizeof *arena);
    assert_non_null(arena);
    ko_model_fill_random(model, 1, arena);
    double angle = (KO_MAX_POSITIONS - 1) * 0.01; /* 10000 ** (-2 / 4) */
    assert_true(fabs((double)arena[t->cos + last] - cos(angle)) <= 1e-7);
    assert_true(fabs((double)arena[t->sin + last] - sin(angle)) <= 1e-7);
    free(arena);
    ko_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frequencies_agree_with_the_reference),
        cmocka_unit_test(tables_hold_a_row_a_position),
        cmocka_unit_test(long_prompts_have_tables_of_their_own),
        cmocka_unit_test(old_and_new_keys_say_the_same),
        cmocka_unit_test(rotations_that_are_not_known_are_refused_by_name),
        cmocka_unit_test(the_arena_holds_the_tables_of_the_positions_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
