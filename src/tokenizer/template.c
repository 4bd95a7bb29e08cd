/* SPDX-License-Identifier: Apache-2.0 */
/* `TemplateProcessing`: tokenizers/src/processors/template.rs. The template of pairs is not used.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/formats/json.h"
#include "src/tokenizer/component_list.h"
#include "src/tokenizer/vocabulary.h"

enum { MAX_SPECIAL = 1 << 10 };

struct text_template {
    /* [n] special tokens: the n_front before the text, then the others after it; owned */
    int32_t *id;
    size_t n, capacity, n_front;
};

static void close_template(void *state)
{
    struct text_template *t = state;
    if (t) {
        free(t->id);
    }
    free(t);
}

/* The reading of a template. */
struct template_reader {
    json_object *tokens; /* "special_tokens" */
    const char *where;
    struct text_template *template;
    bool text_seen; /* the place of the text was read */
};

/* Appends the ids of a special token. */
static enum ko_code add_special(struct template_reader *r, const char *name, struct ko_error *err)
{
    static const char *const keys[] = {"id", "ids", "tokens"};
    const char *where = r->where;
    struct text_template *t = r->template;
    json_object *token = ko_json_get(r->tokens, name);
    char at[KO_ERROR_TEXT];
    if (!token) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: single names the special token '%s', which special_tokens lacks", where,
                       name);
    }
    (void)snprintf(at, sizeof at, "%s: special_tokens: '%s'", where, name);
    enum ko_code code = ko_keys_check(token, keys, 3, 3, at, err);
    if (code != KO_OK) {
        return code;
    }
    json_object *ids = ko_json_get(token, "ids");
    if (!json_object_is_type(ids, json_type_array)) {
        return ko_fail(err, KO_E_INPUT, "%s: ids: expected a list, got %s", at,
                       json_object_to_json_string(ids));
    }
    size_t n = json_object_array_length(ids);
    if (n > MAX_SPECIAL - t->n) {
        return ko_fail(err, KO_E_INPUT, "%s: adds more than %d special tokens to a text", where,
                       MAX_SPECIAL);
    }
    int32_t *grown = ko_grow(t->id, &t->capacity, t->n + n, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    t->id = grown;
    for (size_t i = 0; i < n; i++) {
        json_object *id = json_object_array_get_idx(ids, i);
        int64_t value = json_object_get_int64(id);
        if (!json_object_is_type(id, json_type_int) || value < 0 || value > KO_MAX_ID) {
            return ko_fail(err, KO_E_INPUT, "%s: ids: expected 0 to %d, got %s", at, KO_MAX_ID,
                           json_object_to_json_string(id));
        }
        t->id[t->n++] = (int32_t)value;
    }
    return KO_OK;
}

/* Reads {"SpecialToken": {"id", "type_id"}} or {"Sequence": {"id": "A", "type_id"}}. `at` names the
   piece in errors. */
static enum ko_code add_piece(struct template_reader *r, json_object *piece, const char *at,
                              struct ko_error *err)
{
    static const char *const kinds[] = {"SpecialToken", "Sequence"}, *const keys[] = {"id",
                                                                                      "type_id"};
    const char *id = NULL;
    enum ko_code code = ko_keys_check(piece, kinds, 2, 0, at, err);
    if (code != KO_OK) {
        return code;
    }
    json_object *special = ko_json_get(piece, kinds[0]), *text = ko_json_get(piece, kinds[1]);
    if (!special == !text) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: expected one of the keys 'SpecialToken' and 'Sequence'", at);
    }
    code = ko_keys_check(special ? special : text, keys, 2, 2, at, err);
    if (code == KO_OK) {
        code = ko_json_string(special ? special : text, "id", &id, at, err);
    }
    if (code != KO_OK) {
        return code;
    }
    if (special) {
        return add_special(r, id, err);
    }
    if (strcmp(id, "A") != 0) {
        return ko_fail(err, KO_E_INPUT, "%s: sequence '%s' is not supported, only A", at, id);
    }
    if (r->text_seen) {
        return ko_fail(err, KO_E_INPUT, "%s: sequence A comes twice", at);
    }
    r->text_seen = true;
    r->template->n_front = r->template->n;
    return KO_OK;
}

static enum ko_code read_template(json_object *spec, const char *where, struct text_template *t,
                                  struct ko_error *err)
{
    static const char *const keys[] = {"single", "special_tokens", "pair", "type"};
    enum ko_code code = ko_keys_check(spec, keys, 4, 2, where, err);
    if (code != KO_OK) {
        return code;
    }
    json_object *single = ko_json_get(spec, "single"), *tokens = ko_json_get(spec, keys[1]);
    if (!json_object_is_type(single, json_type_array)) {
        return ko_fail(err, KO_E_INPUT, "%s: single: expected a list, got %s", where,
                       json_type_to_name(json_object_get_type(single)));
    }
    if (!json_object_is_type(tokens, json_type_object)) {
        return ko_fail(err, KO_E_INPUT, "%s: special_tokens: expected an object, got %s", where,
                       json_type_to_name(json_object_get_type(tokens)));
    }
    struct template_reader reader = {tokens, where, t, false};
    size_t n = json_object_array_length(single);
    for (size_t i = 0; code == KO_OK && i < n; i++) {
        char at[KO_ERROR_TEXT];
        (void)snprintf(at, sizeof at, "%s: single[%zu]", where, i);
        code = add_piece(&reader, json_object_array_get_idx(single, i), at, err);
    }
    if (code == KO_OK && !reader.text_seen) {
        code = ko_fail(err, KO_E_INPUT, "%s: single: sequence A is missing", where);
    }
    return code;
}

static enum ko_code open_template(json_object *spec, const char *where, void **state,
                                  struct ko_error *err)
{
    struct text_template *t = ko_new(1, sizeof *t, err);
    if (!t) {
        return KO_E_MEMORY;
    }
    enum ko_code code = read_template(spec, where, t, err);
    if (code != KO_OK) {
        close_template(t);
    } else {
        *state = t;
    }
    return code;
}

static enum ko_code on_tokens(void *state, struct ko_tokens *tokens, struct ko_error *err)
{
    const struct text_template *t = state;
    size_t n_text = tokens->n;
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < t->n; i++) {
        code = ko_tokens_add(tokens, &(struct ko_token){.id = t->id[i], .special = true}, err);
    }
    if (code != KO_OK || t->n_front == 0) {
        return code;
    }
    memmove(tokens->token + t->n_front, tokens->token, n_text * sizeof *tokens->token);
    for (size_t i = 0; i < t->n; i++) {
        size_t at = i < t->n_front ? i : n_text + i;
        tokens->token[at] = (struct ko_token){.id = t->id[i], .special = true};
    }
    return KO_OK;
}

const struct ko_component_type ko_template_post_processor = {
    .name = "TemplateProcessing",
    .open = open_template,
    .on_tokens = on_tokens,
    .close = close_template,
};
