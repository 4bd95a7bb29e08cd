/* How this process was launched: as a rank of an MPI job, or by mistake as one of several programs
 * that know nothing of each other. */
#ifndef KO_MPI_LAUNCH_H
#define KO_MPI_LAUNCH_H

#include "src/base/error.h"

/* Before MPI_Init. KO_E_INPUT "launched as N separate programs, ..." where Slurm says that this
   step has several tasks and nothing in the environment would tell an MPI library so: Open MPI
   then ends the process inside MPI_Init, with a page of text and exit status 1. */
KO_MUST_CHECK enum ko_code ko_launch_check_step(struct ko_error *err);

/* After MPI_Init: the same error where MPI sees one rank (n_ranks) and the launcher several. */
KO_MUST_CHECK enum ko_code ko_launch_check(int n_ranks, struct ko_error *err);

#endif
