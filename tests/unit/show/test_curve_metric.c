/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/plan/plan.h"
#include "src/show/curve_metric.h"

static void assert_close(double got, double expected)
{
    if (!(fabs(got - expected) <= 1e-12 * fmax(1, fabs(expected)))) {
        fail_msg("expected %.15g, got %.15g", expected, got);
    }
}

static void each_metric_has_its_value_of_a_cell(void **state)
{
    (void)state;
    const double half = log(0.5), quarter = log(0.25);
    assert_close(ko_curve_value(KO_CURVE_CHANGE, half, quarter), -50);
    assert_close(ko_curve_value(KO_CURVE_MEDIAN, quarter, half), 100);
    assert_close(ko_curve_value(KO_CURVE_DELTA, 0.5, 0.25), -25);
    assert_close(ko_curve_value(KO_CURVE_LOGPROB, half, quarter), quarter - half);
    assert_close(ko_curve_value(KO_CURVE_KL, 0, 0.125), 0.125);
    assert_close(ko_curve_value(KO_CURVE_HIT, 0, 1), 100);
    assert_close(ko_curve_value(KO_CURVE_HIT, 0, 2), 0);
    assert_true(isnan(ko_curve_value(KO_CURVE_HIT, 0, -1)));
    assert_close(ko_curve_value(KO_CURVE_MARGIN, 2, -0.5), -0.5);
    assert_close(ko_curve_value(KO_CURVE_MARGIN_CHANGE, 2, -0.5), -2.5);
}

/* 100 (exp(x) - 1) would lose all digits here. */
static void a_tiny_change_keeps_its_digits(void **state)
{
    (void)state;
    assert_close(ko_curve_value(KO_CURVE_CHANGE, 0, 1e-18), 1e-16);
}

static void each_metric_has_its_bounds(void **state)
{
    (void)state;
    const double none = INFINITY;
    const struct {
        enum ko_curve_metric metric;
        double least, most, difference, of_models;
    } cases[] = {
        {KO_CURVE_CHANGE, -100, none, none, none},
        {KO_CURVE_MEDIAN, -100, none, none, none},
        {KO_CURVE_DELTA, -100, 100, 100, 200},
        {KO_CURVE_HIT, 0, 100, 100, 100},
        {KO_CURVE_KL, 0, none, none, none},
        {KO_CURVE_LOGPROB, -none, none, none, none},
        {KO_CURVE_MARGIN, -none, none, none, none},
        {KO_CURVE_MARGIN_CHANGE, -none, none, none, none},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const struct ko_bounds value = ko_curve_metric_bounds(cases[k].metric);
        assert_true((value.has_least ? value.least : -none) == cases[k].least);
        assert_true((value.has_most ? value.most : none) == cases[k].most);
        for (int other_model = 0; other_model < 2; other_model++) {
            const struct ko_bounds pair =
                ko_curve_difference_bounds(cases[k].metric, other_model != 0);
            const double end = other_model ? cases[k].of_models : cases[k].difference;
            assert_true((pair.has_least ? -pair.least : none) == end);
            assert_true((pair.has_most ? pair.most : none) == end);
        }
    }
}

static void metrics_are_found_by_their_words(void **state)
{
    (void)state;
    static const char *const words[] = {"change", "delta", "logprob", "median",
                                        "hit",    "kl",    "margin",  "margin-change"};
    struct ko_error err = {0};
    enum ko_curve_metric metric = KO_CURVE_KL;
    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
        assert_int_equal(ko_curve_metric_parse(words[k], &metric, &err), KO_OK);
        assert_string_equal(ko_curve_metric_word(metric), words[k]);
    }
    assert_int_equal(ko_curve_metric_parse("chnage", &metric, &err), KO_E_INPUT);
    assert_string_equal(err.text, "--metric: unknown metric 'chnage', did you mean 'change'?");
}

static void depth_runs_from_nothing_to_all(void **state)
{
    (void)state;
    assert_close(ko_layers_depth(12, (struct ko_layer_range){0, 3}), 0);
    assert_close(ko_layers_depth(12, (struct ko_layer_range){9, 12}), 100);
    assert_close(ko_layers_depth(12, (struct ko_layer_range){5, 7}), 50);
    assert_close(ko_layers_depth(12, (struct ko_layer_range){0, 12}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_metric_has_its_value_of_a_cell),
        cmocka_unit_test(a_tiny_change_keeps_its_digits),
        cmocka_unit_test(each_metric_has_its_bounds),
        cmocka_unit_test(metrics_are_found_by_their_words),
        cmocka_unit_test(depth_runs_from_nothing_to_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
