/* SPDX-License-Identifier: Apache-2.0 */
/* A process's first use of a GPU takes some tenths of a second. They pass here in a thread of their
   own, while rank 0 reads its inputs and plans. */
#ifndef KO_MPI_COMPUTE_WARM_UP_H
#define KO_MPI_COMPUTE_WARM_UP_H

#include <pthread.h>
#include <stdbool.h>

#include "mpi/world/world.h"

/* {0} does not run. */
struct ko_warm_up {
    pthread_t thread;
    bool runs;
    int device; /* the thread's own GPU */
};

/* On a worker that has a GPU, unless `backend` (NULL or "": not chosen yet) is another one. The
   thread opens the backend and closes it again; its errors are left to whoever opens it later.
   *warm_up must not move before ko_warm_up_end. */
void ko_warm_up_start(const struct ko_world *world, const char *backend,
                      struct ko_warm_up *warm_up);
/* Waits for the thread; leaves {0}. */
void ko_warm_up_end(struct ko_warm_up *warm_up);

#endif
