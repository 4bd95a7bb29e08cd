/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the width of the terminal, counts the columns of a text, and cuts a text to fit. */
#define _GNU_SOURCE
#include "src/base/machine/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

enum { USUAL_WIDTH = 80, MOST_COLUMNS = 4096 };

bool ko_is_terminal(FILE *stream)
{
    const int file = fileno(stream);
    return file >= 0 && isatty(file) == 1;
}

size_t ko_terminal_width(FILE *stream)
{
    struct winsize size;
    int64_t columns = 0;
    if (ko_is_terminal(stream) && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 &&
        size.ws_col > 0) {
        return size.ws_col;
    }
    const char *text = getenv("COLUMNS");
    if (text && ko_parse_int(text, 1, MOST_COLUMNS, &columns, "COLUMNS", NULL) == KO_OK) {
        return (size_t)columns;
    }
    return USUAL_WIDTH;
}

/* The character at text; *n: its bytes. Invalid UTF-8 counts as a character of one byte. */
static utf8proc_int32_t character_at(const char *text, size_t *n)
{
    utf8proc_int32_t point = 0;
    const utf8proc_ssize_t length = utf8proc_iterate((const utf8proc_uint8_t *)text,
                                                     (utf8proc_ssize_t)strnlen(text, 4), &point);
    *n = length > 0 ? (size_t)length : 1;
    return length > 0 ? point : 0xFFFD;
}

static size_t character_width(utf8proc_int32_t point)
{
    const int width = utf8proc_charwidth(point);
    return width > 0 ? (size_t)width : 0;
}

size_t ko_display_width_of(const char *text, size_t n)
{
    size_t width = 0, bytes = 0;
    for (const char *at = text; at < text + n; at += bytes) {
        width += character_width(character_at(at, &bytes));
    }
    return width;
}

size_t ko_display_width(const char *text)
{
    return ko_display_width_of(text, strlen(text));
}

void ko_display_add(struct ko_text *out, const char *text, size_t width)
{
    size_t used = 0, n = 0;
    for (const char *at = text; *at; at += n) {
        const utf8proc_int32_t point = character_at(at, &n);
        const bool control = utf8proc_category(point) == UTF8PROC_CATEGORY_CC;
        const size_t columns = control ? 1 : character_width(point);
        if (used + columns > width) {
            return;
        }
        used += columns;
        if (control) {
            ko_text_add(out, "?");
        } else {
            ko_text_add_bytes(out, at, n);
        }
    }
}
