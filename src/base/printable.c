/* SPDX-License-Identifier: Apache-2.0 */
/* Decides which characters are safe on a terminal, and writes the others as escapes. */
#include "src/base/printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "src/base/utf8.h"

/* The code point of a character of `length` bytes, valid UTF-8. */
static uint32_t decode_character(const unsigned char *byte, size_t length)
{
    static const unsigned char mask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t point = byte[0] & mask[length];
    for (size_t k = 1; k < length; k++) {
        point = point << 6 | (byte[k] & 0x3Fu);
    }
    return point;
}

static bool is_harmless(uint32_t point)
{
    if (point == '\t' || point == '\n') {
        return true;
    }
    if (point < 0x20 || (point >= 0x7F && point < 0xA0)) {
        return false;
    }
    return point != 0x061C && point != 0x200E && point != 0x200F &&
           !(point >= 0x202A && point <= 0x202E) && !(point >= 0x2066 && point <= 0x2069);
}

size_t ko_printable_next(const char *bytes, size_t n, char out[KO_PRINTABLE_BYTES])
{
    size_t length = 1;
    while (length < 4 && length < n && ((unsigned char)bytes[length] & 0xC0u) == 0x80u &&
           !ko_utf8_valid(bytes, length)) {
        length++;
    }
    if (!ko_utf8_valid(bytes, length)) {
        (void)snprintf(out, KO_PRINTABLE_BYTES, "\\x%02x", (unsigned)(unsigned char)bytes[0]);
        return 1;
    }
    const uint32_t point = decode_character((const unsigned char *)bytes, length);
    if (is_harmless(point)) {
        memcpy(out, bytes, length);
        out[length] = '\0';
    } else {
        (void)snprintf(out, KO_PRINTABLE_BYTES, "\\u%04x", (unsigned)point);
    }
    return length;
}
