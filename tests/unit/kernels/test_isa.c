/* SPDX-License-Identifier: Apache-2.0 */
/* The errors that kernels/cpu/isa.h promises, over float32 arguments from the whole range, for
   every instruction set that this machine has. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu/isa.h"

enum { CHUNK = 4096 };

/* |y - want| in units in the last place of the float32 nearest to want, subnormal ones included. */
static double ulps(float y, double want)
{
    if ((double)y == want || (isnan(y) && isnan(want))) {
        return 0.0;
    }
    int exponent = 0;
    frexp(want, &exponent);
    exponent = exponent < -125 ? -125 : exponent;
    return fabs((double)y - want) / ldexp(1.0, exponent - 24);
}

/* Every stride-th float32 in [low, high]: bit patterns in order, negative ones first. Returns how
   many, from *at on. */
static size_t next_floats(float low, float high, uint32_t stride, int64_t *at, float x[CHUNK])
{
    size_t n = 0;
    for (; n < CHUNK && *at <= 0x7F7FFFFF; *at += stride) {
        int64_t magnitude = *at < 0 ? -*at - 1 : *at;
        uint32_t bits = (uint32_t)magnitude | (*at < 0 ? 0x80000000U : 0);
        memcpy(&x[n], &bits, sizeof bits);
        n += x[n] >= low && x[n] <= high;
    }
    return n;
}

typedef void apply_fn(const struct ko_cpu_isa *isa, size_t n, const float *x, float *y);

static void apply_exp(const struct ko_cpu_isa *isa, size_t n, const float *x, float *y)
{
    isa->exp(n, x, y);
}

static void apply_silu(const struct ko_cpu_isa *isa, size_t n, const float *x, float *y)
{
    isa->silu(n, x, y);
}

static void apply_sigmoid(const struct ko_cpu_isa *isa, size_t n, const float *x, float *y)
{
    for (size_t k = 0; k < n; k++) {
        y[k] = 1.0F;
    }
    isa->sigmoid_mul(n, x, y, y);
}

static void apply_softplus(const struct ko_cpu_isa *isa, size_t n, const float *x, float *y)
{
    memcpy(y, x, n * sizeof *y);
    isa->softplus(n, y);
}

static void apply_gelu(const struct ko_cpu_isa *isa, size_t n, const float *x, float *y)
{
    memcpy(y, x, n * sizeof *y);
    isa->gelu(n, y);
}

static void apply_gelu_tanh(const struct ko_cpu_isa *isa, size_t n, const float *x, float *y)
{
    memcpy(y, x, n * sizeof *y);
    isa->gelu_tanh(n, y);
}

static void apply_relu(const struct ko_cpu_isa *isa, size_t n, const float *x, float *y)
{
    memcpy(y, x, n * sizeof *y);
    isa->relu(n, y);
}

static void apply_relu2(const struct ko_cpu_isa *isa, size_t n, const float *x, float *y)
{
    memcpy(y, x, n * sizeof *y);
    isa->relu2(n, y);
}

static const float cap = 30.0F, scale = 0.3F;

static void apply_cap(const struct ko_cpu_isa *isa, size_t n, const float *x, float *y)
{
    memcpy(y, x, n * sizeof *y);
    isa->scale_cap(n, scale, cap, y);
}

static double exact_silu(double x)
{
    return x / (1.0 + exp(-x));
}

static double exact_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double exact_softplus(double x)
{
    return x > 20.0 ? x : log1p(exp(x));
}

static double exact_gelu(double x)
{
    return 0.5 * x * erfc(-x / sqrt(2.0));
}

static double exact_relu(double x)
{
    return x > 0.0 ? x : 0.0;
}

static double exact_relu2(double x)
{
    return x > 0.0 ? x * x : 0.0;
}

static double exact_cap(double x)
{
    return (double)cap * tanh((double)scale * x / (double)cap);
}

static double exact_gelu_tanh(double x)
{
    return x / (1.0 + exp(-2.0 * sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}

/* Fails where an error is not within `bound` units (or, where bound is 0, within `absolute`). */
static void check(const char *name, apply_fn *apply, double (*exact)(double), float low, float high,
                  double bound, double absolute)
{
    size_t n_tables = 0;
    const struct ko_cpu_isa *const *tables = ko_cpu_isa_list(&n_tables);
    for (size_t t = 0; t < n_tables; t++) {
        double worst = 0.0;
        float x[CHUNK], y[CHUNK];
        int64_t at = -0x7F800000;
        for (size_t n; (n = next_floats(low, high, 1021, &at, x)) > 0;) {
            apply(tables[t], n, x, y);
            for (size_t k = 0; k < n; k++) {
                double want = exact((double)x[k]);
                double error = bound > 0.0 ? ulps(y[k], want) : fabs((double)y[k] - want);
                if (!(error <= (bound > 0.0 ? bound : absolute))) {
                    fail_msg("%s, %s(%.9g) = %.9g, expected %.9g: %.3g", tables[t]->name, name,
                             (double)x[k], (double)y[k], want, error);
                }
                worst = error > worst ? error : worst;
            }
        }
        print_message("%s, %s in [%g, %g]: at most %.3g %s\n", tables[t]->name, name, (double)low,
                      (double)high, worst, bound > 0.0 ? "ulp" : "off");
    }
}

static void exp_is_within_two_units(void **state)
{
    (void)state;
    check("exp", apply_exp, exp, -87.33654F, 88.72283F, 2.0, 0.0);
}

static void softplus_is_within_three_units(void **state)
{
    (void)state;
    check("softplus", apply_softplus, exact_softplus, -87.0F, 1e30F, 3.0, 0.0);
}

static void silu_is_within_four_units(void **state)
{
    (void)state;
    check("silu", apply_silu, exact_silu, -87.0F, 1e30F, 4.0, 0.0);
}

static void sigmoid_is_within_three_units(void **state)
{
    (void)state;
    check("sigmoid", apply_sigmoid, exact_sigmoid, -87.0F, 1e30F, 3.0, 0.0);
    check("sigmoid", apply_sigmoid, exact_sigmoid, -1e30F, -87.0F, 0.0, 3e-39);
}

static void gelu_is_within_seven_units_from_minus_one(void **state)
{
    (void)state;
    check("gelu", apply_gelu, exact_gelu, -1.0F, 1e30F, 7.0, 0.0);
    check("gelu", apply_gelu, exact_gelu, -1e30F, -1.0F, 0.0, 1e-7);
}

static void tanh_gelu_is_within_four_units_from_minus_one(void **state)
{
    (void)state;
    check("gelu_tanh", apply_gelu_tanh, exact_gelu_tanh, -1.0F, 1e12F, 4.0, 0.0);
    check("gelu_tanh", apply_gelu_tanh, exact_gelu_tanh, -1e12F, -1.0F, 0.0, 2e-7);
}

static void relu_is_exact(void **state)
{
    (void)state;
    check("relu", apply_relu, exact_relu, -FLT_MAX, FLT_MAX, 0.5, 0.0);
}

static void squares_of_relu_are_rounded_once(void **state)
{
    (void)state;
    check("relu2", apply_relu2, exact_relu2, -FLT_MAX, 1e19F, 0.5, 0.0);
}

static void caps_are_within_four_units(void **state)
{
    (void)state;
    check("scale_cap", apply_cap, exact_cap, 1e-30F, FLT_MAX, 4.0, 0.0);
    check("scale_cap", apply_cap, exact_cap, -FLT_MAX, -1e-30F, 4.0, 0.0);
    check("scale_cap", apply_cap, exact_cap, -1e-30F, 1e-30F, 0.0, 1e-37);
}

/* Every position of a vector and of its remainder. */
static void what_is_not_a_number_stays_so(void **state)
{
    (void)state;
    enum { N = 37 };
    apply_fn *const all[] = {apply_gelu,  apply_gelu_tanh, apply_relu,
                             apply_relu2, apply_sigmoid,   apply_cap};
    const size_t n_all = sizeof all / sizeof all[0];
    size_t n_tables = 0;
    const struct ko_cpu_isa *const *tables = ko_cpu_isa_list(&n_tables);
    for (size_t at = 0; at < n_tables * n_all; at++) {
        float x[N], y[N];
        for (size_t k = 0; k < N; k++) {
            x[k] = k % 5 == 1 ? NAN : k % 5 == 2 ? INFINITY : 2.0F;
        }
        all[at % n_all](tables[at / n_all], N, x, y);
        for (size_t k = 0; k < N; k++) {
            assert_int_equal(isnan(y[k]) != 0, k % 5 == 1);
            float top = all[at % n_all] == apply_cap       ? cap
                        : all[at % n_all] == apply_sigmoid ? 1.0F
                                                           : INFINITY;
            assert_true(k % 5 != 2 || y[k] == top);
        }
    }
}

/* exp beyond float32's range, and what is not a number, in vectors and in their remainders. */
static void ends_of_the_range_are_exact(void **state)
{
    (void)state;
    const struct {
        float x, y;
    } rows[] = {{0.0F, 1.0F},      {-0.0F, 1.0F},        {-87.33655F, 0.0F}, {-88.0F, 0.0F},
                {-104.0F, 0.0F},   {-1e10F, 0.0F},       {-INFINITY, 0.0F},  {88.72284F, INFINITY},
                {1e10F, INFINITY}, {INFINITY, INFINITY}, {NAN, NAN},         {1e-30F, 1.0F},
                {-3e38F, 0.0F},    {3e38F, INFINITY}};
    size_t n_tables = 0;
    const struct ko_cpu_isa *const *tables = ko_cpu_isa_list(&n_tables);
    for (size_t t = 0; t < n_tables; t++) {
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
            float x[37], y[37];
            for (size_t k = 0; k < 37; k++) {
                x[k] = rows[r].x;
            }
            tables[t]->exp(37, x, y);
            for (size_t k = 0; k < 37; k++) {
                if (!(y[k] == rows[r].y || (isnan(y[k]) && isnan(rows[r].y)))) {
                    fail_msg("%s: exp(%.9g) is %.9g", tables[t]->name, (double)x[k], (double)y[k]);
                }
            }
            tables[t]->softplus(37, x);
            tables[t]->silu(1, y, y);
            assert_true(isnan(rows[r].x) == (isnan(x[36]) != 0));
        }
    }
}

/* The argument is rounded twice, and log2(e) once. */
static void decays_are_as_good_as_their_arguments(void **state)
{
    (void)state;
    enum { N = 61, STATES = 5 };
    size_t n_tables = 0;
    const struct ko_cpu_isa *const *tables = ko_cpu_isa_list(&n_tables);
    for (size_t t = 0; t < n_tables; t++) {
        float a[STATES * N], a2[STATES * KO_SCAN_BLOCK], delta[N], decay[STATES * KO_SCAN_BLOCK];
        double worst = 0.0;
        for (int32_t step = 0; step < 2000; step++) {
            for (int32_t k = 0; k < N; k++) {
                delta[k] = ldexpf(1.0F + (float)k / 61.0F, step % 24 - 18);
                for (int32_t s = 0; s < STATES; s++) {
                    a[s * N + k] = -0.013F * (float)(1 + (step * 31 + s * 7 + k) % 1300);
                }
            }
            tables[t]->scan_prepare(N, STATES, a, N, a2);
            tables[t]->scan_decay(N, STATES, a2, delta, decay);
            for (int32_t at = 0; at < STATES * N; at++) {
                double x = (double)a[at] * (double)delta[at % N];
                double got = (double)decay[at / N * KO_SCAN_BLOCK + at % N];
                double error = fabs(got - exp(x)) / (exp(x) * (2.0 - 2.5 * x));
                if (x < -87.0) {
                    assert_true(got >= 0.0 && got <= exp(-87.0));
                    continue;
                }
                assert_true(error <= 0x1p-24);
                worst = error > worst ? error : worst;
            }
        }
        print_message("%s, decay: at most %.2f (2 - 2.5 x) 2^-24 relative\n", tables[t]->name,
                      worst * 0x1p24);
    }
}

/* What is made of other loops gives their bits, in vectors and in their remainders. */
static void gates_and_time_steps_are_their_parts(void **state)
{
    (void)state;
    enum { N = 77 };
    size_t n_tables = 0;
    const struct ko_cpu_isa *const *tables = ko_cpu_isa_list(&n_tables);
    for (size_t t = 0; t < n_tables; t++) {
        float x[N], up[N], gate[N], got[N], step[N];
        for (size_t k = 0; k < N; k++) {
            x[k] = -30.0F + 0.79F * (float)k;
            up[k] = 2.0F - 0.11F * (float)k;
            step[k] = x[k] + up[k];
        }
        tables[t]->silu(N, x, gate);
        tables[t]->silu_mul(N, x, up, got);
        for (size_t k = 0; k < N; k++) {
            assert_true(got[k] == gate[k] * up[k]);
        }
        memcpy(gate, x, sizeof gate);
        tables[t]->gelu_tanh(N, gate);
        tables[t]->gelu_tanh_mul(N, x, up, got);
        for (size_t k = 0; k < N; k++) {
            assert_true(got[k] == gate[k] * up[k]);
        }
        memcpy(gate, x, sizeof gate);
        tables[t]->gelu(N, gate);
        tables[t]->gelu_mul(N, x, up, got);
        for (size_t k = 0; k < N; k++) {
            assert_true(got[k] == gate[k] * up[k]);
        }
        tables[t]->softplus(N, step);
        tables[t]->time_step(N, x, up, 0.01F, 3.0F, got);
        for (size_t k = 0; k < N; k++) {
            assert_true(got[k] == fminf(fmaxf(step[k], 0.01F), 3.0F));
        }
        x[3] = x[76] = NAN;
        tables[t]->time_step(N, x, up, 0.0F, INFINITY, got);
        for (size_t k = 0; k < N; k++) {
            assert_true(isnan(x[k]) ? isnan(got[k]) : got[k] == step[k]);
        }
    }
}

/* a and m from gates and scales of many sizes; u is 1, and the input's gate is open. */
static void lru_gates_are_as_good_as_their_logarithm(void **state)
{
    (void)state;
    enum { N = 61 };
    size_t n_tables = 0;
    const struct ko_cpu_isa *const *tables = ko_cpu_isa_list(&n_tables);
    for (size_t t = 0; t < n_tables; t++) {
        float u[N], gate[N], factor[N], input[N], decay[N];
        double worst = 0.0;
        for (int32_t step = 0; step < 2000; step++) {
            for (int32_t k = 0; k < N; k++) {
                u[k] = 1.0F;
                factor[k] = -ldexpf(1.0F + (float)k / 61.0F, step % 29 - 24);
                gate[k] = decay[k] = 0.01F * (float)((step * 31 + k * 7) % 1600 - 800);
                input[k] = 100.0F;
            }
            tables[t]->lru_gates(N, u, factor, step % 5 == 0, input, decay);
            for (int32_t k = 0; k < N; k++) {
                double log_a = (double)factor[k] / (1.0 + exp(-(double)gate[k])), a = exp(log_a);
                double m = step % 5 == 0 ? 1.0 : sqrt(-expm1(2.0 * log_a));
                double error = fmax(fabs((double)decay[k] - a) / a, fabs((double)input[k] - m) / m);
                error /= 4.0 - 4.0 * log_a;
                assert_true(error <= 0x1p-24);
                worst = error > worst ? error : worst;
            }
        }
        print_message("%s, a and m: at most %.2f (4 - 4 log a) 2^-24 relative\n", tables[t]->name,
                      worst * 0x1p24);
    }
}

static void the_maximum_is_one_of_the_values(void **state)
{
    enum { N = 71 };
    (void)state;
    size_t n_tables = 0;
    const struct ko_cpu_isa *const *tables = ko_cpu_isa_list(&n_tables);
    for (size_t t = 0; t < n_tables; t++) {
        for (size_t n = 1; n <= N; n++) {
            float x[N];
            for (size_t k = 0; k < n; k++) {
                x[k] = NAN;
            }
            assert_true(tables[t]->max(n, x) == -INFINITY); /* nothing is left */
            x[n / 2] = -INFINITY;
            assert_true(tables[t]->max(n, x) == -INFINITY);
            x[n / 3] = -FLT_MAX;
            assert_true(tables[t]->max(n, x) == -FLT_MAX);
            x[n / 4] = -3.0F;
            assert_true(tables[t]->max(n, x) == -3.0F);
            x[n - 1] = INFINITY;
            assert_true(tables[t]->max(n, x) == INFINITY);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_within_two_units),
        cmocka_unit_test(softplus_is_within_three_units),
        cmocka_unit_test(silu_is_within_four_units),
        cmocka_unit_test(sigmoid_is_within_three_units),
        cmocka_unit_test(gelu_is_within_seven_units_from_minus_one),
        cmocka_unit_test(tanh_gelu_is_within_four_units_from_minus_one),
        cmocka_unit_test(relu_is_exact),
        cmocka_unit_test(squares_of_relu_are_rounded_once),
        cmocka_unit_test(caps_are_within_four_units),
        cmocka_unit_test(what_is_not_a_number_stays_so),
        cmocka_unit_test(ends_of_the_range_are_exact),
        cmocka_unit_test(decays_are_as_good_as_their_arguments),
        cmocka_unit_test(gates_and_time_steps_are_their_parts),
        cmocka_unit_test(lru_gates_are_as_good_as_their_logarithm),
        cmocka_unit_test(the_maximum_is_one_of_the_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
