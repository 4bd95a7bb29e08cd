/* SPDX-License-Identifier: Apache-2.0 */
/* A file that gets its name only when it is complete. */
#ifndef KO_BASE_NEW_FILE_H
#define KO_BASE_NEW_FILE_H

#include <stdbool.h>

#include "src/base/consent.h"
#include "src/base/error.h"

struct ko_new_file {
    char *path;      /* the final name, links followed (ko_path_follow); owned */
    char *temporary; /* the current name, PATH.new-HOST-PID-N in the same folder; owned */
    /* Asked right before the file gets its name. May be NULL. Borrowed. */
    const struct ko_consent *consent;
    bool keeps; /* never replace an existing file: ko_new_file_place fails instead */
};

/* Creates the empty temporary file. Removes temporary files of the same path that killed processes
   of this machine left. KO_E_INPUT if the folder cannot be written or the path is not a regular
   file, KO_E_FAILED if the disk is full. End with ko_new_file_place or _drop. */
KO_MUST_CHECK enum ko_code ko_new_file_open(const char *path, struct ko_new_file *out,
                                            struct ko_error *err);
/* Flushes the file to disk and gives it its name. An existing file is replaced; with `keeps` it is
   a KO_E_FAILED. On failure the temporary file is removed. */
KO_MUST_CHECK enum ko_code ko_new_file_place(struct ko_new_file *file, struct ko_error *err);
/* Removes the temporary file. Leaves {0}; accepts {0}. */
void ko_new_file_drop(struct ko_new_file *file);

#endif
