/* SPDX-License-Identifier: Apache-2.0 */
/* The ranks of a run: coordinator, workers, and the workers of each node. */
#ifndef KO_MPI_WORLD_WORLD_H
#define KO_MPI_WORLD_WORLD_H

#include <mpi.h>
#include <stdbool.h>

#include "mpi/world/gpus.h"
#include "src/base/error.h"
#include "src/base/machine/cpus.h"
#include "src/base/stop.h"

struct ko_world {
    MPI_Comm all;     /* every rank */
    MPI_Comm workers; /* ranks 1 ... n-1; all of one rank; MPI_COMM_NULL on a coordinator */
    MPI_Comm node;    /* the workers of this node; MPI_COMM_NULL on a coordinator */
    int rank, n_ranks;
    int n_workers;
    int worker;      /* number among the workers, -1 on a coordinator */
    int node_worker; /* number among the workers of this node */
    int n_node_workers;
    bool root;   /* rank 0 */
    bool alone;  /* -n 1: coordinator and worker in one */
    bool broken; /* other ranks may wait for ever: end the job with MPI_Abort */
    char host[MPI_MAX_PROCESSOR_NAME];
    struct ko_gpu gpu;         /* of a worker, set by ko_sights_gather; device -1: no GPU */
    struct ko_threads threads; /* of a worker, set by ko_sights_gather */
    bool reads_alone;          /* equal on all ranks: workers compute on MIG slices, which cannot
                                  exchange weights, so each worker reads all of them */
    const struct ko_stop *load_stop; /* drops the loading of weights; may be NULL; borrowed */
};

/* MPI_Init_thread (FUNNELED) and the communicators. MPI errors return codes from here on.
   Collective. Close with ko_world_close, also after a failure. */
KO_MUST_CHECK enum ko_code ko_world_open(int *argc, char ***argv, struct ko_world *world,
                                         struct ko_error *err);
/* MPI_Finalize. */
void ko_world_close(struct ko_world *world);

/* Threads for this worker (src/base/machine/cpus.h): wanted (> 0), OMP_NUM_THREADS, or its share of the
   node's processors. On the node's first worker, out->warning is set if the node's workers have
   more threads than processors. Collective over the workers; KO_E_INPUT is agreed on within the
   node. */
KO_MUST_CHECK enum ko_code ko_world_threads(const struct ko_world *world, int wanted,
                                            struct ko_threads *out, struct ko_error *err);

#endif
