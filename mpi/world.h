/* The ranks of a run: who is coordinator, who is worker, who shares a node. */
#ifndef KO_MPI_WORLD_H
#define KO_MPI_WORLD_H

#include <mpi.h>
#include <stdbool.h>

#include "mpi/gpus.h"
#include "src/base/error.h"
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
    bool broken; /* the other ranks cannot be brought back: end the job with MPI_Abort */
    char host[MPI_MAX_PROCESSOR_NAME];
    struct ko_gpu gpu; /* of a worker, once it has looked (mpi/sight.h); device -1: none */
    const struct ko_stop
        *load_stop; /* drops the loading of weights; NULL: nothing does; borrowed */
};

/* MPI_Init_thread (FUNNELED) and the communicators. MPI errors return codes from here on.
   Collective. Close with ko_world_close, also after a failure. */
KO_MUST_CHECK enum ko_code ko_world_open(int *argc, char ***argv, struct ko_world *world,
                                         struct ko_error *err);
/* MPI_Finalize. */
void ko_world_close(struct ko_world *world);

/* MPI's result as our code: KO_E_FAILED with MPI's text and `what`. */
KO_MUST_CHECK enum ko_code ko_mpi_check(int result, const char *what, struct ko_error *err);

/* Threads for this worker, the first that is given: wanted (> 0), OMP_NUM_THREADS, the size of the
   affinity mask where the masks of the node's workers are disjoint, an equal share of the node's
   processors. Collective over the workers. *origin says which. */
KO_MUST_CHECK enum ko_code ko_world_threads(const struct ko_world *world, int wanted, int *threads,
                                            const char **origin, struct ko_error *err);

#endif
