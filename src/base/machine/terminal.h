/* SPDX-License-Identifier: Apache-2.0 */
/* What fits on a terminal: how wide it is, and how wide a text is on it. */
#ifndef KO_BASE_MACHINE_TERMINAL_H
#define KO_BASE_MACHINE_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "src/base/text.h"

/* Whether stream goes to a terminal, so that somebody sees what is written there. */
bool ko_is_terminal(FILE *stream);

/* Columns of the terminal behind stream, asked for anew at every call. Where stream is not a
   terminal, or it does not say: the environment variable COLUMNS, else 80. */
size_t ko_terminal_width(FILE *stream);

/* Columns that valid UTF-8 takes on a terminal: none for combining marks, two for East Asian wide
   characters and emoji, one otherwise (utf8proc's tables, which are Unicode's). */
size_t ko_display_width(const char *text);

/* Appends as many whole characters of valid UTF-8 as fit into `width` columns. Control characters
   are written as one '?' each: none of them reaches the terminal. */
void ko_display_add(struct ko_text *out, const char *text, size_t width);

#endif
