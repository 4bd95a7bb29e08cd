/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines that a run could not write into its cube, because another program had it open. They
   wait for the next run in a file beside the cube, CUBE.run_log. */
#ifndef KO_CUBE_RUN_KEPT_H
#define KO_CUBE_RUN_KEPT_H

#include "src/base/error.h"

/* Adds the lines to the file beside the cube at `path`. */
KO_MUST_CHECK enum ko_code ko_run_kept_add(const char *path, const char *lines,
                                           struct ko_error *err);
/* The lines that wait, NUL-terminated; NULL without such a file. free(). */
KO_MUST_CHECK enum ko_code ko_run_kept_read(const char *path, char **lines, struct ko_error *err);
/* Removes the file, once the cube has the lines. */
void ko_run_kept_remove(const char *path);
/* The file's name. free(). */
KO_MUST_CHECK char *ko_run_kept_path(const char *path, struct ko_error *err);

#endif
