/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a prompt file: finds its format, calls the reader of the format, and checks the ids. */
#include "src/prompts/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/content.h"
#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/prompts/facts_private.h"

enum { MAX_FILE_BYTES = 512 << 20 };

/* The given id, or the fact's number in `buffer`. Either all facts of a file have ids or no fact
   has. */
static enum ko_code choose_id(struct ko_facts *facts, const char *given, char buffer[24],
                              const char **id, int line, struct ko_error *err)
{
    if (given && !*given) {
        return ko_fail(err, KO_E_INPUT, "%s:%d: the id is empty", facts->file, line);
    }
    if (!given && facts->n > 0 && !facts->numbered) {
        return ko_fail(err, KO_E_INPUT, "%s:%d: missing key 'id', which the prompts before it have",
                       facts->file, line);
    }
    if (given && facts->n > 0 && facts->numbered) {
        return ko_fail(err, KO_E_INPUT,
                       "%s:%d: has the id '%s', but the prompts before it have no id: give an id "
                       "to every prompt or to none",
                       facts->file, line, given);
    }
    facts->numbered = !given;
    (void)snprintf(buffer, 24, "%zu", facts->n);
    *id = given ? given : buffer;
    return KO_OK;
}

enum ko_code ko_facts_add(struct ko_facts_reader *reader, const char *const value[KO_FACT_COLUMNS],
                          int line, struct ko_error *err)
{
    struct ko_facts *facts = reader->facts;
    if (facts->n == KO_FACTS) {
        return ko_fail(err, KO_E_INPUT, "%s:%d: more than %d prompts, split the file", facts->file,
                       line, KO_FACTS);
    }
    for (size_t i = 0; i < KO_FACT_COLUMNS; i++) {
        if (value[i] && strlen(value[i]) > KO_FACT_BYTES) {
            return ko_fail(err, KO_E_INPUT, "%s:%d: a text of %zu bytes, at most %d are read",
                           facts->file, line, strlen(value[i]), KO_FACT_BYTES);
        }
    }
    char number[24];
    const char *id = NULL;
    enum ko_code code = choose_id(facts, value[KO_FACT_ID], number, &id, line, err);
    if (code != KO_OK) {
        return code;
    }
    struct ko_fact *grown =
        ko_grow(facts->fact, &reader->capacity, facts->n + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    facts->fact = grown;
    struct ko_fact *fact = &facts->fact[facts->n++];
    *fact = (struct ko_fact){.line = line};
    char **field[] = {&fact->id,     &fact->text, &fact->subject,
                      &fact->target, &fact->foil, &fact->relation};
    for (size_t i = 0; i < KO_FACT_COLUMNS; i++) {
        const char *text = i == KO_FACT_ID ? id : value[i];
        if (!text || (i >= KO_FACT_REQUIRED && !*text)) {
            continue;
        }
        *field[i] = ko_copy(text, err);
        if (!*field[i]) {
            return KO_E_MEMORY;
        }
    }
    return KO_OK;
}

/* Every format must be UTF-8 without NUL. */
static enum ko_code check_bytes(const char *file, const char *bytes, size_t n, struct ko_error *err)
{
    int line = 1;
    for (size_t begin = 0; begin < n; line++) {
        const char *end = memchr(bytes + begin, '\n', n - begin);
        size_t length = (end ? (size_t)(end - bytes) + 1 : n) - begin;
        if (memchr(bytes + begin, '\0', length)) {
            return ko_fail(err, KO_E_INPUT, "%s:%d: a NUL character, remove it", file, line);
        }
        if (!ko_utf8_valid(bytes + begin, length)) {
            return ko_fail(err, KO_E_INPUT, "%s:%d: not valid UTF-8, convert the file to UTF-8",
                           file, line);
        }
        begin += length;
    }
    return KO_OK;
}

static int by_id(const void *a, const void *b)
{
    const struct ko_fact *const *x = a, *const *y = b;
    int order = strcmp((*x)->id, (*y)->id);
    if (order) {
        return order;
    }
    return (*x)->line < (*y)->line ? -1 : (*x)->line > (*y)->line;
}

/* Reports the first duplicate in the file, with the line of the id's first use. */
static enum ko_code check_ids(const struct ko_facts *facts, struct ko_error *err)
{
    const struct ko_fact **sorted = ko_new(facts->n, sizeof *sorted, err);
    const struct ko_fact *first = NULL, *again = NULL;
    if (!sorted) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < facts->n; i++) {
        sorted[i] = &facts->fact[i];
    }
    qsort(sorted, facts->n, sizeof *sorted, by_id);
    for (size_t i = 1, same = 0; i < facts->n; i++) {
        if (strcmp(sorted[same]->id, sorted[i]->id) != 0) {
            same = i;
        } else if (!again || sorted[i]->line < again->line) {
            first = sorted[same];
            again = sorted[i];
        }
    }
    free(sorted);
    if (!again) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_INPUT,
                   "%s:%d: duplicate id '%s', already used on line %d, make it unique", facts->file,
                   again->line, again->id, first->line);
}

static enum ko_code collect_span_names(struct ko_facts *facts, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < facts->n; i++) {
        for (size_t k = 0; code == KO_OK && k < facts->fact[i].n_spans; k++) {
            code = ko_strings_intern(&facts->span_names, facts->fact[i].span[k].name, NULL, err);
            if (code == KO_OK && facts->span_names.n > KO_FACT_SPAN_NAMES) {
                code = ko_fail(err, KO_E_INPUT, "%s:%d: more than %d different names of spans",
                               facts->file, facts->fact[i].line, KO_FACT_SPAN_NAMES);
            }
        }
    }
    return code;
}

static enum ko_code read_kind(struct ko_facts_reader *reader, const char *bytes, size_t n,
                              struct ko_error *err)
{
    size_t skip = n >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    size_t first = skip;
    while (first < n && strchr(" \t\r\n", bytes[first])) {
        first++;
    }
    if (first == n) {
        return ko_fail(err, KO_E_INPUT, "%s: holds no prompts", reader->facts->file);
    }
    if (bytes[first] == '[') {
        return ko_facts_read_array(reader, bytes + skip, n - skip, err);
    }
    if (bytes[first] == '{') {
        return ko_facts_read_lines(reader, bytes + skip, n - skip, err);
    }
    return ko_facts_read_csv(reader, bytes + skip, n - skip, err);
}

enum ko_code ko_facts_read(const char *file, struct ko_facts *out, struct ko_error *err)
{
    struct ko_facts facts = {.file = ko_copy(file, err)};
    struct ko_facts_reader reader = {&facts, 0};
    char *bytes = NULL;
    size_t n = 0;
    enum ko_code code = facts.file ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = ko_file_read(file, MAX_FILE_BYTES, &bytes, &n, err);
    }
    if (code == KO_OK) {
        code = ko_content_check_text(bytes, n, file, err);
    }
    if (code == KO_OK) {
        code = check_bytes(file, bytes, n, err);
    }
    if (code == KO_OK) {
        code = read_kind(&reader, bytes, n, err);
    }
    if (code == KO_OK && facts.n == 0) {
        code = ko_fail(err, KO_E_INPUT, "%s: holds no prompts", file);
    }
    if (code == KO_OK) {
        code = check_ids(&facts, err);
    }
    if (code == KO_OK) {
        code = collect_span_names(&facts, err);
    }
    free(bytes);
    if (code != KO_OK) {
        ko_facts_free(&facts);
    } else {
        *out = facts;
    }
    return code;
}

void ko_facts_free(struct ko_facts *facts)
{
    if (!facts) {
        return;
    }
    for (size_t i = 0; i < facts->n; i++) {
        struct ko_fact *fact = &facts->fact[i];
        free(fact->id);
        free(fact->text);
        free(fact->subject);
        free(fact->target);
        free(fact->foil);
        free(fact->relation);
        ko_fact_choices_free(fact);
        free(fact->targets);
        free(fact->options);
        for (size_t k = 0; k < fact->n_spans; k++) {
            free(fact->span[k].name);
        }
        free(fact->span);
        ko_fact_embedded_free(fact->embedded);
    }
    free(facts->fact);
    ko_strings_free(&facts->span_names);
    ko_strings_free(&facts->notes);
    free(facts->file);
    *facts = (struct ko_facts){0};
}
