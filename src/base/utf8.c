/* SPDX-License-Identifier: Apache-2.0 */
/* Checks UTF-8, counts its characters and finds the byte where a character begins. */
#include "src/base/utf8.h"

/* Bytes of the character that begins at byte[0] of n > 0 bytes; 0 where it is not valid (RFC 3629,
   table of section 4). */
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

static bool begins_character(char byte)
{
    return ((unsigned char)byte & 0xC0u) != 0x80u;
}

size_t ko_utf8_count(const char *bytes, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (begins_character(bytes[i])) {
            count++;
        }
    }
    return count;
}

size_t ko_utf8_offset(const char *bytes, size_t n, size_t index)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (begins_character(bytes[i]) && count++ == index) {
            return i;
        }
    }
    return n;
}
