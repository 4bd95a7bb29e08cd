/* SPDX-License-Identifier: Apache-2.0 */
/* Sets environment variables that libraries read while they load, and executes the program again. */
#ifndef KO_CLI_RESTART_H
#define KO_CLI_RESTART_H

/* Call it before MPI_Init, so that a launcher sees one process, and before any thread exists. Chooses
   OpenBLAS's kernels (OPENBLAS_CORETYPE) if OpenBLAS chose badly, and how long a waiting thread of
   OpenMP spins before it sleeps: GNU's GOMP_SPINCOUNT and LLVM's KMP_BLOCKTIME. Variables that the
   user has set stay, and OMP_WAIT_POLICY decides about waiting. Executes the program again if a
   variable changed. Returns if nothing changed, as in the second start, or if the program cannot be
   executed: then it warns on stderr, and the libraries' choices hold. */
void ko_restart_with_choices(char **argv);

#endif
