/* SPDX-License-Identifier: Apache-2.0 */
/* The values of one curve, by window and prompt. */
#ifndef KO_SHOW_CURVE_SAMPLE_H
#define KO_SHOW_CURVE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/show/cube_part.h"
#include "src/show/curve_metric.h"
#include "src/show/curve_minus.h"
#include "src/stats/statistics.h"

/* Whether any prompt has cells of the curve. Adds the number of pending or failed statuses to
   *n_unfinished (may be NULL). */
bool ko_curve_sample_exists(const struct ko_cube_part *part, const struct ko_curve_values *values,
                            const struct ko_curve_key *key, int64_t *n_unfinished);

/* Writes the metric of every done cell of the curve into value [n_starts, n_prompts]; NaN for other
   cells. `values` belong to the key's model. */
void ko_curve_sample_fill(const struct ko_cube_part *part, const struct ko_curve_values *values,
                          const struct ko_curve_key *key, enum ko_curve_metric metric,
                          double *value);

/* Adds the finite elements of value [n] to sum [n] and counts them in count [n]. */
void ko_curve_sample_add(const double *value, int64_t n, double *sum, uint32_t *count);
/* Subtracts sum / count from value [n]; NaN where count is 0. */
void ko_curve_sample_subtract(double *value, int64_t n, const double *sum, const uint32_t *count);
/* Subtracts sum from value [n]; NaN where count is not n_parts. */
void ko_curve_sample_subtract_sum(double *value, int64_t n, const double *sum,
                                  const uint32_t *count, uint32_t n_parts);

/* Adds 1 to marks [n_starts, n_prompts] where the curve's cell is vacuous. Needs the values'
   `vacuous`. */
void ko_curve_sample_mark_vacuous(const struct ko_cube_part *part,
                                  const struct ko_curve_values *values,
                                  const struct ko_curve_key *key, uint8_t *marks);

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
