/* SPDX-License-Identifier: Apache-2.0 */
/* Text for a terminal: tables with aligned columns, colour. */
#ifndef KO_FORMATS_TABLE_H
#define KO_FORMATS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "src/base/error.h"
#include "src/base/machine/terminal.h"
#include "src/base/text.h"

enum { KO_SCREEN_WIDTH = 100 }; /* columns that wide prints are folded to */

/* Appends text and blanks up to `width` columns: behind it, or in front of it. */
void ko_pad(struct ko_text *out, const char *text, size_t width, bool right);

/* Whether to print colours on stream: `wanted` is auto (a terminal that has them, NO_COLOR unset),
   always or never. */
bool ko_color_wanted(const char *wanted, FILE *stream);

/* Cells row by row; the first row is the header. Start from {.n_columns = n}. */
struct ko_table {
    size_t n_columns;
    uint32_t right; /* bit c: column c is set flush right */
    struct ko_strings cell;
    bool failed; /* memory was short: ko_table_print says so */
};
/* Adds one cell. */
void ko_table_add(struct ko_table *table, const char *format, ...) KO_PRINTF(2, 3);
/* Appends the table to out, each line after `indent` blanks, without blanks at its end, and frees
   it. */
void ko_table_print(struct ko_table *table, int indent, struct ko_text *out);

#endif
