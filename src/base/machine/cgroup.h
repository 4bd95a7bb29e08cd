/* SPDX-License-Identifier: Apache-2.0 */
/* The quota of processor time that control groups give this process: what containers and batch
   systems set with `docker --cpus`, Kubernetes' limits or systemd's CPUQuota. */
#ifndef KO_BASE_MACHINE_CGROUP_H
#define KO_BASE_MACHINE_CGROUP_H

#include <stdint.h>

struct ko_cgroup_quota {
    double cpus;    /* processors' worth of time, such as 1.5; INFINITY: no limit */
    uint64_t group; /* the group that sets it (its folder's inode): processes with the same group
                       share that time; 0: no limit */
};

/* The smallest quota of this process's group and of all groups around it, version 1
   (cpu.cfs_quota_us) and version 2 (cpu.max). Where the system has none, or does not show them,
   there is no limit. root: a folder in place of "/", for tests; "" otherwise. Source: Linux,
   Documentation/admin-guide/cgroup-v2.rst, "cpu.max", and scheduler/sched-bwc.rst. */
void ko_cgroup_quota_read(const char *root, struct ko_cgroup_quota *out);

#endif
