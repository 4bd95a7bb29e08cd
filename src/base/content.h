/* SPDX-License-Identifier: Apache-2.0 */
/* What a file holds in the place of what was expected, told by its first bytes. */
#ifndef KO_BASE_CONTENT_H
#define KO_BASE_CONTENT_H

#include <stddef.h>

#include "src/base/error.h"

/* Refuses what nobody means to have read: the pointer that git leaves where git-lfs is missing, and
   the web page or answer that a failed download leaves. bytes: the file's first n, or all of them.
   KO_E_INPUT "WHERE: is a ..., what to do". */
KO_MUST_CHECK enum ko_code ko_content_check(const void *bytes, size_t n, const char *where,
                                            struct ko_error *err);
/* The same of the first bytes of a file. One that cannot be read passes: who opens it says why. */
KO_MUST_CHECK enum ko_code ko_content_check_file(const char *path, const char *where,
                                                 struct ko_error *err);
/* Refuses what is not text: Parquet, compressed files and UTF-16, each with the command that
   converts it. path: the file's, for that command. KO_E_INPUT "PATH: ...". */
KO_MUST_CHECK enum ko_code ko_content_check_text(const void *bytes, size_t n, const char *path,
                                                 struct ko_error *err);

#endif
