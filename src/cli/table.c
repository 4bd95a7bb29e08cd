#include "src/cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct range {
    uint32_t first, last;
};

static bool within(uint32_t point, const struct range *ranges, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (point >= ranges[k].first && point <= ranges[k].last)
            return true;
    return false;
}

static size_t character_width(uint32_t point)
{
    static const struct range none[] = {{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd},
                                        {0x064b, 0x065f}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
                                        {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f},
                                        {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}};
    static const struct range wide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},
                                        {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},
                                        {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
                                        {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff},
                                        {0x20000, 0x3fffd}};
    if (within(point, none, sizeof none / sizeof none[0]))
        return 0;
    return within(point, wide, sizeof wide / sizeof wide[0]) ? 2 : 1;
}

size_t ko_display_width(const char *text)
{
    size_t width = 0;
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        const int more = *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : *at >= 0xc0 ? 1 : 0;
        uint32_t point = more == 0 ? *at : *at & (0x3fu >> more);
        at++;
        for (int k = 0; k < more && (*at & 0xc0) == 0x80; k++)
            point = point << 6 | (*at++ & 0x3fu);
        width += character_width(point);
    }
    return width;
}

void ko_pad(struct ko_text *out, const char *text, size_t width, bool right)
{
    const size_t n = ko_display_width(text);
    const int blanks = n < width ? (int)(width - n) : 0;
    if (right)
        ko_text_add(out, "%*s%s", blanks, "", text);
    else
        ko_text_add(out, "%s%*s", text, blanks, "");
}

bool ko_color_wanted(const char *wanted, FILE *stream)
{
    if (wanted && strcmp(wanted, "always") == 0)
        return true;
    if (wanted && strcmp(wanted, "never") == 0)
        return false;
    const char *term = getenv("TERM"), *refused = getenv("NO_COLOR");
    /* The stream of a command's results has no descriptor of its own. */
    const int file = fileno(stream) < 0 ? STDOUT_FILENO : fileno(stream);
    return isatty(file) == 1 && (!refused || !refused[0]) && term && strcmp(term, "dumb") != 0;
}

void ko_table_add(struct ko_table *table, const char *format, ...)
{
    char buffer[256], *text = buffer;
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(buffer, sizeof buffer, format, args);
    va_end(args);
    if (n >= (int)sizeof buffer) {
        text = malloc((size_t)n + 1);
        if (text) {
            va_start(args, format);
            (void)vsnprintf(text, (size_t)n + 1, format, args);
            va_end(args);
        }
    }
    if (n < 0 || !text || ko_strings_add(&table->cell, text, NULL) != KO_OK)
        table->failed = true;
    if (text != buffer)
        free(text);
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
    while (out->n > 0 && out->data[out->n - 1] == ' ')
        out->data[--out->n] = '\0';
}

void ko_table_print(struct ko_table *table, int indent, struct ko_text *out)
{
    if (table->failed)
        out->failed = true;
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
