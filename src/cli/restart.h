/* SPDX-License-Identifier: Apache-2.0 */
/* What libraries read from the environment while they load, and which this program would choose
   otherwise: the process sets it and starts anew, once. */
#ifndef KO_CLI_RESTART_H
#define KO_CLI_RESTART_H

/* Before MPI_Init, so that a launcher sees one process all along; in a process without threads.
   Chooses OpenBLAS's kernels (OPENBLAS_CORETYPE) where it picked badly, and for how long a thread
   of OpenMP that waits spins before it sleeps: GNU's GOMP_SPINCOUNT and LLVM's KMP_BLOCKTIME. What
   the user has set of these, or of OMP_WAIT_POLICY, stays. Returns where nothing is to be changed,
   which is so in the second start, and where the process cannot start anew: that is said on
   stderr, and the libraries' own choices hold. */
void ko_restart_with_choices(char **argv);

#endif
