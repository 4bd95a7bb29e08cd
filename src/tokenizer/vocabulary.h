/* SPDX-License-Identifier: Apache-2.0 */
/* A vocabulary: token to id and back. */
#ifndef KO_TOKENIZER_VOCABULARY_H
#define KO_TOKENIZER_VOCABULARY_H

#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"

enum { KO_MAX_ID = (1 << 24) - 1 };

/* Start from {0}; free with ko_vocabulary_free. */
struct ko_vocabulary {
    char *bytes;      /* all tokens, each with its NUL; owned */
    size_t *begin;    /* [n_ids] offset of the token in bytes, plus one; 0: no such id; owned */
    uint32_t *length; /* [n_ids] bytes; owned */
    int32_t n_ids;    /* one more than the largest id */
    size_t n_entries;
    int32_t *slot;  /* [n_slots] ids by hash, -1 free; owned */
    size_t n_slots; /* a power of two */
};

/* Reads {"token": id, ...}. KO_E_INPUT "WHERE: ..." if an id is not a number from 0 to KO_MAX_ID or
   occurs twice. */
KO_MUST_CHECK enum ko_code ko_vocabulary_read(json_object *spec, const char *where,
                                              struct ko_vocabulary *out, struct ko_error *err);
void ko_vocabulary_free(struct ko_vocabulary *vocabulary); /* leaves {0} */
int32_t ko_vocabulary_find(const struct ko_vocabulary *vocabulary, const char *text,
                           size_t n); /* -1: not there */
const char *ko_vocabulary_piece(const struct ko_vocabulary *vocabulary,
                                int32_t id); /* NULL: no such id; borrowed */

#endif
