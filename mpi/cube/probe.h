/* SPDX-License-Identifier: Apache-2.0 */
/* Tests whether all ranks can write the output's folder. */
#ifndef KO_MPI_CUBE_PROBE_H
#define KO_MPI_CUBE_PROBE_H

#include <mpi.h>

#include "src/base/error.h"

/* All ranks write a small file beside `path` together, read it back and remove it. Collective over
   comm; the error is agreed on and names the host. */
KO_MUST_CHECK enum ko_code ko_cube_probe_folder(const char *path, MPI_Comm comm,
                                                struct ko_error *err);

#endif
