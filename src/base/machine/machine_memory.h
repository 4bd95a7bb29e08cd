/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of this machine. */
#ifndef KO_BASE_MACHINE_MACHINE_MEMORY_H
#define KO_BASE_MACHINE_MACHINE_MEMORY_H

/* Bytes that the processes of this machine, or of this process's control group and its parents where
   they have a limit, can have together. INFINITY if the system does not say. root: "", or a folder
   instead of "/" for tests. */
double ko_machine_memory(const char *root);

#endif
