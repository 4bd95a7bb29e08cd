/* SPDX-License-Identifier: Apache-2.0 */
/* How this process was launched: as a rank of an MPI job, or by mistake as one of several separate
   programs. */
#ifndef KO_MPI_WORLD_LAUNCH_H
#define KO_MPI_WORLD_LAUNCH_H

#include "src/base/error.h"

/* Before MPI_Init. KO_E_INPUT "launched as N separate programs, ..." if Slurm's step has several
   tasks and no variable in the environment connects them. Otherwise Open MPI would end the process
   inside MPI_Init, with a page of text and exit status 1. */
KO_MUST_CHECK enum ko_code ko_launch_check_step(struct ko_error *err);

/* Before MPI_Init: sets up the environment for Open MPI. Values that the user has set are kept.
   - An idle rank yields its processor, where Open MPI would spin.
   - Shared file pointers are not kept in a file: that component of Open MPI overflows at paths of
     some 230 bytes, and this program does not use it.
   - A single process in a Slurm step without PMIx starts as it does outside of Slurm: the step's
     variables, which Open MPI would take for a launcher's, are unset.
   - KO_E_INPUT if such a process would keep its files in a folder (TMPDIR) that does not exist or
     cannot be written. */
KO_MUST_CHECK enum ko_code ko_launch_prepare(struct ko_error *err);

/* After MPI_Init: the same error if MPI sees one rank (n_ranks) and the launcher started
   several. */
KO_MUST_CHECK enum ko_code ko_launch_check(int n_ranks, struct ko_error *err);

#endif
