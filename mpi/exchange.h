/* SPDX-License-Identifier: Apache-2.0 */
/* How workers bring the parts of the weights together that each holds in its backend's memory. */
#ifndef KO_MPI_EXCHANGE_H
#define KO_MPI_EXCHANGE_H

#include <stddef.h>

#include "mpi/compute.h"
#include "mpi/world/world.h"
#include "src/base/error.h"

struct ko_exchange {
    /* Bytes [begin[w], begin[w + 1]) of `memory` (backend memory) are there on worker w; afterwards
       all of them are, on every worker. begin [n_workers + 1]. Collective over the workers, called
       in the compute thread: it may not use MPI. The other workers may be left waiting where it
       fails: the caller ends the job. */
    enum ko_code (*share)(struct ko_exchange *exchange, void *memory, const size_t *begin,
                          struct ko_error *err);
    /* Frees it. Collective over the workers, in the compute thread. */
    void (*close)(struct ko_exchange *exchange);
};

/* Whether these workers can exchange, where they have to: KO_E_INPUT otherwise. */
KO_MUST_CHECK enum ko_code ko_exchange_check(const struct ko_world *world,
                                             const struct ko_compute *compute,
                                             struct ko_error *err);
/* Collective over the workers. *out: NULL where none is needed: with one worker, a backend that
   computes in host memory, or workers that read all weights themselves (world->reads_alone). A failure that cannot be agreed on sets world->broken. */
KO_MUST_CHECK enum ko_code ko_exchange_open(struct ko_world *world, struct ko_compute *compute,
                                            struct ko_exchange **out, struct ko_error *err);
/* Collective over the workers; exchange may be NULL. */
void ko_exchange_close(struct ko_compute *compute, struct ko_exchange *exchange);

#endif
