/* SPDX-License-Identifier: Apache-2.0 */
/* Curves for other programs: one long table, or JSON. */
#ifndef KO_SHOW_CURVES_EXPORT_H
#define KO_SHOW_CURVES_EXPORT_H

#include <json-c/json.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"
#include "src/show/curves.h"

/* One line for each window: model,route,target,source,feature_class,window_size,window_start,depth,
   metric,value,low,high,n,statistic,interval,relation,minus,p,p_holm. Unknown fields are empty. */
KO_MUST_CHECK enum ko_code ko_curves_csv(const struct ko_curves *curves,
                                         const struct ko_cube_axes *axes,
                                         const struct ko_curve_query *query, struct ko_text *out,
                                         struct ko_error *err);

/* The same as {metric, unit, statistic, interval, resamples and seed of a bootstrap, curves:
   [{model, route, ..., windows: [{start, depth, value, ...}]}]}; unknown values are null. Free with
   json_object_put. */
KO_MUST_CHECK enum ko_code ko_curves_json(const struct ko_curves *curves,
                                          const struct ko_cube_axes *axes,
                                          const struct ko_curve_query *query, json_object **out,
                                          struct ko_error *err);

/* Parts of these, for other lists of points: the names of the columns, with neither a comma nor a
   line end behind them; a point's fields, likewise; the members that all lists have, and those that
   say which curve it is and what the point is. Free *root with json_object_put. */
extern const char *const ko_curves_csv_columns;
KO_MUST_CHECK enum ko_code
ko_point_csv(const struct ko_curves *curves, const struct ko_curve *curve,
             const struct ko_curve_point *point, const struct ko_cube_axes *axes,
             const struct ko_curve_query *query, struct ko_text *out, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_curves_json_head(const struct ko_curves *curves,
                                               const struct ko_cube_axes *axes,
                                               const struct ko_curve_query *query,
                                               json_object **root, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_curve_json(json_object *object, const struct ko_curves *curves,
                                         const struct ko_curve *curve,
                                         const struct ko_cube_axes *axes,
                                         const struct ko_curve_query *query, struct ko_error *err);
void ko_point_json(json_object *object, const struct ko_curve *curve,
                   const struct ko_curve_point *point, const struct ko_cube_axes *axes,
                   const struct ko_curve_query *query);

#endif
