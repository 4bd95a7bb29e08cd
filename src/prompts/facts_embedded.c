/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a JSON record of a prompt that is a matrix of embeddings. The matrix itself is in another
   file (embeddings.h). */
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/formats/json.h"
#include "src/prompts/facts_private.h"

void ko_fact_embedded_free(struct ko_fact_embedded *embedded)
{
    if (embedded) {
        free(embedded->target_id);
        free(embedded->foil_id);
        free(embedded->turn);
        free(embedded);
    }
}

/* Whole numbers from 0 to INT32_MAX into to [n], which is false for anything else. */
static bool read_numbers(json_object *list, size_t n, int32_t *to)
{
    bool fits = json_object_is_type(list, json_type_array) && json_object_array_length(list) == n;
    for (size_t i = 0; fits && i < n; i++) {
        json_object *item = json_object_array_get_idx(list, i);
        const int64_t value = json_object_get_int64(item);
        fits = json_object_is_type(item, json_type_int) && value >= 0 && value <= INT32_MAX;
        to[i] = fits ? (int32_t)value : 0;
    }
    return fits;
}

/* 0 for what is not a list: json-c aborts when it is asked for an item of that. */
static size_t length_of(json_object *list)
{
    return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

enum ko_code ko_fact_read_ids(json_object *list, const char *key, int32_t **out, size_t *n,
                              const char *where, struct ko_error *err)
{
    const size_t length = length_of(list);
    const bool fits = length > 0 && length <= KO_FACT_POSITIONS;
    int32_t *id = fits ? ko_new(length, sizeof *id, err) : NULL;
    if (fits && !id) {
        return KO_E_MEMORY;
    }
    if (!fits || !read_numbers(list, length, id)) {
        free(id);
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected a list of 1 to %d token ids, got %.200s",
                       where, key, KO_FACT_POSITIONS, json_object_to_json_string(list));
    }
    *out = id;
    *n = length;
    return KO_OK;
}

/* position_ids: a list of whole numbers, or three lists of the same length. */
static enum ko_code read_turns(json_object *record, struct ko_fact_embedded *out, const char *where,
                               struct ko_error *err)
{
    static const char key[] = "position_ids";
    json_object *list = ko_json_get(record, key);
    if (!list) {
        return KO_OK;
    }
    json_object *first = length_of(list) > 0 ? json_object_array_get_idx(list, 0) : NULL;
    const bool rows = json_object_is_type(first, json_type_array);
    const size_t n_turns = rows ? length_of(list) : 1;
    const size_t n = length_of(rows ? first : list);
    if (n == 0 || n > KO_FACT_POSITIONS || (n_turns != 1 && n_turns != 3)) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: %s: expected one row, or three, of 1 to %d whole numbers, got %.200s",
                       where, key, KO_FACT_POSITIONS, json_object_to_json_string(list));
    }
    out->turn = ko_new(n_turns * n, sizeof *out->turn, err);
    if (!out->turn) {
        return KO_E_MEMORY;
    }
    for (size_t k = 0; k < n_turns; k++) {
        json_object *row = rows ? json_object_array_get_idx(list, k) : list;
        if (!read_numbers(row, n, out->turn + k * n)) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: %s: row %zu: expected %zu whole numbers from 0, as many as in "
                           "row 0, got a list of %zu",
                           where, key, k, n, length_of(row));
        }
    }
    out->n_turns = (int32_t)n_turns;
    out->n_positions = (int32_t)n;
    return KO_OK;
}

/* Checks that the record says nothing that needs a text. */
static enum ko_code check_record(json_object *record, const char *where, struct ko_error *err)
{
    static const char *const of_texts[] = {"spans", "subject"};
    if (!json_object_get_boolean(ko_json_get(record, "embeddings")) ||
        !json_object_is_type(ko_json_get(record, "embeddings"), json_type_boolean)) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: embeddings: expected true, got %s, leave it out for a prompt of text",
                       where, json_object_to_json_string(ko_json_get(record, "embeddings")));
    }
    for (size_t i = 0; i < sizeof of_texts / sizeof of_texts[0]; i++) {
        if (ko_json_get(record, of_texts[i])) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: %s: a prompt of embeddings has no characters, name the positions "
                           "in token_spans",
                           where, of_texts[i]);
        }
    }
    return ko_json_get(record, "possible_answers")
               ? ko_fail(err, KO_E_INPUT,
                         "%s: possible_answers: a prompt of embeddings has its right answers in "
                         "targets",
                         where)
               : KO_OK;
}

/* The answer's or the foil's text, and its ids; if there are ids alone, their list stands for it. */
static enum ko_code read_answer(json_object *record, const char *key, json_object *ids,
                                const char **text, const char *where, struct ko_error *err)
{
    const enum ko_code code = ko_fact_value(record, key, false, text, where, err);
    if (code == KO_OK && ids && (!*text || (*text)[0] == '\0')) {
        *text = json_object_to_json_string_ext(ids, JSON_C_TO_STRING_PLAIN);
    }
    return code;
}

static bool is_given(json_object *text)
{
    return text &&
           !(json_object_is_type(text, json_type_string) && json_object_get_string_len(text) == 0);
}

/* The ids of the target. Where it is missing or empty, the first of `targets` may be its ids. */
static enum ko_code read_target_ids(json_object *record, struct ko_fact_answers *answers,
                                    struct ko_fact_embedded *to, const char *where,
                                    struct ko_error *err)
{
    const char *key = "target_ids";
    json_object *ids = ko_json_get(record, key);
    if (!ids && !is_given(ko_json_get(record, "target")) && length_of(answers->targets) > 0) {
        json_object *first = json_object_array_get_idx(answers->targets, 0);
        ids = json_object_is_type(first, json_type_array) ? first : NULL;
        key = answers->key;
    }
    answers->target_ids = ids;
    return ids ? ko_fact_read_ids(ids, key, &to->target_id, &to->n_target_ids, where, err) : KO_OK;
}

/* Reads all answers. Lists are the caller's to put. The first of `targets` stands in place of a
   missing target. */
static enum ko_code read_answers(json_object *record, struct ko_fact_answers *answers,
                                 struct ko_fact_embedded *to, const char *value[KO_FACT_COLUMNS],
                                 const char *where, struct ko_error *err)
{
    json_object *foil_ids = ko_json_get(record, "foil_ids");
    enum ko_code code = ko_fact_read_list(record, "targets", &answers->targets, where, err);
    if (code == KO_OK) {
        code = ko_fact_read_list(record, "options", &answers->options, where, err);
    }
    if (code == KO_OK) {
        code = read_target_ids(record, answers, to, where, err);
    }
    if (code == KO_OK && foil_ids) {
        code = ko_fact_read_ids(foil_ids, "foil_ids", &to->foil_id, &to->n_foil_ids, where, err);
    }
    if (code == KO_OK) {
        code =
            read_answer(record, "target", answers->target_ids, &value[KO_FACT_TARGET], where, err);
    }
    if (code == KO_OK) {
        code = read_answer(record, "foil", foil_ids, &value[KO_FACT_FOIL], where, err);
    }
    if (code == KO_OK && !value[KO_FACT_TARGET]) {
        value[KO_FACT_TARGET] = ko_fact_first_target(answers->targets);
    }
    if (code == KO_OK && !value[KO_FACT_TARGET]) {
        code =
            ko_fail(err, KO_E_INPUT, "%s: missing key 'target', 'target_ids' or 'targets'", where);
    }
    return code;
}

/* What is for people, and the id. */
static enum ko_code read_texts(json_object *record, const char *value[KO_FACT_COLUMNS],
                               const char *where, struct ko_error *err)
{
    enum ko_code code = ko_fact_value(record, "id", true, &value[KO_FACT_ID], where, err);
    if (code == KO_OK) {
        code = ko_fact_value(record, "prompt", false, &value[KO_FACT_TEXT], where, err);
    }
    if (code == KO_OK) {
        code = ko_fact_value(record, "relation", false, &value[KO_FACT_RELATION], where, err);
    }
    value[KO_FACT_TEXT] = value[KO_FACT_TEXT] ? value[KO_FACT_TEXT] : "";
    return code;
}

enum ko_code ko_facts_add_embedded(struct ko_facts_reader *reader, json_object *record, int line,
                                   const char *where, struct ko_error *err)
{
    const char *value[KO_FACT_COLUMNS] = {[KO_FACT_SUBJECT] = ""};
    struct ko_fact_answers answers = {.key = "targets"};
    struct ko_fact_embedded *embedded = ko_new(1, sizeof *embedded, err);
    enum ko_code code = embedded ? check_record(record, where, err) : KO_E_MEMORY;
    if (code == KO_OK) {
        code = read_texts(record, value, where, err);
    }
    if (code == KO_OK) {
        code = read_answers(record, &answers, embedded, value, where, err);
    }
    if (code == KO_OK) {
        code = read_turns(record, embedded, where, err);
    }
    if (code == KO_OK) {
        code = ko_facts_add(reader, value, line, err);
    }
    if (code != KO_OK) {
        ko_fact_embedded_free(embedded);
    } else {
        struct ko_fact *fact = &reader->facts->fact[reader->facts->n - 1];
        fact->embedded = embedded;
        code = ko_fact_set_choices(reader->facts, &answers, where, err);
        code = code == KO_OK ? ko_fact_read_spans(fact, record, where, err) : code;
    }
    json_object_put(answers.targets);
    json_object_put(answers.options);
    return code;
}
