/* SPDX-License-Identifier: Apache-2.0 */
/* Curves as text for people. */
#ifndef KO_SHOW_CURVES_PRINT_H
#define KO_SHOW_CURVES_PRINT_H

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"
#include "src/show/curves.h"

/* For each curve a group of lines, one for each window: layers, depth, value, 95 % interval, of a mean
   difference p and Holm's p, n, and a bar whose signs are the value's. All bars have one scale,
   which the head says. Small figures have as many decimals as show two digits of their interval. */
void ko_curves_print(const struct ko_curves *curves, const struct ko_cube_axes *axes,
                     const struct ko_curve_query *query, struct ko_text *out);

/* "-12.34" or "0.0123", with as many decimals as its unit calls for; "-" where it is not finite. */
const char *ko_curve_number(enum ko_curve_metric metric, double value, char buffer[32]);
/* What one sign of a bar stands for: 1, 2 or 5 times a power of ten, so that `largest` has 30 signs
   at most; 1 % or point and 0.01 nats at least, and 5 % of every share of hits. */
double ko_bar_step(enum ko_curve_metric metric, double largest);
/* A bar of signs, "----" or "++", one for each step of |value|; at most 30. */
void ko_bar(double value, double step, struct ko_text *out);

#endif
