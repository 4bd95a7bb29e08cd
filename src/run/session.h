/* SPDX-License-Identifier: Apache-2.0 */
/* A run or an evaluation on all ranks: MPI, the log, the jobs one after the other. Rank 0 leads;
   the others do what it says. */
#ifndef KO_RUN_SESSION_H
#define KO_RUN_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/job.h"
#include "mpi/lock/lock.h"
#include "mpi/progress.h"
#include "mpi/world/sight.h"
#include "mpi/world/world.h"
#include "src/base/consent.h"
#include "src/base/error.h"
#include "src/base/log.h"
#include "src/options/invocation.h"
#include "src/plan/plan.h"
#include "src/run/inputs.h"
#include "src/run/output.h"

struct ko_session {
    struct ko_cli *cli; /* borrowed */
    struct ko_world world;
    struct ko_log log;
    enum ko_progress_mode progress;
    enum ko_precision precision;
    const char *backend;
    struct ko_sight *sight;    /* root: what the workers see of GPUs, [world.n_workers]; owned */
    char device[256];          /* what computes, in words */
    bool begun;                /* root: the others have been told where the output is */
    bool sending;              /* root: the others wait for jobs */
    bool resume;               /* root: continues what is there */
    struct ko_lock *lock[2];   /* root: of the cube, and of the evaluation where the run makes it */
    struct ko_consent consent; /* root: whether the outputs are still its own, by the locks */
    struct ko_shard shard;     /* root: what it computes; of 0: the whole sweep */
    int64_t n_failures;        /* root: prompts and models that a sweep recorded as failed */
};

/* What the root does between the ranks' start and their end. */
typedef enum ko_code ko_session_lead(struct ko_session *session, void *context,
                                     struct ko_error *err);

/* Starts MPI, checks the launch, lets the root lead and the others serve its jobs, agrees on the
   end. The root prints the error of a failure itself, before any rank can end, and err's text is
   empty afterwards. *status is KO_EXIT_FAILURES on every rank where the run is complete with
   recorded failures. Ends the whole job with MPI_Abort where ranks cannot be brought back. */
KO_MUST_CHECK enum ko_code ko_session_run(struct ko_cli *cli, ko_session_lead *lead, void *context,
                                          int *status, struct ko_error *err);

/* For the root's lead. Everything that can be refused has been accepted: the folder of the output
   is probed from every rank, the others begin to serve, the root locks the output. Collective. */
KO_MUST_CHECK enum ko_code ko_session_begin(struct ko_session *session,
                                            const struct ko_output *output, struct ko_error *err);

/* For the root's lead: computes a plan into a cube on all ranks, but for what it has. It exists. */
KO_MUST_CHECK enum ko_code ko_session_compute(struct ko_session *session, struct ko_plan *plan,
                                              const struct ko_job_earlier *earlier,
                                              const char *cube_path, const char *title,
                                              struct ko_error *err);

#endif
