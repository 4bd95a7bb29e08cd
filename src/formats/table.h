/* SPDX-License-Identifier: Apache-2.0 */
/* Text for a terminal: tables with aligned columns, color. */
#ifndef KO_FORMATS_TABLE_H
#define KO_FORMATS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "src/base/error.h"
#include "src/base/machine/terminal.h"
#include "src/base/text.h"

enum {
    KO_SCREEN_WIDTH = 80, /* columns at which long lines are folded */
    KO_LABEL_WIDTH = 12   /* columns of the labels of a report */
};

/* Appends text, padded with blanks to `width` columns: after it, or before it if `right`. */
void ko_pad(struct ko_text *out, const char *text, size_t width, bool right);

/* Append text in lines of at most KO_SCREEN_WIDTH columns, which end between words. A word that is
   longer than a line stays whole. */
/* A line of a report: a label in KO_LABEL_WIDTH columns, and the text behind it. */
void ko_label_line(struct ko_text *out, const char *label, const char *format, ...) KO_PRINTF(3, 4);
/* The same with a text that was gathered, which is freed. */
void ko_label_text(struct ko_text *out, const char *label, struct ko_text *text);
/* The text, which is freed. Lines after the first are indented by `indent` blanks. */
void ko_fold_text(struct ko_text *out, size_t indent, struct ko_text *text);

/* Whether to print colors on stream. wanted: auto (if stream is a color terminal and NO_COLOR is
   unset), always or never. */
bool ko_color_wanted(const char *wanted, FILE *stream);

/* Cells row by row; the first row is the header. Start from {.n_columns = n}. */
struct ko_table {
    size_t n_columns;
    uint32_t right; /* bit c: column c is aligned to the right */
    struct ko_strings cell;
    bool failed; /* memory ran out; ko_table_print then fails */
};
/* Adds one cell. */
void ko_table_add(struct ko_table *table, const char *format, ...) KO_PRINTF(2, 3);
/* Appends the table to out, each line indented by `indent` blanks, and frees it. */
void ko_table_print(struct ko_table *table, int indent, struct ko_text *out);

#endif
