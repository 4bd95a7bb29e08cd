/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker computes with, in every job of a session: the compute thread with its backend, the
   exchange of weights, and the weights that were loaded last. */
#ifndef KO_MPI_COMPUTE_STATION_H
#define KO_MPI_COMPUTE_STATION_H

#include <stdbool.h>

#include "mpi/compute/compute.h"
#include "mpi/compute/exchange.h"
#include "mpi/compute/weights.h"
#include "mpi/world/world.h"
#include "src/base/error.h"
#include "src/plan/plan.h"

/* {0} is closed. */
struct ko_station {
    struct ko_compute *compute;   /* NULL: not open */
    struct ko_exchange *exchange; /* NULL: not needed, or not open yet */
    struct ko_weights weights;    /* model NULL: none */
};

/* Starts the compute thread, if it does not run yet. KO_E_INPUT for a backend that is not known, or
   if these workers must exchange weights and cannot. Collective over the workers; errors are agreed
   on. Close with ko_station_close, also after a failure. */
KO_MUST_CHECK enum ko_code ko_station_open(struct ko_world *world, const char *backend,
                                           enum ko_precision precision, struct ko_station *station,
                                           struct ko_error *err);
/* *has: whether the weights in memory are this model's on every worker, stream through so many
   slots, and its files are those that they were loaded from. Collective over the workers; errors are
   agreed on. */
KO_MUST_CHECK enum ko_code ko_station_has(const struct ko_world *world,
                                          const struct ko_station *station,
                                          const struct ko_plan_model *model, int32_t slots,
                                          bool *has, struct ko_error *err);
/* Frees the weights. No model may be bound. Collective over the workers. */
void ko_station_clear(struct ko_station *station);
/* Opens the exchange, if it is needed and not open. Otherwise like ko_exchange_open. */
KO_MUST_CHECK enum ko_code ko_station_connect(struct ko_world *world, struct ko_station *station,
                                              struct ko_error *err);
/* Frees everything; leaves {0}. Collective over the workers. */
void ko_station_close(struct ko_station *station);

#endif
