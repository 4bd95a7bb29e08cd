/* SPDX-License-Identifier: Apache-2.0 */
/* What a sweep is given, and its results. */
#ifndef KO_MPI_SWEEP_H
#define KO_MPI_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/compute/station.h"
#include "mpi/failures.h"
#include "mpi/job.h"
#include "mpi/progress.h"
#include "mpi/world/world.h"
#include "src/base/consent.h"
#include "src/base/log.h"

struct ko_sweep {
    struct ko_world *world;           /* borrowed */
    struct ko_station *station;       /* where this rank works, else not used; borrowed */
    const struct ko_job *job;         /* borrowed */
    const struct ko_log *log;         /* borrowed */
    struct ko_progress progress;      /* root: mode and stream set by the caller */
    const char *title;                /* "evaluate", "sweep"; borrowed */
    bool (*stop_wanted)(void);        /* root: asked all the time, stays true; NULL: never */
    const struct ko_consent *consent; /* root: asked before every commit round; NULL; borrowed */

    /* Results, on the root. */
    int64_t cells_done;
    int32_t n_committed; /* batches */
    double wall_seconds;
    struct ko_spent spent;       /* by all workers together */
    struct ko_failures failures; /* recorded in the cube; ko_failures_free it */
};

/* Cells and FLOP of the batches that are to do, and cells that are not. */
void ko_sweep_count(const struct ko_job *job, struct ko_progress *progress);

#endif
