/* SPDX-License-Identifier: Apache-2.0 */
/* How the workers exchange the parts of the weights that each holds in its backend's memory. */
#ifndef KO_MPI_COMPUTE_EXCHANGE_H
#define KO_MPI_COMPUTE_EXCHANGE_H

#include <stddef.h>

#include "src/base/error.h"

struct ko_exchange {
    /* Worker w has bytes [begin[w], begin[w + 1]) of `memory` (backend memory) before the call;
       every worker has all of them after it. begin [n_workers + 1]. Collective over the workers,
       called in the compute thread, so it may not use MPI. If it fails, other workers may wait for
       ever: the caller ends the job. */
    enum ko_code (*share)(struct ko_exchange *exchange, void *memory, const size_t *begin,
                          struct ko_error *err);
    /* Frees it. Collective over the workers, in the compute thread. */
    void (*close)(struct ko_exchange *exchange);
};

#endif
