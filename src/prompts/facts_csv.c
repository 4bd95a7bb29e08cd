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

/* place: the index of each column, -1 if the header does not have it. */
static enum ko_code read_header(const struct csv *csv, const struct ko_strings *header, int line,
                                ptrdiff_t place[KO_FACT_COLUMNS], struct ko_strings *notes,
                                struct ko_error *err)
{
    const struct ko_fact_layout layout = ko_fact_layout_of(header);
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
    if (!any) {
        return ko_fail(err, KO_E_INPUT,
                       "%s:%d: neither JSON nor a CSV header: it has none of the columns id, "
                       "prompt, subject and target",
                       csv->file, line);
    }
    (void)snprintf(where, sizeof where, "%s:%d", csv->file, line);
    for (size_t i = 0; i < KO_FACT_COLUMNS; i++) {
        if (i != KO_FACT_ID && i < KO_FACT_REQUIRED && place[i] < 0) {
            return ko_fact_missing(header, layout.column[i], "column", where, err);
        }
        for (size_t k = 0; place[i] >= 0 && k < header->n; k++) {
            if ((ptrdiff_t)k != place[i] && strcmp(header->item[k], layout.column[i]) == 0) {
                return ko_fail(err, KO_E_INPUT, "%s: column '%s' comes twice", where,
                               layout.column[i]);
            }
        }
    }
    return ko_fact_note_names(header, &layout, notes, err);
}

enum ko_code ko_facts_read_csv(struct ko_facts_reader *reader, const char *bytes, size_t n,
                               struct ko_error *err)
{
    struct csv csv = {reader->facts->file, bytes, n, 0, 1, find_separator(bytes, n)};
    ptrdiff_t place[KO_FACT_COLUMNS];
    size_t n_columns = 0;
    enum ko_code code = KO_OK;
    while (code == KO_OK && csv.at < csv.n) {
        struct ko_strings fields = {0};
        const char *value[KO_FACT_COLUMNS] = {NULL};
        int line = 0;
        code = read_record(&csv, &fields, &line, err);
        bool blank = fields.n == 1 && !*fields.item[0];
        if (code == KO_OK && !blank && n_columns == 0) {
            code = read_header(&csv, &fields, line, place, &reader->facts->notes, err);
            n_columns = fields.n;
        } else if (code == KO_OK && !blank && fields.n != n_columns) {
            code = ko_fail(err, KO_E_INPUT, "%s:%d: %zu fields, but the header has %zu", csv.file,
                           line, fields.n, n_columns);
        } else if (code == KO_OK && !blank) {
            for (size_t i = 0; i < KO_FACT_COLUMNS; i++) {
                value[i] = place[i] >= 0 ? fields.item[place[i]] : NULL;
            }
            code = ko_facts_add(reader, value, line, err);
        }
        ko_strings_free(&fields);
    }
    return code;
}
