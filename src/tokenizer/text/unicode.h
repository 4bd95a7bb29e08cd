/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 one character at a time, and white space. */
#ifndef KO_TOKENIZER_TEXT_UNICODE_H
#define KO_TOKENIZER_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KO_UTF8_BYTES = 4 };

/* The character at the start of valid UTF-8 (at least one byte of it) in *character; its bytes. */
size_t ko_utf8_get(const char *bytes, uint32_t *character);
/* Where the character begins that ends before `bytes + at`; at > 0. */
size_t ko_utf8_before(const char *bytes, size_t at);
/* Writes the character's UTF-8; its bytes. */
size_t ko_utf8_put(uint32_t character, char out[KO_UTF8_BYTES]);
/* The Unicode property White_Space: 25 characters, in every version since 6.3. */
bool ko_is_white_space(uint32_t character);
/* Moves the ends of n bytes of valid UTF-8 past what Python's str.strip takes away: white space, and
   the four separators of ASCII. */
void ko_utf8_strip(const char **text, size_t *n);
/* Whether nothing else is in it; true of no bytes. */
bool ko_utf8_is_blank(const char *text, size_t n);

#endif
