#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/cli/statistics.h"

static void assert_close(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance))
        fail_msg("expected %.12g, got %.12g", expected, got);
}

static void the_mean_has_the_interval_of_its_standard_error(void **state)
{
    (void)state;
    const double values[] = {2, 4, 4, 4, 5, 5, 7, 9};
    const struct ko_estimate e = ko_estimate_mean(values, 8);
    /* The squares about 5 sum to 32: sd = sqrt(32 / 7), half = 1.96 sd / sqrt(8). */
    assert_close(e.value, 5, 1e-12);
    assert_close(e.high - e.value, 1.96 * sqrt(32.0 / 7 / 8), 1e-12);
    assert_close(e.value - e.low, e.high - e.value, 1e-12);
    assert_int_equal(e.n, 8);
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
    for (int k = 0; k < 100; k++)
        values[k] = (double)((k * 37) % 100); /* 0 ... 99 in another order */
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
        cmocka_unit_test(the_mean_has_the_interval_of_its_standard_error),
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
