/* SPDX-License-Identifier: Apache-2.0 */
/* Writes records into an open cube. */
#ifndef KO_MPI_CUBE_COMMIT_H
#define KO_MPI_CUBE_COMMIT_H

#include <stdint.h>

#include "mpi/cube/cube.h"
#include "src/base/error.h"
#include "src/forward/record.h"

/* Collective: writes the values of n records (any order, n may be 0), flushes, writes their done
   flags, and flushes. Two ranks must not have records of the same model and fact. Cells that the
   cube has taken from an earlier one are kept. Errors are not agreed on: the caller ends the
   job. */
KO_MUST_CHECK enum ko_code ko_cube_commit(struct ko_cube *cube, const struct ko_record *records,
                                          int32_t n, struct ko_error *err);

/* The same for records with cells of an earlier cube (record->taken), by one process. Unless all
   records are whole, the cube must mark taken cells (ko_cube_has_reused). Other cells of the cube
   are kept. Values, marks and done flags are written in this order, with a flush after each. */
KO_MUST_CHECK enum ko_code ko_cube_take(struct ko_cube *cube, const struct ko_record *records,
                                        int32_t n, struct ko_error *err);

#endif
