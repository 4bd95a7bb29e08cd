/* SPDX-License-Identifier: Apache-2.0 */
/* Added and special tokens, found in the text before the model sees it:
   tokenizers/src/tokenizer/added_vocabulary.rs. */
#ifndef KO_TOKENIZER_ADDED_TOKENS_H
#define KO_TOKENIZER_ADDED_TOKENS_H

#include <stdbool.h>

#include "src/tokenizer/component.h"
#include "src/tokenizer/text/regex.h"

enum { KO_ADDED_TOKENS = 1 << 14 }; /* most of them: each is looked for at every place of a text */

struct ko_added_token {
    char *text;    /* as in the file; owned */
    char *pattern; /* what is looked for: text, normalised where `normalized` is set; owned */
    size_t n_pattern;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
};

/* Start from {0}; free with ko_added_tokens_free. */
struct ko_added_tokens {
    struct ko_added_token *token; /* owned */
    size_t n;
    struct ko_regex *word; /* a word character; NULL unless some token is single_word */
    bool begins[2][256];   /* first bytes of the patterns that are looked for in the raw and in the
                              normalised text */
};

/* Reads the list "added_tokens" (NULL: none). Ids have to be those of the vocabulary or follow on
   it, as Hugging Face numbers them whatever the file says. */
KO_MUST_CHECK enum ko_code ko_added_tokens_read(json_object *spec, const char *where,
                                                const struct ko_subword *model,
                                                const struct ko_component *normalizer,
                                                struct ko_added_tokens *out, struct ko_error *err);
void ko_added_tokens_free(struct ko_added_tokens *added); /* leaves {0} */
/* Cuts out those whose flag `normalized` is as given; the leftmost, then the longest. */
KO_MUST_CHECK enum ko_code ko_added_tokens_cut(const struct ko_added_tokens *added, bool normalized,
                                               struct ko_pieces *pieces, struct ko_error *err);
const struct ko_added_token *ko_added_tokens_find(const struct ko_added_tokens *added,
                                                  int32_t id); /* NULL: none */

#endif
