/* SPDX-License-Identifier: Apache-2.0 */
/* How this process was launched: as a rank of an MPI job, or by mistake as one of several programs
   that know nothing of each other. */
#ifndef KO_MPI_WORLD_LAUNCH_H
#define KO_MPI_WORLD_LAUNCH_H

#include "src/base/error.h"

/* Before MPI_Init. KO_E_INPUT "launched as N separate programs, ..." where Slurm says that this
   step has several tasks and nothing in the environment would tell an MPI library so: Open MPI
   then ends the process inside MPI_Init, with a page of text and exit status 1. */
KO_MUST_CHECK enum ko_code ko_launch_check_step(struct ko_error *err);

/* Before MPI_Init: the environment as the MPI library needs it.
   - An idle rank gives its processor to others (Open MPI spins otherwise). A value of the user's
     stays, here and below.
   - Files are opened without shared file pointers that lie in a file: Open MPI's component for them
     overflows at paths of some 230 bytes, and nothing here uses them.
   - One process alone in a step of Slurm's without PMIx starts as it does outside of Slurm: the
     step's variables, which Open MPI takes for those of a launcher, are taken away.
   - KO_E_INPUT where such a process would keep its files in a folder, TMPDIR, that is not there or
     cannot be written. */
KO_MUST_CHECK enum ko_code ko_launch_prepare(struct ko_error *err);

/* After MPI_Init: the same error where MPI sees one rank (n_ranks) and the launcher several. */
KO_MUST_CHECK enum ko_code ko_launch_check(int n_ranks, struct ko_error *err);

#endif
