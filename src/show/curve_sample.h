/* SPDX-License-Identifier: Apache-2.0 */
/* The values of one curve, by window and prompt. */
#ifndef KO_SHOW_CURVE_SAMPLE_H
#define KO_SHOW_CURVE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/show/curve_minus.h"
#include "src/show/curve_values.h"
#include "src/stats/statistics.h"

/* Whether any prompt has cells of the curve. Adds the number of pending or failed statuses to
   *n_unfinished (may be NULL). In this and the next functions `values` belong to the key's model. */
bool ko_curve_sample_exists(const struct ko_curve_values *values, const struct ko_curve_key *key,
                            int64_t *n_unfinished);

/* Reads the curve's cells and writes the metric of every done one into value [n_starts, n_prompts];
   NaN for other cells. */
KO_MUST_CHECK enum ko_code ko_curve_sample_fill(struct ko_curve_values *values,
                                                const struct ko_curve_key *key, double *value,
                                                struct ko_error *err);

/* Adds the finite elements of value [n] to sum [n] and counts them in count [n]. */
void ko_curve_sample_add(const double *value, int64_t n, double *sum, uint32_t *count);
/* Subtracts sum / count from value [n]; NaN where count is 0. */
void ko_curve_sample_subtract(double *value, int64_t n, const double *sum, const uint32_t *count);
/* Subtracts sum from value [n]; NaN where count is not n_parts. */
void ko_curve_sample_subtract_sum(double *value, int64_t n, const double *sum,
                                  const uint32_t *count, uint32_t n_parts);

/* Reads the curve's cells and sets marks [n_starts, n_prompts] to 1 where one is vacuous. Needs the
   values' `vacuous`. */
KO_MUST_CHECK enum ko_code ko_curve_sample_mark_vacuous(struct ko_curve_values *values,
                                                        const struct ko_curve_key *key,
                                                        uint8_t *marks, struct ko_error *err);

/* The values of a curve. */
struct ko_curve_sample {
    const double *value; /* [n_starts, n_prompts] NaN is left out; borrowed */
    int32_t n_starts, n_prompts;
    const int32_t *group; /* [n_prompts] NULL: all prompts; borrowed */
    int32_t wanted;       /* only prompts with group[p] == wanted */
};
/* Estimates one figure for each window: estimate [n_starts]. p [n_starts] gets the paired t-test's p
   of values that are differences; NULL: not wanted. */
KO_MUST_CHECK enum ko_code ko_curve_sample_estimate(const struct ko_summary *summary,
                                                    const struct ko_curve_sample *sample,
                                                    struct ko_estimate *estimate, double *p,
                                                    struct ko_error *err);

#endif
