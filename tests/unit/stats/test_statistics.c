/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/stats/statistics.h"

static void assert_close(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance)) {
        fail_msg("expected %.12g, got %.12g", expected, got);
    }
}

static const double some[] = {2.5, -1.25, 0, 7.75, 3.5, -4, 1, 9.5, -0.5, 6.25};

/* t.test(some)$conf.int                                        R 4.2.2
   scipy.stats.t.interval(0.95, 9, np.mean(some), scipy.stats.sem(some))    scipy 1.10.1 */
static void the_mean_has_students_interval(void **state)
{
    (void)state;
    const struct ko_estimate e = ko_estimate_mean(some, 10);
    assert_close(e.value, 2.475, 1e-14);
    assert_close(e.low, -0.59197541774413742, 1e-13);
    assert_close(e.high, 5.54197541774413693, 1e-13);
    assert_close(e.low, -0.5919754176665686, 1e-9);
    assert_close(e.high, 5.541975417666569, 1e-9);
    assert_int_equal(e.n, 10);
}

/* other = 1, -2, 0.5, 3.25, 3, -4.5, 2, 7, -1.5, 5
   scipy.stats.ttest_rel(some, other).pvalue                    scipy 1.10.1
   t.test(some, other, paired = TRUE)$p.value                   R 4.2.2 */
static void the_paired_test_is_that_of_scipy_and_r(void **state)
{
    (void)state;
    const double differences[] = {1.5, 0.75, -0.5, 4.5, 0.5, 0.5, -1, 2.5, 1, 1.25};
    assert_close(ko_paired_p(differences, 10), 0.051063794775455355, 1e-14);
}

static void pairs_without_spread_have_no_p_or_none_left(void **state)
{
    (void)state;
    const double none[] = {0, 0, 0}, equal[] = {2, 2, 2};
    assert_true(isnan(ko_paired_p(none, 3)));
    assert_true(isnan(ko_paired_p(equal, 1)));
    assert_true(ko_paired_p(equal, 3) == 0);
}

/* p.adjust(c(.01, .04, .03, .005, .03, .9), method = "holm"); with NA likewise     R 4.2.2 */
static void holms_correction_is_that_of_r(void **state)
{
    (void)state;
    const double p[] = {.01, .04, .03, .005, .03, .9}, holm[] = {.05, .12, .12, .03, .12, .9};
    const double gap[] = {.2, .5, .001, NAN, .04}, gap_holm[] = {.4, .5, .004, NAN, .12};
    double got[6];
    struct ko_error err = {0};
    assert_int_equal(ko_holm(p, 6, got, &err), KO_OK);
    for (int k = 0; k < 6; k++) {
        assert_close(got[k], holm[k], 1e-15);
    }
    assert_int_equal(ko_holm(gap, 5, got, &err), KO_OK);
    for (int k = 0; k < 5; k++) {
        if (k == 3) {
            assert_true(isnan(got[k]));
        } else {
            assert_close(got[k], gap_holm[k], 1e-15);
        }
    }
    assert_int_equal(ko_holm(p, 0, got, &err), KO_OK);
}

static void a_summary_has_the_figure_and_the_interval_asked_for(void **state)
{
    (void)state;
    const struct {
        struct ko_summary summary;
        double value, low, high;
    } cases[] = {
        {{KO_STATISTIC_MEAN, KO_INTERVAL_T, {0, 0}, {0}}, 2.475, -0.592, 5.542},
        {{KO_STATISTIC_MEAN, KO_INTERVAL_BOOTSTRAP, {1000, 0}, {0}}, 2.475, 0.098, 4.85},
        {{KO_STATISTIC_MEDIAN, KO_INTERVAL_BOOTSTRAP, {1000, 0}, {0}}, 1.75, -0.5, 6.25},
        {{KO_STATISTIC_MEDIAN, KO_INTERVAL_ORDER, {0, 0}, {0}}, 1.75, -4, 9.5},
        {{KO_STATISTIC_MEAN, KO_INTERVAL_WILSON, {0, 0}, {0}}, 60, 31.27, 83.18},
    };
    struct ko_error err = {0};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        double values[10];
        struct ko_estimate e;
        memcpy(values, some, sizeof values);
        assert_int_equal(ko_estimate_sample(&cases[k].summary, values, 10, &e, &err), KO_OK);
        assert_close(e.value, cases[k].value, 1e-12);
        assert_close(e.low, cases[k].low, 6e-3);
        assert_close(e.high, cases[k].high, 6e-3);
        assert_int_equal(ko_estimate_sample(&cases[k].summary, values, 0, &e, &err), KO_OK);
        assert_true(isnan(e.value) && isnan(e.low) && isnan(e.high) && e.n == 0);
    }
}

/* scipy.stats.t.interval(0.95, 3, -77.5, scipy.stats.sem(some_changes)): the low end passes -100.
 */
static void intervals_of_t_end_at_the_bounds_of_the_mean(void **state)
{
    (void)state;
    const double some_changes[] = {-99, -98, -90, -23};
    const struct ko_bounds none = {0}, from = {.has_least = true, .least = -100},
                           both = {true, true, -100, -50}, within = {true, true, -200, 200};
    const struct {
        enum ko_interval interval;
        struct ko_bounds bounds;
        double low, high;
        bool cut;
    } cases[] = {
        {KO_INTERVAL_T, none, -135.6686, -19.3314, false},
        {KO_INTERVAL_T, from, -100, -19.3314, true},
        {KO_INTERVAL_T, both, -100, -50, true},
        {KO_INTERVAL_T, within, -135.6686, -19.3314, false},
        {KO_INTERVAL_BOOTSTRAP, from, -98.5, -41.75, false},
    };
    struct ko_error err = {0};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const struct ko_summary summary = {
            KO_STATISTIC_MEAN, cases[k].interval, {1000, 0}, cases[k].bounds};
        double values[4];
        struct ko_estimate e;
        memcpy(values, some_changes, sizeof values);
        assert_int_equal(ko_estimate_sample(&summary, values, 4, &e, &err), KO_OK);
        assert_close(e.value, -77.5, 1e-12);
        assert_close(e.low, cases[k].low, 1e-4);
        assert_close(e.high, cases[k].high, 1e-4);
        assert_int_equal(ko_estimate_is_cut(&e, &summary), cases[k].cut);
    }
}

static void cutting_leaves_no_interval_none_and_never_passes_the_value(void **state)
{
    (void)state;
    const struct ko_bounds from = {.has_least = true, .least = 0};
    struct ko_estimate one = {-3, NAN, NAN, 1}, rounded = {-1e-18, -1e-3, 1e-3, 5};
    ko_estimate_cut(&one, &from);
    assert_true(isnan(one.low) && isnan(one.high));
    ko_estimate_cut(&rounded, &from);
    assert_close(rounded.low, -1e-18, 0);
    assert_close(rounded.high, 1e-3, 0);
}

static void one_value_has_a_mean_and_no_interval(void **state)
{
    (void)state;
    const double value = -3.5;
    const struct ko_estimate e = ko_estimate_mean(&value, 1);
    assert_close(e.value, -3.5, 0);
    assert_true(isnan(e.low) && isnan(e.high));
}

static void no_values_have_no_figure(void **state)
{
    (void)state;
    double none = 0;
    assert_true(isnan(ko_estimate_mean(&none, 0).value));
    assert_true(isnan(ko_estimate_median(&none, 0).value));
    assert_true(isnan(ko_estimate_share(0, 0).value));
    assert_int_equal(ko_estimate_mean(&none, 0).n, 0);
}

static void equal_values_have_an_interval_of_no_width(void **state)
{
    (void)state;
    const double values[] = {7, 7, 7};
    const struct ko_estimate e = ko_estimate_mean(values, 3);
    assert_close(e.low, 7, 0);
    assert_close(e.high, 7, 0);
}

static void the_median_is_the_middle_of_unsorted_values(void **state)
{
    (void)state;
    double odd[] = {9, -1, 4}, even[] = {8, 1, 3, 2};
    assert_close(ko_estimate_median(odd, 3).value, 4, 0);
    assert_close(ko_estimate_median(even, 4).value, 2.5, 0);
}

static void the_median_has_order_statistics_from_eight_values_on(void **state)
{
    (void)state;
    double values[100];
    for (int k = 0; k < 100; k++) {
        values[k] = (double)((k * 37) % 100); /* 0 ... 99 in another order */
    }
    const struct ko_estimate e = ko_estimate_median(values, 100);
    /* Ranks floor(50 - 9.8) = 40 and ceil(51 + 9.8) = 61, from 1. */
    assert_close(e.value, 49.5, 0);
    assert_close(e.low, 39, 0);
    assert_close(e.high, 60, 0);
    assert_true(isnan(ko_estimate_median(values, 7).low) != 0);
    assert_true(isnan(ko_estimate_median(values, 8).low) == 0);
}

static void a_share_has_wilsons_interval(void **state)
{
    (void)state;
    /* Newcombe (1998), table I: 81 of 263, Wilson's score without continuity correction. */
    const struct ko_estimate e = ko_estimate_share(81, 263);
    assert_close(e.value, 30.798479, 1e-5);
    assert_close(e.low, 25.53, 0.01);
    assert_close(e.high, 36.62, 0.01);
}

static void a_share_stays_within_its_ends(void **state)
{
    (void)state;
    const struct ko_estimate none = ko_estimate_share(0, 20), all = ko_estimate_share(20, 20);
    assert_close(none.low, 0, 0);
    assert_close(none.high, 16.11, 0.01); /* Newcombe (1998), table I: 0 of 20 */
    assert_close(all.high, 100, 0);
    assert_close(all.low, 100 - none.high, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mean_has_students_interval),
        cmocka_unit_test(the_paired_test_is_that_of_scipy_and_r),
        cmocka_unit_test(pairs_without_spread_have_no_p_or_none_left),
        cmocka_unit_test(holms_correction_is_that_of_r),
        cmocka_unit_test(a_summary_has_the_figure_and_the_interval_asked_for),
        cmocka_unit_test(intervals_of_t_end_at_the_bounds_of_the_mean),
        cmocka_unit_test(cutting_leaves_no_interval_none_and_never_passes_the_value),
        cmocka_unit_test(one_value_has_a_mean_and_no_interval),
        cmocka_unit_test(no_values_have_no_figure),
        cmocka_unit_test(equal_values_have_an_interval_of_no_width),
        cmocka_unit_test(the_median_is_the_middle_of_unsorted_values),
        cmocka_unit_test(the_median_has_order_statistics_from_eight_values_on),
        cmocka_unit_test(a_share_has_wilsons_interval),
        cmocka_unit_test(a_share_stays_within_its_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
