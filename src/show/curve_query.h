/* SPDX-License-Identifier: Apache-2.0 */
/* What `show` computes: the metric, its statistic over the prompts, and what is subtracted. */
#ifndef KO_SHOW_CURVE_QUERY_H
#define KO_SHOW_CURVE_QUERY_H

#include <stdbool.h>

#include "src/base/error.h"
#include "src/cube/read/read.h"
#include "src/options/options.h"
#include "src/show/curve_metric.h"
#include "src/show/curve_minus.h"
#include "src/stats/statistics.h"

struct ko_curve_query {
    enum ko_curve_metric metric;
    struct ko_summary summary; /* of the metric's values */
    bool by_relation;
    int64_t n_strongest; /* how many cells to list, strongest first; 0: the curves are printed */
    struct ko_curve_minus minus;
};

/* Reads --metric, --statistic, --interval, --resamples, --seed, --by, --strongest and --minus-...
   The default interval is t for a mean, wilson for a share of hits and order for a median. KO_E_INPUT where the
   options contradict each other. Free with ko_curve_query_free. */
KO_MUST_CHECK enum ko_code ko_curve_query_read(const struct ko_options *options, const char *path,
                                               const struct ko_cube_axes *axes,
                                               struct ko_curve_query *out, struct ko_error *err);
void ko_curve_query_free(struct ko_curve_query *query);

/* Whether the curves are differences of two. */
bool ko_curve_query_subtracts(const struct ko_curve_query *query);

/* Whether p-values are computed: of differences, and of the effects that are searched for the
   strongest. Medians have none. */
bool ko_curve_query_tests(const struct ko_curve_query *query);

/* "mean change of the answer's probability ...", "prompts whose answer is ranked first", "paired
   difference, median over prompts: ...". */
void ko_curve_query_title(const struct ko_curve_query *query, struct ko_text *out);

#endif
