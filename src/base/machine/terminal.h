/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal's width, and the width of a text on it. */
#ifndef KO_BASE_MACHINE_TERMINAL_H
#define KO_BASE_MACHINE_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "src/base/text.h"

/* Whether stream is a terminal. */
bool ko_is_terminal(FILE *stream);

/* The current width in columns of the terminal behind stream. If stream is not a terminal or its
   width is unknown: the environment variable COLUMNS, otherwise 80. */
size_t ko_terminal_width(FILE *stream);

/* The columns of valid UTF-8 on a terminal: 0 for a combining mark, 2 for an East Asian wide
   character or emoji, otherwise 1 (Unicode's tables, from utf8proc). */
size_t ko_display_width(const char *text);
/* The same of the first n bytes, whole characters of a text that ends with NUL. */
size_t ko_display_width_of(const char *text, size_t n);

/* Appends as many whole characters of valid UTF-8 as fit into `width` columns. Each control
   character becomes a '?'. */
void ko_display_add(struct ko_text *out, const char *text, size_t width);

#endif
