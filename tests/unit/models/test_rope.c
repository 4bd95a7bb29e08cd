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

/* Expected: theta ** (-2 k / d), and transformers' _compute_llama3_parameters written in double
   precision, which agrees with its float32 to 3e-7. */
static void frequencies_agree_with_the_reference(void **state)
{
    static const struct ko_rope_config plain = {.theta = 10000};
    static const struct ko_rope_config small = {500, true, 8, 1, 4, 16};
    static const struct ko_rope_config llama32 = {500000, true, 32, 1, 4, 8192};
    static const struct {
        const struct ko_rope_config *rope;
        int32_t d_head, k;
        double frequency;
    } rows[] = {
        {&plain, 6, 0, 1.0},
        {&plain, 6, 1, 0.046415888336127795},
        {&plain, 6, 2, 0.0021544346900318843},
        {&small, 8, 0, 0.5760564010955116},
        {&small, 8, 1, 0.026434281586014102},
        {&small, 8, 2, 0.005590169943749474},
        {&small, 8, 3, 0.0011821770112539697},
        {&llama32, 64, 1, 0.6636012376960885},
        {&llama32, 64, 14, 0.003211445994752591},
        {&llama32, 64, 15, 0.001290547928209264},
        {&llama32, 64, 16, 0.00042955679655936815},
        {&llama32, 64, 17, 9.70828780262767e-05},
        {&llama32, 64, 18, 1.9461638184831125e-05},
        {&llama32, 64, 31, 9.41830672543491e-08},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double got = ko_rope_frequency(rows[i].rope, rows[i].d_head, rows[i].k);
        /* Observed: at most 3e-16. */
        if (!(fabs(got - rows[i].frequency) <= 1e-14 * rows[i].frequency)) {
            fail_msg("row %zu: %.17g", i, got);
        }
    }
}

static void tables_hold_a_row_a_position(void **state)
{
    enum { POSITIONS = 50, HALF = 4 };
    static const struct ko_rope_config rope = {.theta = 100};
    float cosines[POSITIONS * HALF], sines[POSITIONS * HALF];
    (void)state;
    ko_rope_tables(&rope, POSITIONS, 2 * HALF, cosines, sines);
    for (int p = 0; p < POSITIONS; p++) {
        for (int k = 0; k < HALF; k++) {
            double angle = p * pow(100, -k / 4.0);
            assert_true(fabs((double)cosines[p * HALF + k] - cos(angle)) <= 1e-7);
            assert_true(fabs((double)sines[p * HALF + k] - sin(angle)) <= 1e-7);
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
         {500, true, 8, 1, 4, 16}},
        {"{\"rope_theta\": 500, \"rope_scaling\": {\"type\": \"llama3\", " LLAMA3 "}}",
         {500, true, 8, 1, 4, 16}},
        {"{\"rope_parameters\": {\"rope_theta\": 500, \"rope_type\": \"llama3\", " LLAMA3 "}}",
         {500, true, 8, 1, 4, 16}},
        {"{\"rope_parameters\": {\"rope_type\": \"default\"}, \"rope_scaling\": {\"rope_type\": "
         "\"llama3\", " LLAMA3 "}}",
         {10000, true, 8, 1, 4, 16}},
        {"{\"max_position_embeddings\": 99, \"rope_scaling\": {\"rope_type\": \"llama3\", "
         "\"factor\": 8.0, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0}}",
         {10000, true, 8, 1, 4, 99}},
        {"{\"original_max_position_embeddings\": 32, \"rope_scaling\": {\"rope_type\": "
         "\"llama3\", " LLAMA3 "}}",
         {10000, true, 8, 1, 4, 32}},
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
        if (!(got->theta == expected->theta && got->scaled == expected->scaled)) {
            fail_msg("row %zu: theta %g", i, got->theta);
        }
        if (got->scaled && !(got->factor == expected->factor && got->low == expected->low &&
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
        cmocka_unit_test(old_and_new_keys_say_the_same),
        cmocka_unit_test(rotations_that_are_not_known_are_refused_by_name),
        cmocka_unit_test(the_arena_holds_the_tables_of_the_positions_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
