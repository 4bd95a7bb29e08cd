/* SPDX-License-Identifier: Apache-2.0 */
/* What `show` prints of an evaluation: how well each model knows the answers. */
#ifndef KO_SHOW_SHOW_EVALUATION_H
#define KO_SHOW_SHOW_EVALUATION_H

#include <stdbool.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"
#include "src/show/curve_filter.h"
#include "src/show/curve_query.h"

/* Prints a line for each model that passes the filter: share of prompts whose answer is ranked
   first, mean (or median) log-probability, their 95 % intervals, n. The query's metric is not used.
   csv: model,metric,value,low,high,n. */
KO_MUST_CHECK enum ko_code ko_show_evaluation(struct ko_cube_view *view,
                                              const struct ko_curve_filter *filter,
                                              const struct ko_curve_query *query, bool csv,
                                              struct ko_text *out, struct ko_error *err);

#endif
