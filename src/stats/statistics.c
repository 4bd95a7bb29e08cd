/* SPDX-License-Identifier: Apache-2.0 */
/* Estimates a mean, median or share with its interval, computes the p-value of a paired difference,
   and corrects many p-values with Holm's method. */
#include "src/stats/statistics.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/stats/student.h"

/* The normal distribution's 97.5 % point, as papers round it. */
static const double Z = 1.96;

const char *ko_statistic_word(enum ko_statistic statistic)
{
    return statistic == KO_STATISTIC_MEDIAN ? "median" : "mean";
}

const char *ko_interval_word(enum ko_interval interval)
{
    static const char *const words[] = {
#define X(NAME, word) word,
        KO_INTERVALS(X)
#undef X
    };
    return words[interval];
}

static double mean_of(const double *values, size_t n)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++) {
        sum += values[k];
    }
    return sum / (double)n;
}

/* The standard error of the mean; n from 2. */
static double error_of(const double *values, size_t n, double mean)
{
    double squares = 0;
    for (size_t k = 0; k < n; k++) {
        squares += (values[k] - mean) * (values[k] - mean);
    }
    return sqrt(squares / (double)(n - 1) / (double)n);
}

struct ko_estimate ko_estimate_mean(const double *values, size_t n)
{
    struct ko_estimate estimate = {NAN, NAN, NAN, n};
    if (n == 0) {
        return estimate;
    }
    estimate.value = mean_of(values, n);
    if (n > 1) {
        const double half =
            ko_student_point(0.05, (double)(n - 1)) * error_of(values, n, estimate.value);
        estimate.low = estimate.value - half;
        estimate.high = estimate.value + half;
    }
    return estimate;
}

void ko_estimate_cut(struct ko_estimate *estimate, const struct ko_bounds *bounds)
{
    /* Rounding may have moved the value itself out of bounds. */
    if (bounds->has_least && estimate->low < bounds->least) {
        estimate->low = fmin(bounds->least, estimate->value);
    }
    if (bounds->has_most && estimate->high > bounds->most) {
        estimate->high = fmax(bounds->most, estimate->value);
    }
}

bool ko_estimate_is_cut(const struct ko_estimate *estimate, const struct ko_summary *summary)
{
    const struct ko_bounds *bounds = &summary->bounds;
    if (summary->interval != KO_INTERVAL_T || !(estimate->low < estimate->high)) {
        return false;
    }
    return (bounds->has_least && !(estimate->low > bounds->least)) ||
           (bounds->has_most && !(estimate->high < bounds->most));
}

static double median_of(const double *sorted, size_t n)
{
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

struct ko_estimate ko_estimate_median(double *values, size_t n)
{
    struct ko_estimate estimate = {NAN, NAN, NAN, n};
    if (n == 0) {
        return estimate;
    }
    ko_sort_doubles(values, n);
    estimate.value = median_of(values, n);
    const double middle = (double)n / 2, half = Z / 2 * sqrt((double)n);
    const double low = floor(middle - half), high = ceil(1 + middle + half);
    if (low >= 1 && high <= (double)n) {
        estimate.low = values[(size_t)low - 1];
        estimate.high = values[(size_t)high - 1];
    }
    return estimate;
}

struct ko_estimate ko_estimate_share(size_t n_hits, size_t n)
{
    struct ko_estimate estimate = {NAN, NAN, NAN, n};
    if (n == 0) {
        return estimate;
    }
    const double count = (double)n, share = (double)n_hits / count;
    const double scale = 1 + Z * Z / count;
    const double middle = (share + Z * Z / (2 * count)) / scale;
    const double half = Z / scale * sqrt(share * (1 - share) / count + Z * Z / (4 * count * count));
    estimate.value = 100 * share;
    /* Rounding must not move the ends beyond 0 and 100. */
    estimate.low = n_hits == 0 ? 0 : 100 * (middle - half);
    estimate.high = n_hits == n ? 100 : 100 * (middle + half);
    return estimate;
}

static enum ko_code bootstrap_estimate(const struct ko_summary *summary, double *values, size_t n,
                                       struct ko_estimate *out, struct ko_error *err)
{
    const bool median = summary->statistic == KO_STATISTIC_MEDIAN;
    struct ko_estimate estimate = {NAN, NAN, NAN, n};
    enum ko_code code = KO_OK;
    if (n > 0) {
        estimate.value = mean_of(values, n);
    }
    if (n > 1) {
        const struct ko_columns column = {values, n, 1};
        code = ko_bootstrap_intervals(&summary->bootstrap, median, &column, &estimate.low,
                                      &estimate.high, err);
    }
    if (median && n > 0) { /* sorted only now: the draws refer to the given order */
        ko_sort_doubles(values, n);
        estimate.value = median_of(values, n);
    }
    if (code == KO_OK) {
        *out = estimate;
    }
    return code;
}

enum ko_code ko_estimate_sample(const struct ko_summary *summary, double *values, size_t n,
                                struct ko_estimate *out, struct ko_error *err)
{
    size_t n_hits = 0;
    switch (summary->interval) {
    case KO_INTERVAL_BOOTSTRAP:
        return bootstrap_estimate(summary, values, n, out, err);
    case KO_INTERVAL_ORDER:
        *out = ko_estimate_median(values, n);
        return KO_OK;
    case KO_INTERVAL_WILSON:
        for (size_t k = 0; k < n; k++) {
            n_hits += values[k] > 0;
        }
        *out = ko_estimate_share(n_hits, n);
        return KO_OK;
    case KO_INTERVAL_T:
        break;
    }
    *out = ko_estimate_mean(values, n);
    ko_estimate_cut(out, &summary->bounds);
    return KO_OK;
}

double ko_paired_p(const double *differences, size_t n)
{
    if (n < 2) {
        return NAN;
    }
    const double mean = mean_of(differences, n);
    return ko_student_p(mean / error_of(differences, n, mean), (double)(n - 1));
}

struct test {
    double p;
    size_t at;
};

static int compare_tests(const void *a, const void *b)
{
    const struct test *x = a, *y = b;
    return (x->p > y->p) - (x->p < y->p);
}

enum ko_code ko_holm(const double *p, size_t n, double *adjusted, struct ko_error *err)
{
    struct test *test = ko_new(n, sizeof *test, err);
    size_t n_tests = 0;
    double largest = 0;
    if (!test) {
        return KO_E_MEMORY;
    }
    for (size_t k = 0; k < n; k++) {
        adjusted[k] = NAN;
        if (!isnan(p[k])) {
            test[n_tests++] = (struct test){p[k], k};
        }
    }
    qsort(test, n_tests, sizeof *test, compare_tests);
    for (size_t k = 0; k < n_tests; k++) {
        largest = fmax(largest, fmin(1, (double)(n_tests - k) * test[k].p));
        adjusted[test[k].at] = largest;
    }
    free(test);
    return KO_OK;
}
