/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a job to its end, on any number of ranks. */
#ifndef KO_MPI_SWEEP_RUN_H
#define KO_MPI_SWEEP_RUN_H

#include "mpi/sweep.h"
#include "src/base/error.h"

/* Collective over all ranks, with the same job everywhere. KO_E_STOPPED after a polite stop: what
   was finished is committed. A failure of any rank ends it on all with that rank's text; where
   world->broken is set afterwards, the other ranks cannot be brought back and the caller must
   MPI_Abort. */
KO_MUST_CHECK enum ko_code ko_sweep_run(struct ko_sweep *sweep, struct ko_error *err);

#endif
