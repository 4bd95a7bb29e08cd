/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share: one model bound to one backend. */
#ifndef KO_FORWARD_ENGINE_H
#define KO_FORWARD_ENGINE_H

#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/base/stop.h"
#include "src/forward/rows.h"
#include "src/models/pass.h"
#include "src/plan/plan.h"

struct ko_given;

struct ko_engine {
    const struct ko_plan *plan; /* borrowed */
    int32_t plan_model;
    int32_t max_rows;
    struct ko_pass pass;        /* x, buffers and masks are owned, in the backend's memory */
    struct ko_metrics *metrics; /* [max_scored of its limits] host; owned */
    struct ko_given *given;     /* of a plan with matrices of embeddings, else NULL; owned */
    /* Work of the batch's waves before this one, and of this one, as shares of 1. */
    double share_before, share_of_wave;
};

/* Runs the wave of `set` through all layers and puts the metrics of its scored tokens into
   engine->metrics [set->n_scored]. */
KO_MUST_CHECK enum ko_code ko_engine_pass(struct ko_engine *engine, const struct ko_row_set *set,
                                          const struct ko_stop *stop, struct ko_error *err);

/* Makes the feature masks of the plan's classes from the model's decay norms, in the backend's
   memory. */
KO_MUST_CHECK enum ko_code ko_engine_make_masks(struct ko_engine *engine, struct ko_error *err);

#endif
