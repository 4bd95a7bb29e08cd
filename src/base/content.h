/* SPDX-License-Identifier: Apache-2.0 */
/* Recognizes, by its first bytes, a file that is not of the expected kind. */
#ifndef KO_BASE_CONTENT_H
#define KO_BASE_CONTENT_H

#include <stddef.h>

#include "src/base/error.h"

/* Refuses files that a user never means: the pointer that git leaves when git-lfs is missing, and
   the web page or message that a failed download leaves. bytes: the first n bytes of the file, or
   all. KO_E_INPUT "WHERE: is a ..., what to do". */
KO_MUST_CHECK enum ko_code ko_content_check(const void *bytes, size_t n, const char *where,
                                            struct ko_error *err);
/* The same for the file at path. A file that cannot be read passes: opening it reports the
   error. */
KO_MUST_CHECK enum ko_code ko_content_check_file(const char *path, const char *where,
                                                 struct ko_error *err);
/* Refuses Parquet, compressed files and UTF-16, which are not UTF-8 text. KO_E_INPUT "PATH: ..."
   with the command that converts the file. */
KO_MUST_CHECK enum ko_code ko_content_check_text(const void *bytes, size_t n, const char *path,
                                                 struct ko_error *err);

#endif
