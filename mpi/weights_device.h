/* SPDX-License-Identifier: Apache-2.0 */
/* What weights.c does for a backend with memory of its own. */
#ifndef KO_MPI_WEIGHTS_DEVICE_H
#define KO_MPI_WEIGHTS_DEVICE_H

#include "mpi/compute.h"
#include "mpi/exchange.h"
#include "mpi/weights.h"
#include "mpi/world/world.h"
#include "src/base/error.h"

/* Collective over the workers, with weights->checkpoint and ->model open on all: every worker reads
   the values and its part of the matrices, the exchange brings the matrices together. As
   ko_weights_load says. */
KO_MUST_CHECK enum ko_code ko_weights_load_device(struct ko_world *world,
                                                  struct ko_compute *compute,
                                                  struct ko_exchange *exchange,
                                                  struct ko_weights *weights, struct ko_error *err);
/* Gives the backend's memory back, in its thread. */
void ko_weights_free_device(struct ko_weights *weights);

#endif
