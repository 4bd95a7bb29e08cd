/* SPDX-License-Identifier: Apache-2.0 */
/* A run's lines that could not be written into its cube, because another program had it open: they
   wait in a file beside it, CUBE.run_log, for the next run. */
#ifndef KO_MPI_CUBE_RUN_KEPT_H
#define KO_MPI_CUBE_RUN_KEPT_H

#include "src/base/error.h"

/* Adds the lines to the file beside the cube at `path`. */
KO_MUST_CHECK enum ko_code ko_run_kept_add(const char *path, const char *lines,
                                           struct ko_error *err);
/* What waits there, NUL-terminated; NULL where nothing does. free(). */
KO_MUST_CHECK enum ko_code ko_run_kept_read(const char *path, char **lines, struct ko_error *err);
/* The cube has them. */
void ko_run_kept_remove(const char *path);
/* The file's name. free(). */
KO_MUST_CHECK char *ko_run_kept_path(const char *path, struct ko_error *err);

#endif
