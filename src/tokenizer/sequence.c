/* SPDX-License-Identifier: Apache-2.0 */
/* `Sequence` of normalizers, of pre-tokenizers and of post-processors: one after the other. */
#include <stdio.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/formats/json.h"
#include "src/tokenizer/component_list.h"

struct sequence {
    struct ko_component *part; /* [n]; owned */
    size_t n;
};

static void close_sequence(void *state)
{
    struct sequence *s = state;
    if (!s) {
        return;
    }
    for (size_t i = 0; i < s->n; i++) {
        ko_component_close(&s->part[i]);
    }
    free(s->part);
    free(s);
}

static const struct ko_component *parts_of(const void *state, size_t *n)
{
    const struct sequence *s = state;
    *n = s->n;
    return s->part;
}

static enum ko_code open_parts(json_object *list, struct ko_component_types types,
                               const char *where, struct sequence *s, struct ko_error *err)
{
    if (!json_object_is_type(list, json_type_array)) {
        return ko_fail(err, KO_E_INPUT, "%s: expected a list, got %s", where,
                       json_type_to_name(json_object_get_type(list)));
    }
    size_t n = json_object_array_length(list);
    s->part = ko_new(n, sizeof *s->part, err);
    enum ko_code code = s->part ? KO_OK : KO_E_MEMORY;
    for (; code == KO_OK && s->n < n; s->n++) {
        char at[KO_ERROR_TEXT + 32];
        json_object *part = json_object_array_get_idx(list, s->n);
        (void)snprintf(at, sizeof at, "%s[%zu]", where, s->n);
        code = part ? ko_component_open(part, at, types, &s->part[s->n], err)
                    : ko_fail(err, KO_E_INPUT, "%s: expected an object, got null", at);
    }
    return code;
}

/* `key` is the one that holds the parts. */
static enum ko_code open_sequence(json_object *spec, const char *key,
                                  struct ko_component_types types, const char *where, void **state,
                                  struct ko_error *err)
{
    const char *const keys[] = {key, "type"};
    enum ko_code code = ko_keys_check(spec, keys, 2, 1, where, err);
    if (code != KO_OK) {
        return code;
    }
    struct sequence *s = ko_new(1, sizeof *s, err);
    if (!s) {
        return KO_E_MEMORY;
    }
    char at[KO_ERROR_TEXT];
    (void)snprintf(at, sizeof at, "%s: %s", where, key);
    code = open_parts(ko_json_get(spec, key), types, at, s, err);
    if (code != KO_OK) {
        close_sequence(s);
    } else {
        *state = s;
    }
    return code;
}

static enum ko_code open_normalizers(json_object *spec, const char *where, void **state,
                                     struct ko_error *err)
{
    return open_sequence(spec, "normalizers", ko_normalizer_types(), where, state, err);
}

static enum ko_code open_pre_tokenizers(json_object *spec, const char *where, void **state,
                                        struct ko_error *err)
{
    return open_sequence(spec, "pretokenizers", ko_pre_tokenizer_types(), where, state, err);
}

/* With two templates, Hugging Face would treat the result of the first as two texts. */
static enum ko_code open_post_processors(json_object *spec, const char *where, void **state,
                                         struct ko_error *err)
{
    void *opened = NULL;
    enum ko_code code =
        open_sequence(spec, "processors", ko_post_processor_types(), where, &opened, err);
    if (code != KO_OK) {
        return code;
    }
    struct ko_component all = {&ko_sequence_post_processor, opened};
    size_t templates = ko_component_count(&all, &ko_template_post_processor);
    if (templates > 1) {
        ko_component_close(&all);
        return ko_fail(err, KO_E_INPUT,
                       "%s: processors: %zu of type TemplateProcessing are not supported, only one",
                       where, templates);
    }
    *state = opened;
    return KO_OK;
}

static enum ko_code on_pieces(void *state, struct ko_pieces *pieces, struct ko_error *err)
{
    const struct sequence *s = state;
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < s->n; i++) {
        code = ko_component_on_pieces(&s->part[i], pieces, err);
    }
    return code;
}

static enum ko_code on_tokens(void *state, struct ko_tokens *tokens, struct ko_error *err)
{
    const struct sequence *s = state;
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < s->n; i++) {
        code = ko_component_on_tokens(&s->part[i], tokens, err);
    }
    return code;
}

const struct ko_component_type ko_sequence_normalizer = {
    .name = "Sequence",
    .open = open_normalizers,
    .on_pieces = on_pieces,
    .parts = parts_of,
    .close = close_sequence,
};
const struct ko_component_type ko_sequence_pre_tokenizer = {
    .name = "Sequence",
    .open = open_pre_tokenizers,
    .on_pieces = on_pieces,
    .parts = parts_of,
    .close = close_sequence,
};
const struct ko_component_type ko_sequence_post_processor = {
    .name = "Sequence",
    .open = open_post_processors,
    .on_tokens = on_tokens,
    .parts = parts_of,
    .close = close_sequence,
};
