/* SPDX-License-Identifier: Apache-2.0 */
/* Computes p-values of the t distribution with a continued fraction, and searches for the t that
   has a given p-value. The C library has no function for this. */
#include "src/stats/student.h"

#include <math.h>

/* ln Gamma(a + 1/2) - ln Gamma(a). The series (Abramowitz & Stegun 6.1.47) from 25 on: the
   difference of two large logarithms would lose its digits. */
static double log_gamma_step(double a)
{
    if (a < 25) {
        return log(tgamma(a + 0.5) / tgamma(a));
    }
    const double x = 1 / a, square = x * x;
    return 0.5 * log(a) -
           x * (1.0 / 8 - square * (1.0 / 192 - square * (1.0 / 640 - square * 17 / 14336)));
}

/* The continued fraction of the incomplete beta function (Press et al., Numerical Recipes, 3rd ed.,
   eq. 6.4.5) by Lentz's method; it converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double x, double a, double b)
{
    enum { MAX_STEPS = 100000 };
    const double least = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < least ? least : d);
    double h = d;
    for (int m = 1; m <= MAX_STEPS; m++) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < least ? least : d);
        c = fabs(c) < least ? least : c;
        h *= d * c;
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < least ? least : d);
        c = fabs(c) < least ? least : c;
        const double step = d * c;
        h *= step;
        if (fabs(step - 1) < 1e-16) {
            break;
        }
    }
    return h;
}

/* p = I_x(df / 2, 1 / 2) at x = df / (df + t^2), or one minus I_{1 - x}(1 / 2, df / 2). */
double ko_student_p(double t, double df)
{
    if (isnan(t) || !(df > 0) || !isfinite(df)) {
        return NAN;
    }
    if (isinf(t)) {
        return 0;
    }
    const double a = df / 2, b = 0.5, square = t * t / df;
    const double x = 1 / (1 + square), rest = square / (1 + square);
    if (!(rest > 0)) {
        return 1;
    }
    /* x^a (1 - x)^b / B(a, b), B(a, 1/2) = Gamma(a) sqrt(pi) / Gamma(a + 1/2) */
    const double front =
        exp(log_gamma_step(a) - 0.5 * log(acos(-1.0)) - a * log1p(square) + b * log(rest));
    if (x < (a + 1) / (a + b + 2)) {
        return front * beta_fraction(x, a, b) / a;
    }
    return 1 - front * beta_fraction(rest, b, a) / b;
}

double ko_student_point(double p, double df)
{
    if (!(p > 0) || !(p <= 1) || !(df > 0) || !isfinite(df)) {
        return NAN;
    }
    double low = 0, high = 1;
    while (isfinite(high) && ko_student_p(high, df) > p) {
        low = high;
        high *= 2;
    }
    for (;;) {
        const double middle = low + (high - low) / 2;
        if (!(middle > low) || !(middle < high)) {
            return middle;
        }
        if (ko_student_p(middle, df) > p) {
            low = middle;
        } else {
            high = middle;
        }
    }
}
