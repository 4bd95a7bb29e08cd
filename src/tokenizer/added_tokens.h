/* SPDX-License-Identifier: Apache-2.0 */
/* Added and special tokens, found in the text before the model sees it:
   tokenizers/src/tokenizer/added_vocabulary.rs. */
#ifndef KO_TOKENIZER_ADDED_TOKENS_H
#define KO_TOKENIZER_ADDED_TOKENS_H

#include <stdbool.h>

#include "src/tokenizer/component.h"
#include "src/tokenizer/text/regex.h"

enum { KO_ADDED_TOKENS = 1 << 14 }; /* the most, because each is searched at every byte of a text */

struct ko_added_token {
    char *text;    /* as in the file; owned */
    char *pattern; /* text, normalized if `normalized`; owned */
    size_t n_pattern;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
};

/* Start from {0}; free with ko_added_tokens_free. */
struct ko_added_tokens {
    struct ko_added_token *token; /* owned */
    size_t n;
    struct ko_regex *word; /* matches a word character; NULL if no token is single_word */
    bool begins[2][256]; /* first bytes of the patterns for raw text [0] and normalized text [1] */
};

/* Reads the list "added_tokens" (may be NULL). Each id must be the vocabulary's or the next number
   after it, because Hugging Face numbers tokens so and ignores the file's ids. */
KO_MUST_CHECK enum ko_code ko_added_tokens_read(json_object *spec, const char *where,
                                                const struct ko_subword *model,
                                                const struct ko_component *normalizer,
                                                struct ko_added_tokens *out, struct ko_error *err);
void ko_added_tokens_free(struct ko_added_tokens *added); /* leaves {0} */
/* Cuts out the tokens with this `normalized` flag: the leftmost first, then the longest. */
KO_MUST_CHECK enum ko_code ko_added_tokens_cut(const struct ko_added_tokens *added, bool normalized,
                                               struct ko_pieces *pieces, struct ko_error *err);
const struct ko_added_token *ko_added_tokens_find(const struct ko_added_tokens *added,
                                                  int32_t id); /* NULL: none */

#endif
