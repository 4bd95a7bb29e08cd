/* SPDX-License-Identifier: Apache-2.0 */
/* Text: a growing buffer, lists of strings, numbers, the nearest known word. */
#ifndef KO_BASE_TEXT_H
#define KO_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"

/* A growing NUL-terminated string. Start from {0}; free with ko_text_free. If memory runs out,
   `failed` is set and additions do nothing, so one ko_text_check at the end is enough. */
struct ko_text {
    char *data; /* owned; NULL while empty */
    size_t n;   /* bytes, without the NUL */
    size_t capacity;
    bool failed;
};
void ko_text_add(struct ko_text *text, const char *format, ...) KO_PRINTF(2, 3);
void ko_text_add_list(struct ko_text *text, const char *format, va_list arguments) KO_PRINTF(2, 0);
void ko_text_add_bytes(struct ko_text *text, const void *bytes, size_t n);
/* Adds n bytes as text that is safe to print (src/base/printable.h). */
void ko_text_add_printable(struct ko_text *text, const char *bytes, size_t n);
KO_MUST_CHECK enum ko_code ko_text_check(const struct ko_text *text, struct ko_error *err);
void ko_text_free(struct ko_text *text); /* leaves {0} */
/* "" while empty. Borrowed until the next addition. */
const char *ko_text_str(const struct ko_text *text);

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
/* The index of text, or -1. */
ptrdiff_t ko_strings_find(const struct ko_strings *list, const char *text);
/* Adds text if the list lacks it. *index (may be NULL): its index. */
KO_MUST_CHECK enum ko_code ko_strings_intern(struct ko_strings *list, const char *text,
                                             size_t *index, struct ko_error *err);
void ko_strings_free(struct ko_strings *list);

/* The candidate with the smallest edit distance to word. NULL if every distance exceeds
   1 + length / 3. Borrowed. */
const char *ko_nearest(const char *word, const char *const *candidates, size_t n);

/* Whether one insertion, deletion, substitution or swap of neighbors turns a into b. */
bool ko_one_edit(const char *a, const char *b);

/* Parse the whole text as a number. KO_E_INPUT: "WHERE: expected a whole number from MIN to MAX,
   got 'TEXT'". */
KO_MUST_CHECK enum ko_code ko_parse_int(const char *text, int64_t min, int64_t max, int64_t *out,
                                        const char *where, struct ko_error *err);
/* The same for numbers from 0 that appear in labels, such as seeds: digits without a sign or
   leading zeros, so that each number has one spelling. */
KO_MUST_CHECK enum ko_code ko_parse_natural(const char *text, int64_t max, int64_t *out,
                                            const char *where, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_parse_double(const char *text, double *out, const char *where,
                                           struct ko_error *err);

/* Write "1,234,567", "1.5 GiB", or "3h 12m" and "12 s" to buffer and return it. */
const char *ko_grouped(int64_t value, char buffer[32]);

const char *ko_bytes_human(double bytes, char buffer[32]);
const char *ko_seconds_human(double seconds, char buffer[32]);

/* Writes a 128-bit hash as 32 hex digits, the high half first. */
void ko_hash_text(uint64_t high, uint64_t low, char text[33]);

#endif
