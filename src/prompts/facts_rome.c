/* SPDX-License-Identifier: Apache-2.0 */
/* Reads facts from JSON other than JSON Lines: lists, objects, and records of ROME's
   counterfact.json (Meng et al. 2022). */
#include <stdio.h>
#include <string.h>

#include "src/formats/json.h"
#include "src/prompts/facts_private.h"

enum ko_code ko_fact_fill(const char *template, const char *subject, const char *where,
                          struct ko_text *out, struct ko_error *err)
{
    const char *gap = strstr(template, "{}");
    if (!gap || strstr(gap + 2, "{}")) {
        return ko_fail(err, KO_E_INPUT, "%s: prompt: expected one {} for the subject, got '%s'",
                       where, template);
    }
    ko_text_add_bytes(out, template, (size_t)(gap - template));
    ko_text_add(out, "%s%s", subject, gap + 2);
    return ko_text_check(out, err);
}

/* rewrite[key].str */
static enum ko_code read_answer(json_object *rewrite, const char *key, const char **out,
                                const char *where, struct ko_error *err)
{
    json_object *answer = ko_json_get(rewrite, key);
    char inner[KO_ERROR_TEXT];
    if (!answer) {
        return KO_OK;
    }
    if (!json_object_is_type(answer, json_type_object)) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected {\"str\": ...}, got %s", where, key,
                       json_object_to_json_string(answer));
    }
    (void)snprintf(inner, sizeof inner, "%s: %s", where, key);
    enum ko_code code = ko_fact_value(answer, "str", false, out, inner, err);
    if (code == KO_OK && !*out) {
        code = ko_fail(err, KO_E_INPUT, "%s: missing key 'str'", inner);
    }
    return code;
}

enum ko_code ko_facts_add_rome(struct ko_facts_reader *reader, json_object *record, int line,
                               struct ko_error *err)
{
    static const char *const required[] = {"prompt", "subject", "target_true"};
    const char *value[KO_FACT_COLUMNS] = {NULL}, *template = NULL;
    struct ko_text text = {0};
    char where[KO_ERROR_TEXT];
    json_object *rewrite = ko_json_get(record, "requested_rewrite");
    (void)snprintf(where, sizeof where, "%s:%d", reader->facts->file, line);
    enum ko_code code = ko_fact_value(record, "case_id", true, &value[KO_FACT_ID], where, err);
    (void)snprintf(where, sizeof where, "%s:%d: requested_rewrite", reader->facts->file, line);
    if (code == KO_OK && !json_object_is_type(rewrite, json_type_object)) {
        code = ko_fail(err, KO_E_INPUT, "%s: expected an object, got %s", where,
                       json_type_to_name(json_object_get_type(rewrite)));
    }
    for (size_t i = 0; code == KO_OK && i < sizeof required / sizeof required[0]; i++) {
        if (!ko_json_get(rewrite, required[i])) {
            code = ko_fail(err, KO_E_INPUT, "%s: missing key '%s'", where, required[i]);
        }
    }
    if (code == KO_OK) {
        code = ko_fact_value(rewrite, "prompt", false, &template, where, err);
    }
    if (code == KO_OK) {
        code = ko_fact_value(rewrite, "subject", false, &value[KO_FACT_SUBJECT], where, err);
    }
    if (code == KO_OK) {
        code = ko_fact_value(rewrite, "relation_id", false, &value[KO_FACT_RELATION], where, err);
    }
    if (code == KO_OK) {
        code = read_answer(rewrite, "target_true", &value[KO_FACT_TARGET], where, err);
    }
    if (code == KO_OK) {
        code = read_answer(rewrite, "target_new", &value[KO_FACT_FOIL], where, err);
    }
    if (code == KO_OK) {
        code = ko_fact_fill(template, value[KO_FACT_SUBJECT], where, &text, err);
    }
    if (code == KO_OK) {
        value[KO_FACT_TEXT] = ko_text_str(&text);
        code = ko_facts_add(reader, value, line, err);
    }
    ko_text_free(&text);
    return code;
}

static enum ko_code add_list(struct ko_facts_reader *reader, json_object *list,
                             struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < json_object_array_length(list); i++) {
        code = ko_facts_add_record(reader, json_object_array_get_idx(list, i), (int)i + 1, err);
    }
    return code;
}

enum ko_code ko_facts_read_array(struct ko_facts_reader *reader, const char *bytes, size_t n,
                                 struct ko_error *err)
{
    json_object *root = NULL;
    enum ko_code code = ko_json_parse(bytes, n, reader->facts->file, &root, err);
    if (code == KO_OK) {
        code = add_list(reader, root, err);
    }
    json_object_put(root);
    return code;
}

enum ko_code ko_facts_read_object(struct ko_facts_reader *reader, json_object *root,
                                  struct ko_error *err)
{
    static const char *const keys[] = {"requested_rewrite", "prompt", "subject", "embeddings"};
    json_object *data = ko_json_get(root, "data");
    bool record = ko_fact_is_relation(root);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_object *value = ko_json_get(root, keys[i]);
        record = record || (value && json_object_is_type(value, json_type_object) == (i == 0));
    }
    if (record) {
        return ko_facts_add_record(reader, root, 1, err);
    }
    if (json_object_is_type(data, json_type_array)) {
        return add_list(reader, data, err);
    }
    return ko_fail(err, KO_E_INPUT,
                   "%s: is one JSON object, not JSON Lines: write one record per line, or a list "
                   "of records (pandas: to_json(FILE, orient='records', lines=True))",
                   reader->facts->file);
}
