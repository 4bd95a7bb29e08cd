/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8: checking it, counting its characters, reading and writing one character. */
#ifndef KO_BASE_UTF8_H
#define KO_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether n bytes are valid UTF-8 (no surrogates, no overlong forms, nothing above U+10FFFF). */
bool ko_utf8_valid(const char *bytes, size_t n);
/* Characters (code points) in n bytes of valid UTF-8. */
size_t ko_utf8_count(const char *bytes, size_t n);
/* Byte offset of character number `index`; n if there are not more characters than `index`. */
size_t ko_utf8_offset(const char *bytes, size_t n, size_t index);

enum { KO_UTF8_BYTES = 4 };

/* Whether the byte continues a character of UTF-8. */
static inline bool ko_utf8_continues(char byte)
{
    return ((unsigned char)byte & 0xC0u) == 0x80u;
}
/* Reads the character at the start of valid UTF-8 (at least one byte). Returns its bytes. */
size_t ko_utf8_get(const char *bytes, uint32_t *character);
/* Where the character begins that ends before bytes + at; at > 0. */
size_t ko_utf8_before(const char *bytes, size_t at);
/* Writes the character as UTF-8. Returns its bytes. */
size_t ko_utf8_put(uint32_t character, char out[KO_UTF8_BYTES]);

#endif
