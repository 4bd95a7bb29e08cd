/* SPDX-License-Identifier: Apache-2.0 */
/* What tokenizer.c and encode.c share. */
#ifndef KO_TOKENIZER_TOKENIZER_PRIVATE_H
#define KO_TOKENIZER_TOKENIZER_PRIVATE_H

#include "src/tokenizer/added_tokens.h"
#include "src/tokenizer/component.h"

enum { KO_HEX_DIGITS = 32 };

struct ko_tokenizer {
    char *file; /* owned */
    char fingerprint[KO_HEX_DIGITS + 1];
    struct ko_component normalizer, pre_tokenizer, post_processor;
    struct ko_subword model;
    struct ko_added_tokens added;
    int32_t n_ids;
    int32_t *around; /* [n_in_front + n_behind] special tokens around a text; owned */
    size_t n_in_front, n_behind;
    int64_t truncation, padding; /* lengths; -1: not in the file; 0: no fixed length */
};

#endif
