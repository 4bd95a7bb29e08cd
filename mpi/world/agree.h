/* SPDX-License-Identifier: Apache-2.0 */
/* Agreement on errors, before a collective: if one rank failed alone, the others would wait for
   ever. */
#ifndef KO_MPI_WORLD_AGREE_H
#define KO_MPI_WORLD_AGREE_H

#include <mpi.h>

#include "src/base/error.h"

/* Collective: a barrier whose waiting ranks sleep. In MPI's own collectives they would spin on
   cores that other processes compute on. Call it first where ranks may arrive at very different
   times. */
KO_MUST_CHECK enum ko_code ko_meet(MPI_Comm comm, struct ko_error *err);

/* Collective: every rank passes its own code and text. All return KO_OK, or the code and text of
   the lowest rank that failed. "rank R on HOST: " is put in front (R among all ranks), unless the
   code is KO_E_INPUT or KO_E_STOPPED or the communicator has one rank. */
KO_MUST_CHECK enum ko_code ko_agree(MPI_Comm comm, enum ko_code code, struct ko_error *err);

/* Puts "rank R on HOST: " in front of the text, or "rank R on HOST (GPU 0 UUID): " after
   ko_error_name_gpu. Does nothing if the text begins with a rank. */
void ko_error_name_rank(struct ko_error *err, int rank);
/* Sets the GPU that errors of this process name. Called once, before it computes. */
void ko_error_name_gpu(int device, const char *uuid);

#endif
