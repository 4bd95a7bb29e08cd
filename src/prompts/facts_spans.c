/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the named spans of a JSON record: `spans` in characters of the prompt, `token_spans` in
   positions of its tokens. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/formats/json.h"
#include "src/prompts/facts_private.h"
#include "src/prompts/set_name.h"

/* The spans of one key. */
struct spans {
    struct ko_fact *fact;
    size_t capacity; /* of fact->span */
    const char *key; /* "spans" or "token_spans" */
    const char *of;  /* what they count */
    int64_t n;       /* the largest end */
    const char *where;
};

/* "[begin, end)" of a pair of whole numbers within the limits. */
static bool read_pair(const struct spans *spans, json_object *pair, int32_t end[2])
{
    int64_t value[2] = {-1, -1};
    bool fits = json_object_is_type(pair, json_type_array) && json_object_array_length(pair) == 2;
    for (size_t i = 0; fits && i < 2; i++) {
        json_object *item = json_object_array_get_idx(pair, i);
        fits = json_object_is_type(item, json_type_int);
        value[i] = fits ? json_object_get_int64(item) : -1;
    }
    fits = fits && value[0] >= 0 && value[1] >= value[0] && value[1] <= spans->n;
    end[0] = fits ? (int32_t)value[0] : 0;
    end[1] = fits ? (int32_t)value[1] : 0;
    return fits;
}

static enum ko_code add_run(struct spans *spans, const char *name, json_object *pair,
                            struct ko_error *err)
{
    struct ko_fact *fact = spans->fact;
    int32_t end[2];
    if (!read_pair(spans, pair, end)) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: %s: expected [begin, end) in %s %lld, got %s",
                       spans->where, spans->key, name, spans->of, (long long)spans->n,
                       json_object_to_json_string(pair));
    }
    struct ko_named_span *grown =
        ko_grow(fact->span, &spans->capacity, fact->n_spans + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    fact->span = grown;
    char *copy = ko_copy(name, err);
    if (!copy) {
        return KO_E_MEMORY;
    }
    grown[fact->n_spans++] =
        (struct ko_named_span){copy, end[0], end[1], strcmp(spans->key, "token_spans") == 0};
    return KO_OK;
}

/* One run, or a list of them. */
static enum ko_code read_span(struct spans *spans, const char *name, json_object *value,
                              struct ko_error *err)
{
    const bool list = json_object_is_type(value, json_type_array);
    const size_t n = list ? json_object_array_length(value) : 0;
    const bool runs =
        n > 0 && json_object_is_type(json_object_array_get_idx(value, 0), json_type_array);
    enum ko_code code = ko_span_name_check(name, err);
    if (code != KO_OK) {
        return ko_fail_in(err, "%s: %s", spans->where, spans->key);
    }
    for (size_t i = 0; i < spans->fact->n_spans; i++) {
        if (strcmp(spans->fact->span[i].name, name) == 0) {
            return ko_fail(err, KO_E_INPUT, "%s: %s: %s: is in spans too", spans->where, spans->key,
                           name);
        }
    }
    if (!runs) {
        return add_run(spans, name, value, err);
    }
    for (size_t k = 0; code == KO_OK && k < n; k++) {
        code = add_run(spans, name, json_object_array_get_idx(value, k), err);
    }
    return code;
}

static enum ko_code read_key(struct spans *spans, json_object *record, struct ko_error *err)
{
    json_object *all = ko_json_get(record, spans->key);
    enum ko_code code = KO_OK;
    if (!all) {
        return KO_OK;
    }
    if (!json_object_is_type(all, json_type_object)) {
        return ko_fail(err, KO_E_INPUT, "%s: %s: expected {\"name\": [begin, end], ...}, got %s",
                       spans->where, spans->key, json_object_to_json_string(all));
    }
    struct json_object_iterator at = json_object_iter_begin(all);
    struct json_object_iterator end = json_object_iter_end(all);
    for (; code == KO_OK && !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        const char *name = json_object_iter_peek_name(&at);
        code = read_span(spans, name, ko_json_get(all, name), err);
    }
    return code;
}

enum ko_code ko_fact_read_spans(struct ko_fact *fact, json_object *record, const char *where,
                                struct ko_error *err)
{
    struct spans spans = {.fact = fact,
                          .key = "spans",
                          .of = "characters of the prompt, which has",
                          .n = (int64_t)ko_utf8_count(fact->text, strlen(fact->text)),
                          .where = where};
    const enum ko_code code = read_key(&spans, record, err);
    spans.key = "token_spans";
    spans.of = "positions of tokens, up to";
    spans.n = KO_FACT_POSITIONS;
    return code == KO_OK ? read_key(&spans, record, err) : code;
}
