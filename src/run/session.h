/* SPDX-License-Identifier: Apache-2.0 */
/* What one rank knows during a run or an evaluation. */
#ifndef KO_RUN_SESSION_H
#define KO_RUN_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/lock/lock.h"
#include "mpi/progress.h"
#include "mpi/world/sight.h"
#include "mpi/world/world.h"
#include "src/base/consent.h"
#include "src/base/log.h"
#include "src/options/invocation.h"
#include "src/tree/shard.h"

struct ko_session {
    struct ko_cli *cli; /* borrowed */
    struct ko_world world;
    struct ko_log log;
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

#endif
