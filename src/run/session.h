/* SPDX-License-Identifier: Apache-2.0 */
/* What one rank knows during a run or an evaluation, and how a run reports its jobs: in its log, on
   the terminal, and in the run table of the cube. */
#ifndef KO_RUN_SESSION_H
#define KO_RUN_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/compute/station.h"
#include "mpi/job.h"
#include "mpi/lock/lock.h"
#include "mpi/progress.h"
#include "mpi/sweep.h"
#include "mpi/world/sight.h"
#include "mpi/world/world.h"
#include "src/base/consent.h"
#include "src/base/log.h"
#include "src/cube/run/run_table.h"
#include "src/options/invocation.h"
#include "src/tree/shard.h"

/* When a step of the start was done, as ko_now. */
struct ko_start {
    double begun, world, sights;
};

struct ko_session {
    struct ko_cli *cli; /* borrowed */
    struct ko_world world;
    struct ko_station station; /* where this rank works; its weights stay from job to job */
    struct ko_log log;
    struct ko_start start;
    double idle_since; /* when the start or the last job was over, as ko_now */
    enum ko_progress_mode progress;
    enum ko_precision precision;
    const char *backend;
    /* The root alone uses the following. */
    struct ko_sight *sight;    /* the GPUs that each worker sees, [world.n_workers]; owned */
    char device[256];          /* what computes, in words */
    bool begun;                /* the other ranks know where the output is */
    bool sending;              /* the other ranks wait for jobs */
    bool resume;               /* continues an existing cube */
    struct ko_lock *lock[2];   /* of the cube, and of the evaluation if the run makes it */
    struct ko_consent consent; /* whether this run still holds the locks of its outputs */
    struct ko_shard shard;     /* what it computes; of 0: the whole sweep */
    int64_t n_failures;        /* prompts and models that a sweep recorded as failed */
};

/* Logs how much of an earlier run's work is left. */
void ko_session_log_left(const struct ko_session *session, const struct ko_job *job,
                         const char *title);
/* Logs that there is nothing to do. */
void ko_session_log_complete(const struct ko_session *session, const char *title, const char *path,
                             bool evaluation);
/* Logs how a job ended, and how a worker spent its time, on average. */
void ko_session_log_end(const struct ko_session *session, const struct ko_sweep *sweep,
                        bool stopped);
/* Writes a row of the cube's run table. Fills in ranks, host and job of *run. Logs a warning if the
   row cannot be written. */
void ko_session_log_row(const struct ko_session *session, const char *cube_path,
                        struct ko_cube_run *run);
/* Writes the row of a job, with a line of its log. start: seconds since 1970. */
void ko_session_log_run(const struct ko_session *session, const struct ko_sweep *sweep,
                        double start, enum ko_code code);
/* The id of this Slurm job, "" outside one. Borrowed from the environment. */
const char *ko_session_slurm_job(void);

#endif
