/* SPDX-License-Identifier: Apache-2.0 */
/* The lock of an output: only one run at a time writes a cube. The lock is a file beside the cube
   that names its owner. The owner touches it while it lives; another run takes it over if it has
   died. */
#ifndef KO_MPI_LOCK_LOCK_H
#define KO_MPI_LOCK_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "mpi/world/world.h"
#include "src/base/error.h"

struct ko_lock_process {
    char host[64];
    char space[32]; /* the process namespace, in which the pid is valid */
    int64_t pid;
    uint64_t begin; /* start time in the kernel's ticks; 0: unknown */
};

/* The owner of a lock: all processes of a run. */
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

/* How long a run waits for a lock, the age at which an untouched lock counts as abandoned, and how
   often the owner touches it. */
enum { KO_LOCK_WAIT_SECONDS = 15, KO_LOCK_SILENCE_SECONDS = 120, KO_LOCK_BEAT_SECONDS = 10 };

/* Takes the lock of the cube X.h5, the file X.lock (O_EXCL), and touches it from a thread. One
   process. Takes over a lock whose processes ran on this host and have ended, a lock that an
   earlier start of the same Slurm job left, and a lock untouched for KO_LOCK_SILENCE_SECONDS. Waits
   up to wait_seconds for any other lock; then KO_E_INPUT names its host, processes and age.
   KO_E_STOPPED if stop_wanted (may be NULL) returned true. Free with ko_lock_release. */
KO_MUST_CHECK enum ko_code ko_lock_take(const char *cube, const struct ko_lock_owner *owner,
                                        double wait_seconds, bool (*stop_wanted)(void),
                                        struct ko_lock **out, struct ko_error *err);
/* Whether this run still has the lock: call it before anything is written or renamed. A run that
   did not touch its lock for KO_LOCK_SILENCE_SECONDS (because it was suspended, say) may have lost
   it to another run, even to one that has ended since. Then KO_E_FAILED, which names the present
   owner. */
KO_MUST_CHECK enum ko_code ko_lock_check(const struct ko_lock *lock, struct ko_error *err);
/* Removes the file if this lock still has it. NULL is accepted. */
void ko_lock_release(struct ko_lock *lock);

#endif
