/* SPDX-License-Identifier: Apache-2.0 */
/* The cells of one prompt in an old cube, and its clean run. */
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
    /* Of each token of a whole answer; NULL where the old cube scored one. */
#define X(FIELD, name, TYPE, ...) KO_METRIC_C_##TYPE *answer_##name;
    KO_ANSWER_METRICS(X, )
#undef X
};

/* Allocates room for one prompt of the part. Free with ko_reuse_values_free, also after a
   failure. */
KO_MUST_CHECK enum ko_code ko_reuse_values_new(const struct ko_reuse_map *map,
                                               const struct ko_reuse_part *part,
                                               struct ko_reuse_values *out, struct ko_error *err);
void ko_reuse_values_free(struct ko_reuse_values *values);

/* Reads one prompt of the old cube under part->model. It reads statuses before values, so that a
   cell that is flagged done has its values even where a run is still writing the old cube. */
KO_MUST_CHECK enum ko_code ko_reuse_values_read(const struct ko_reuse_map *map,
                                                const struct ko_reuse_part *part, int32_t prompt,
                                                const struct ko_reuse_values *values,
                                                struct ko_error *err);
/* Reads the clean run of that prompt. The foil's metrics are NaN unless `foil`. */
KO_MUST_CHECK enum ko_code ko_reuse_clean_read(const struct ko_reuse_map *map,
                                               const struct ko_reuse_part *part, int32_t prompt,
                                               bool foil, struct ko_metrics *clean,
                                               struct ko_error *err);
/* The metrics of the cell at a place. The foil's are NaN unless `foil`. */
struct ko_metrics ko_reuse_values_at(const struct ko_reuse_values *values, int64_t at, bool foil);
/* The n scored tokens of the answer, of the cell at a place: from the old cube, or the cell's metrics
   where it scored one. Returns whether a run computed all of them. */
bool ko_reuse_answer_at(const struct ko_reuse_map *map, const struct ko_reuse_values *values,
                        int64_t at, const struct ko_metrics *metrics, int32_t n,
                        struct ko_answer_metrics *out);
/* The same of the prompt's clean run. *there: whether a run computed all of them. */
KO_MUST_CHECK enum ko_code ko_reuse_clean_answer(const struct ko_reuse_map *map,
                                                 const struct ko_reuse_part *part, int32_t prompt,
                                                 const struct ko_metrics *clean, int32_t n,
                                                 struct ko_answer_metrics *out, bool *there,
                                                 struct ko_error *err);
/* Whether a run computed the metrics: the numbers are finite, rank and token exist. */
bool ko_reuse_value_is_there(const struct ko_metrics *metrics, bool foil);

#endif
