/* SPDX-License-Identifier: Apache-2.0 */
/* Loads and frees a model's weights. */
#ifndef KO_MPI_COMPUTE_WEIGHTS_LOAD_H
#define KO_MPI_COMPUTE_WEIGHTS_LOAD_H

#include <stdbool.h>

#include "mpi/compute/compute.h"
#include "mpi/compute/exchange.h"
#include "mpi/compute/weights.h"
#include "mpi/world/world.h"
#include "src/base/error.h"
#include "src/plan/plan.h"

/* Collective over the workers: opens the model's checkpoint, whose fingerprint must be the plan's,
   and loads it for the backend of `compute`, or lets it stream. exchange: for several workers whose
   backend has memory of its own, else NULL. The error is agreed on. Only a failure of the exchange
   cannot be: it sets world->broken and frees nothing. Free with ko_weights_free (collective over
   the workers). */
KO_MUST_CHECK enum ko_code ko_weights_load(struct ko_world *world, struct ko_compute *compute,
                                           struct ko_exchange *exchange,
                                           const struct ko_plan_model *model, int32_t slots,
                                           struct ko_weights *out, struct ko_error *err);
void ko_weights_free(struct ko_weights *weights); /* leaves {0} */

/* Local. Whether these weights are the model's, stream through so many slots, and were loaded
   from the checkpoint's files as they are now. Also false where the files cannot be looked at. */
bool ko_weights_are_of(const struct ko_weights *weights, const struct ko_plan_model *model,
                       int32_t slots);

#endif
