/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "src/models/config.h"

/* ---- A family of this test that supports everything. */

enum { D_HEAD = 8, MAX_POSITIONS = 64, N_LAYERS = 5 };

static const struct ko_family family = {.name = "toy", .title = "Toy"};

static const struct ko_rope_support flat = {
    .theta_key = "rope_theta",
    .theta = 10000,
    .scalings =
        1U << KO_ROPE_LINEAR | 1U << KO_ROPE_LLAMA3 | 1U << KO_ROPE_YARN | 1U << KO_ROPE_LONGROPE,
};
static const struct ko_rope_support partial = {.theta_key = "rotary_emb_base",
                                               .theta = 10000,
                                               .part_key = "rotary_pct",
                                               .part = 0.25,
                                               .scalings = 1U << KO_ROPE_LINEAR};
static const struct ko_rope_support full_layers = {.theta_key = "rope_theta",
                                                   .theta = 1e6,
                                                   .scalings = 1U << KO_ROPE_LINEAR,
                                                   .layers = "full_attention"};
static const struct ko_rope_support sliding_layers = {.theta_key = "rope_local_base_freq",
                                                      .theta = 10000,
                                                      .scalings = 1U << KO_ROPE_LINEAR,
                                                      .layers = "sliding_attention",
                                                      .own_theta = true};

/* Calls `read` with a builder of the configuration. The error's text is in `err`. */
struct toy {
    struct ko_model model;
    struct ko_error err;
    struct ko_builder b;
};

static void begin_toy(struct toy *toy, const char *config)
{
    *toy = (struct toy){.model = {.family = &family, .shape = {.n_layers = N_LAYERS}}};
    toy->b = (struct ko_builder){.model = &toy->model,
                                 .config = json_tokener_parse(config),
                                 .where = "toy",
                                 .err = &toy->err};
    assert_non_null(toy->b.config);
}

static void end_toy(struct toy *toy)
{
    json_object_put(toy->b.config);
}

static void expect_text(const struct toy *toy, const char *config, const char *text)
{
    if (toy->b.code != KO_E_INPUT || strcmp(toy->err.text, text) != 0) {
        fail_msg("%s: '%s' is not '%s'", config, toy->err.text, text);
    }
}

#define YARN  "\"rope_type\": \"yarn\", \"factor\": 8, \"original_max_position_embeddings\": 16"
#define LISTS "\"short_factor\": [1, 2, 3, 4], \"long_factor\": [1.5, 2, 3, 4]"

/* ---- Rotary settings. */

#define TURN(base, numbers) .theta = (base), .n_rotated = (numbers)
#define YARN_OF(times, positions)                                                                  \
    .scaling = KO_ROPE_YARN, .factor = (times), .original = (positions)

/* Expected factors of cosines and sines: 0.1 ln 8 + 1, its quotient for mscale and mscale_all_dim,
   and sqrt(1 + ln(factor) / ln(original)). */
static const struct {
    const struct ko_rope_support *support;
    const char *config;
    struct ko_rope_config rope;
} settings[] = {
    {&flat, "{}", {TURN(10000, 8), .attention_factor = 0}},
    {&flat,
     "{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}}",
     {TURN(10000, 8), .scaling = KO_ROPE_LINEAR, .factor = 2}},
    {&flat,
     "{\"rope_theta\": 500, \"rope_scaling\": {" YARN "}}",
     {TURN(500, 8), YARN_OF(8, 16), .low = 1, .high = 32, .truncate = true,
      .attention_factor = 1.2079441541679836}},
    {&flat,
     "{\"rope_parameters\": {\"rope_theta\": 500, " YARN ", \"truncate\": false, "
     "\"beta_slow\": 2, \"beta_fast\": 16, \"attention_factor\": 1.5}}",
     {TURN(500, 8), YARN_OF(8, 16), .low = 2, .high = 16, .truncate = false,
      .attention_factor = 1.5}},
    {&flat,
     "{\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 40, \"mscale\": 0.707, "
     "\"mscale_all_dim\": 0.5}}",
     {TURN(10000, 8), YARN_OF(40, 64), .low = 1, .high = 32, .truncate = true,
      .attention_factor = 1.064468903941252}},
    {&flat,
     "{\"original_max_position_embeddings\": 32, \"rope_scaling\": {\"rope_type\": \"yarn\", "
     "\"factor\": null}}",
     {TURN(10000, 8), YARN_OF(2, 32), .low = 1, .high = 32, .truncate = true,
      .attention_factor = 1.0693147180559945}},
    {&flat,
     "{\"original_max_position_embeddings\": 16, \"rope_scaling\": {\"type\": "
     "\"longrope\", " LISTS "}}",
     {TURN(10000, 8), .scaling = KO_ROPE_LONGROPE, .factor = 4, .original = 16,
      .attention_factor = 1.224744871391589, .short_factor = {1, 2, 3, 4},
      .long_factor = {1.5, 2, 3, 4}}},
    {&flat,
     "{\"rope_scaling\": {\"type\": \"longrope\", " LISTS ", \"attention_factor\": 1.25}}",
     {TURN(10000, 8), .scaling = KO_ROPE_LONGROPE, .factor = 1, .original = 64,
      .attention_factor = 1.25, .short_factor = {1, 2, 3, 4}, .long_factor = {1.5, 2, 3, 4}}},
    {&partial, "{}", {TURN(10000, 2)}},
    {&partial, "{\"rotary_pct\": 0.9, \"rotary_emb_base\": 77}", {TURN(77, 0)}},
    {&partial, "{\"rotary_pct\": 0.55, \"rotary_emb_base\": 77}", {TURN(77, 4)}},
    {&partial,
     "{\"rotary_pct\": 1, \"rope_parameters\": {\"partial_rotary_factor\": 0.5, "
     "\"rope_theta\": 99}}",
     {TURN(99, 4)}},
    {&full_layers,
     "{\"rope_theta\": 500, \"rope_local_base_freq\": 7, \"rope_scaling\": {\"rope_type\": "
     "\"linear\", \"factor\": 8}}",
     {TURN(500, 8), .scaling = KO_ROPE_LINEAR, .factor = 8}},
    {&sliding_layers,
     "{\"rope_theta\": 500, \"rope_local_base_freq\": 7, \"rope_scaling\": {\"rope_type\": "
     "\"linear\", \"factor\": 8}}",
     {TURN(7, 8)}},
    {&full_layers,
     "{\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"linear\", \"factor\": 8}, "
     "\"sliding_attention\": {\"rope_theta\": 7}}}",
     {TURN(1e6, 8), .scaling = KO_ROPE_LINEAR, .factor = 8}},
    {&sliding_layers,
     "{\"rope_parameters\": {\"full_attention\": {\"rope_type\": \"linear\", \"factor\": 8}, "
     "\"sliding_attention\": {\"rope_theta\": 7}}}",
     {TURN(7, 8)}},
};

static void settings_of_every_scaling_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const struct ko_rope_config *want = &settings[i].rope;
        struct ko_rope_config got;
        struct toy toy;
        begin_toy(&toy, settings[i].config);
        ko_config_rope(&toy.b, settings[i].support, D_HEAD, MAX_POSITIONS, &got);
        if (want->n_rotated == 0) { /* seven numbers make no pairs */
            expect_text(&toy, settings[i].config,
                        "toy: rotary_pct: 0.9 of a head of 8 is 7, and rotary embedding turns "
                        "pairs");
            end_toy(&toy);
            continue;
        }
        if (toy.b.code != KO_OK) {
            fail_msg("row %zu: %s", i, toy.err.text);
        }
        assert_true(got.theta == want->theta);
        assert_int_equal(got.n_rotated, want->n_rotated);
        assert_int_equal(got.scaling, want->scaling);
        assert_true(got.factor == want->factor);
        assert_true(want->original == 0 || got.original == want->original);
        assert_true(got.low == want->low && got.high == want->high);
        assert_int_equal(got.truncate, want->truncate);
        /* Observed: 0. */
        assert_true(fabs(got.attention_factor - want->attention_factor) <= 1e-15);
        assert_memory_equal(got.short_factor, want->short_factor, sizeof got.short_factor);
        assert_memory_equal(got.long_factor, want->long_factor, sizeof got.long_factor);
        end_toy(&toy);
    }
}

static const struct {
    const struct ko_rope_support *support;
    const char *config, *text;
} refusals[] = {
    {&flat, "{\"rope_scaling\": {\"rope_type\": \"dynamic\"}}",
     "toy: rope_scaling: rope_type: 'dynamic' is not supported for Toy, only default, linear, "
     "llama3, yarn or longrope"},
    {&partial, "{\"rope_scaling\": {\"rope_type\": \"yarn\"}}",
     "toy: rope_scaling: rope_type: 'yarn' is not supported for Toy, only default or linear"},
    {&flat, "{\"rope_scaling\": {\"type\": \"linear\"}}",
     "toy: rope_scaling: factor: missing, rope_type linear needs it"},
    {&flat, "{\"rope_scaling\": {\"type\": \"linear\", \"factor\": -2}}",
     "toy: rope_scaling: factor: expected a number above 0, got -2"},
    {&flat, "{\"rope_scaling\": {\"type\": \"yarn\"}}",
     "toy: rope_scaling: factor: missing, rope_type yarn needs it"},
    {&flat, "{\"rope_scaling\": {" YARN ", \"beta_fast\": 1}}",
     "toy: rope_scaling: beta_fast: expected more than beta_slow of 1, got 1"},
    {&flat, "{\"rope_theta\": 1, \"rope_scaling\": {" YARN "}}",
     "toy: rope_scaling: rope_theta: expected a number above 1, got 1"},
    {&flat, "{\"rope_scaling\": {" YARN ", \"truncate\": 1}}",
     "toy: rope_scaling: truncate: expected true or false, got 1"},
    {&flat, "{\"rope_scaling\": {" YARN ", \"attention_factor\": 0}}",
     "toy: rope_scaling: attention_factor: expected a number above 0, got 0"},
    {&flat, "{\"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1, 1, 1, 1]}}",
     "toy: rope_scaling: long_factor: expected a list of 4 numbers, one for each pair that "
     "turns"},
    {&flat, "{\"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1, 1, 1]}}",
     "toy: rope_scaling: short_factor: expected a list of 4 numbers, one for each pair that "
     "turns"},
    {&flat, "{\"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1, 1, 0, 1]}}",
     "toy: rope_scaling: short_factor: number 2: expected a number above 0, got 0"},
    {&flat, "{\"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": [1, \"1\", 1, 1]}}",
     "toy: rope_scaling: short_factor: number 1: expected a number above 0, got \"1\""},
    {&flat,
     "{\"rope_scaling\": {\"type\": \"longrope\", " LISTS
     ", \"original_max_position_embeddings\": 1}}",
     "toy: rope_scaling: attention_factor: expected a number above 0, got inf"},
    {&flat,
     "{\"original_max_position_embeddings\": 0.5, \"rope_scaling\": {\"type\": "
     "\"longrope\", " LISTS "}}",
     "toy: rope_scaling: original_max_position_embeddings: expected a number of positions, "
     "got 0.5"},
    {&flat, "{\"partial_rotary_factor\": 0.5}",
     "toy: partial_rotary_factor: 0.5 is not supported, only 1"},
    {&partial, "{\"rotary_pct\": 0}",
     "toy: rotary_pct: expected a number above 0 and at most 1, got 0"},
    {&partial, "{\"rope_parameters\": {\"partial_rotary_factor\": 1.5}}",
     "toy: rope_parameters: partial_rotary_factor: expected a number above 0 and at most 1, "
     "got 1.5"},
    {&partial, "{\"rotary_emb_base\": 0}",
     "toy: rotary_emb_base: expected a number above 0, got 0"},
    {&flat, "{\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 5}}}",
     "toy: rope_parameters: full_attention: numbers for one kind of layer are not supported, "
     "only one set for all layers"},
    {&sliding_layers, "{\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 5}}}",
     "toy: rope_parameters: sliding_attention: missing, although there are numbers for "
     "full_attention"},
    {&full_layers, "{\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 0}}}",
     "toy: rope_parameters: full_attention: rope_theta: expected a number above 0, got 0"},
    {&full_layers,
     "{\"rope_scaling\": {\"rope_type\": \"default\"}, \"rope_parameters\": "
     "{\"full_attention\": {\"rope_theta\": 5}}}",
     "toy: rope_scaling: not supported together with a rope_parameters that has numbers for "
     "each kind of layer"},
};

static void rotary_settings_that_cannot_be_are_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct ko_rope_config got;
        struct toy toy;
        begin_toy(&toy, refusals[i].config);
        ko_config_rope(&toy.b, refusals[i].support, D_HEAD, MAX_POSITIONS, &got);
        expect_text(&toy, refusals[i].config, refusals[i].text);
        end_toy(&toy);
    }
}

/* A list of n ones as JSON. */
static void write_ones(int32_t n, char *text, size_t size)
{
    size_t at = (size_t)snprintf(text, size, "[1");
    for (int32_t i = 1; i < n; i++) {
        at += (size_t)snprintf(text + at, size - at, ",1");
    }
    snprintf(text + at, size - at, "]");
}

static void lists_of_factors_have_a_limit(void **state)
{
    enum { MOST = KO_MAX_ROPE_PAIRS };
    (void)state;
    for (int32_t n = MOST; n <= MOST + 1; n++) {
        char list[2 * MOST + 8], config[4 * MOST + 200];
        struct ko_rope_config got;
        struct toy toy;
        write_ones(n, list, sizeof list);
        snprintf(config, sizeof config,
                 "{\"rope_scaling\": {\"type\": \"longrope\", \"short_factor\": %s, "
                 "\"long_factor\": %s}}",
                 list, list);
        begin_toy(&toy, config);
        ko_config_rope(&toy.b, &flat, 2 * n, MAX_POSITIONS, &got);
        if (n == MOST) {
            assert_int_equal(toy.b.code, KO_OK);
            assert_true(got.long_factor[MOST - 1] == 1);
        } else {
            expect_text(&toy, "513 pairs",
                        "toy: rope_scaling: short_factor: 513 pairs are not supported, at most "
                        "512");
        }
        end_toy(&toy);
    }
}

/* ---- Kinds of layers. */

static void kinds_of_layers_come_from_the_list_or_the_pattern(void **state)
{
    static const struct {
        const char *config;
        int32_t pattern;
        uint8_t sliding[N_LAYERS];
    } rows[] = {
        {"{}", 0, {0, 0, 0, 0, 0}},
        {"{}", 1, {0, 0, 0, 0, 0}},
        {"{}", 2, {1, 0, 1, 0, 1}},
        {"{\"sliding_window_pattern\": null}", 4, {1, 1, 1, 0, 1}},
        {"{\"sliding_window_pattern\": 3}", 0, {1, 1, 0, 1, 1}},
        {"{\"_sliding_window_pattern\": 3}", 2, {1, 1, 0, 1, 1}},
        {"{\"sliding_window_pattern\": 9}", 2, {1, 1, 1, 1, 1}},
        {"{\"sliding_window_pattern\": 2, \"layer_types\": [\"full_attention\", "
         "\"full_attention\", \"sliding_attention\", \"full_attention\", \"full_attention\"]}",
         2,
         {0, 0, 1, 0, 0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t sliding[N_LAYERS];
        struct toy toy;
        begin_toy(&toy, rows[i].config);
        memset(sliding, 9, sizeof sliding);
        ko_config_layer_types(&toy.b, rows[i].pattern, sliding);
        assert_int_equal(toy.b.code, KO_OK);
        assert_memory_equal(sliding, rows[i].sliding, sizeof sliding);
        end_toy(&toy);
    }
}

static void kinds_of_layers_that_are_not_known_are_refused(void **state)
{
    static const struct {
        const char *config, *text;
    } rows[] = {
        {"{\"layer_types\": \"full_attention\"}",
         "toy: layer_types: expected a list of 5 words, one per layer"},
        {"{\"layer_types\": [\"full_attention\"]}",
         "toy: layer_types: expected a list of 5 words, one per layer"},
        {"{\"layer_types\": [\"full_attention\", \"full_attention\", \"chunked_attention\", "
         "\"full_attention\", \"full_attention\"]}",
         "toy: layer_types: 'chunked_attention' is not supported for Toy, only full_attention or "
         "sliding_attention"},
        {"{\"layer_types\": [\"full_attention\", null, \"full_attention\", \"full_attention\", "
         "\"full_attention\"]}",
         "toy: layer_types: 'null' is not supported for Toy, only full_attention or "
         "sliding_attention"},
        {"{\"sliding_window_pattern\": 0}",
         "toy: sliding_window_pattern: expected a whole number from 1 to 2147483647, got 0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t sliding[N_LAYERS];
        struct toy toy;
        begin_toy(&toy, rows[i].config);
        ko_config_layer_types(&toy.b, 0, sliding);
        expect_text(&toy, rows[i].config, rows[i].text);
        end_toy(&toy);
    }
}

/* ---- Numbers. */

static void numbers_have_their_limits(void **state)
{
    static const struct {
        const char *config;
        bool zero; /* is allowed */
        float value;
        const char *text; /* NULL: no error */
    } rows[] = {
        {"{}", false, 3, NULL},
        {"{\"n\": null}", true, 3, NULL},
        {"{\"n\": 0.25}", false, 0.25F, NULL},
        {"{\"n\": 0}", true, 0, NULL},
        {"{\"n\": 0}", false, 3, "toy: n: expected a number above 0, got 0"},
        {"{\"n\": -1}", true, 3, "toy: n: expected a number of 0 or more, got -1"},
        {"{\"n\": NaN}", true, 3, "toy: n: expected a number of 0 or more, got nan"},
        {"{\"n\": Infinity}", false, 3, "toy: n: expected a number above 0, got inf"},
        {"{\"n\": 1e39}", false, 3, "toy: n: expected a number above 0, got 1e+39"},
        {"{\"n\": 1e-60}", false, 3, "toy: n: expected a number above 0, got 1e-60"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        float value = -1;
        struct toy toy;
        begin_toy(&toy, rows[i].config);
        if (rows[i].zero) {
            ko_config_not_negative(&toy.b, "n", 3, &value);
        } else {
            ko_config_positive(&toy.b, "n", 3, &value);
        }
        assert_true(value == rows[i].value);
        if (rows[i].text) {
            expect_text(&toy, rows[i].config, rows[i].text);
        } else {
            assert_int_equal(toy.b.code, KO_OK);
        }
        end_toy(&toy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_of_every_scaling_are_read),
        cmocka_unit_test(rotary_settings_that_cannot_be_are_refused_by_name),
        cmocka_unit_test(lists_of_factors_have_a_limit),
        cmocka_unit_test(kinds_of_layers_come_from_the_list_or_the_pattern),
        cmocka_unit_test(kinds_of_layers_that_are_not_known_are_refused),
        cmocka_unit_test(numbers_have_their_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
