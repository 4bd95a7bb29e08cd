/* SPDX-License-Identifier: Apache-2.0 */
/* Estimates with 95 % intervals, tests, and the correction for many tests (docs/statistics.md). */
#ifndef KO_STATS_STATISTICS_H
#define KO_STATS_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"
#include "src/stats/bootstrap.h"

struct ko_estimate {
    double value, low, high; /* NaN where n is too small */
    size_t n;
};

enum ko_statistic { KO_STATISTIC_MEAN, KO_STATISTIC_MEDIAN };

/* X(NAME, "word") */
#define KO_INTERVALS(X)                                                                            \
    X(T, "t")                                                                                      \
    X(BOOTSTRAP, "bootstrap")                                                                      \
    X(WILSON, "wilson")                                                                            \
    X(ORDER, "order")

enum ko_interval {
#define X(NAME, word) KO_INTERVAL_##NAME,
    KO_INTERVALS(X)
#undef X
};
const char *ko_statistic_word(enum ko_statistic statistic);
const char *ko_interval_word(enum ko_interval interval);

/* The limits of the values, and so of their mean. {0}: no limits. */
struct ko_bounds {
    bool has_least, has_most;
    double least, most; /* where there is one */
};

/* How to summarize a sample. t and wilson need the mean, order the median; bootstrap takes both.
   wilson is for values that are 0 or 100. */
struct ko_summary {
    enum ko_statistic statistic;
    enum ko_interval interval;
    struct ko_bootstrap bootstrap; /* used by that interval */
    struct ko_bounds bounds;       /* t intervals are cut there; no other interval can pass them */
};

/* Estimates from values [n]; sorts them. */
KO_MUST_CHECK enum ko_code ko_estimate_sample(const struct ko_summary *summary, double *values,
                                              size_t n, struct ko_estimate *out,
                                              struct ko_error *err);

/* Cuts an interval at the bounds, which keeps its coverage of the mean. It still contains the
   value. An absent interval (NaN) stays absent. */
void ko_estimate_cut(struct ko_estimate *estimate, const struct ko_bounds *bounds);
/* Whether the interval was cut. */
bool ko_estimate_is_cut(const struct ko_estimate *estimate, const struct ko_summary *summary);

/* Mean, and mean -+ t sd / sqrt(n) with the sample's standard deviation (n - 1) and the 97.5 %
   point of Student's t with n - 1 degrees of freedom; no interval for n = 1. values [n]. */
struct ko_estimate ko_estimate_mean(const double *values, size_t n);
/* Median (of an even n the middle of the two), and the order statistics of rank
   floor(n/2 - 0.98 sqrt(n)) and ceil(1 + n/2 + 0.98 sqrt(n)), which hold it with 95 % probability
   whatever the distribution; no interval where these ranks do not exist (n < 8). Sorts values
 [n]. */
struct ko_estimate ko_estimate_median(double *values, size_t n);
/* n_hits of n in percent, and Wilson's score interval (Wilson 1927). */
struct ko_estimate ko_estimate_share(size_t n_hits, size_t n);

/* The two-sided p-value of the paired t-test, given the differences [n] of the pairs; NaN for n < 2
   and where all differences are 0. */
double ko_paired_p(const double *differences, size_t n);

/* Holm's correction (Holm 1979) of p [n] into adjusted [n]: the smallest level at which each test
   is rejected among all; R's p.adjust(method = "holm"). NaN stays NaN and is not counted. */
KO_MUST_CHECK enum ko_code ko_holm(const double *p, size_t n, double *adjusted,
                                   struct ko_error *err);

#endif
