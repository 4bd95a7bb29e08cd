/* SPDX-License-Identifier: Apache-2.0 */
/* The cells of one model, as a metric of `show` needs them. Their values are read when a curve asks
   for them, so that a large cube need not fit into memory. */
#ifndef KO_SHOW_CURVE_VALUES_H
#define KO_SHOW_CURVE_VALUES_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/read/part.h"
#include "src/show/curve_metric.h"

struct ko_curve_values {
    const struct ko_cube_part *part; /* borrowed */
    enum ko_curve_metric metric;
    int32_t model;
    uint8_t *status; /* [n_statuses of the part]; owned */
    double *clean;   /* [n_prompts] NULL where the formula does not use it; owned */
    /* In memory are all cells of the model, or those of one slice, or none yet. */
    bool whole, loaded;
    struct ko_cube_slice slice;
    /* As the part's values; of a slice [n_prompts, n_sources, n_starts]. NaN where there is no value
       (hit: the rank, -1). Owned */
    double *value;
    uint8_t *vacuous; /* likewise, 1: vacuous beside others of its size; NULL: no marks; owned */
};

/* Reads the statuses and clean runs of a model. Statuses are read before all values, because a run
   may be writing. marks: `vacuous` is wanted too. All cells of the model are in memory at a time if
   they are at most part->most_values, otherwise those of one slice. KO_E_INPUT where the metric needs
   foils and the cube has none. Free with ko_curve_values_close. */
KO_MUST_CHECK enum ko_code ko_curve_values_open(const struct ko_cube_part *part, int32_t model,
                                                enum ko_curve_metric metric, bool marks,
                                                struct ko_curve_values *out, struct ko_error *err);
void ko_curve_values_close(struct ko_curve_values *values); /* leaves {0} */

/* Reads the cells of a slice, unless they are in memory. */
KO_MUST_CHECK enum ko_code ko_curve_values_load(struct ko_curve_values *values,
                                                const struct ko_cube_slice *slice,
                                                struct ko_error *err);

/* The index into `value` and `vacuous` of a cell's first start, in the slice loaded last. */
static inline int64_t ko_curve_values_at(const struct ko_curve_values *values, int32_t prompt,
                                         int32_t source)
{
    const struct ko_cube_part *part = values->part;
    const struct ko_cube_slice *slice = &values->slice;
    const int64_t at = values->whole ? ko_cube_part_status_at(part, prompt, slice->route,
                                                              slice->class, source, slice->size)
                                     : (int64_t)prompt * part->n_sources + source;
    return ko_cube_part_value_at(part, at);
}

#endif
