/* SPDX-License-Identifier: Apache-2.0 */
/* Text that is safe on a terminal: characters that move the cursor, change colors or reorder text
   become escapes. */
#ifndef KO_BASE_PRINTABLE_H
#define KO_BASE_PRINTABLE_H

#include <stddef.h>

enum { KO_PRINTABLE_BYTES = 12 /* an escape, or a character, and a NUL */ };

/* Writes the first character of n > 0 bytes to out, safe to print, with a NUL. Returns how many
   bytes the character has in the input. Escaped are C0 and C1 controls, DEL, and the marks that
   reorder text (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069), as in JSON (\u001b),
   so that they stay valid inside a JSON string. Blanks, tabs and newlines stay. A byte that is not
   UTF-8 becomes \xHH. */
size_t ko_printable_next(const char *bytes, size_t n, char out[KO_PRINTABLE_BYTES]);

#endif
