/* SPDX-License-Identifier: Apache-2.0 */
/* A batch through the layers, to the metrics. */
#ifndef KO_FORWARD_FORWARD_H
#define KO_FORWARD_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/base/stop.h"
#include "src/forward/record.h"
#include "src/models/model.h"
#include "src/plan/plan.h"
#include "src/tree/batch.h"

struct ko_engine;

/* Binds a model's weights to a backend: computes the masks of the plan's feature classes, reserves
   what the backend needs, allocates the workspace of `max_rows` rows. Nothing is allocated on the
   backend afterwards. model, plan and what the arena points to are borrowed; the arena is in the
   backend's memory (see device_weights.h). Free with ko_engine_free. */
KO_MUST_CHECK enum ko_code ko_engine_new(const struct ko_plan *plan, int32_t plan_model,
                                         const struct ko_model *model, const struct ko_arena *arena,
                                         const struct ko_kernels *kernels, struct ko_backend *be,
                                         int32_t max_rows, struct ko_engine **out,
                                         struct ko_error *err);
void ko_engine_free(struct ko_engine *engine);
/* What an engine of these tells the backend (ko_kernels.reserve). */
struct ko_limits ko_engine_limits(const struct ko_plan *plan, int32_t plan_model,
                                  const struct ko_model *model, int32_t max_rows);

/* Computes a whole batch: records [batch->n_facts], each ko_record_new'ed here and owned by the
   caller. stop is looked at once a layer, and told then which share of the batch's matrix products
   is done (on a GPU: handed to it); it may be NULL. On failure no record is left allocated. A
   logit that is not finite fails its prompt's record (ko_record_check) and no other: rows of
   different prompts do not touch. */
KO_MUST_CHECK enum ko_code ko_engine_run(struct ko_engine *engine, const struct ko_batch *batch,
                                         const struct ko_stop *stop, struct ko_record *records,
                                         struct ko_error *err);

/* One cell as its own full forward pass without the token tree (all T rows from the embedding,
   edges removed in the window), beside a clean run of its own: for `verify`. */
KO_MUST_CHECK enum ko_code ko_engine_run_cell(struct ko_engine *engine, const struct ko_cell *cell,
                                              struct ko_metrics *out, struct ko_error *err);

#endif
