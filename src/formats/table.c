/* SPDX-License-Identifier: Apache-2.0 */
/* Pads cells by their width on the screen, aligns columns, and decides about color. */
#include "src/formats/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void ko_pad(struct ko_text *out, const char *text, size_t width, bool right)
{
    const size_t n = ko_display_width(text);
    const int blanks = n < width ? (int)(width - n) : 0;
    if (right) {
        ko_text_add(out, "%*s%s", blanks, "", text);
    } else {
        ko_text_add(out, "%s%*s", text, blanks, "");
    }
}

/* Appends text as lines and frees it. The first line stands behind `used` columns. */
static void fold_lines(struct ko_text *out, size_t used, size_t indent, struct ko_text *text)
{
    const char *at = ko_text_str(text);
    for (bool first = true; *at; first = false) {
        const size_t blanks = strspn(at, " "), n = strcspn(at + blanks, " ");
        const size_t width = ko_display_width_of(at + blanks, n);
        if (!first && used + blanks + width > KO_SCREEN_WIDTH) {
            ko_text_add(out, "\n%*s", (int)indent, "");
            used = indent + width;
        } else {
            ko_text_add_bytes(out, at, blanks);
            used += blanks + width;
        }
        ko_text_add_bytes(out, at + blanks, n);
        at += blanks + n;
    }
    ko_text_add(out, "\n");
    out->failed = out->failed || text->failed;
    ko_text_free(text);
}

void ko_fold_text(struct ko_text *out, size_t indent, struct ko_text *text)
{
    fold_lines(out, 0, indent, text);
}

void ko_label_text(struct ko_text *out, const char *label, struct ko_text *text)
{
    ko_pad(out, label, KO_LABEL_WIDTH, false);
    fold_lines(out, KO_LABEL_WIDTH, KO_LABEL_WIDTH, text);
}

void ko_label_line(struct ko_text *out, const char *label, const char *format, ...)
{
    struct ko_text text = {0};
    va_list args;
    va_start(args, format);
    ko_text_add_list(&text, format, args);
    va_end(args);
    ko_label_text(out, label, &text);
}

bool ko_color_wanted(const char *wanted, FILE *stream)
{
    if (wanted && strcmp(wanted, "always") == 0) {
        return true;
    }
    if (wanted && strcmp(wanted, "never") == 0) {
        return false;
    }
    const char *term = getenv("TERM"), *refused = getenv("NO_COLOR");
    /* A command's result stream has no descriptor of its own. It ends in standard output. */
    const int file = fileno(stream) < 0 ? STDOUT_FILENO : fileno(stream);
    return isatty(file) == 1 && (!refused || !refused[0]) && term && strcmp(term, "dumb") != 0;
}

void ko_table_add(struct ko_table *table, const char *format, ...)
{
    struct ko_text text = {0};
    va_list args;
    va_start(args, format);
    ko_text_add_list(&text, format, args);
    va_end(args);
    if (text.failed || ko_strings_add(&table->cell, ko_text_str(&text), NULL) != KO_OK) {
        table->failed = true;
    }
    ko_text_free(&text);
}

static size_t column_width(const struct ko_table *table, size_t column)
{
    size_t width = 0;
    for (size_t k = column; k < table->cell.n; k += table->n_columns) {
        const size_t n = ko_display_width(table->cell.item[k]);
        width = n > width ? n : width;
    }
    return width;
}

static void trim_end(struct ko_text *out)
{
    while (out->n > 0 && out->data[out->n - 1] == ' ') {
        out->data[--out->n] = '\0';
    }
}

void ko_table_print(struct ko_table *table, int indent, struct ko_text *out)
{
    if (table->failed) {
        out->failed = true;
    }
    for (size_t row = 0; !out->failed && row + table->n_columns <= table->cell.n;
         row += table->n_columns) {
        ko_text_add(out, "%*s", indent, "");
        for (size_t c = 0; c < table->n_columns; c++) {
            ko_pad(out, table->cell.item[row + c], column_width(table, c),
                   (table->right >> c & 1) != 0);
            ko_text_add(out, "  ");
        }
        trim_end(out);
        ko_text_add(out, "\n");
    }
    ko_strings_free(&table->cell);
}
