/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens between the model and the encoding. */
#ifndef KO_TOKENIZER_TOKENS_H
#define KO_TOKENIZER_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"

struct ko_token {
    int32_t id;
    bool special; /* added by the post-processor */
    bool blank;   /* stands for white space only */
    /* from the model: bytes of its word; for the post-processor: characters of the original text */
    size_t begin, end;
    /* the token's text; borrowed from the model, or from the pieces for an added token */
    const char *value;
    size_t n_value;
};

/* Start from {0}; its array is freed with free(). */
struct ko_tokens {
    struct ko_token *token;
    size_t n, capacity;
};

KO_MUST_CHECK enum ko_code ko_tokens_add(struct ko_tokens *tokens, const struct ko_token *token,
                                         struct ko_error *err);

#endif
