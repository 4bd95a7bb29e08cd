/* SPDX-License-Identifier: Apache-2.0 */
/* A file that appears under its name only when it is whole. */
#ifndef KO_BASE_NEW_FILE_H
#define KO_BASE_NEW_FILE_H

#include <stdbool.h>

#include "src/base/consent.h"
#include "src/base/error.h"

struct ko_new_file {
    char *path;      /* the name that it will have, links followed (ko_path_follow); owned */
    char *temporary; /* the one that it has: PATH.new-HOST-PID-N, in the same folder; owned */
    const struct ko_consent *consent; /* asked last before it gets its name; NULL; borrowed */
    bool keeps; /* a file that has the name already stays: the new one is refused */
};

/* Creates the empty temporary file, and removes those of the same path that processes of this
   machine have left which are gone (killed: nobody else will). KO_E_INPUT where the folder cannot
   be written or the path is there and not a regular file, KO_E_FAILED where the disk is full. End
   with ko_new_file_place or _drop. */
KO_MUST_CHECK enum ko_code ko_new_file_open(const char *path, struct ko_new_file *out,
                                            struct ko_error *err);
/* Brings it to disk and gives it its name; what had that name before is replaced, or with `keeps`
   is an error, KO_E_FAILED. On failure the temporary file is removed. */
KO_MUST_CHECK enum ko_code ko_new_file_place(struct ko_new_file *file, struct ko_error *err);
/* Removes it. Leaves {0}; {0} is accepted. */
void ko_new_file_drop(struct ko_new_file *file);

#endif
