/* SPDX-License-Identifier: Apache-2.0 */
/* Reads relations of LRE's data set (Hernandez et al. 2024, "Linearity of Relation Decoding"). Each
   file is one relation: an object with a name, templates and samples. */
#include <stdio.h>
#include <string.h>

#include "src/formats/json.h"
#include "src/prompts/facts_private.h"

static const char templates_key[] = "prompt_templates", samples_key[] = "samples";

bool ko_fact_is_relation(json_object *record)
{
    return ko_json_get(record, templates_key) && ko_json_get(record, samples_key);
}

/* The string under a required key. */
static enum ko_code read_string(json_object *object, const char *key, const char **out,
                                const char *where, struct ko_error *err)
{
    *out = NULL;
    if (!json_object_is_type(object, json_type_object)) {
        return ko_fail(err, KO_E_INPUT, "%s: expected an object, got %s", where,
                       json_type_to_name(json_object_get_type(object)));
    }
    enum ko_code code = ko_json_string(object, key, out, where, err);
    if (code == KO_OK && !*out) {
        code = ko_fail(err, KO_E_INPUT, "%s: missing key '%s'", where, key);
    }
    return code;
}

struct relation {
    const char *name, *template;
    int line; /* of the file */
};

static enum ko_code add_sample(struct ko_facts_reader *reader, const struct relation *relation,
                               json_object *sample, size_t index, struct ko_error *err)
{
    const char *value[KO_FACT_COLUMNS] = {[KO_FACT_RELATION] = relation->name};
    struct ko_text id = {0}, text = {0};
    char where[KO_ERROR_TEXT];
    (void)snprintf(where, sizeof where, "%s:%d: %s[%zu]", reader->facts->file, relation->line,
                   samples_key, index);
    ko_text_add(&id, "%s/%zu", relation->name, index);
    enum ko_code code = read_string(sample, "subject", &value[KO_FACT_SUBJECT], where, err);
    if (code == KO_OK) {
        code = read_string(sample, "object", &value[KO_FACT_TARGET], where, err);
    }
    if (code == KO_OK) {
        code = ko_fact_fill(relation->template, value[KO_FACT_SUBJECT], where, &text, err);
    }
    if (code == KO_OK) {
        code = ko_text_check(&id, err);
    }
    if (code == KO_OK) {
        value[KO_FACT_ID] = ko_text_str(&id);
        value[KO_FACT_TEXT] = ko_text_str(&text);
        code = ko_facts_add(reader, value, relation->line, err);
    }
    ko_text_free(&id);
    ko_text_free(&text);
    return code;
}

enum ko_code ko_facts_add_relation(struct ko_facts_reader *reader, json_object *record, int line,
                                   struct ko_error *err)
{
    json_object *templates = ko_json_get(record, templates_key);
    json_object *samples = ko_json_get(record, samples_key);
    struct relation relation = {.line = line};
    char where[KO_ERROR_TEXT];
    (void)snprintf(where, sizeof where, "%s:%d", reader->facts->file, line);
    enum ko_code code = read_string(record, "name", &relation.name, where, err);
    if (code != KO_OK) {
        return code;
    }
    json_object *first =
        json_object_is_type(templates, json_type_array) && json_object_array_length(templates) > 0
            ? json_object_array_get_idx(templates, 0)
            : NULL;
    if (!json_object_is_type(first, json_type_string)) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected a list of texts with {}", where,
                       templates_key);
    }
    if (!json_object_is_type(samples, json_type_array)) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected a list of {subject, object}", where,
                       samples_key);
    }
    relation.template = json_object_get_string(first);
    if (strlen(relation.template) != (size_t)json_object_get_string_len(first)) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected a text without NUL", where,
                       templates_key);
    }
    for (size_t i = 0; code == KO_OK && i < json_object_array_length(samples); i++) {
        code = add_sample(reader, &relation, json_object_array_get_idx(samples, i), i, err);
    }
    return code;
}
