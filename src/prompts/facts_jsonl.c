/* SPDX-License-Identifier: Apache-2.0 */
/* Reads facts from JSON Lines, one record per line, and recognizes such a file by its first line. It
   also adds single records for the other readers of JSON. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/formats/json.h"
#include "src/prompts/facts_private.h"

enum ko_code ko_fact_value(json_object *record, const char *key, bool number, const char **out,
                           const char *where, struct ko_error *err)
{
    json_object *value = key ? ko_json_get(record, key) : NULL;
    *out = NULL;
    if (!value) {
        return KO_OK;
    }
    /* json-c clamps numbers beyond 64 bits. */
    if (number && json_object_is_type(value, json_type_int) &&
        (json_object_get_uint64(value) == UINT64_MAX ||
         json_object_get_int64(value) == INT64_MIN)) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: %s: a number of 64 bits or more would be changed, put it in quotes",
                       where, key);
    }
    if (number && json_object_is_type(value, json_type_double) &&
        !isfinite(json_object_get_double(value))) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected a string or a finite number, got %s",
                       where, key, json_object_get_string(value));
    }
    if (number && (json_object_is_type(value, json_type_int) ||
                   json_object_is_type(value, json_type_double))) {
        *out = json_object_get_string(value);
        return KO_OK;
    }
    return ko_json_string(record, key, out, where, err);
}

/* The keys of a record whose value is not null. */
static enum ko_code list_keys(json_object *record, struct ko_strings *keys, struct ko_error *err)
{
    json_object_object_foreach(record, key, value)
    {
        const enum ko_code code = value ? ko_strings_add(keys, key, err) : KO_OK;
        if (code != KO_OK) {
            return code;
        }
    }
    return KO_OK;
}

/* The values in the columns of the layout; borrowed from the record. first_target stands in place of
   a missing target. */
static enum ko_code read_values(json_object *record, const struct ko_strings *keys,
                                const struct ko_fact_layout *layout, const char *first_target,
                                const char *value[KO_FACT_COLUMNS], const char *where,
                                struct ko_error *err)
{
    for (size_t i = 0; i < KO_FACT_COLUMNS; i++) {
        enum ko_code code =
            ko_fact_value(record, layout->column[i], i == KO_FACT_ID, &value[i], where, err);
        if (code != KO_OK) {
            return code;
        }
        value[i] = !value[i] && i == KO_FACT_TARGET ? first_target : value[i];
        if (!value[i] && i != KO_FACT_ID && i < KO_FACT_REQUIRED) {
            return ko_fact_missing(keys, layout->column[i], "key", where, err);
        }
    }
    return KO_OK;
}

/* Adds the fact of a record with its answers and options. */
static enum ko_code add_fact(struct ko_facts_reader *reader, json_object *record,
                             const struct ko_strings *keys, const struct ko_fact_layout *layout,
                             const struct ko_fact_place *place, struct ko_error *err)
{
    const char *value[KO_FACT_COLUMNS] = {NULL};
    json_object *list[KO_FACT_LISTS] = {NULL};
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < KO_FACT_LISTS; i++) {
        code = ko_fact_read_list(record, layout->list[i], &list[i], place->where, err);
    }
    if (code == KO_OK) {
        code = read_values(record, keys, layout, ko_fact_first_target(list[KO_FACT_TARGETS]), value,
                           place->where, err);
    }
    if (code == KO_OK) {
        code = ko_facts_add(reader, value, place->line, err);
    }
    if (code == KO_OK) {
        const struct ko_fact_answers answers = {.targets = list[KO_FACT_TARGETS],
                                                .options = list[KO_FACT_OPTIONS],
                                                .key = layout->list[KO_FACT_TARGETS]};
        code = ko_fact_set_choices(reader->facts, &answers, place->where, err);
    }
    for (size_t i = 0; i < KO_FACT_LISTS; i++) {
        json_object_put(list[i]);
    }
    return code;
}

enum ko_code ko_facts_add_record(struct ko_facts_reader *reader, json_object *record, int line,
                                 struct ko_error *err)
{
    char where[KO_ERROR_TEXT];
    struct ko_strings keys = {0};
    (void)snprintf(where, sizeof where, "%s:%d", reader->facts->file, line);
    if (!json_object_is_type(record, json_type_object)) {
        return ko_fail(err, KO_E_INPUT, "%s: expected an object, got %s", where,
                       json_type_to_name(json_object_get_type(record)));
    }
    if (ko_json_get(record, "requested_rewrite")) {
        return ko_facts_add_rome(reader, record, line, err);
    }
    if (ko_fact_is_relation(record)) {
        return ko_facts_add_relation(reader, record, line, err);
    }
    if (ko_json_get(record, "embeddings")) {
        return ko_facts_add_embedded(reader, record, line, where, err);
    }
    enum ko_code code = list_keys(record, &keys, err);
    const struct ko_fact_layout layout = ko_fact_layout_of(&keys);
    if (code == KO_OK) {
        const struct ko_fact_place place = {where, line};
        code = add_fact(reader, record, &keys, &layout, &place, err);
    }
    if (code == KO_OK) {
        code = ko_fact_note_names(&keys, &layout, &reader->facts->notes, err);
    }
    if (code == KO_OK && ko_fact_layout_is_plain(&layout)) {
        code = ko_fact_read_spans(&reader->facts->fact[reader->facts->n - 1], record, where, err);
    }
    ko_strings_free(&keys);
    return code;
}

/* ko_json_parse counts lines from the start of its text, here one line. Replaces "FILE:1:" in the
   error by the line of the file. */
static enum ko_code place_in_file(const char *file, int line, struct ko_error *err)
{
    char text[KO_ERROR_TEXT], wrong[KO_ERROR_TEXT];
    if (!err) {
        return KO_E_INPUT;
    }
    int n = snprintf(wrong, sizeof wrong, "%s:1:", file);
    if (err->code != KO_E_INPUT || strncmp(err->text, wrong, (size_t)n) != 0) {
        return err->code;
    }
    (void)snprintf(text, sizeof text, "%s", err->text + n);
    return ko_fail(err, KO_E_INPUT, "%s:%d:%s", file, line, text);
}

/* The end of the line that begins at bytes[begin]. *blank: the line is empty or white space. */
static size_t line_end(const char *bytes, size_t n, size_t begin, bool *blank)
{
    const char *newline = memchr(bytes + begin, '\n', n - begin);
    size_t end = newline ? (size_t)(newline - bytes) : n;
    *blank = true;
    for (size_t i = begin; *blank && i < end; i++) {
        *blank = strchr(" \t\r", bytes[i]) != NULL;
    }
    return end;
}

static enum ko_code read_records(struct ko_facts_reader *reader, const char *bytes, size_t n,
                                 struct ko_error *err)
{
    const char *file = reader->facts->file;
    enum ko_code code = KO_OK;
    int line = 1;
    for (size_t begin = 0; code == KO_OK && begin < n; line++) {
        bool blank = true;
        size_t end = line_end(bytes, n, begin, &blank);
        json_object *record = NULL;
        if (!blank) {
            code = ko_json_parse(bytes + begin, end - begin, file, &record, err);
            code = code != KO_OK ? place_in_file(file, line, err)
                                 : ko_facts_add_record(reader, record, line, err);
        }
        json_object_put(record);
        begin = end + 1;
    }
    return code;
}

/* The first line that is not blank. */
struct first_line {
    bool valid;   /* it is valid JSON */
    bool more;    /* another line that is not blank follows */
    bool bracket; /* it is an opening bracket alone */
};

static struct first_line look_at_first(const char *bytes, size_t n, const char *file)
{
    struct first_line first = {0};
    json_object *record = NULL;
    bool found = false, blank = true;
    for (size_t begin = 0, end = 0; begin < n && !first.more; begin = end + 1) {
        end = line_end(bytes, n, begin, &blank);
        if (blank) {
            continue;
        }
        first.more = found;
        if (!found) {
            first.valid = ko_json_parse(bytes + begin, end - begin, file, &record, NULL) == KO_OK;
            first.bracket = end - begin <= 2 && bytes[begin] == '{';
        }
        found = true;
    }
    json_object_put(record);
    return first;
}

enum ko_code ko_facts_read_lines(struct ko_facts_reader *reader, const char *bytes, size_t n,
                                 struct ko_error *err)
{
    const struct first_line first = look_at_first(bytes, n, reader->facts->file);
    struct ko_error local = {0};
    json_object *root = NULL;
    if (first.valid && first.more) {
        return read_records(reader, bytes, n, err);
    }
    enum ko_code code = ko_json_parse(bytes, n, reader->facts->file, &root, &local);
    if (code == KO_OK) {
        code = ko_facts_read_object(reader, root, err);
    } else if (first.bracket && code == KO_E_INPUT) {
        code = ko_fail(err, code, "%s; in JSON Lines a record takes one line: `jq -c . %s`",
                       local.text, reader->facts->file);
    } else {
        code = ko_fail(err, code, "%s", local.text);
    }
    json_object_put(root);
    return code;
}
