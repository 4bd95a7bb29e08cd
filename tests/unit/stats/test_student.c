/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/stats/student.h"

static void assert_relative(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance * fabs(expected))) {
        fail_msg("expected %.17g, got %.17g", expected, got);
    }
}

/* for (df in ...) print(qt(0.975, df), digits = 16)            R 4.2.2
   scipy.stats.t.ppf(0.975, df)                                 scipy 1.10.1
   scipy's is right to about 1e-9 only: t(0.975, 1) is tan(0.475 pi) = 12.706204736174706. */
static void points_are_those_of_r_and_scipy(void **state)
{
    (void)state;
    const struct {
        double df, r, scipy;
    } cases[] = {
        {1, 12.70620473617469, 12.706204736432095},   {2, 4.302652729749462, 4.302652729911275},
        {3, 3.182446305283708, 3.182446305284263},    {5, 2.570581835636314, 2.5705818366147395},
        {11, 2.200985160091639, 2.200985160082949},   {30, 2.042272456301238, 2.0422724563012373},
        {49, 2.00957523712924, 2.009575234489209},    {50, 2.008559112100761, 2.008559109715206},
        {51, 2.007583770315836, 2.007583768155882},   {100, 1.983971518523552, 1.9839715184496334},
        {671, 1.963505688442396, 1.9635056884423914}, {1187, 1.961964532886617, 1.9619645328866173},
        {5000, 1.96043855170652, 1.9604385517065075}, {1e6, 1.959966356814107, 1.9599663568141066},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const double point = ko_student_point(0.05, cases[k].df);
        assert_relative(point, cases[k].r, 2e-11); /* seen: 1.3e-11 at 1e6, else 1e-14 */
        assert_relative(point, cases[k].scipy, 2e-9);
    }
}

/* 2 * scipy.stats.t.sf(abs(t), df)                             scipy 1.10.1 */
static void two_sided_p_values_are_those_of_scipy(void **state)
{
    (void)state;
    const struct {
        double t, df, p;
    } cases[] = {
        {0, 5, 1.0},
        {1e-8, 3, 0.999999992648948},
        {0.1, 1, 0.9365489651388929},
        {0.5, 2, 0.6666666666666667},
        {1, 1, 0.49999999999999956},
        {1, 10, 0.3408931323020601},
        {2, 3, 0.1393259685588431},
        {2.5, 30, 0.018115649068066706},
        {-2.5, 30, 0.018115649068066706},
        {1.96, 1e6, 0.04999606758526978},
        {3, 671, 0.002799835200820129},
        {10, 11, 7.392992841455221e-07},
        {40, 671, 8.29377684565208e-180},
        {5, 49, 7.736116446289057e-06},
        {5, 50, 7.433212247232564e-06},
        {1e5, 2, 9.9999999985e-11},
        {0.3, 1187, 0.7642296828873081},
        {7.5, 1e5, 6.434240155110214e-14},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        assert_relative(ko_student_p(cases[k].t, cases[k].df), cases[k].p,
                        1e-10); /* 4e-11, at 1e6 */
    }
}

static void the_point_is_where_its_probability_is_left(void **state)
{
    (void)state;
    const double p[] = {1e-12, 0.001, 0.05, 0.5, 0.999}, df[] = {1, 2, 7, 49, 5000};
    for (size_t k = 0; k < sizeof p / sizeof p[0]; k++) {
        for (size_t d = 0; d < sizeof df / sizeof df[0]; d++) {
            assert_relative(ko_student_p(ko_student_point(p[k], df[d]), df[d]), p[k], 1e-10);
        }
    }
}

static void what_has_no_answer_is_nan(void **state)
{
    (void)state;
    assert_true(isnan(ko_student_p(NAN, 3)));
    assert_true(isnan(ko_student_p(1, 0)));
    assert_true(isnan(ko_student_p(1, NAN)));
    assert_true(isnan(ko_student_point(0, 3)));
    assert_true(isnan(ko_student_point(1.5, 3)));
    assert_true(isnan(ko_student_point(0.05, 0)));
    assert_true(ko_student_p(INFINITY, 3) == 0);
    assert_true(ko_student_p(-INFINITY, 3) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_are_those_of_r_and_scipy),
        cmocka_unit_test(two_sided_p_values_are_those_of_scipy),
        cmocka_unit_test(the_point_is_where_its_probability_is_left),
        cmocka_unit_test(what_has_no_answer_is_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
