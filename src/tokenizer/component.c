/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the type of a component by its name in tokenizer.json, opens, runs and closes it. Also
   checks a JSON object for unknown or missing keys. */
#include "src/tokenizer/component.h"

#include <string.h>

#include "src/base/text.h"
#include "src/formats/json.h"

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

/* Types of either kind, as find_type looks at them. */
struct type_list {
    const void *types;
    size_t n;
    const char *(*name)(const void *types, size_t i);
};

static const char *component_name(const void *types, size_t i)
{
    return ((const struct ko_component_type *const *)types)[i]->name;
}

static const char *subword_name(const void *types, size_t i)
{
    return ((const struct ko_subword_type *const *)types)[i]->name;
}

/* The place of `type` (NULL: the key is missing) in the list, or an error that names all types. */
static enum ko_code find_type(const char *type, const struct type_list *list, const char *where,
                              size_t *out, struct ko_error *err)
{
    if (!type) {
        return ko_fail(err, KO_E_INPUT, "%s: missing key 'type'", where);
    }
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(type, list->name(list->types, i)) == 0) {
            *out = i;
            return KO_OK;
        }
    }
    struct ko_text names = {0};
    for (size_t i = 0; i < list->n; i++) {
        ko_text_add(&names, "%s%s", i ? ", " : "", list->name(list->types, i));
    }
    enum ko_code code = ko_fail(err, KO_E_INPUT, "%s: type '%s' is not supported, only %s", where,
                                type, ko_text_str(&names));
    ko_text_free(&names);
    return code;
}

/* The object's `type`, NULL if it has none. */
static enum ko_code read_type(json_object *spec, const char *expected, const char *where,
                              const char **type, struct ko_error *err)
{
    enum ko_code code = object_check(spec, expected, where, err);
    return code != KO_OK ? code : ko_json_string(spec, "type", type, where, err);
}

enum ko_code ko_component_open(json_object *spec, const char *where,
                               struct ko_component_types types, struct ko_component *out,
                               struct ko_error *err)
{
    *out = (struct ko_component){0};
    if (!spec) {
        return KO_OK;
    }
    const struct type_list list = {types.type, types.n, component_name};
    const char *name = NULL;
    size_t i = 0;
    void *state = NULL;
    enum ko_code code = read_type(spec, "an object or null", where, &name, err);
    if (code == KO_OK) {
        code = find_type(name, &list, where, &i, err);
    }
    if (code == KO_OK) {
        code = types.type[i]->open(spec, where, &state, err);
    }
    if (code == KO_OK) {
        *out = (struct ko_component){types.type[i], state};
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

enum ko_code ko_subword_open(json_object *spec, const char *where, struct ko_subword_types types,
                             struct ko_subword *out, struct ko_error *err)
{
    *out = (struct ko_subword){0};
    const struct type_list list = {types.type, types.n, subword_name};
    const char *name = NULL;
    size_t i = 0;
    void *state = NULL;
    enum ko_code code = read_type(spec, "an object", where, &name, err);
    /* Old files lack the key. Only BPE has merges. */
    if (code == KO_OK && !name && ko_json_get(spec, "merges")) {
        name = "BPE";
    }
    if (code == KO_OK) {
        code = find_type(name, &list, where, &i, err);
    }
    if (code == KO_OK) {
        code = types.type[i]->open(spec, where, &state, err);
    }
    if (code == KO_OK) {
        *out = (struct ko_subword){types.type[i], state};
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
