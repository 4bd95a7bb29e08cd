/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a job to its end, on any number of ranks: coordinator, workers, or both in one. */
#ifndef KO_MPI_SWEEP_H
#define KO_MPI_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/failures.h"
#include "mpi/job.h"
#include "mpi/progress.h"
#include "mpi/world/world.h"
#include "src/base/consent.h"
#include "src/base/error.h"
#include "src/base/log.h"

struct ko_sweep {
    struct ko_world *world;           /* borrowed */
    const struct ko_job *job;         /* borrowed */
    const struct ko_log *log;         /* borrowed */
    struct ko_progress progress;      /* root: mode, stream set by the caller */
    const char *title;                /* "evaluate", "sweep" */
    bool (*stop_wanted)(void);        /* root: looked at all the time; NULL: never */
    const struct ko_consent *consent; /* root: asked before every commit round; NULL; borrowed */

    /* Results, on the root. */
    int64_t cells_done;
    int32_t n_committed; /* batches */
    double wall_seconds;
    struct ko_spent spent;       /* by all workers together */
    struct ko_failures failures; /* recorded in the cube; ko_failures_free it */
};

/* Collective over all ranks, with the same job everywhere. KO_E_STOPPED after a polite stop: what
   was finished is committed. A failure of any rank ends it on all with that rank's text; where
   world->broken is set afterwards, the other ranks cannot be brought back and the caller must
   MPI_Abort. */
KO_MUST_CHECK enum ko_code ko_sweep_run(struct ko_sweep *sweep, struct ko_error *err);

/* What the workers spent, at the end. Collective over all ranks; the coordinator takes part with
   NULL and gets the sum in the sweep (NULL elsewhere). A failure sets world->broken. */
KO_MUST_CHECK enum ko_code ko_sweep_gather_spent(struct ko_world *world,
                                                 const struct ko_spent *spent,
                                                 struct ko_sweep *sweep, struct ko_error *err);

/* Cells and FLOP of the batches that are to do, and cells that are not. */
void ko_sweep_count(const struct ko_job *job, struct ko_progress *progress);

#endif
