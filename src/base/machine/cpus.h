/* SPDX-License-Identifier: Apache-2.0 */
/* The processors that a process may use, and the number of threads that follows. */
#ifndef KO_BASE_MACHINE_CPUS_H
#define KO_BASE_MACHINE_CPUS_H

#include <stdint.h>

#include "src/base/error.h"
#include "src/base/machine/cgroup.h"

enum { KO_CPU_WORDS = 128 }; /* 8,192 processors */

struct ko_cpus {
    uint64_t mask[KO_CPU_WORDS]; /* the affinity mask, a bit a processor; the system keeps it within
                                    the cpuset of the process's control group */
    struct ko_cgroup_quota quota;
};

/* This process's. KO_E_FAILED where the system does not tell. */
KO_MUST_CHECK enum ko_code ko_cpus_look(struct ko_cpus *out, struct ko_error *err);
/* Threads that these processors can run at the same time: those of the mask, or the whole part of
   the quota where that is less; at least 1. *from (may be NULL): "affinity mask", "cgroup quota".
 */
int ko_cpus_usable(const struct ko_cpus *cpus, const char **from);
/* What process `own` of the n on one machine may take so that all together take no more than there
   is: its mask where the masks are disjoint, else an equal part of their union; no more than an
   equal part of a quota, among those that share it; at least 1. *from: "affinity mask", "equal
   share", "cgroup quota". */
int ko_cpus_share(const struct ko_cpus *all, int n, int own, const char **from);
/* Threads that all n processes together can run at the same time. */
int ko_cpus_together(const struct ko_cpus *all, int n);

/* What a number of threads is chosen from. */
struct ko_thread_wish {
    int option;                  /* --threads or KNOCKOUT_THREADS; 0: not given */
    const char *omp_num_threads; /* the environment's; NULL or empty: not set. A list, a number a
                                    nesting level: the first counts */
    const char *omp_thread_limit;
    int usable, share; /* ko_cpus_usable, ko_cpus_share */
    const char *usable_from, *share_from;
};

struct ko_threads {
    int n;
    char from[24];     /* "--threads", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT", or as in `wish` */
    char warning[256]; /* what the user should know; empty: nothing */
};

/* The first that is given: --threads, which is taken as it is and warned about where it is more
   than the process may use; OMP_NUM_THREADS, which is cut to that with a warning; the share.
   OMP_THREAD_LIMIT, which OpenMP enforces, cuts all of them. KO_E_INPUT for a variable that is not
   what OpenMP says, naming it and its value. Source: OpenMP 5.2, 21.1.2 and 21.1.3. */
KO_MUST_CHECK enum ko_code ko_threads_choose(const struct ko_thread_wish *wish,
                                             struct ko_threads *out, struct ko_error *err);

/* The same for a process that is alone on its machine, with the environment's variables. */
KO_MUST_CHECK enum ko_code ko_threads_here(int option, struct ko_threads *out,
                                           struct ko_error *err);

#endif
