/* SPDX-License-Identifier: Apache-2.0 */
/* Reads facts from comma-separated values with a header line (RFC 4180), or from tab-separated ones
   with the same rules, except that a field which does not begin with a quote may have some. */
#include <stdio.h>
#include <string.h>

#include "src/prompts/facts_private.h"

struct csv {
    const char *file, *bytes;
    size_t n, at;
    int line; /* of the next byte */
    char separator;
};

/* Names of columns have no tabs, so a header with one is separated by them. */
static char find_separator(const char *bytes, size_t n)
{
    size_t begin = 0;
    while (begin < n && strchr("\r\n", bytes[begin])) {
        begin++;
    }
    const char *newline = memchr(bytes + begin, '\n', n - begin);
    const size_t end = newline ? (size_t)(newline - bytes) : n;
    return memchr(bytes + begin, '\t', end - begin) ? '\t' : ',';
}

static bool at_line_end(const struct csv *csv)
{
    if (csv->at >= csv->n || csv->bytes[csv->at] == '\n') {
        return true;
    }
    return csv->bytes[csv->at] == '\r' && csv->at + 1 < csv->n && csv->bytes[csv->at + 1] == '\n';
}

static enum ko_code read_quoted(struct csv *csv, struct ko_text *field, struct ko_error *err)
{
    int first = csv->line;
    csv->at++;
    for (;;) {
        const char *quote = memchr(csv->bytes + csv->at, '"', csv->n - csv->at);
        if (!quote) {
            return ko_fail(err, KO_E_INPUT, "%s:%d: a quoted field has no closing quote", csv->file,
                           first);
        }
        size_t end = (size_t)(quote - csv->bytes);
        for (size_t i = csv->at; i < end; i++) {
            csv->line += csv->bytes[i] == '\n';
        }
        bool doubled = end + 1 < csv->n && csv->bytes[end + 1] == '"';
        ko_text_add_bytes(field, csv->bytes + csv->at, end - csv->at + doubled);
        csv->at = end + 1 + doubled;
        if (!doubled) {
            break;
        }
    }
    if (!at_line_end(csv) && csv->bytes[csv->at] != csv->separator) {
        return ko_fail(err, KO_E_INPUT,
                       "%s:%d: text after a closing quote, double the quotes inside a field",
                       csv->file, csv->line);
    }
    return KO_OK;
}

static enum ko_code read_bare(struct csv *csv, struct ko_text *field, struct ko_error *err)
{
    size_t begin = csv->at;
    for (; !at_line_end(csv) && csv->bytes[csv->at] != csv->separator; csv->at++) {
        if (csv->bytes[csv->at] == '"' && csv->separator == ',') {
            return ko_fail(err, KO_E_INPUT,
                           "%s:%d: a quote inside a field without quotes, put the field in quotes "
                           "and double the quote",
                           csv->file, csv->line);
        }
    }
    ko_text_add_bytes(field, csv->bytes + begin, csv->at - begin);
    return KO_OK;
}

/* Reads the record at csv->at, which is not the end. *line: where the record begins. */
static enum ko_code read_record(struct csv *csv, struct ko_strings *fields, int *line,
                                struct ko_error *err)
{
    enum ko_code code = KO_OK;
    *line = csv->line;
    for (bool more = true; code == KO_OK && more;) {
        struct ko_text field = {0};
        bool quoted = csv->at < csv->n && csv->bytes[csv->at] == '"';
        code = quoted ? read_quoted(csv, &field, err) : read_bare(csv, &field, err);
        if (code == KO_OK) {
            code = ko_text_check(&field, err);
        }
        if (code == KO_OK) {
            code = ko_strings_add(fields, ko_text_str(&field), err);
        }
        ko_text_free(&field);
        more = !at_line_end(csv);
        csv->at += more;
    }
    if (code == KO_OK && csv->at < csv->n) {
        csv->at += csv->bytes[csv->at] == '\r' ? 2 : 1;
        csv->line++;
    }
    return code;
}

/* Refuses a header that is separated by something other than commas or tabs. */
static enum ko_code check_separator(const struct csv *csv, const struct ko_strings *header,
                                    int line, struct ko_error *err)
{
    static const struct {
        char byte;
        const char *name;
    } separators[] = {{';', "semicolons"}, {'|', "'|'"}};
    const char *text = header->item[0];
    for (size_t i = 0; header->n == 1 && i < sizeof separators / sizeof separators[0]; i++) {
        if (strchr(text, separators[i].byte) && strstr(text, "prompt")) {
            return ko_fail(
                err, KO_E_INPUT,
                "%s:%d: columns are separated by commas or tabs, but this header has %s: "
                "convert it with `python3 -c \"import pandas; pandas.read_csv('%s', "
                "sep='%c').to_csv('prompts.csv', index=False)\"`",
                csv->file, line, separators[i].name, csv->file, separators[i].byte);
        }
    }
    return KO_OK;
}

/* Which field of a record holds which value: the index of each column, -1 if the header does not
   have it. */
struct places {
    ptrdiff_t column[KO_FACT_COLUMNS], list[KO_FACT_LISTS];
    const char *targets; /* name of the column with the right answers */
};

static enum ko_code check_twice(const struct ko_strings *header, ptrdiff_t place, const char *where,
                                struct ko_error *err)
{
    for (size_t k = 0; place >= 0 && k < header->n; k++) {
        if ((ptrdiff_t)k != place && strcmp(header->item[k], header->item[place]) == 0) {
            return ko_fail(err, KO_E_INPUT, "%s: column '%s' comes twice", where,
                           header->item[place]);
        }
    }
    return KO_OK;
}

static enum ko_code read_header(const struct csv *csv, const struct ko_strings *header, int line,
                                struct places *places, struct ko_strings *notes,
                                struct ko_error *err)
{
    const struct ko_fact_layout layout = ko_fact_layout_of(header);
    ptrdiff_t *place = places->column;
    char where[KO_ERROR_TEXT];
    bool any = layout.column[KO_FACT_ID] != NULL;
    enum ko_code code = check_separator(csv, header, line, err);
    if (code != KO_OK) {
        return code;
    }
    for (size_t i = 0; i < KO_FACT_COLUMNS; i++) {
        place[i] = layout.column[i] ? ko_strings_find(header, layout.column[i]) : -1;
        any = any || place[i] >= 0;
    }
    for (size_t i = 0; i < KO_FACT_LISTS; i++) {
        places->list[i] = layout.list[i] ? ko_strings_find(header, layout.list[i]) : -1;
    }
    places->targets = layout.list[KO_FACT_TARGETS];
    if (!any) {
        return ko_fail(err, KO_E_INPUT,
                       "%s:%d: neither JSON nor a CSV header: it has none of the columns id, "
                       "prompt, subject and target",
                       csv->file, line);
    }
    (void)snprintf(where, sizeof where, "%s:%d", csv->file, line);
    for (size_t i = 0; code == KO_OK && i < KO_FACT_COLUMNS; i++) {
        const bool listed = i == KO_FACT_TARGET && places->list[KO_FACT_TARGETS] >= 0;
        if (i != KO_FACT_ID && i < KO_FACT_REQUIRED && place[i] < 0 && !listed) {
            return ko_fact_missing(header, layout.column[i], "column", where, err);
        }
        code = check_twice(header, place[i], where, err);
    }
    for (size_t i = 0; code == KO_OK && i < KO_FACT_LISTS; i++) {
        code = check_twice(header, places->list[i], where, err);
    }
    return code == KO_OK ? ko_fact_note_names(header, &layout, notes, err) : code;
}

static const char *field_at(const struct ko_strings *fields, ptrdiff_t place)
{
    return place >= 0 ? fields->item[place] : NULL;
}

static enum ko_code add_fact(struct ko_facts_reader *reader, const struct ko_strings *fields,
                             const struct places *places, int line, struct ko_error *err)
{
    static const char *const key[KO_FACT_LISTS] = {"targets", "options"};
    const char *value[KO_FACT_COLUMNS];
    json_object *list[KO_FACT_LISTS] = {NULL};
    char where[KO_ERROR_TEXT];
    enum ko_code code = KO_OK;
    (void)snprintf(where, sizeof where, "%s:%d", reader->facts->file, line);
    for (size_t i = 0; i < KO_FACT_COLUMNS; i++) {
        value[i] = field_at(fields, places->column[i]);
    }
    for (size_t i = 0; code == KO_OK && i < KO_FACT_LISTS; i++) {
        code = ko_fact_parse_list(field_at(fields, places->list[i]),
                                  i == KO_FACT_TARGETS ? places->targets : key[i], where, &list[i],
                                  err);
    }
    if (!value[KO_FACT_TARGET]) { /* then there is a column of right answers */
        value[KO_FACT_TARGET] = ko_fact_first_target(list[KO_FACT_TARGETS]);
        value[KO_FACT_TARGET] = value[KO_FACT_TARGET] ? value[KO_FACT_TARGET] : "";
    }
    if (code == KO_OK) {
        code = ko_facts_add(reader, value, line, err);
    }
    if (code == KO_OK) {
        const struct ko_fact_answers answers = {.targets = list[KO_FACT_TARGETS],
                                                .options = list[KO_FACT_OPTIONS],
                                                .key = places->targets};
        code = ko_fact_set_choices(reader->facts, &answers, where, err);
    }
    for (size_t i = 0; i < KO_FACT_LISTS; i++) {
        json_object_put(list[i]);
    }
    return code;
}

enum ko_code ko_facts_read_csv(struct ko_facts_reader *reader, const char *bytes, size_t n,
                               struct ko_error *err)
{
    struct csv csv = {reader->facts->file, bytes, n, 0, 1, find_separator(bytes, n)};
    struct places places = {0};
    size_t n_columns = 0;
    enum ko_code code = KO_OK;
    while (code == KO_OK && csv.at < csv.n) {
        struct ko_strings fields = {0};
        int line = 0;
        code = read_record(&csv, &fields, &line, err);
        bool blank = fields.n == 1 && !*fields.item[0];
        if (code == KO_OK && !blank && n_columns == 0) {
            code = read_header(&csv, &fields, line, &places, &reader->facts->notes, err);
            n_columns = fields.n;
        } else if (code == KO_OK && !blank && fields.n != n_columns) {
            code = ko_fail(err, KO_E_INPUT, "%s:%d: %zu fields, but the header has %zu", csv.file,
                           line, fields.n, n_columns);
        } else if (code == KO_OK && !blank) {
            code = add_fact(reader, &fields, &places, line, err);
        }
        ko_strings_free(&fields);
    }
    return code;
}
