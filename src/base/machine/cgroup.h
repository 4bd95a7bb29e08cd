/* SPDX-License-Identifier: Apache-2.0 */
/* The processor-time quota and the memory limit of this process's control group, as set by `docker
   --cpus` and `--memory`, Kubernetes limits, Slurm or systemd. */
#ifndef KO_BASE_MACHINE_CGROUP_H
#define KO_BASE_MACHINE_CGROUP_H

#include <stdint.h>

struct ko_cgroup_quota {
    double cpus; /* processors' worth of time, such as 1.5; INFINITY: no limit */
    /* The group that sets the quota (its folder's inode). Its processes share the quota. 0: no
       limit. */
    uint64_t group;
};

/* The smallest quota of this process's group and all its parent groups, version 1
   (cpu.cfs_quota_us) or 2 (cpu.max). No limit if the system has no groups or hides them. root: "",
   or a folder instead of "/" for tests. Source: Linux, Documentation/admin-guide/cgroup-v2.rst,
   "cpu.max", and scheduler/sched-bwc.rst. */
void ko_cgroup_quota_read(const char *root, struct ko_cgroup_quota *out);
/* The smallest memory limit of the same groups in bytes (memory.limit_in_bytes or memory.max);
   INFINITY: no limit. */
double ko_cgroup_memory_read(const char *root);

#endif
