/* SPDX-License-Identifier: Apache-2.0 */
/* What an old cube has of one prompt: the values and flags of its cells, and its clean run. */
#ifndef KO_CUBE_REUSE_VALUES_H
#define KO_CUBE_REUSE_VALUES_H

#include "kernels/kernels.h"
#include "src/cube/reuse/match.h"
#include "src/plan/stored_metrics.h"

/* The cells of one prompt, an array for each metric. Metrics of foils are NULL where the old cube
   has none. All owned. */
struct ko_reuse_values {
    uint8_t *status;
#define X(FIELD, name, TYPE, ...) KO_METRIC_C_##TYPE *name;
    KO_RECORD_METRICS(X, )
#undef X
};

/* Room for a prompt of the part. Free with ko_reuse_values_free, also after a failure. */
KO_MUST_CHECK enum ko_code ko_reuse_values_new(const struct ko_reuse_map *map,
                                               const struct ko_reuse_part *part,
                                               struct ko_reuse_values *out, struct ko_error *err);
void ko_reuse_values_free(struct ko_reuse_values *values);

/* Reads the prompt with this index under the old cube's model. The flags are read before the
   values, so that what is flagged is right even where the old cube is still being computed. */
KO_MUST_CHECK enum ko_code ko_reuse_values_read(const struct ko_reuse_map *map,
                                                const struct ko_reuse_part *part, int32_t model,
                                                int32_t prompt,
                                                const struct ko_reuse_values *values,
                                                struct ko_error *err);
/* The clean run of that prompt; of the foil, where it is asked for, else NaN. */
KO_MUST_CHECK enum ko_code ko_reuse_clean_read(const struct ko_reuse_map *map,
                                               const struct ko_reuse_part *part, int32_t model,
                                               int32_t prompt, bool foil, struct ko_metrics *clean,
                                               struct ko_error *err);
/* The value at a place; of the foil, where it is asked for, else NaN. */
struct ko_metrics ko_reuse_values_at(const struct ko_reuse_values *values, int64_t at, bool foil);
/* Whether it is one that a run computed: numbers that are finite, a rank, a token. */
bool ko_reuse_value_is_there(const struct ko_metrics *metrics, bool foil);

#endif
