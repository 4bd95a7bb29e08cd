/* SPDX-License-Identifier: Apache-2.0 */
/* The strongest cells, as a table for people and for other programs. */
#ifndef KO_SHOW_STRONGEST_PRINT_H
#define KO_SHOW_STRONGEST_PRINT_H

#include <json-c/json.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"
#include "src/show/curve_query.h"
#include "src/show/curves.h"
#include "src/show/strongest.h"

/* A line for each cell, the strongest first: model, route, class, layers, the relation and what is
   subtracted where the query has them, value, interval, p and Holm's p, n, bar. The head says of how
   many cells they are the strongest, and over how many p is corrected. */
void ko_strongest_print(const struct ko_strongest *strongest, const struct ko_curves *curves,
                        const struct ko_cube_axes *axes, const struct ko_curve_query *query,
                        struct ko_text *out);
/* The columns of ko_curves_csv, then rank (from 1), cells and tests: the numbers of cells that pass
   the filters, and of those with a p-value. */
KO_MUST_CHECK enum ko_code ko_strongest_csv(const struct ko_strongest *strongest,
                                            const struct ko_curves *curves,
                                            const struct ko_cube_axes *axes,
                                            const struct ko_curve_query *query, struct ko_text *out,
                                            struct ko_error *err);
/* {metric, ..., cells, tests, p_holm_over: "all cells that pass the filters", strongest: [{model,
   route, ..., start, value, ...}]}. Free with json_object_put. */
KO_MUST_CHECK enum ko_code ko_strongest_json(const struct ko_strongest *strongest,
                                             const struct ko_curves *curves,
                                             const struct ko_cube_axes *axes,
                                             const struct ko_curve_query *query, json_object **out,
                                             struct ko_error *err);

#endif
