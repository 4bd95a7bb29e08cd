/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.json (Hugging Face `tokenizers`): text to token ids with character offsets. */
#ifndef KO_TOKENIZER_TOKENIZER_H
#define KO_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"

struct ko_encoding {
    int32_t *id; /* [n] */
    /* [n] offsets in characters of the original text, as `tokenizers` reports them in Python; the
       end is exclusive */
    int32_t *char_begin, *char_end;
    uint8_t *special; /* [n] 1: added by the post-processor, such as BOS */
    uint8_t *blank;   /* [n] 1: stands for white space only, before any trimming of offsets */
    size_t n;
};

struct ko_tokenizer;

/* Reads FILE, a tokenizer.json. KO_E_INPUT names an unknown component or value; nothing is skipped.
   Free with ko_tokenizer_close. */
KO_MUST_CHECK enum ko_code ko_tokenizer_open(const char *file, struct ko_tokenizer **out,
                                             struct ko_error *err);
void ko_tokenizer_close(struct ko_tokenizer *tokenizer);

/* Encodes n_bytes of valid UTF-8 (otherwise KO_E_INPUT) and adds special tokens. Not thread-safe on
   one tokenizer. */
KO_MUST_CHECK enum ko_code ko_tokenizer_encode(struct ko_tokenizer *tokenizer, const char *text,
                                               size_t n_bytes, struct ko_encoding *out,
                                               struct ko_error *err);
void ko_encoding_free(struct ko_encoding *encoding); /* leaves {0} */

/* The text of a token as in tokenizer.json (byte-level alphabet, <0xF0> for byte fallback). NULL if
   the tokenizer lacks the id. Borrowed. */
const char *ko_tokenizer_piece(const struct ko_tokenizer *tokenizer, int32_t id);
/* One more than the largest id, added tokens included. */
int32_t ko_tokenizer_n_ids(const struct ko_tokenizer *tokenizer);
/* "byte-level BPE", "BPE with byte fallback" or "BPE", for `inspect`. Borrowed. */
const char *ko_tokenizer_kind(const struct ko_tokenizer *tokenizer);
/* The *n special tokens that the post-processor puts before, or after, a text. Borrowed. */
const int32_t *ko_tokenizer_in_front(const struct ko_tokenizer *tokenizer, size_t *n);
const int32_t *ko_tokenizer_behind(const struct ko_tokenizer *tokenizer, size_t *n);
/* Lengths that the file stores. Like `transformers`, encoding ignores them. -1: not in the file; 0:
   no fixed length. */
int64_t ko_tokenizer_truncation(const struct ko_tokenizer *tokenizer);
int64_t ko_tokenizer_padding(const struct ko_tokenizer *tokenizer);
/* The id of the token whose ko_tokenizer_piece is `piece`, or -1. */
int32_t ko_tokenizer_find(const struct ko_tokenizer *tokenizer, const char *piece);
/* *nearest: the added token with the nearest text, otherwise the nearest of all tokens; NULL if no
   text is near. Borrowed. */
KO_MUST_CHECK enum ko_code ko_tokenizer_nearest(const struct ko_tokenizer *tokenizer,
                                                const char *piece, const char **nearest,
                                                struct ko_error *err);
/* XXH3-128 of the file, 32 hex digits. Borrowed. */
const char *ko_tokenizer_fingerprint(const struct ko_tokenizer *tokenizer);

#endif
