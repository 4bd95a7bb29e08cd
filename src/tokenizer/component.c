/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the type of a component by its name in tokenizer.json, opens it, and runs or closes it
   later. Also checks that a JSON object has no unknown or missing keys. */
#include "src/tokenizer/component.h"

#include <string.h>

#include "src/base/text.h"
#include "src/formats/json.h"
#include "src/tokenizer/bpe.h"

static const struct ko_subword_type *const model_types[] = {&ko_bpe_model};

const struct ko_subword_type *const *ko_subword_types(size_t *n)
{
    *n = sizeof model_types / sizeof model_types[0];
    return model_types;
}

static enum ko_code object_check(json_object *spec, const char *expected, const char *where,
                                 struct ko_error *err)
{
    if (!json_object_is_type(spec, json_type_object)) {
        return ko_fail(err, KO_E_INPUT, "%s: expected %s, got %s", where, expected,
                       json_type_to_name(json_object_get_type(spec)));
    }
    return KO_OK;
}

enum ko_code ko_keys_check(json_object *spec, const char *const *known, size_t n, size_t n_required,
                           const char *where, struct ko_error *err)
{
    enum ko_code code = object_check(spec, "an object", where, err);
    if (code != KO_OK) {
        return code;
    }
    struct json_object_iterator at = json_object_iter_begin(spec);
    struct json_object_iterator end = json_object_iter_end(spec);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        const char *key = json_object_iter_peek_name(&at);
        size_t i = 0;
        while (i < n && strcmp(key, known[i]) != 0) {
            i++;
        }
        if (i < n) {
            continue;
        }
        const char *near = ko_nearest(key, known, n);
        return near ? ko_fail(err, KO_E_INPUT, "%s: unknown key '%s', did you mean '%s'?", where,
                              key, near)
                    : ko_fail(err, KO_E_INPUT,
                              "%s: unknown key '%s', which may change the tokens, so it is refused",
                              where, key);
    }
    for (size_t i = 0; i < n_required; i++) {
        if (!ko_json_get(spec, known[i])) {
            return ko_fail(err, KO_E_INPUT, "%s: missing key '%s'", where, known[i]);
        }
    }
    return KO_OK;
}

typedef const char *name_of(const void *types, size_t i);

static const char *component_name(const void *types, size_t i)
{
    return ((const struct ko_component_type *const *)types)[i]->name;
}

static const char *subword_name(const void *types, size_t i)
{
    return ((const struct ko_subword_type *const *)types)[i]->name;
}

/* The place of `type` (NULL: the key is missing) among n types, or an error that lists them. */
static enum ko_code find_type(const char *type, const void *types, size_t n, name_of *name,
                              const char *where, size_t *out, struct ko_error *err)
{
    if (!type) {
        return ko_fail(err, KO_E_INPUT, "%s: missing key 'type'", where);
    }
    struct ko_text list = {0};
    for (size_t i = 0; i < n; i++) {
        if (strcmp(type, name(types, i)) == 0) {
            ko_text_free(&list);
            *out = i;
            return KO_OK;
        }
        ko_text_add(&list, "%s%s", i ? ", " : "", name(types, i));
    }
    enum ko_code code = ko_fail(err, KO_E_INPUT, "%s: type '%s' is not supported, only %s", where,
                                type, ko_text_str(&list));
    ko_text_free(&list);
    return code;
}

enum ko_code ko_component_open(json_object *spec, const char *where,
                               const struct ko_component_type *const *types, size_t n_types,
                               struct ko_component *out, struct ko_error *err)
{
    *out = (struct ko_component){0};
    if (!spec) {
        return KO_OK;
    }
    const char *type = NULL;
    size_t i = 0;
    void *state = NULL;
    enum ko_code code = object_check(spec, "an object or null", where, err);
    if (code == KO_OK) {
        code = ko_json_string(spec, "type", &type, where, err);
    }
    if (code == KO_OK) {
        code = find_type(type, types, n_types, component_name, where, &i, err);
    }
    if (code == KO_OK) {
        code = types[i]->open(spec, where, &state, err);
    }
    if (code == KO_OK) {
        *out = (struct ko_component){types[i], state};
    }
    return code;
}

void ko_component_close(struct ko_component *component)
{
    if (!component) {
        return;
    }
    if (component->type && component->type->close) {
        component->type->close(component->state);
    }
    *component = (struct ko_component){0};
}

enum ko_code ko_component_on_pieces(const struct ko_component *component, struct ko_pieces *pieces,
                                    struct ko_error *err)
{
    return component->type ? component->type->on_pieces(component->state, pieces, err) : KO_OK;
}

enum ko_code ko_component_on_tokens(const struct ko_component *component, struct ko_tokens *tokens,
                                    struct ko_error *err)
{
    return component->type ? component->type->on_tokens(component->state, tokens, err) : KO_OK;
}

size_t ko_component_count(const struct ko_component *component,
                          const struct ko_component_type *type)
{
    if (!component->type) {
        return 0;
    }
    size_t n = 0, found = component->type == type;
    const struct ko_component *part =
        component->type->parts ? component->type->parts(component->state, &n) : NULL;
    for (size_t i = 0; i < n; i++) {
        found += ko_component_count(&part[i], type);
    }
    return found;
}

enum ko_code ko_subword_open(json_object *spec, const char *where, struct ko_subword *out,
                             struct ko_error *err)
{
    *out = (struct ko_subword){0};
    size_t n = 0, i = 0;
    const struct ko_subword_type *const *types = ko_subword_types(&n);
    const char *type = NULL;
    void *state = NULL;
    enum ko_code code = object_check(spec, "an object", where, err);
    if (code == KO_OK) {
        code = ko_json_string(spec, "type", &type, where, err);
    }
    /* Files from before the key existed: only BPE has merges. */
    if (code == KO_OK && !type && ko_json_get(spec, "merges")) {
        type = ko_bpe_model.name;
    }
    if (code == KO_OK) {
        code = find_type(type, types, n, subword_name, where, &i, err);
    }
    if (code == KO_OK) {
        code = types[i]->open(spec, where, &state, err);
    }
    if (code == KO_OK) {
        *out = (struct ko_subword){types[i], state};
    }
    return code;
}

void ko_subword_close(struct ko_subword *model)
{
    if (!model) {
        return;
    }
    if (model->type) {
        model->type->close(model->state);
    }
    *model = (struct ko_subword){0};
}
