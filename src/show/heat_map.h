/* SPDX-License-Identifier: Apache-2.0 */
/* Heatmaps: the metric by source position and window, for one prompt. */
#ifndef KO_SHOW_HEAT_MAP_H
#define KO_SHOW_HEAT_MAP_H

#include <stdbool.h>

#include "src/base/error.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"
#include "src/show/curve_filter.h"
#include "src/show/curve_metric.h"

/* Prints a grid for each model, heat route, class and size that pass the filter, of the first
   prompt with a result: a line for each window, a column for each source position. For the metric
   `median` it shows `change`. *n_maps: prompts with a result, counted for each grid. */
KO_MUST_CHECK enum ko_code ko_heat_maps_print(struct ko_cube_view *view,
                                              const struct ko_curve_filter *filter,
                                              enum ko_curve_metric metric, struct ko_text *out,
                                              int32_t *n_maps, struct ko_error *err);
/* Writes the cells of all prompts as one table: model,prompt,route,feature_class,window_size,
   window_start,depth,source_position,token,metric,value. */
KO_MUST_CHECK enum ko_code ko_heat_maps_csv(struct ko_cube_view *view,
                                            const struct ko_curve_filter *filter,
                                            enum ko_curve_metric metric, struct ko_text *out,
                                            int32_t *n_maps, struct ko_error *err);

#endif
