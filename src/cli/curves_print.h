/* Curves as text for people. */
#ifndef KO_CLI_CURVES_PRINT_H
#define KO_CLI_CURVES_PRINT_H

#include "mpi/cube/cube_read.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cli/curves.h"

/* A block of lines a curve, a line a window: layers, depth, value, 95 % interval, of a mean
   difference p and Holm's p, n, and a bar whose signs are the value's; all bars have one scale. */
void ko_curves_print(const struct ko_curves *curves, const struct ko_cube_axes *axes,
                     const struct ko_curve_query *query, struct ko_text *out);

/* "-12.34" or "0.0123", with as many decimals as its unit calls for; "-" where it is not finite. */
const char *ko_curve_number(enum ko_curve_metric metric, double value, char buffer[32]);
/* A bar of signs, "----" or "++", as long as |value| is of largest; at most width. */
void ko_bar(double value, double largest, int width, struct ko_text *out);

#endif
