/* SPDX-License-Identifier: Apache-2.0 */
/* The lock of an output: one run at a time writes a cube. It is a file beside the cube that says
   who writes, is touched while its owner lives, and is taken over from an owner that is gone. */
#ifndef KO_MPI_LOCK_LOCK_H
#define KO_MPI_LOCK_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/world/world.h"
#include "src/base/error.h"

struct ko_lock_process {
    char host[64];
    char space[32]; /* the process namespace: a pid means nothing in another one */
    int64_t pid;
    uint64_t begin; /* when it started, in the kernel's ticks; 0: not known */
};

/* Who takes a lock: all processes of a run. */
struct ko_lock_owner {
    struct ko_lock_process *process; /* [n], the first is the root's; owned */
    int n;
    int64_t start;   /* epoch seconds */
    char job[64];    /* the Slurm job, "" outside of Slurm */
    int64_t restart; /* how often Slurm has started that job again */
};

/* Collective over world->all: the processes of this run, on every rank. The error is agreed on.
   Free with ko_lock_owner_free. */
KO_MUST_CHECK enum ko_code ko_lock_gather(const struct ko_world *world, struct ko_lock_owner *out,
                                          struct ko_error *err);
/* The same for a program of one process without MPI. */
KO_MUST_CHECK enum ko_code ko_lock_gather_alone(struct ko_lock_owner *out, struct ko_error *err);
void ko_lock_owner_free(struct ko_lock_owner *owner); /* leaves {0} */

struct ko_lock;

/* How long a lock is waited for, and without a sign of life it is nobody's. */
enum { KO_LOCK_WAIT_SECONDS = 15, KO_LOCK_SILENCE_SECONDS = 120, KO_LOCK_BEAT_SECONDS = 10 };

/* Takes the lock of the cube X.h5, the file X.lock (O_EXCL), and keeps it alive from a thread. One
   process. A lock whose processes are all gone (where they were on this host), that an earlier
   start of the same Slurm job left, or that shows no sign of life for KO_LOCK_SILENCE_SECONDS is
   taken over; another one is waited for up to wait_seconds, then KO_E_INPUT names its host,
   processes and age. KO_E_STOPPED where `stop_wanted` (may be NULL) said so meanwhile. Free with
   ko_lock_release. */
KO_MUST_CHECK enum ko_code ko_lock_take(const char *cube, const struct ko_lock_owner *owner,
                                        double wait_seconds, bool (*stop_wanted)(void),
                                        struct ko_lock **out, struct ko_error *err);
/* Whether the lock is still this one's, asked right before anything is written or renamed. A run
   that gave no sign of life for KO_LOCK_SILENCE_SECONDS (it was suspended, say) may have lost it to
   another one, which may have ended since: KO_E_FAILED then, naming who has it now. */
KO_MUST_CHECK enum ko_code ko_lock_check(const struct ko_lock *lock, struct ko_error *err);
/* Removes the file, if it is still this lock's. NULL is accepted. */
void ko_lock_release(struct ko_lock *lock);

#endif
