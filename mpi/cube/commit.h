/* SPDX-License-Identifier: Apache-2.0 */
/* Writes records into an open cube. */
#ifndef KO_MPI_CUBE_COMMIT_H
#define KO_MPI_CUBE_COMMIT_H

#include <stdint.h>

#include "mpi/cube/cube.h"
#include "src/base/error.h"
#include "src/forward/record.h"

/* Collective: writes the values of n records (0 where this rank has none; any order), flush, their
   done flags, flush. Records of equal (model, fact) must not be on two ranks. What the cube has
   taken from an earlier one stays as it is. A failure here may be this rank's alone: the caller
   ends the job. */
KO_MUST_CHECK enum ko_code ko_cube_commit(struct ko_cube *cube, const struct ko_record *records,
                                          int32_t n, struct ko_error *err);

/* The same for records with cells of an earlier cube (record->taken), by one process. The cube must
   have been created to say so of each cell, but for records that are whole. Cells that are not
   taken stay as they are in the cube; values, flush, marks, flush, done flags, flush. */
KO_MUST_CHECK enum ko_code ko_cube_take(struct ko_cube *cube, const struct ko_record *records,
                                        int32_t n, struct ko_error *err);

#endif
