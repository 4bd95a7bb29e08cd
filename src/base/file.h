/* SPDX-License-Identifier: Apache-2.0 */
/* Reading whole files, and the parts of paths. */
#ifndef KO_BASE_FILE_H
#define KO_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"

/* Reads a whole regular file into *bytes [*n], with a NUL after it. free() it. KO_E_INPUT names the
   path and the reason, also if the file is larger than max_bytes or of a wrong kind
   (src/base/content.h). */
KO_MUST_CHECK enum ko_code ko_file_read(const char *path, size_t max_bytes, char **bytes, size_t *n,
                                        struct ko_error *err);
#define KO_STANDARD_INPUT "standard input"
/* The same for all of standard input, which may be a pipe. */
KO_MUST_CHECK enum ko_code ko_standard_input_read(size_t max_bytes, char **bytes, size_t *n,
                                                  struct ko_error *err);
/* "folder/name", or only name if name is absolute or folder is empty. free() it. */
KO_MUST_CHECK char *ko_path_join(const char *folder, const char *name, struct ko_error *err);
/* The folder part of a path; "." if it has no folder. free() it. */
KO_MUST_CHECK char *ko_path_folder(const char *path, struct ko_error *err);
/* The last component, without trailing slashes. free() it. */
KO_MUST_CHECK char *ko_path_last(const char *path, struct ko_error *err);
/* Follows symbolic links at the last component. The target need not exist. Writing to the result
   keeps the link and replaces its target. free() it. NULL with KO_E_INPUT if the links form a
   loop. */
KO_MUST_CHECK char *ko_path_follow(const char *path, struct ko_error *err);
bool ko_file_exists(const char *path);
/* The kind of file in stat's st_mode: "a folder", "a named pipe", "a symbolic link", ... */
const char *ko_file_kind(unsigned mode);

#endif
