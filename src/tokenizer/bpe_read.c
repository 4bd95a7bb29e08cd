/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a BPE model from tokenizer.json, puts its merges into a hash table and looks them up.
   Refuses options that would change the tokens and are not supported. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/formats/json.h"
#include "src/tokenizer/bpe.h"

static size_t slot_of(const struct ko_bpe *bpe, int32_t left, int32_t right)
{
    int32_t pair[2] = {left, right};
    return (size_t)XXH3_64bits(pair, sizeof pair) & (bpe->n_slots - 1);
}

const struct ko_merge *ko_bpe_find_merge(const struct ko_bpe *bpe, int32_t left, int32_t right)
{
    if (!bpe->n_slots) {
        return NULL;
    }
    for (size_t s = slot_of(bpe, left, right);; s = (s + 1) & (bpe->n_slots - 1)) {
        const struct ko_merge *m = &bpe->merge[s];
        if (m->left < 0) {
            return NULL;
        }
        if (m->left == left && m->right == right) {
            return m;
        }
    }
}

/* Splits a merge, "a b" or ["a", "b"], into its halves. */
static bool split_merge(json_object *merge, const char *half[2], size_t n[2])
{
    if (json_object_is_type(merge, json_type_string)) {
        const char *text = json_object_get_string(merge);
        const char *blank = strchr(text, ' ');
        if (!blank || strchr(blank + 1, ' ')) {
            return false;
        }
        half[0] = text;
        half[1] = blank + 1;
        n[0] = (size_t)(blank - text);
        n[1] = strlen(blank + 1);
        return true;
    }
    if (!json_object_is_type(merge, json_type_array) || json_object_array_length(merge) != 2) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        json_object *part = json_object_array_get_idx(merge, i);
        if (!json_object_is_type(part, json_type_string)) {
            return false;
        }
        half[i] = json_object_get_string(part);
        n[i] = (size_t)json_object_get_string_len(part);
    }
    return true;
}

/* The reading of the list "merges". */
struct merge_reader {
    struct ko_bpe *bpe;
    const char *where;
    struct ko_text joined; /* the text of both halves of one merge */
    int32_t rank;          /* of the next merge */
};

/* A later merge of the same pair replaces an earlier one. */
static void store_merge(struct ko_bpe *bpe, struct ko_merge m)
{
    size_t s = slot_of(bpe, m.left, m.right);
    while (bpe->merge[s].left >= 0 &&
           !(bpe->merge[s].left == m.left && bpe->merge[s].right == m.right)) {
        s = (s + 1) & (bpe->n_slots - 1);
    }
    bpe->merge[s] = m;
}

static enum ko_code read_merge(struct merge_reader *r, json_object *spec, size_t line,
                               struct ko_error *err)
{
    const struct ko_vocabulary *vocabulary = &r->bpe->vocabulary;
    const char *half[2] = {NULL, NULL};
    size_t n[2] = {0, 0};
    if (!split_merge(spec, half, n)) {
        return ko_fail(err, KO_E_INPUT, "%s: merges[%zu]: expected two tokens, got %s", r->where,
                       line, json_object_to_json_string(spec));
    }
    r->joined.n = 0;
    ko_text_add_bytes(&r->joined, half[0], n[0]);
    ko_text_add_bytes(&r->joined, half[1], n[1]);
    enum ko_code code = ko_text_check(&r->joined, err);
    if (code != KO_OK) {
        return code;
    }
    const char *text[3] = {half[0], half[1], ko_text_str(&r->joined)};
    const size_t bytes[3] = {n[0], n[1], r->joined.n};
    int32_t id[3];
    for (size_t i = 0; i < 3; i++) {
        id[i] = ko_vocabulary_find(vocabulary, text[i], bytes[i]);
        if (id[i] < 0) {
            return ko_fail(err, KO_E_INPUT, "%s: merges[%zu]: '%.*s' is not in the vocabulary",
                           r->where, line, (int)bytes[i], text[i]);
        }
    }
    store_merge(r->bpe, (struct ko_merge){
                            .left = id[0], .right = id[1], .rank = r->rank++, .merged = id[2]});
    return KO_OK;
}

static enum ko_code read_merges(json_object *spec, struct ko_bpe *bpe, const char *where,
                                struct ko_error *err)
{
    if (!json_object_is_type(spec, json_type_array)) {
        return ko_fail(err, KO_E_INPUT, "%s: merges: expected a list, got %s", where,
                       json_type_to_name(json_object_get_type(spec)));
    }
    size_t n = json_object_array_length(spec);
    if (n > INT32_MAX / 4) {
        return ko_fail(err, KO_E_INPUT, "%s: %zu merges are too many", where, n);
    }
    bpe->n_slots = 16;
    while (bpe->n_slots < 2 * n) {
        bpe->n_slots *= 2;
    }
    bpe->merge = ko_new(bpe->n_slots, sizeof *bpe->merge, err);
    if (!bpe->merge) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < bpe->n_slots; i++) {
        bpe->merge[i].left = -1;
    }
    struct merge_reader reader = {.bpe = bpe, .where = where};
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < n; i++) {
        json_object *merge = json_object_array_get_idx(spec, i);
        /* Some converters keep the first line of merges.txt, which is not a merge. */
        bool heading = json_object_is_type(merge, json_type_string) &&
                       strncmp(json_object_get_string(merge), "#version", 8) == 0;
        if (!heading) {
            code = read_merge(&reader, merge, i, err);
        }
    }
    ko_text_free(&reader.joined);
    return code;
}

/* Refuses a text that would change the tokens. It must be absent, null or empty. */
static enum ko_code refuse_text(json_object *spec, const char *key, const char *where,
                                struct ko_error *err)
{
    const char *text = "";
    enum ko_code code = ko_json_string(spec, key, &text, where, err);
    if (code == KO_OK && *text) {
        code =
            ko_fail(err, KO_E_INPUT, "%s: %s '%s' is not supported, only null", where, key, text);
    }
    return code;
}

static enum ko_code read_options(json_object *spec, struct ko_bpe *bpe, const char *where,
                                 struct ko_error *err)
{
    static const char *const unsupported[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const struct {
        const char *key;
        bool *value;
    } flags[] = {{"fuse_unk", &bpe->fuse_unk},
                 {"ignore_merges", &bpe->ignore_merges},
                 {"byte_fallback", &bpe->byte_fallback}};
    double dropout = 0;
    const char *unk = NULL;
    enum ko_code code = ko_json_double(spec, "dropout", &dropout, where, err);
    if (code == KO_OK && !(dropout == 0)) {
        code = ko_fail(err, KO_E_INPUT, "%s: dropout %g is not supported, only null or 0", where,
                       dropout);
    }
    for (size_t i = 0; code == KO_OK && i < 2; i++) {
        code = refuse_text(spec, unsupported[i], where, err);
    }
    for (size_t i = 0; code == KO_OK && i < 3; i++) {
        code = ko_json_bool(spec, flags[i].key, flags[i].value, where, err);
    }
    if (code == KO_OK) {
        code = ko_json_string(spec, "unk_token", &unk, where, err);
    }
    if (code == KO_OK && unk) {
        bpe->unk_token = ko_copy(unk, err);
        code = bpe->unk_token ? KO_OK : KO_E_MEMORY;
    }
    return code;
}

enum ko_code ko_bpe_read(json_object *spec, const char *where, struct ko_bpe *out,
                         struct ko_error *err)
{
    static const char *const keys[] = {"vocab",
                                       "merges",
                                       "type",
                                       "dropout",
                                       "unk_token",
                                       "continuing_subword_prefix",
                                       "end_of_word_suffix",
                                       "fuse_unk",
                                       "byte_fallback",
                                       "ignore_merges"};
    struct ko_bpe bpe = {.unk_id = -1};
    enum ko_code code = ko_keys_check(spec, keys, sizeof keys / sizeof keys[0], 2, where, err);
    if (code == KO_OK) {
        code = read_options(spec, &bpe, where, err);
    }
    if (code == KO_OK) {
        char vocab[KO_ERROR_TEXT];
        (void)snprintf(vocab, sizeof vocab, "%s: vocab", where);
        code = ko_vocabulary_read(ko_json_get(spec, "vocab"), vocab, &bpe.vocabulary, err);
    }
    if (code == KO_OK) {
        code = read_merges(ko_json_get(spec, "merges"), &bpe, where, err);
    }
    if (code != KO_OK) {
        ko_bpe_free(&bpe);
        return code;
    }
    if (bpe.unk_token) {
        bpe.unk_id = ko_vocabulary_find(&bpe.vocabulary, bpe.unk_token, strlen(bpe.unk_token));
    }
    for (unsigned b = 0; b < 256; b++) {
        char piece[8];
        int n = snprintf(piece, sizeof piece, "<0x%02X>", b);
        bpe.byte_id[b] = ko_vocabulary_find(&bpe.vocabulary, piece, (size_t)n);
    }
    *out = bpe;
    return KO_OK;
}

void ko_bpe_free(struct ko_bpe *bpe)
{
    if (!bpe) {
        return;
    }
    ko_vocabulary_free(&bpe->vocabulary);
    free(bpe->merge);
    free(bpe->unk_token);
    free(bpe->symbol);
    free(bpe->heap);
    *bpe = (struct ko_bpe){0};
}
