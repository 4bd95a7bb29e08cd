/* SPDX-License-Identifier: Apache-2.0 */
/* Checks UTF-8, counts, finds and steps over its characters, decodes and encodes one. */
#include "src/base/utf8.h"

/* The length in bytes of the character at byte[0], n > 0 bytes left. 0: not valid (RFC 3629, table
   of section 4). */
static size_t character_length(const unsigned char *byte, size_t n)
{
    unsigned char low = 0x80, high = 0xBF;
    size_t length = 2;
    if (byte[0] < 0x80) {
        return 1;
    }
    if (byte[0] < 0xC2 || byte[0] > 0xF4) {
        return 0;
    }
    if (byte[0] >= 0xF0) {
        length = 4;
        low = byte[0] == 0xF0 ? 0x90 : low;
        high = byte[0] == 0xF4 ? 0x8F : high;
    } else if (byte[0] >= 0xE0) {
        length = 3;
        low = byte[0] == 0xE0 ? 0xA0 : low;
        high = byte[0] == 0xED ? 0x9F : high;
    }
    if (n < length || byte[1] < low || byte[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((byte[i] & 0xC0u) != 0x80u) {
            return 0;
        }
    }
    return length;
}

bool ko_utf8_valid(const char *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        size_t length = character_length((const unsigned char *)bytes + at, n - at);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

size_t ko_utf8_count(const char *bytes, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!ko_utf8_continues(bytes[i])) {
            count++;
        }
    }
    return count;
}

size_t ko_utf8_offset(const char *bytes, size_t n, size_t index)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!ko_utf8_continues(bytes[i]) && count++ == index) {
            return i;
        }
    }
    return n;
}

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
    } while (at > 0 && ko_utf8_continues(bytes[at]));
    return at;
}

size_t ko_utf8_put(uint32_t character, char out[KO_UTF8_BYTES])
{
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    const size_t n = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (character & 0x3F));
        character >>= 6;
    }
    out[0] = (char)(lead[n] | character);
    return n;
}
