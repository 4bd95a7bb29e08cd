/* SPDX-License-Identifier: Apache-2.0 */
/* The processors that a process may use, and its number of threads. */
#ifndef KO_BASE_MACHINE_CPUS_H
#define KO_BASE_MACHINE_CPUS_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/base/machine/cgroup.h"

enum { KO_CPU_WORDS = 128 }; /* 8,192 processors */

struct ko_cpus {
    /* The affinity mask, one bit per processor. The system keeps it inside the control group's
       cpuset. */
    uint64_t mask[KO_CPU_WORDS];
    struct ko_cgroup_quota quota;
};

/* Reads this process's processors. KO_E_FAILED if the system call fails. */
KO_MUST_CHECK enum ko_code ko_cpus_look(struct ko_cpus *out, struct ko_error *err);
/* How many threads these processors can run at once: the mask's processors or the quota rounded
   down, whichever is less; at least 1. *from (may be NULL): "affinity mask" or "cgroup quota". */
int ko_cpus_usable(const struct ko_cpus *cpus, const char **from);
/* The threads of process `own` of n on one machine, so that together they use no more than the
   machine gives. Disjoint masks: its own mask. Otherwise: an equal part of their union. At most an
   equal part of a shared quota; at least 1. *from: "affinity mask", "equal share" or "cgroup
   quota". */
int ko_cpus_share(const struct ko_cpus *all, int n, int own, const char **from);
/* How many threads all n processes together can run at once. */
int ko_cpus_together(const struct ko_cpus *all, int n);

/* The inputs for choosing a number of threads. */
struct ko_thread_wish {
    int option; /* --threads or KNOCKOUT_THREADS; 0: not given */
    /* From the environment; NULL or empty: not set. OMP_NUM_THREADS may be a list with one number
       per nesting level; the first counts. */
    const char *omp_num_threads, *omp_thread_limit;
    int usable, share; /* ko_cpus_usable, ko_cpus_share */
    const char *usable_from, *share_from;
};

struct ko_threads {
    int n;
    char from[24];     /* "--threads", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT" or wish.share_from */
    char warning[256]; /* for the user; empty: no warning */
};

/* Chooses the first that is given: --threads, with a warning if it exceeds the usable processors;
   OMP_NUM_THREADS, cut to the usable processors with a warning; the share. OMP_THREAD_LIMIT, which
   OpenMP enforces, limits all three. KO_E_INPUT for a malformed variable, naming it and its value.
   Source: OpenMP 5.2, 21.1.2 and 21.1.3. */
KO_MUST_CHECK enum ko_code ko_threads_choose(const struct ko_thread_wish *wish,
                                             struct ko_threads *out, struct ko_error *err);

/* The same for a single process, with the variables of the environment. */
KO_MUST_CHECK enum ko_code ko_threads_here(int option, struct ko_threads *out,
                                           struct ko_error *err);

#endif
