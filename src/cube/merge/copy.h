/* SPDX-License-Identifier: Apache-2.0 */
/* A compressed copy of a cube, one process, no MPI. */
#ifndef KO_CUBE_MERGE_COPY_H
#define KO_CUBE_MERGE_COPY_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"
#include "src/cube/read/read.h"

/* The root attribute of a copy of a cube with pending cells. */
#define KO_CUBE_INCOMPLETE "incomplete_copy"

enum { KO_CUBE_CHUNK_BYTES = 1 << 20 };

/* Writes a copy of the cube with the same datasets, attributes and axes; numbers and characters are
   in compressed chunks (shuffle, deflate). It needs memory for one chunk of at most chunk_bytes.
   Datasets that the table lacks are not copied. The finished copy gets the name `path` and replaces
   an existing file. KO_E_INPUT where the file has attributes that no cube has or the folder cannot
   be written, KO_E_FAILED where the disk is full; then no file is left behind. A run may be writing
   the cube: statuses are read before values, so every cell that is done in the copy has its value.
   *incomplete: cells were pending, and the copy has the attribute KO_CUBE_INCOMPLETE. */
KO_MUST_CHECK enum ko_code ko_cube_compress(const struct ko_cube_view *view, size_t chunk_bytes,
                                            const char *path, bool *incomplete,
                                            struct ko_error *err);

#endif
