/* SPDX-License-Identifier: Apache-2.0 */
/* Loads weights in the compute thread: for a backend with memory of its own, and weights that stream
   on any backend. */
#ifndef KO_MPI_COMPUTE_WEIGHTS_DEVICE_H
#define KO_MPI_COMPUTE_WEIGHTS_DEVICE_H

#include "mpi/compute/compute.h"
#include "mpi/compute/exchange.h"
#include "mpi/compute/weights.h"
#include "mpi/world/world.h"
#include "src/base/error.h"

/* Collective over the workers. weights->checkpoint and ->model are open on all of them. Every
   worker reads the values and its part of the matrices, then the matrices are exchanged. Where they
   stream (weights->slots), every worker checks and hashes its part and reads what is resident.
   Errors are those of ko_weights_load. */
KO_MUST_CHECK enum ko_code ko_weights_load_device(struct ko_world *world,
                                                  struct ko_compute *compute,
                                                  struct ko_exchange *exchange,
                                                  struct ko_weights *weights, struct ko_error *err);
/* Frees the backend's memory, in its thread. */
void ko_weights_free_device(struct ko_weights *weights);

#endif
