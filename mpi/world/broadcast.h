/* SPDX-License-Identifier: Apache-2.0 */
/* Sends a block of bytes from rank 0 to all ranks. */
#ifndef KO_MPI_WORLD_BROADCAST_H
#define KO_MPI_WORLD_BROADCAST_H

#include <mpi.h>
#include <stddef.h>

#include "src/base/error.h"

/* Collective. Rank 0 passes *data and *n, of any size; the other ranks get both (free() *data). */
KO_MUST_CHECK enum ko_code ko_broadcast_bytes(MPI_Comm comm, char **data, size_t *n,
                                              struct ko_error *err);

#endif
