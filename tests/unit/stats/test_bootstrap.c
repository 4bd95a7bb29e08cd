/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/prompts/draw.h"
#include "src/stats/bootstrap.h"

enum { N = 10 };

static const double some[N] = {2.5, -1.25, 0, 7.75, 3.5, -4, 1, 9.5, -0.5, 6.25};
static const double hits[N] = {100, 0, 0, 100, 100, 100, 0, 100, 100, 100};

static void assert_close(double got, double expected)
{
    if (!(fabs(got - expected) <= 1e-12 * fmax(1, fabs(expected)))) {
        fail_msg("expected %.17g, got %.17g", expected, got);
    }
}

/* def mix(z):
       z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
       z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
       return z ^ (z >> 31)
   def draws(seed, count):
       s = mix((seed + G) % 2**64)                              # G = 0x9E3779B97F4A7C15
       return [mix((s + (k + 1) * G) % 2**64) for k in range(count)] */
static void values_are_those_of_splitmix64(void **state)
{
    (void)state;
    const uint64_t start = ko_draw_start(0, 0), other = ko_draw_start(7, 0);
    assert_true(ko_draw_value(start, 0) == 0xa706dd2f4d197e6fu);
    assert_true(ko_draw_value(start, 1) == 0xb382a305f4414f5eu);
    assert_true(ko_draw_value(start, 2) == 0x631a9154fbabf717u);
    assert_true(ko_draw_value(other, 1) == 0xa65305fd338ec8feu);
}

/* i = np.array([((u >> 32) * n) >> 32 for u in draws(seed, B * n)]).reshape(B, n)
   np.quantile(v[i].mean(1), [.025, .975]); np.quantile(np.median(v[i], 1), [.025, .975])
   numpy 1.24.2 */
static void intervals_are_those_of_numpy(void **state)
{
    (void)state;
    const struct {
        const double *values;
        size_t n;
        struct ko_bootstrap bootstrap;
        bool median;
        double low, high;
    } cases[] = {
        {some, 10, {1000, 0}, false, 0.09812500000000011, 4.85},
        {some, 10, {1000, 0}, true, -0.5, 6.25},
        {hits, 10, {1000, 0}, false, 40, 100},
        {hits, 10, {1000, 0}, true, 0, 100},
        {some, 10, {999, 7}, false, 0.04875000000000007, 4.951249999999999},
        {some, 10, {999, 7}, true, -0.5062499999999996, 6.25},
        {some, 9, {500, 0}, false, -0.5993055555555554, 5.070138888888888},
        {some, 9, {500, 0}, true, -1.25, 7.75},
    };
    struct ko_error err = {0};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        double low = 0, high = 0;
        assert_int_equal(
            ko_bootstrap_intervals(&cases[k].bootstrap, cases[k].median,
                                   &(struct ko_columns){cases[k].values, cases[k].n, 1}, &low,
                                   &high, &err),
            KO_OK);
        assert_close(low, cases[k].low);
        assert_close(high, cases[k].high);
    }
}

static void columns_are_resampled_alike(void **state)
{
    (void)state;
    const struct ko_bootstrap bootstrap = {1000, 0};
    double both[2 * N], low[2], high[2], alone_low = 0, alone_high = 0;
    struct ko_error err = {0};
    for (int k = 0; k < N; k++) {
        both[2 * k] = hits[k];
        both[2 * k + 1] = some[k];
    }
    for (int median = 0; median < 2; median++) {
        for (int c = 0; c < 2; c++) {
            assert_int_equal(ko_bootstrap_intervals(&bootstrap, median,
                                                    &(struct ko_columns){both, N, 2}, low, high,
                                                    &err),
                             KO_OK);
            assert_int_equal(ko_bootstrap_intervals(&bootstrap, median,
                                                    &(struct ko_columns){c ? some : hits, N, 1},
                                                    &alone_low, &alone_high, &err),
                             KO_OK);
            assert_true(low[c] == alone_low && high[c] == alone_high);
        }
    }
}

static void one_value_and_one_resample_have_no_width(void **state)
{
    (void)state;
    const struct ko_bootstrap many = {100, 3}, once = {1, 3};
    double low = 0, high = 0;
    struct ko_error err = {0};
    assert_int_equal(
        ko_bootstrap_intervals(&many, true, &(struct ko_columns){some, 1, 1}, &low, &high, &err),
        KO_OK);
    assert_true(low == 2.5 && high == 2.5);
    assert_int_equal(
        ko_bootstrap_intervals(&once, false, &(struct ko_columns){some, N, 1}, &low, &high, &err),
        KO_OK);
    assert_true(low == high);
}

/* [np.quantile(some, q) for q in (0, .025, .1, .5, .975, 1)]   numpy 1.24.2
   quantile(some, ..., type = 7)                                R 4.2.2 */
static void quantiles_are_those_of_numpy_and_r(void **state)
{
    (void)state;
    const struct {
        double q, value;
    } cases[] = {{0, -4},     {0.025, -3.38125},          {0.1, -1.525},
                 {0.5, 1.75}, {0.975, 9.106250000000001}, {1, 9.5}};
    double sorted[N];
    memcpy(sorted, some, sizeof sorted);
    ko_sort_doubles(sorted, N);
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        assert_close(ko_quantile(sorted, N, cases[k].q), cases[k].value);
    }
    assert_close(ko_quantile(some, 1, 0.975), 2.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_splitmix64),
        cmocka_unit_test(intervals_are_those_of_numpy),
        cmocka_unit_test(columns_are_resampled_alike),
        cmocka_unit_test(one_value_and_one_resample_have_no_width),
        cmocka_unit_test(quantiles_are_those_of_numpy_and_r),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
