/* SPDX-License-Identifier: Apache-2.0 */
/* Heat maps: one source position at a time, for one prompt. */
#ifndef KO_SHOW_HEAT_MAP_H
#define KO_SHOW_HEAT_MAP_H

#include <stdbool.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"
#include "src/show/curve_filter.h"
#include "src/show/curve_metric.h"

/* The first prompt with a result of each model, heat route, class and size that pass the filter, as
   a grid of the metric (median: that of change): a line a window, a column a source position.
   *n_maps: how many there are. */
KO_MUST_CHECK enum ko_code ko_heat_maps_print(struct ko_cube_view *view,
                                              const struct ko_curve_filter *filter,
                                              enum ko_curve_metric metric, struct ko_text *out,
                                              int32_t *n_maps, struct ko_error *err);
/* All prompts' cells as one long table: model,prompt,route,feature_class,window_size,window_start,
   depth,source_position,token,metric,value. */
KO_MUST_CHECK enum ko_code ko_heat_maps_csv(struct ko_cube_view *view,
                                            const struct ko_curve_filter *filter,
                                            enum ko_curve_metric metric, struct ko_text *out,
                                            int32_t *n_maps, struct ko_error *err);

#endif
