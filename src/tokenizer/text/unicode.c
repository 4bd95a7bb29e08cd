/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes and encodes single UTF-8 characters, steps back to the start of a character, and finds
   and strips white space. */
#include "src/tokenizer/text/unicode.h"

size_t ko_utf8_get(const char *bytes, uint32_t *character)
{
    const unsigned char *b = (const unsigned char *)bytes;
    if (b[0] < 0x80) {
        *character = b[0];
        return 1;
    }
    if (b[0] < 0xE0) {
        *character = (uint32_t)(b[0] & 0x1F) << 6 | (b[1] & 0x3F);
        return 2;
    }
    if (b[0] < 0xF0) {
        *character = (uint32_t)(b[0] & 0x0F) << 12 | (uint32_t)(b[1] & 0x3F) << 6 | (b[2] & 0x3F);
        return 3;
    }
    *character = (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3F) << 12 |
                 (uint32_t)(b[2] & 0x3F) << 6 | (b[3] & 0x3F);
    return 4;
}

size_t ko_utf8_before(const char *bytes, size_t at)
{
    do {
        at--;
    } while (at > 0 && ((unsigned char)bytes[at] & 0xC0) == 0x80);
    return at;
}

size_t ko_utf8_put(uint32_t character, char out[KO_UTF8_BYTES])
{
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (char)(0xC0 | character >> 6);
        out[1] = (char)(0x80 | (character & 0x3F));
        return 2;
    }
    if (character < 0x10000) {
        out[0] = (char)(0xE0 | character >> 12);
        out[1] = (char)(0x80 | (character >> 6 & 0x3F));
        out[2] = (char)(0x80 | (character & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | character >> 18);
    out[1] = (char)(0x80 | (character >> 12 & 0x3F));
    out[2] = (char)(0x80 | (character >> 6 & 0x3F));
    out[3] = (char)(0x80 | (character & 0x3F));
    return 4;
}

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
