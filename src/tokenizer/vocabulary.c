/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a vocabulary from JSON, checks its ids, and builds a hash table from text to id and an
   array from id to text. */
#include "src/tokenizer/vocabulary.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "src/base/memory.h"
#include "src/formats/json.h"

static size_t slot_of(const struct ko_vocabulary *v, const char *text, size_t n)
{
    return (size_t)XXH3_64bits(text, n) & (v->n_slots - 1);
}

int32_t ko_vocabulary_find(const struct ko_vocabulary *v, const char *text, size_t n)
{
    if (!v->n_slots) {
        return -1;
    }
    for (size_t s = slot_of(v, text, n); v->slot[s] >= 0; s = (s + 1) & (v->n_slots - 1)) {
        int32_t id = v->slot[s];
        if (v->length[id] == n && memcmp(v->bytes + v->begin[id] - 1, text, n) == 0) {
            return id;
        }
    }
    return -1;
}

const char *ko_vocabulary_piece(const struct ko_vocabulary *v, int32_t id)
{
    return id >= 0 && id < v->n_ids && v->begin[id] ? v->bytes + v->begin[id] - 1 : NULL;
}

/* Checks all ids and finds the sizes of the arrays. */
static enum ko_code measure_vocabulary(json_object *spec, const char *where, size_t *bytes,
                                       int32_t *n_ids, struct ko_error *err)
{
    *bytes = 0;
    *n_ids = 0;
    struct json_object_iterator at = json_object_iter_begin(spec);
    struct json_object_iterator end = json_object_iter_end(spec);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        const char *token = json_object_iter_peek_name(&at);
        json_object *value = json_object_iter_peek_value(&at);
        int64_t id = json_object_get_int64(value);
        if (!json_object_is_type(value, json_type_int) || id < 0 || id > KO_MAX_ID) {
            return ko_fail(err, KO_E_INPUT, "%s: id of '%s': expected 0 to %d, got %s", where,
                           token, KO_MAX_ID, json_object_to_json_string(value));
        }
        if (id >= *n_ids) {
            *n_ids = (int32_t)id + 1;
        }
        *bytes += strlen(token) + 1;
    }
    return KO_OK;
}

static enum ko_code fill_vocabulary(json_object *spec, const char *where, struct ko_vocabulary *v,
                                    struct ko_error *err)
{
    size_t used = 0;
    struct json_object_iterator at = json_object_iter_begin(spec);
    struct json_object_iterator end = json_object_iter_end(spec);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        const char *token = json_object_iter_peek_name(&at);
        int32_t id = (int32_t)json_object_get_int64(json_object_iter_peek_value(&at));
        size_t n = strlen(token), s = slot_of(v, token, n);
        if (v->begin[id]) {
            return ko_fail(err, KO_E_INPUT, "%s: id %d is given to both '%s' and '%s'", where, id,
                           ko_vocabulary_piece(v, id), token);
        }
        memcpy(v->bytes + used, token, n + 1);
        v->begin[id] = used + 1;
        v->length[id] = (uint32_t)n;
        used += n + 1;
        while (v->slot[s] >= 0) {
            s = (s + 1) & (v->n_slots - 1);
        }
        v->slot[s] = id;
        v->n_entries++;
    }
    return KO_OK;
}

enum ko_code ko_vocabulary_read(json_object *spec, const char *where, struct ko_vocabulary *out,
                                struct ko_error *err)
{
    struct ko_vocabulary v = {0};
    size_t bytes = 0;
    if (!json_object_is_type(spec, json_type_object)) {
        return ko_fail(err, KO_E_INPUT, "%s: expected an object of tokens and ids, got %s", where,
                       json_type_to_name(json_object_get_type(spec)));
    }
    enum ko_code code = measure_vocabulary(spec, where, &bytes, &v.n_ids, err);
    if (code != KO_OK) {
        return code;
    }
    v.n_slots = 16;
    while (v.n_slots < 2 * (size_t)json_object_object_length(spec)) {
        v.n_slots *= 2;
    }
    v.bytes = ko_new(bytes, 1, err);
    v.begin = ko_new((size_t)v.n_ids, sizeof *v.begin, err);
    v.length = ko_new((size_t)v.n_ids, sizeof *v.length, err);
    v.slot = ko_new(v.n_slots, sizeof *v.slot, err);
    if (!v.bytes || !v.begin || !v.length || !v.slot) {
        code = KO_E_MEMORY;
    } else {
        memset(v.slot, 0xFF, v.n_slots * sizeof *v.slot);
        code = fill_vocabulary(spec, where, &v, err);
    }
    if (code != KO_OK) {
        ko_vocabulary_free(&v);
    } else {
        *out = v;
    }
    return code;
}

void ko_vocabulary_free(struct ko_vocabulary *v)
{
    if (!v) {
        return;
    }
    free(v->bytes);
    free(v->begin);
    free(v->length);
    free(v->slot);
    *v = (struct ko_vocabulary){0};
}
