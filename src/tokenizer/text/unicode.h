/* SPDX-License-Identifier: Apache-2.0 */
/* White space in UTF-8. */
#ifndef KO_TOKENIZER_TEXT_UNICODE_H
#define KO_TOKENIZER_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The Unicode property White_Space: 25 characters, in every version since 6.3. */
bool ko_is_white_space(uint32_t character);
/* Strips n bytes of valid UTF-8 at both ends like Python's str.strip: white space and the four
   ASCII separators. */
void ko_utf8_strip(const char **text, size_t *n);
/* Whether the text has nothing else. True for n = 0. */
bool ko_utf8_is_blank(const char *text, size_t n);
/* Moves `at` past the white space that begins there, or back before the white space that ends
   there. */
size_t ko_utf8_after_space(const char *text, size_t n, size_t at);
size_t ko_utf8_before_space(const char *text, size_t at);

#endif
