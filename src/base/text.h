/* SPDX-License-Identifier: Apache-2.0 */
/* Text: a growing buffer, lists of strings, UTF-8, the nearest known word. */
#ifndef KO_BASE_TEXT_H
#define KO_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"

/* A growing NUL-terminated string. Start from {0}; free with ko_text_free. An allocation failure
   sets `failed`, after which additions do nothing: check once at the end with ko_text_check. */
struct ko_text {
    char *data; /* owned; NULL while empty */
    size_t n;   /* bytes, without the NUL */
    size_t capacity;
    bool failed;
};
void ko_text_add(struct ko_text *text, const char *format, ...) KO_PRINTF(2, 3);
void ko_text_add_bytes(struct ko_text *text, const void *bytes, size_t n);
/* Adds n bytes with what a terminal must not see written as escapes (src/base/printable.h). */
void ko_text_add_printable(struct ko_text *text, const char *bytes, size_t n);
KO_MUST_CHECK enum ko_code ko_text_check(const struct ko_text *text, struct ko_error *err);
void ko_text_free(struct ko_text *text); /* leaves {0} */
const char *
ko_text_str(const struct ko_text *text); /* "" while empty; borrowed until the next addition */

/* Whether text ends with these characters. */
bool ko_text_ends(const char *text, const char *ending);

/* An ordered list of strings. Start from {0}; free with ko_strings_free. */
struct ko_strings {
    char **item; /* owned, each too */
    size_t n;
    size_t capacity;
};
KO_MUST_CHECK enum ko_code ko_strings_add(struct ko_strings *list, const char *text,
                                          struct ko_error *err);
/* Index of text, or -1. */
ptrdiff_t ko_strings_find(const struct ko_strings *list, const char *text);
/* Adds text unless it is there; its index in *index (may be NULL). */
KO_MUST_CHECK enum ko_code ko_strings_intern(struct ko_strings *list, const char *text,
                                             size_t *index, struct ko_error *err);
void ko_strings_free(struct ko_strings *list);

/* The candidate with the smallest edit distance to word, or NULL where none is near (distance > 1 +
   length / 3). Borrowed. */
const char *ko_nearest(const char *word, const char *const *candidates, size_t n);

/* Whether one insertion, deletion, substitution or swap of neighbours makes b of a. */
bool ko_one_edit(const char *a, const char *b);

/* Whole-string number parsing. KO_E_INPUT: "WHERE: expected a whole number from MIN to MAX, got
   'TEXT'". */
KO_MUST_CHECK enum ko_code ko_parse_int(const char *text, int64_t min, int64_t max, int64_t *out,
                                        const char *where, struct ko_error *err);
/* The same from 0 and in one way only, for seeds and positions, which stand in labels: digits without
   sign or leading zeros. */
KO_MUST_CHECK enum ko_code ko_parse_natural(const char *text, int64_t max, int64_t *out,
                                            const char *where, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_parse_double(const char *text, double *out, const char *where,
                                           struct ko_error *err);

/* "1,234,567" into buffer, which is returned. */
const char *ko_grouped(int64_t value, char buffer[32]);
/* "1.5 GiB", "3h 12m", "12 s" into buffer, which is returned. */
const char *ko_bytes_human(double bytes, char buffer[32]);
const char *ko_seconds_human(double seconds, char buffer[32]);

#endif
