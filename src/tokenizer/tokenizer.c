/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a tokenizer.json with all its parts and answers questions about it: ids, pieces, special
   tokens, fingerprint. Encoding a text is in encode.c. */
#include "src/tokenizer/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/formats/json.h"
#include "src/tokenizer/component_list.h"
#include "src/tokenizer/missing.h"
#include "src/tokenizer/tokenizer_private.h"

enum { MAX_FILE_BYTES = 64 << 20 };

/* "FILE: KEY", valid until the next call. */
struct place {
    char text[KO_ERROR_TEXT];
};

static const char *place_of(struct place *place, const char *file, const char *key)
{
    (void)snprintf(place->text, sizeof place->text, "%s: %s", file, key);
    return place->text;
}

static enum ko_code check_top(json_object *root, const char *file, struct ko_error *err)
{
    static const char *const keys[] = {"model",          "version",    "truncation",
                                       "padding",        "normalizer", "pre_tokenizer",
                                       "post_processor", "decoder",    "added_tokens"};
    const char *version = "1.0";
    enum ko_code code = ko_keys_check(root, keys, sizeof keys / sizeof keys[0], 1, file, err);
    if (code == KO_OK) {
        code = ko_json_string(root, "version", &version, file, err);
    }
    if (code == KO_OK && strcmp(version, "1.0") != 0) {
        code =
            ko_fail(err, KO_E_INPUT, "%s: version '%s' is not supported, only 1.0", file, version);
    }
    return code;
}

/* Reads a length that encoding ignores: {"max_length": 512} of truncation, {"strategy": {"Fixed":
   512}} or {"strategy": "BatchLongest"} of padding. */
static enum ko_code read_ignored(json_object *root, const char *key, const char *file,
                                 int64_t *length, struct ko_error *err)
{
    struct place place;
    json_object *spec = ko_json_get(root, key);
    *length = -1;
    if (!spec) {
        return KO_OK;
    }
    *length = 0;
    if (!json_object_is_type(spec, json_type_object)) {
        return ko_fail(err, KO_E_INPUT, "%s: expected an object or null, got %s",
                       place_of(&place, file, key), json_type_to_name(json_object_get_type(spec)));
    }
    json_object *strategy = ko_json_get(spec, "strategy");
    if (json_object_is_type(strategy, json_type_object)) {
        return ko_json_int(strategy, "Fixed", 0, INT64_MAX, length, place_of(&place, file, key),
                           err);
    }
    return ko_json_int(spec, "max_length", 0, INT64_MAX, length, place_of(&place, file, key), err);
}

static enum ko_code open_parts(json_object *root, struct ko_tokenizer *t, struct ko_error *err)
{
    const struct {
        const char *key;
        struct ko_component_types types;
        struct ko_component *component;
    } parts[] = {{"normalizer", ko_normalizer_types(), &t->normalizer},
                 {"pre_tokenizer", ko_pre_tokenizer_types(), &t->pre_tokenizer},
                 {"post_processor", ko_post_processor_types(), &t->post_processor}};
    struct place place;
    enum ko_code code = check_top(root, t->file, err);
    for (size_t i = 0; code == KO_OK && i < sizeof parts / sizeof parts[0]; i++) {
        code = ko_component_open(ko_json_get(root, parts[i].key),
                                 place_of(&place, t->file, parts[i].key), parts[i].types,
                                 parts[i].component, err);
    }
    if (code == KO_OK) {
        code = ko_subword_open(ko_json_get(root, "model"), place_of(&place, t->file, "model"),
                               ko_subword_types(), &t->model, err);
    }
    if (code == KO_OK) {
        code = ko_added_tokens_read(ko_json_get(root, "added_tokens"),
                                    place_of(&place, t->file, "added_tokens"), &t->model,
                                    &t->normalizer, &t->added, err);
    }
    return code;
}

/* Finds the special tokens around a text by post-processing a token that no vocabulary has. */
static enum ko_code find_around(struct ko_tokenizer *t, struct ko_error *err)
{
    const struct ko_token text = {.id = -1, .end = 1, .value = "a", .n_value = 1};
    struct ko_tokens tokens = {0};
    size_t at = 0;
    enum ko_code code = ko_tokens_add(&tokens, &text, err);
    if (code == KO_OK) {
        code = ko_component_on_tokens(&t->post_processor, &tokens, err);
    }
    if (code == KO_OK) {
        t->around = ko_new(tokens.n, sizeof *t->around, err);
        code = !t->around ? KO_E_MEMORY : KO_OK;
    }
    while (code == KO_OK && tokens.token[at].special) {
        t->around[at] = tokens.token[at].id;
        at++;
    }
    t->n_in_front = at;
    for (at++; code == KO_OK && at < tokens.n; at++) {
        t->around[t->n_in_front + t->n_behind++] = tokens.token[at].id;
    }
    free(tokens.token);
    return code;
}

static void take_fingerprint(struct ko_tokenizer *t, const char *bytes, size_t n)
{
    XXH128_hash_t hash = XXH3_128bits(bytes, n);
    ko_hash_text(hash.high64, hash.low64, t->fingerprint);
}

enum ko_code ko_tokenizer_open(const char *file, struct ko_tokenizer **out, struct ko_error *err)
{
    char *bytes = NULL;
    size_t n = 0;
    json_object *root = NULL;
    struct ko_tokenizer *t = ko_new(1, sizeof *t, err);
    enum ko_code code = t ? ko_tokenizer_check_there(file, err) : KO_E_MEMORY;
    if (code == KO_OK) {
        code = ko_file_read(file, MAX_FILE_BYTES, &bytes, &n, err);
    }
    if (code == KO_OK) {
        code = ko_json_parse(bytes, n, file, &root, err);
    }
    if (code == KO_OK) {
        take_fingerprint(t, bytes, n);
        t->file = ko_copy(file, err);
        code = t->file ? open_parts(root, t, err) : KO_E_MEMORY;
    }
    if (code == KO_OK) {
        code = read_ignored(root, "truncation", file, &t->truncation, err);
    }
    if (code == KO_OK) {
        code = read_ignored(root, "padding", file, &t->padding, err);
    }
    if (code == KO_OK) {
        code = find_around(t, err);
    }
    json_object_put(root);
    free(bytes);
    if (code != KO_OK) {
        ko_tokenizer_close(t);
        return code;
    }
    t->n_ids = t->model.type->n_ids(t->model.state);
    for (size_t i = 0; i < t->added.n; i++) {
        if (t->added.token[i].id >= t->n_ids) {
            t->n_ids = t->added.token[i].id + 1;
        }
    }
    *out = t;
    return KO_OK;
}

void ko_tokenizer_close(struct ko_tokenizer *t)
{
    if (!t) {
        return;
    }
    ko_component_close(&t->normalizer);
    ko_component_close(&t->pre_tokenizer);
    ko_component_close(&t->post_processor);
    ko_subword_close(&t->model);
    ko_added_tokens_free(&t->added);
    free(t->around);
    free(t->file);
    free(t);
}

const char *ko_tokenizer_piece(const struct ko_tokenizer *t, int32_t id)
{
    const struct ko_added_token *added = ko_added_tokens_find(&t->added, id);
    return added ? added->text : t->model.type->piece(t->model.state, id);
}

int32_t ko_tokenizer_n_ids(const struct ko_tokenizer *t)
{
    return t->n_ids;
}

const int32_t *ko_tokenizer_in_front(const struct ko_tokenizer *t, size_t *n)
{
    *n = t->n_in_front;
    return t->around;
}

const int32_t *ko_tokenizer_behind(const struct ko_tokenizer *t, size_t *n)
{
    *n = t->n_behind;
    return t->around + t->n_in_front;
}

int64_t ko_tokenizer_truncation(const struct ko_tokenizer *t)
{
    return t->truncation;
}

int64_t ko_tokenizer_padding(const struct ko_tokenizer *t)
{
    return t->padding;
}

int32_t ko_tokenizer_find(const struct ko_tokenizer *t, const char *piece)
{
    for (size_t i = 0; i < t->added.n; i++) {
        if (strcmp(t->added.token[i].text, piece) == 0) {
            return t->added.token[i].id;
        }
    }
    return t->model.type->find(t->model.state, piece, strlen(piece));
}

enum ko_code ko_tokenizer_nearest(const struct ko_tokenizer *t, const char *piece,
                                  const char **nearest, struct ko_error *err)
{
    const size_t most = t->added.n > (size_t)t->n_ids ? t->added.n : (size_t)t->n_ids;
    const char **words = ko_new(most, sizeof *words, err);
    size_t n = 0;
    if (!words) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < t->added.n; i++) {
        words[i] = t->added.token[i].text;
    }
    *nearest = ko_nearest(piece, words, t->added.n);
    for (int32_t id = 0; !*nearest && id < t->n_ids; id++) {
        words[n] = ko_tokenizer_piece(t, id);
        n += words[n] != NULL;
    }
    if (!*nearest) {
        *nearest = ko_nearest(piece, words, n);
    }
    free(words);
    return KO_OK;
}

const char *ko_tokenizer_kind(const struct ko_tokenizer *t)
{
    if (ko_component_count(&t->pre_tokenizer, &ko_byte_level_pre_tokenizer)) {
        return "byte-level BPE";
    }
    return t->model.type->find(t->model.state, "<0x00>", strlen("<0x00>")) >= 0
               ? "BPE with byte fallback"
               : "BPE";
}

const char *ko_tokenizer_fingerprint(const struct ko_tokenizer *t)
{
    return t->fingerprint;
}
