/* SPDX-License-Identifier: Apache-2.0 */
/* Finds and strips white space. */
#include "src/tokenizer/text/unicode.h"

#include "src/base/utf8.h"

bool ko_is_white_space(uint32_t character)
{
    if (character <= 0x20) {
        return character == 0x20 || (character >= 0x09 && character <= 0x0D);
    }
    if (character < 0x2000) {
        return character == 0x85 || character == 0xA0 || character == 0x1680;
    }
    return character <= 0x200A || character == 0x2028 || character == 0x2029 ||
           character == 0x202F || character == 0x205F || character == 0x3000;
}

static bool is_stripped(uint32_t character)
{
    return ko_is_white_space(character) || (character >= 0x1C && character <= 0x1F);
}

void ko_utf8_strip(const char **text, size_t *n)
{
    uint32_t character;
    while (*n > 0) {
        size_t bytes = ko_utf8_get(*text, &character);
        if (!is_stripped(character)) {
            break;
        }
        *text += bytes;
        *n -= bytes;
    }
    while (*n > 0) {
        size_t before = ko_utf8_before(*text, *n);
        (void)ko_utf8_get(*text + before, &character);
        if (!is_stripped(character)) {
            break;
        }
        *n = before;
    }
}

bool ko_utf8_is_blank(const char *text, size_t n)
{
    ko_utf8_strip(&text, &n);
    return n == 0;
}

size_t ko_utf8_after_space(const char *text, size_t n, size_t at)
{
    while (at < n) {
        uint32_t character;
        size_t bytes = ko_utf8_get(text + at, &character);
        if (!ko_is_white_space(character)) {
            break;
        }
        at += bytes;
    }
    return at;
}

size_t ko_utf8_before_space(const char *text, size_t at)
{
    while (at > 0) {
        uint32_t character;
        size_t before = ko_utf8_before(text, at);
        (void)ko_utf8_get(text + before, &character);
        if (!ko_is_white_space(character)) {
            break;
        }
        at = before;
    }
    return at;
}
