/* SPDX-License-Identifier: Apache-2.0 */
/* Checking UTF-8 and counting its characters. */
#ifndef KO_BASE_UTF8_H
#define KO_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Whether n bytes are valid UTF-8 (no surrogates, no overlong forms, nothing above U+10FFFF). */
bool ko_utf8_valid(const char *bytes, size_t n);
/* Characters (code points) in n bytes of valid UTF-8. */
size_t ko_utf8_count(const char *bytes, size_t n);
/* Byte offset of character number `index`; n if there are not more characters than `index`. */
size_t ko_utf8_offset(const char *bytes, size_t n, size_t index);

#endif
