/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/show/curve_minus.h"
#include "src/show/curve_query.h"

static int32_t sizes[] = {1, 9};

static const char *const models[] = {"mamba-130m", "gpt2-medium"};
static const char *const routes[] = {"last<-subject",
                                     "last<-relation",
                                     "later<-subject",
                                     "last<-random-like:subject:3",
                                     "last<-random-like:subject:11",
                                     "last<-random-like:relation:3",
                                     "mlp@last",
                                     "attention@last",
                                     "mlp@subject",
                                     "mlp@random-like:subject:1",
                                     "mlp@random-like:subject:20",
                                     "mlp@random-like:relation:1",
                                     "attention@random-like:subject:1"};
static const char *const classes[] = {"all",
                                      "slow-third",
                                      "fast-third+conv",
                                      "random-third:0",
                                      "random-third:5",
                                      "random-third:0+conv",
                                      "ssm",
                                      "attention"};

static void add_all(struct ko_strings *list, const char *const *text, size_t n)
{
    struct ko_error err = {0};
    for (size_t k = 0; k < n; k++) {
        assert_int_equal(ko_strings_add(list, text[k], &err), KO_OK);
    }
}

static struct ko_cube_axes make_axes(void)
{
    struct ko_cube_axes axes = {.window_size = sizes, .n_sizes = 2};
    add_all(&axes.model, models, 2);
    add_all(&axes.route, routes, sizeof routes / sizeof routes[0]);
    add_all(&axes.feature_class, classes, sizeof classes / sizeof classes[0]);
    return axes;
}

static void free_axes(struct ko_cube_axes *axes)
{
    ko_strings_free(&axes->model);
    ko_strings_free(&axes->route);
    ko_strings_free(&axes->feature_class);
}

/* The query of `show c.h5 WORDS`, blank-separated. */
static enum ko_code read_query(const char *words, const struct ko_cube_axes *axes,
                               struct ko_curve_query *query, struct ko_error *err)
{
    char program[] = "knockout", command[] = "show", cube[] = "c.h5", copy[256];
    char *argv[16] = {program, command, cube}, *rest = NULL;
    int argc = 3;
    bool help = false, version = false;
    struct ko_options options = {0};
    strcpy(copy, words);
    for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        argv[argc++] = w;
    }
    assert_int_equal(ko_options_parse(argc, argv, &options, &help, &version, err), KO_OK);
    const enum ko_code code = ko_curve_query_read(&options, "c.h5", axes, query, err);
    ko_options_free(&options);
    return code;
}

static void what_is_subtracted_differs_as_asked_for(void **state)
{
    (void)state;
    const struct {
        const char *words;
        struct ko_curve_key key;
        enum ko_minus_kind kind;
        size_t n;
        struct ko_curve_key first;
        const char *label;
    } cases[] = {
        {"--minus-source relation",
         {0, 0, 0, 1},
         KO_MINUS_OTHER,
         1,
         {0, 1, 0, 1},
         "last<-relation"},
        {"--minus-source relation", {0, 1, 0, 1}, KO_MINUS_OTHER, 0, {0}, NULL}, /* itself */
        {"--minus-source relation", {0, 2, 0, 1}, KO_MINUS_OTHER, 0, {0}, NULL}, /* no such route */
        {"--minus-target later", {0, 0, 0, 1}, KO_MINUS_OTHER, 1, {0, 2, 0, 1}, "later<-subject"},
        {"--minus-source attention",
         {0, 6, 0, 1},
         KO_MINUS_OTHER,
         1,
         {0, 7, 0, 1},
         "attention@last"},
        {"--minus-source attention", {0, 0, 0, 1}, KO_MINUS_OTHER, 0, {0}, NULL},
        {"--minus-feature all", {0, 0, 1, 0}, KO_MINUS_OTHER, 1, {0, 0, 0, 0}, "all"},
        {"--minus-feature context-dependent",
         {0, 0, 0, 0},
         KO_MINUS_OTHER,
         1,
         {0, 0, 1, 0},
         "slow-third"},
        {"--minus-model gpt2-medium", {0, 0, 0, 0}, KO_MINUS_OTHER, 1, {1, 0, 0, 0}, "gpt2-medium"},
        {"--interaction", {0, 1, 0, 1}, KO_MINUS_PARTS, 2, {0, 1, 7, 1}, "attention and ssm"},
        {"--interaction", {0, 1, 6, 1}, KO_MINUS_PARTS, 0, {0}, NULL}, /* a part */
        {"--interaction", {0, 1, 1, 1}, KO_MINUS_PARTS, 0, {0}, NULL},
        {"--minus-model gpt2-medium --minus-source relation",
         {0, 0, 0, 0},
         KO_MINUS_OTHER,
         1,
         {1, 1, 0, 0},
         "gpt2-medium  last<-relation"},
        {"--minus-control",
         {0, 0, 0, 0},
         KO_MINUS_ROUTE_CONTROL,
         2,
         {0, 3, 0, 0},
         "mean of 2 last<-random-like:subject:SEED"},
        {"--minus-control", {0, 2, 0, 0}, KO_MINUS_ROUTE_CONTROL, 0, {0}, NULL},
        {"--minus-control",
         {0, 8, 0, 0},
         KO_MINUS_ROUTE_CONTROL,
         2,
         {0, 9, 0, 0},
         "mean of 2 mlp@random-like:subject:SEED"},
        {"--minus-control", {0, 6, 0, 0}, KO_MINUS_ROUTE_CONTROL, 0, {0}, NULL},
        {"--minus-control", {0, 9, 0, 0}, KO_MINUS_ROUTE_CONTROL, 0, {0}, NULL},
        {"--minus-control", {0, 3, 0, 0}, KO_MINUS_ROUTE_CONTROL, 0, {0}, NULL},
        {"--minus-control",
         {0, 0, 1, 0},
         KO_MINUS_CLASS_CONTROL,
         2,
         {0, 0, 3, 0},
         "mean of 2 random-third:SEED"},
        {"--minus-control",
         {0, 0, 2, 0},
         KO_MINUS_CLASS_CONTROL,
         1,
         {0, 0, 5, 0},
         "mean of 1 random-third:SEED+conv"},
        {"--minus-control", {0, 0, 0, 0}, KO_MINUS_CLASS_CONTROL, 0, {0}, NULL},
    };
    struct ko_cube_axes axes = make_axes();
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct ko_curve_query query = {0};
        struct ko_curve_others others = {0};
        struct ko_error err = {0};
        assert_int_equal(read_query(cases[k].words, &axes, &query, &err), KO_OK);
        assert_true(ko_curve_query_subtracts(&query));
        assert_int_equal(
            ko_curve_minus_find(&query.minus, &axes, &cases[k].key, cases[k].kind, &others, &err),
            KO_OK);
        assert_int_equal(others.n, cases[k].n);
        if (others.n > 0) {
            assert_memory_equal(&others.key[0], &cases[k].first, sizeof others.key[0]);
            assert_string_equal(others.label, cases[k].label);
        }
        ko_curve_others_free(&others);
        ko_curve_query_free(&query);
    }
    free_axes(&axes);
}

static void what_is_not_given_is_not_subtracted(void **state)
{
    (void)state;
    struct ko_cube_axes axes = make_axes();
    struct ko_curve_query query = {0};
    struct ko_error err = {0};
    assert_int_equal(read_query("", &axes, &query, &err), KO_OK);
    assert_false(ko_curve_query_subtracts(&query));
    assert_int_equal(query.summary.bootstrap.n_resamples, 10000);
    ko_curve_query_free(&query);
    free_axes(&axes);
}

static void intervals_follow_the_figure_unless_asked_for(void **state)
{
    (void)state;
    const struct {
        const char *words;
        enum ko_statistic statistic;
        enum ko_interval interval;
    } cases[] = {
        {"", KO_STATISTIC_MEAN, KO_INTERVAL_T},
        {"--metric hit", KO_STATISTIC_MEAN, KO_INTERVAL_WILSON},
        {"--metric hit --interval t", KO_STATISTIC_MEAN, KO_INTERVAL_T},
        {"--metric hit --minus-source relation", KO_STATISTIC_MEAN, KO_INTERVAL_T},
        {"--metric median", KO_STATISTIC_MEDIAN, KO_INTERVAL_ORDER},
        {"--metric kl --statistic median", KO_STATISTIC_MEDIAN, KO_INTERVAL_ORDER},
        {"--statistic median --interval bootstrap", KO_STATISTIC_MEDIAN, KO_INTERVAL_BOOTSTRAP},
        {"--interval bootstrap --minus-control", KO_STATISTIC_MEAN, KO_INTERVAL_BOOTSTRAP},
        {"--interaction", KO_STATISTIC_MEAN, KO_INTERVAL_T},
        {"--interaction --metric kl --statistic median", KO_STATISTIC_MEDIAN, KO_INTERVAL_ORDER},
    };
    struct ko_cube_axes axes = make_axes();
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct ko_curve_query query = {0};
        struct ko_error err = {0};
        assert_int_equal(read_query(cases[k].words, &axes, &query, &err), KO_OK);
        assert_int_equal(query.summary.statistic, cases[k].statistic);
        assert_int_equal(query.summary.interval, cases[k].interval);
        ko_curve_query_free(&query);
    }
    free_axes(&axes);
}

static void means_of_effects_are_tested_where_it_is_asked_for(void **state)
{
    (void)state;
    const struct {
        const char *words;
        bool tests;
    } cases[] = {
        {"", false},
        {"--minus-source relation", true},
        {"--strongest 3", true},
        {"--strongest 0", false},
        {"--strongest 3 --metric hit --minus-source relation", true},
        {"--strongest 3 --metric median", false},
        {"--minus-source relation --statistic median", false},
    };
    struct ko_cube_axes axes = make_axes();
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct ko_curve_query query = {0};
        struct ko_error err = {0};
        assert_int_equal(read_query(cases[k].words, &axes, &query, &err), KO_OK);
        assert_int_equal(ko_curve_query_tests(&query), cases[k].tests);
        ko_curve_query_free(&query);
    }
    free_axes(&axes);
}

static void what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    const struct {
        const char *words, *text;
    } cases[] = {
        {"--minus-source relatoin",
         "--minus-source: c.h5 has no source 'relatoin', did you mean 'relation'?"},
        {"--minus-target lst", "--minus-target: c.h5 has no target 'lst', did you mean 'last'?"},
        {"--minus-feature al",
         "--minus-feature: c.h5 has no feature class 'al', did you mean 'all'?"},
        {"--minus-model gpt2",
         "--minus-model: c.h5 has no model 'gpt2', choose from: mamba-130m, gpt2-medium"},
        {"--minus-control --minus-source relation",
         "--minus-control: each curve has its own control, leave out the other --minus-... "
         "options"},
        {"--interaction --minus-model gpt2-medium",
         "--interaction: subtracts attention and ssm from all, leave out the --minus-... options"},
        {"--interaction --minus-control",
         "--interaction: subtracts attention and ssm from all, leave out the --minus-... options"},
        {"--interaction --feature all",
         "--interaction: is of the classes all, attention and ssm, leave out --feature"},
        {"--interaction --metric hit",
         "--interaction: is of effects, and hit is not 0 where nothing changes, choose another "
         "--metric"},
        {"--interaction --metric margin",
         "--interaction: is of effects, and margin is not 0 where nothing changes, choose another "
         "--metric"},
        {"--strongest 3 --metric hit",
         "--strongest: is of effects, and hit is not 0 where nothing changes, choose another "
         "--metric"},
        {"--strongest 3 --metric margin",
         "--strongest: is of effects, and margin is not 0 where nothing changes, choose another "
         "--metric"},
        {"--interaction --interval wilson",
         "--interval wilson: is for a share of hits (--metric hit, nothing subtracted), "
         "choose t or bootstrap"},
        {"--metric median --statistic mean",
         "--metric median: prints a median, use --metric change for the mean"},
        {"--statistic median --interval t",
         "--interval t: is for a mean, choose order or bootstrap for a median"},
        {"--interval order", "--interval order: is for a median, choose t or bootstrap for a mean"},
        {"--interval wilson",
         "--interval wilson: is for a share of hits (--metric hit, nothing subtracted), "
         "choose t or bootstrap"},
        {"--resamples 0", "--resamples: expected a whole number from 1 to 10000000, got '0'"},
    };
    struct ko_cube_axes axes = make_axes();
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct ko_curve_query query = {0};
        struct ko_error err = {0};
        assert_int_equal(read_query(cases[k].words, &axes, &query, &err), KO_E_INPUT);
        assert_string_equal(err.text, cases[k].text);
    }
    free_axes(&axes);
}

static void an_interaction_needs_its_three_classes(void **state)
{
    (void)state;
    struct ko_cube_axes axes = make_axes(), evaluation = {0};
    struct ko_curve_query query = {0};
    struct ko_error err = {0};
    assert_int_equal(read_query("--interaction", &axes, &query, &err), KO_OK);
    assert_true(query.minus.interaction && ko_curve_query_subtracts(&query));
    assert_false(query.summary.bounds.has_least || query.summary.bounds.has_most);
    ko_curve_query_free(&query);
    axes.feature_class.n -= 2; /* the last two */
    assert_int_equal(read_query("--interaction", &axes, &query, &err), KO_E_INPUT);
    assert_string_equal(err.text, "--interaction: c.h5 lacks the class attention, sweep features: "
                                  "[all, attention, ssm]");
    axes.feature_class.n += 2;
    /* An evaluation has no classes; that it has no curves is said elsewhere. */
    assert_int_equal(read_query("--interaction", &evaluation, &query, &err), KO_OK);
    ko_curve_query_free(&query);
    free_axes(&axes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_subtracted_differs_as_asked_for),
        cmocka_unit_test(what_is_not_given_is_not_subtracted),
        cmocka_unit_test(intervals_follow_the_figure_unless_asked_for),
        cmocka_unit_test(means_of_effects_are_tested_where_it_is_asked_for),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(an_interaction_needs_its_three_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
