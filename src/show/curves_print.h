/* SPDX-License-Identifier: Apache-2.0 */
/* Curves as text tables. */
#ifndef KO_SHOW_CURVES_PRINT_H
#define KO_SHOW_CURVES_PRINT_H

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"
#include "src/formats/table.h"
#include "src/show/curves.h"

/* For each curve a line per window: layers, depth, value, 95 % interval, n, a bar of the value, and
   for a mean difference p and Holm's p. All bars have the same scale, given at the top. Small
   figures get enough decimals for two digits of their interval. */
void ko_curves_print(const struct ko_curves *curves, const struct ko_cube_axes *axes,
                     const struct ko_curve_query *query, struct ko_text *out);

/* What a list of points says of all of them: the title, how a bootstrap was made, the scale of the
   bars, and whether an interval was cut. `bars`: the value of one sign. */
void ko_curves_print_title(const struct ko_curve_query *query, struct ko_text *out);
void ko_curves_print_scale(const struct ko_curve_query *query, double bars, bool is_cut,
                           struct ko_text *out);

/* The columns of a point's numbers in a table: value, interval, p and Holm's p where the query
   tests, n, bar. */
enum { KO_POINT_COLUMNS = 4, KO_POINT_TEST_COLUMNS = 2 };
void ko_point_add_header(struct ko_table *table, const struct ko_curve_query *query);
void ko_point_add(struct ko_table *table, const struct ko_curve_point *point,
                  const struct ko_curve_query *query, double bars);

/* "-12.34" or "0.0123", with the decimals of the metric's unit; "-" where the value is not
   finite. */
const char *ko_curve_number(enum ko_curve_metric metric, double value, char buffer[32]);
/* The value of one sign of a bar: 1, 2 or 5 times a power of ten, so that `largest` has at most 30
   signs. At least 1 % or point, or 0.01 nats; always 5 % for a share of hits. */
double ko_bar_step(enum ko_curve_metric metric, double largest);
/* Adds a bar, "----" or "++": one sign for each step of |value|, at most 30. */
void ko_bar(double value, double step, struct ko_text *out);

#endif
