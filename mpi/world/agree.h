/* SPDX-License-Identifier: Apache-2.0 */
/* Errors are agreed on before a collective: a rank that fails alone would leave the others waiting
   for ever. */
#ifndef KO_MPI_WORLD_AGREE_H
#define KO_MPI_WORLD_AGREE_H

#include <mpi.h>

#include "src/base/error.h"

/* Collective: returns when all ranks have come. A rank that waits long sleeps in between; in MPI's
   own collectives it would spin on its core, which others compute on. So what some ranks come to
   much later than others begins with it. */
KO_MUST_CHECK enum ko_code ko_meet(MPI_Comm comm, struct ko_error *err);

/* Collective: every rank hands in its own code and text; all return the code of the lowest rank
   that failed, with its text in err, "rank R on HOST: " in front (R among all ranks) unless it is
   KO_E_INPUT or the communicator has one rank. KO_OK only where all are. */
KO_MUST_CHECK enum ko_code ko_agree(MPI_Comm comm, enum ko_code code, struct ko_error *err);

/* Puts "rank R on HOST: " in front of the text, or "rank R on HOST (GPU 0 UUID): " once this
   process has named its GPU; unless a rank is named there already. */
void ko_error_name_rank(struct ko_error *err, int rank);
/* This process computes on that GPU. Called once, by a worker, before it does. */
void ko_error_name_gpu(int device, const char *uuid);

#endif
