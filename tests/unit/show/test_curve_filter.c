/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/show/axis_words.h"
#include "src/show/curve_filter.h"

static int32_t sizes[] = {1, 9};

static void add(struct ko_strings *list, const char *text)
{
    struct ko_error err = {0};
    assert_int_equal(ko_strings_add(list, text, &err), KO_OK);
}

static struct ko_cube_axes make_axes(void)
{
    struct ko_cube_axes axes = {.window_size = sizes, .n_sizes = 2};
    add(&axes.model, "mamba-130m");
    add(&axes.model, "gpt2-medium");
    add(&axes.route, "last<-subject");
    add(&axes.route, "last<-relation\\last");
    add(&axes.route, "later<-subject");
    add(&axes.route, "mlp@last");
    add(&axes.heat_route, "last<-each");
    add(&axes.heat_route, "mlp@each");
    add(&axes.feature_class, "all");
    add(&axes.feature_class, "slow-third");
    add(&axes.feature_class, "head:0");
    add(&axes.feature_class, "head:11");
    add(&axes.feature_class, "head:0~mean");
    add(&axes.feature_class, "ssm-head:0");
    return axes;
}

static void free_axes(struct ko_cube_axes *axes)
{
    ko_strings_free(&axes->model);
    ko_strings_free(&axes->route);
    ko_strings_free(&axes->heat_route);
    ko_strings_free(&axes->feature_class);
}

/* The filter of `show c.h5` with one more option. */
static enum ko_code read_filter(const char *option, const char *value,
                                struct ko_curve_filter *filter, struct ko_error *err)
{
    char program[] = "knockout", command[] = "show", cube[] = "c.h5";
    char *words[2] = {strdup(option), strdup(value)};
    char *argv[] = {program, command, cube, words[0], words[1], NULL};
    struct ko_options options = {0};
    struct ko_cube_axes axes = make_axes();
    bool help = false, version = false;
    assert_int_equal(ko_options_parse(5, argv, &options, &help, &version, err), KO_OK);
    const enum ko_code code = ko_curve_filter_read(&options, "c.h5", &axes, filter, err);
    ko_options_free(&options);
    free_axes(&axes);
    free(words[0]);
    free(words[1]);
    return code;
}

/* "110" */
static void assert_flags(const uint8_t *flags, const char *expected)
{
    for (size_t k = 0; expected[k]; k++) {
        if (flags[k] != (expected[k] == '1')) {
            fail_msg("flag %zu of %s is %d", k, expected, flags[k]);
        }
    }
}

static void filters_let_through_what_they_name(void **state)
{
    (void)state;
    const struct {
        const char *option, *value, *model, *route, *heat, *class, *size;
    } cases[] = {
        {"--metric", "kl", "11", "1111", "11", "111111", "11"},
        {"--model", "gpt2-medium", "01", "1111", "11", "111111", "11"},
        {"--target", "last", "11", "1101", "10", "111111", "11"},
        {"--target", "later", "11", "0010", "00", "111111", "11"},
        {"--target", "each", "11", "0000", "01", "111111", "11"},
        {"--source", "subject", "11", "1010", "00", "111111", "11"},
        {"--source", "relation \\ last", "11", "0100", "00", "111111", "11"},
        {"--source", "each", "11", "0000", "10", "111111", "11"},
        {"--source", "mlp", "11", "0001", "01", "111111", "11"},
        {"--route", "last<-subject", "11", "1000", "00", "111111", "11"},
        {"--route", "mlp @ last", "11", "0001", "00", "111111", "11"},
        {"--route", "mlp@each", "11", "0000", "01", "111111", "11"},
        {"--feature", "slow-third", "11", "1111", "11", "010000", "11"},
        {"--feature", "context-dependent", "11", "1111", "11", "010000", "11"},
        {"--feature", "head:11", "11", "1111", "11", "000100", "11"},
        {"--feature", "head:each", "11", "1111", "11", "001100", "11"},
        {"--feature", "head:each~mean", "11", "1111", "11", "000010", "11"},
        {"--feature", "ssm-head:each", "11", "1111", "11", "000001", "11"},
        {"--window-size", "9", "11", "1111", "11", "111111", "01"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct ko_curve_filter filter = {0};
        struct ko_error err = {0};
        if (read_filter(cases[k].option, cases[k].value, &filter, &err) != KO_OK) {
            fail_msg("%s %s: %s", cases[k].option, cases[k].value, err.text);
        }
        assert_flags(filter.model, cases[k].model);
        assert_flags(filter.route, cases[k].route);
        assert_flags(filter.heat_route, cases[k].heat);
        assert_flags(filter.class, cases[k].class);
        assert_flags(filter.size, cases[k].size);
        ko_curve_filter_free(&filter);
    }
}

static void unknown_values_name_the_nearest_known_one(void **state)
{
    (void)state;
    const struct {
        const char *option, *value, *text;
    } cases[] = {
        {"--model", "mamba-130",
         "--model: c.h5 has no model 'mamba-130', did you mean "
         "'mamba-130m'?"},
        {"--model", "llama",
         "--model: c.h5 has no model 'llama', choose from: mamba-130m, gpt2-medium"},
        {"--route", "mlp@lats", "--route: c.h5 has no route 'mlp@lats', did you mean 'mlp@last'?"},
        {"--target", "lst", "--target: c.h5 has no target 'lst', did you mean 'last'?"},
        {"--source", "subjects",
         "--source: c.h5 has no source 'subjects', did you mean 'subject'?"},
        {"--feature", "slow-thrid",
         "--feature: c.h5 has no feature class 'slow-thrid', did you mean 'slow-third'?"},
        {"--feature", "ssm-head:each~mean",
         "--feature: c.h5 has no feature class 'ssm-head:each~mean', choose from: all, slow-third, "
         "head:0, head:11, head:0~mean, ssm-head:0"},
        {"--window-size", "7", "--window-size: c.h5 has no window of 7 layers, did you mean 9?"},
        {"--window-size", "nine",
         "--window-size: expected a whole number from 1 to 2147483647, got 'nine'"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct ko_curve_filter filter = {0};
        struct ko_error err = {0};
        assert_int_equal(read_filter(cases[k].option, cases[k].value, &filter, &err), KO_E_INPUT);
        assert_string_equal(err.text, cases[k].text);
        assert_null(filter.model);
    }
}

static void labels_are_split_into_their_ends_and_joined_again(void **state)
{
    (void)state;
    const struct {
        const char *label, *target, *source;
    } cases[] = {{"last<-random-like:subject:3", "last", "random-like:subject:3"},
                 {"last<-each", "last", "each"},
                 {"attention@subject-last", "subject-last", "attention"},
                 {"mlp@relation\\last", "relation\\last", "mlp"}};
    char *target = NULL, *source = NULL;
    struct ko_error err = {0};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct ko_text joined = {0};
        assert_int_equal(ko_route_label_split(cases[k].label, &target, &source, &err), KO_OK);
        assert_string_equal(target, cases[k].target);
        assert_string_equal(source, cases[k].source);
        ko_route_label_join(cases[k].label, target, source, &joined);
        assert_string_equal(ko_text_str(&joined), cases[k].label);
        ko_text_free(&joined);
        free(target);
        free(source);
    }
    assert_int_equal(ko_route_label_split("last", &target, &source, &err), KO_E_INPUT);
    assert_string_equal(err.text,
                        "route 'last': has neither '<-' nor '@', so this is not a cube of "
                        "knockout");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_let_through_what_they_name),
        cmocka_unit_test(unknown_values_name_the_nearest_known_one),
        cmocka_unit_test(labels_are_split_into_their_ends_and_joined_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
