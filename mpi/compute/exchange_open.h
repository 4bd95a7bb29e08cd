/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the workers exchange their parts of the weights, and by which library. */
#ifndef KO_MPI_COMPUTE_EXCHANGE_OPEN_H
#define KO_MPI_COMPUTE_EXCHANGE_OPEN_H

#include "mpi/compute/compute.h"
#include "mpi/compute/exchange.h"
#include "mpi/world/world.h"
#include "src/base/error.h"

/* KO_E_INPUT if these workers must exchange and the program cannot. */
KO_MUST_CHECK enum ko_code ko_exchange_check(const struct ko_world *world,
                                             const struct ko_compute *compute,
                                             struct ko_error *err);
/* Collective over the workers. *out: NULL if no exchange is needed: with one worker, a backend that
   computes in host memory, or workers that read all weights themselves (world->reads_alone). A
   failure that cannot be agreed on sets world->broken. */
KO_MUST_CHECK enum ko_code ko_exchange_open(struct ko_world *world, struct ko_compute *compute,
                                            struct ko_exchange **out, struct ko_error *err);
/* Collective over the workers; exchange may be NULL. */
void ko_exchange_close(struct ko_compute *compute, struct ko_exchange *exchange);

#endif
