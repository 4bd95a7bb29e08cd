/* SPDX-License-Identifier: Apache-2.0 */
/* Runs batches through the layers of a model, to the metrics. */
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
   what the backend needs, and allocates the workspace of `max_rows` rows. Nothing is allocated on
   the backend afterwards. plan, model and the arena's memory are borrowed; the arena is in the
   backend's memory (see device_weights.h). Free with ko_engine_free. */
KO_MUST_CHECK enum ko_code ko_engine_new(const struct ko_plan *plan, int32_t plan_model,
                                         const struct ko_model *model, const struct ko_arena *arena,
                                         const struct ko_kernels *kernels, struct ko_backend *be,
                                         int32_t max_rows, struct ko_engine **out,
                                         struct ko_error *err);
void ko_engine_free(struct ko_engine *engine);
/* The limits that such an engine gives to ko_kernels.reserve. */
struct ko_limits ko_engine_limits(const struct ko_plan *plan, int32_t plan_model,
                                  const struct ko_model *model, int32_t max_rows);

/* Computes a whole batch. records [batch->n_facts] are made here with ko_record_new and owned by the
   caller; after a failure no record is left allocated. Once a layer, stop->wanted is asked and
   stop->reached is called with the share of the batch's matrix products that is done (on a GPU:
   launched). stop may be NULL. A logit that is not finite fails the record of its prompt
   (ko_record_check) and no other, because rows of different prompts never mix. */
KO_MUST_CHECK enum ko_code ko_engine_run(struct ko_engine *engine, const struct ko_batch *batch,
                                         const struct ko_stop *stop, struct ko_record *records,
                                         struct ko_error *err);

/* Computes one cell as a full forward pass without the token tree, beside a clean run: all T rows
   from the embedding on, edges removed in the window; one such pass for each sequence of its prompt.
   For `verify`. out: what ko_cell_set says. */
KO_MUST_CHECK enum ko_code ko_engine_run_cell(struct ko_engine *engine, const struct ko_cell *cell,
                                              const struct ko_cell_metrics *out,
                                              struct ko_error *err);

#endif
