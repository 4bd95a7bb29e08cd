/* SPDX-License-Identifier: Apache-2.0 */
/* Files: reading whole, joining paths. */
#ifndef KO_BASE_FILE_H
#define KO_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"

/* The whole regular file, NUL added, in *bytes (free()) and *n. KO_E_INPUT naming the path and the
   reason; also where it is larger than max_bytes, or something in the file's place
   (src/base/content.h). */
KO_MUST_CHECK enum ko_code ko_file_read(const char *path, size_t max_bytes, char **bytes, size_t *n,
                                        struct ko_error *err);
/* "folder/name", or name alone where it is absolute or folder is empty. free(). */
KO_MUST_CHECK char *ko_path_join(const char *folder, const char *name, struct ko_error *err);
/* The folder part of a path, "." where there is none. free(). */
KO_MUST_CHECK char *ko_path_folder(const char *path, struct ko_error *err);
/* The last component, trailing slashes ignored. free(). */
KO_MUST_CHECK char *ko_path_last(const char *path, struct ko_error *err);
/* The file that a path leads to: where its last component is a symbolic link, what that names, and so
   on; it need not exist. What is written under a name that is a link is written there, in that
   file's folder, and the link stays. free(). KO_E_INPUT (err) where links lead in a circle. */
KO_MUST_CHECK char *ko_path_follow(const char *path, struct ko_error *err);
bool ko_file_exists(const char *path);
/* What stat's st_mode says that a file is, for a sentence: "a folder", "a named pipe", "a symbolic
   link", ... */
const char *ko_file_kind(unsigned mode);

#endif
