/* SPDX-License-Identifier: Apache-2.0 */
/* Percentile intervals from seeded resampling. */
#ifndef KO_STATS_BOOTSTRAP_H
#define KO_STATS_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"

struct ko_bootstrap {
    int64_t n_resamples; /* from 1 */
    uint64_t seed;
};

struct ko_columns {
    const double *value; /* [n, n_columns]; borrowed */
    size_t n, n_columns; /* n from 1 */
};

/* The 95 % interval of the mean (or median) of each column into low and high [n_columns]: the 2.5 %
   and 97.5 % quantiles over the resamples. Resample b takes n rows; row number k is floor(u n /
   2^32), u the upper half of value b n + k of splitmix64 (src/prompts/draw.h, stream 0). So all
   columns, and all calls with equal n and seed, have the same rows. Threads do not change the
   result. */
KO_MUST_CHECK enum ko_code ko_bootstrap_intervals(const struct ko_bootstrap *bootstrap, bool median,
                                                  const struct ko_columns *columns, double *low,
                                                  double *high, struct ko_error *err);

/* The quantile q, 0 to 1, of sorted values [n], n from 1, interpolated between the two nearest
   values (Hyndman & Fan 1996, type 7: numpy's and R's default). */
double ko_quantile(const double *sorted, size_t n, double q);
/* Sorts in ascending order. */
void ko_sort_doubles(double *values, size_t n);

#endif
