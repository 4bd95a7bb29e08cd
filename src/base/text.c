/* SPDX-License-Identifier: Apache-2.0 */
/* The growing buffer, the list of strings, and the search for the word that the user probably
   meant. Numbers are in text_number.c. */
#include "src/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/printable.h"

/* Makes room for `more` bytes and the NUL, or sets text->failed. */
static bool reserve_bytes(struct ko_text *text, size_t more)
{
    size_t needed = 0;
    char *grown = NULL;
    if (!text->failed && !__builtin_add_overflow(text->n, more, &needed) && needed < SIZE_MAX) {
        grown = ko_grow(text->data, &text->capacity, needed + 1, 1, NULL);
    }
    if (!grown) {
        text->failed = true;
        return false;
    }
    text->data = grown;
    return true;
}

void ko_text_add_list(struct ko_text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    const int n = vsnprintf(NULL, 0, format, arguments);
    if (n < 0) {
        text->failed = true;
    }
    if (n >= 0 && reserve_bytes(text, (size_t)n)) {
        (void)vsnprintf(text->data + text->n, (size_t)n + 1, format, again);
        text->n += (size_t)n;
    }
    va_end(again);
}

void ko_text_add(struct ko_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    ko_text_add_list(text, format, arguments);
    va_end(arguments);
}

void ko_text_add_bytes(struct ko_text *text, const void *bytes, size_t n)
{
    if (!reserve_bytes(text, n)) {
        return;
    }
    if (n) {
        memcpy(text->data + text->n, bytes, n);
    }
    text->n += n;
    text->data[text->n] = '\0';
}

void ko_text_add_printable(struct ko_text *text, const char *bytes, size_t n)
{
    char piece[KO_PRINTABLE_BYTES];
    for (size_t at = 0; at < n;) {
        at += ko_printable_next(bytes + at, n - at, piece);
        ko_text_add_bytes(text, piece, strlen(piece));
    }
}

enum ko_code ko_text_check(const struct ko_text *text, struct ko_error *err)
{
    if (!text->failed) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_MEMORY, "out of memory: a text of more than %zu bytes did not fit",
                   text->n);
}

void ko_text_free(struct ko_text *text)
{
    if (!text) {
        return;
    }
    free(text->data);
    *text = (struct ko_text){0};
}

const char *ko_text_str(const struct ko_text *text)
{
    return text->data ? text->data : "";
}

bool ko_text_ends(const char *text, const char *ending)
{
    const size_t n = strlen(text), n_ending = strlen(ending);
    return n >= n_ending && strcmp(text + n - n_ending, ending) == 0;
}

enum ko_code ko_strings_add(struct ko_strings *list, const char *text, struct ko_error *err)
{
    char **grown = ko_grow(list->item, &list->capacity, list->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    list->item = grown;
    char *copy = ko_copy(text, err);
    if (!copy) {
        return KO_E_MEMORY;
    }
    list->item[list->n++] = copy;
    return KO_OK;
}

ptrdiff_t ko_strings_find(const struct ko_strings *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->item[i], text) == 0) {
            return (ptrdiff_t)i;
        }
    }
    return -1;
}

enum ko_code ko_strings_intern(struct ko_strings *list, const char *text, size_t *index,
                               struct ko_error *err)
{
    ptrdiff_t found = ko_strings_find(list, text);
    if (found < 0) {
        enum ko_code code = ko_strings_add(list, text, err);
        if (code != KO_OK) {
            return code;
        }
        found = (ptrdiff_t)list->n - 1;
    }
    if (index) {
        *index = (size_t)found;
    }
    return KO_OK;
}

void ko_strings_free(struct ko_strings *list)
{
    if (!list) {
        return;
    }
    for (size_t i = 0; i < list->n; i++) {
        free(list->item[i]);
    }
    free(list->item);
    *list = (struct ko_strings){0};
}

enum { WORD_MAX = 128 };

static size_t smallest_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Counts insertions, deletions, substitutions and swaps of neighbors (optimal string alignment).
   Both words are shorter than WORD_MAX. */
static size_t edit_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    size_t rows[3][WORD_MAX];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= n_b; j++) {
        last[j] = j;
    }
    for (size_t i = 1; i <= n_a; i++) {
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t other = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = smallest_of(last[j] + 1, row[j - 1] + 1, last[j - 1] + other);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < row[j]) {
                row[j] = before[j - 2] + 1;
            }
        }
        size_t *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[n_b];
}

const char *ko_nearest(const char *word, const char *const *candidates, size_t n)
{
    size_t length = strlen(word);
    const char *best = NULL;
    size_t best_distance = 2 + length / 3;
    if (length >= WORD_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(candidates[i]);
        if (other >= WORD_MAX) {
            continue;
        }
        size_t distance = edit_distance(word, length, candidates[i], other);
        if (distance < best_distance) {
            best = candidates[i];
            best_distance = distance;
        }
    }
    return best;
}

bool ko_one_edit(const char *a, const char *b)
{
    const size_t n_a = strlen(a), n_b = strlen(b);
    return n_a < WORD_MAX && n_b < WORD_MAX && edit_distance(a, n_a, b, n_b) == 1;
}
