/* SPDX-License-Identifier: Apache-2.0 */
/* The model BPE: tokenizers/src/models/bpe. */
#ifndef KO_TOKENIZER_BPE_H
#define KO_TOKENIZER_BPE_H

#include <stdbool.h>

#include "src/tokenizer/component.h"
#include "src/tokenizer/vocabulary.h"

/* A pair of neighbors that becomes one token. The lowest rank merges first. */
struct ko_merge {
    int32_t left, right; /* left -1: a free slot */
    int32_t rank, merged;
};

/* A symbol of the current word. length 0: it was merged into an earlier symbol. */
struct ko_symbol {
    int32_t id, previous, next; /* indices of the neighbors; -1: none */
    uint32_t length;            /* bytes of the word */
};

struct ko_candidate {
    int32_t at; /* index of the left symbol */
    int32_t rank, merged;
};

struct ko_bpe {
    struct ko_vocabulary vocabulary;
    struct ko_merge *merge; /* [n_slots] by hash of the pair; owned */
    size_t n_slots;         /* a power of two */
    char *unk_token;        /* NULL: unknown characters give no token; owned */
    int32_t unk_id;         /* -1: unk_token is not in the vocabulary */
    bool fuse_unk, ignore_merges, byte_fallback;
    int32_t byte_id[256]; /* ids of <0x00> ... <0xFF>; -1: not in the vocabulary */
    struct ko_symbol *symbol;
    size_t n_symbols, symbol_capacity;
    struct ko_candidate *heap;
    size_t n_heap, heap_capacity;
};

/* Reads a tokenizer.json's "model" of type BPE. Free with ko_bpe_free. */
KO_MUST_CHECK enum ko_code ko_bpe_read(json_object *spec, const char *where, struct ko_bpe *out,
                                       struct ko_error *err);
void ko_bpe_free(struct ko_bpe *bpe); /* leaves {0} */
/* The merge of two neighbors; NULL if there is none. Borrowed. */
const struct ko_merge *ko_bpe_find_merge(const struct ko_bpe *bpe, int32_t left, int32_t right);
/* Merges the symbols of bpe->symbol, chained by previous and next. */
KO_MUST_CHECK enum ko_code ko_bpe_merge(struct ko_bpe *bpe, struct ko_error *err);

#endif
