/* SPDX-License-Identifier: Apache-2.0 */
/* Decides which characters are safe on a terminal, and writes the others as escapes. */
#include "src/base/printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "src/base/utf8.h"

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
    while (length < KO_UTF8_BYTES && length < n && ko_utf8_continues(bytes[length]) &&
           !ko_utf8_valid(bytes, length)) {
        length++;
    }
    if (!ko_utf8_valid(bytes, length)) {
        (void)snprintf(out, KO_PRINTABLE_BYTES, "\\x%02x", (unsigned)(unsigned char)bytes[0]);
        return 1;
    }
    uint32_t point = 0;
    (void)ko_utf8_get(bytes, &point);
    if (is_harmless(point)) {
        memcpy(out, bytes, length);
        out[length] = '\0';
    } else {
        (void)snprintf(out, KO_PRINTABLE_BYTES, "\\u%04x", (unsigned)point);
    }
    return length;
}
