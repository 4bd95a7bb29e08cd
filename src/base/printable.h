/* SPDX-License-Identifier: Apache-2.0 */
/* Text as it may go to a terminal: what would move its cursor, change its colours or turn its order
   around is written as an escape. */
#ifndef KO_BASE_PRINTABLE_H
#define KO_BASE_PRINTABLE_H

#include <stddef.h>

enum { KO_PRINTABLE_BYTES = 12 /* an escape, or a character, and a NUL */ };

/* The first character of n > 0 bytes as it may be printed, NUL added; returns how many bytes it
   has. Escapes are written as in JSON, so that inside a JSON string they mean the character still:
   \u001b for C0 and C1 controls, DEL, and the marks that reorder text (U+061C, U+200E, U+200F,
   U+202A to U+202E, U+2066 to U+2069). Blanks, tabs and newlines stay. A byte that is not UTF-8 is
   written as \xHH. */
size_t ko_printable_next(const char *bytes, size_t n, char out[KO_PRINTABLE_BYTES]);

#endif
