/* Curves as text for people, and as CSV. */
#ifndef KO_CLI_CURVES_PRINT_H
#define KO_CLI_CURVES_PRINT_H

#include "mpi/cube/cube_read.h"
#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cli/curves.h"

/* A block of lines a curve, a line a window: layers, depth, value, 95 % interval, n and a bar whose
   signs are the value's; all bars have one scale. */
void ko_curves_print(const struct ko_curves *curves, const struct ko_cube_axes *axes,
                     enum ko_curve_metric metric, struct ko_text *out);
/* One long table: model,route,target,source,feature_class,window_size,window_start,depth,metric,
   value,low,high,n. What is not known is empty. */
KO_MUST_CHECK enum ko_code ko_curves_csv(const struct ko_curves *curves,
                                         const struct ko_cube_axes *axes,
                                         enum ko_curve_metric metric, struct ko_text *out,
                                         struct ko_error *err);

/* A field of CSV: in quotes where it holds a comma, a quote or a line end (RFC 4180). */
void ko_csv_text(struct ko_text *out, const char *text);
/* A number with nine digits; nothing where it is not finite. */
void ko_csv_number(struct ko_text *out, double value);

/* "-12.34" or "0.0123", with as many decimals as its unit calls for; "-" where it is not finite. */
const char *ko_curve_number(enum ko_curve_metric metric, double value, char buffer[32]);
/* A bar of signs, "----" or "++", as long as |value| is of largest; at most width. */
void ko_bar(double value, double largest, int width, struct ko_text *out);

#endif
