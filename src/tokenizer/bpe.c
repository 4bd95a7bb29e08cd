/* SPDX-License-Identifier: Apache-2.0 */
/* Encodes a word with BPE: splits it into characters or bytes and then merges neighbors, lowest
   rank first. Reading the model from JSON is in bpe_read.c. */
#include "src/tokenizer/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/tokenizer/component_list.h"

static enum ko_code add_symbol(struct ko_bpe *bpe, int32_t id, size_t length, struct ko_error *err)
{
    struct ko_symbol *grown =
        ko_grow(bpe->symbol, &bpe->symbol_capacity, bpe->n_symbols + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    bpe->symbol = grown;
    int32_t at = (int32_t)bpe->n_symbols++;
    if (at > 0) {
        grown[at - 1].next = at;
    }
    grown[at] = (struct ko_symbol){id, at - 1, -1, (uint32_t)length};
    return KO_OK;
}

/* Adds the byte tokens of one character. *done: false if the vocabulary lacks one of them. */
static enum ko_code add_bytes(struct ko_bpe *bpe, const char *text, size_t n, bool *done,
                              struct ko_error *err)
{
    *done = false;
    for (size_t i = 0; i < n; i++) {
        if (bpe->byte_id[(unsigned char)text[i]] < 0) {
            return KO_OK;
        }
    }
    *done = true;
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < n; i++) {
        code = add_symbol(bpe, bpe->byte_id[(unsigned char)text[i]], 1, err);
    }
    return code;
}

static enum ko_code flush_unknown(struct ko_bpe *bpe, size_t *unknown, struct ko_error *err)
{
    enum ko_code code = *unknown ? add_symbol(bpe, bpe->unk_id, *unknown, err) : KO_OK;
    *unknown = 0;
    return code;
}

/* Adds one symbol per character. A character that the vocabulary lacks becomes its byte tokens,
   otherwise the unknown token, otherwise nothing. A run of unknown characters is added right before
   the next known character, after byte tokens in between, as in `merge_word` of model.rs. */
static enum ko_code add_characters(struct ko_bpe *bpe, const char *word, size_t n,
                                   struct ko_error *err)
{
    size_t unknown = 0;
    enum ko_code code = KO_OK;
    for (size_t at = 0; code == KO_OK && at < n;) {
        uint32_t character;
        const char *text = word + at;
        size_t bytes = ko_utf8_get(text, &character);
        int32_t id = ko_vocabulary_find(&bpe->vocabulary, text, bytes);
        bool done = false;
        at += bytes;
        if (id >= 0) {
            code = flush_unknown(bpe, &unknown, err);
            if (code == KO_OK) {
                code = add_symbol(bpe, id, bytes, err);
            }
            continue;
        }
        if (bpe->byte_fallback) {
            code = add_bytes(bpe, text, bytes, &done, err);
        }
        if (code != KO_OK || done || !bpe->unk_token) {
            continue;
        }
        if (bpe->unk_id < 0) {
            return ko_fail(err, KO_E_INPUT,
                           "tokenizer: U+%04X is not in the vocabulary, nor is unk_token '%s'",
                           character, bpe->unk_token);
        }
        if (!bpe->fuse_unk) {
            code = flush_unknown(bpe, &unknown, err);
        }
        unknown += bytes;
    }
    return code != KO_OK ? code : flush_unknown(bpe, &unknown, err);
}

static enum ko_code encode_word(void *state, const char *word, size_t n, struct ko_tokens *tokens,
                                struct ko_error *err)
{
    struct ko_bpe *bpe = state;
    int32_t whole = bpe->ignore_merges ? ko_vocabulary_find(&bpe->vocabulary, word, n) : -1;
    bpe->n_symbols = 0;
    enum ko_code code =
        whole >= 0 ? add_symbol(bpe, whole, n, err) : add_characters(bpe, word, n, err);
    if (code == KO_OK && whole < 0) {
        code = ko_bpe_merge(bpe, err);
    }
    size_t at = 0;
    for (size_t i = 0; code == KO_OK && i < bpe->n_symbols; i++) {
        const struct ko_symbol *s = &bpe->symbol[i];
        if (s->length == 0) {
            continue;
        }
        struct ko_token token = {.id = s->id,
                                 .begin = at,
                                 .end = at + s->length,
                                 .value = ko_vocabulary_piece(&bpe->vocabulary, s->id),
                                 .n_value = bpe->vocabulary.length[s->id]};
        code = ko_tokens_add(tokens, &token, err);
        at += s->length;
    }
    return code;
}

static enum ko_code open_model(json_object *spec, const char *where, void **state,
                               struct ko_error *err)
{
    struct ko_bpe *bpe = ko_new(1, sizeof *bpe, err);
    if (!bpe) {
        return KO_E_MEMORY;
    }
    enum ko_code code = ko_bpe_read(spec, where, bpe, err);
    if (code != KO_OK) {
        free(bpe);
    } else {
        *state = bpe;
    }
    return code;
}

static int32_t find_token(const void *state, const char *text, size_t n)
{
    return ko_vocabulary_find(&((const struct ko_bpe *)state)->vocabulary, text, n);
}

static const char *piece_of(const void *state, int32_t id)
{
    return ko_vocabulary_piece(&((const struct ko_bpe *)state)->vocabulary, id);
}

static int32_t n_ids(const void *state)
{
    return ((const struct ko_bpe *)state)->vocabulary.n_ids;
}

static size_t n_entries(const void *state)
{
    return ((const struct ko_bpe *)state)->vocabulary.n_entries;
}

static void close_model(void *state)
{
    ko_bpe_free(state);
    free(state);
}

const struct ko_subword_type ko_bpe_model = {
    .name = "BPE",
    .open = open_model,
    .encode = encode_word,
    .find = find_token,
    .piece = piece_of,
    .n_ids = n_ids,
    .n_entries = n_entries,
    .close = close_model,
};
