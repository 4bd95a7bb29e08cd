/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.json (Hugging Face `tokenizers`): text to token ids with character offsets. */
#ifndef KO_TOKENIZER_TOKENIZER_H
#define KO_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"

struct ko_encoding {
    int32_t *id;         /* [n] */
    int32_t *char_begin; /* [n] characters of the original text, as `tokenizers` reports them from
                            Python */
    int32_t *char_end;   /* [n] exclusive */
    uint8_t *special;    /* [n] 1: added by the post-processor (a BOS, say), not from the text */
    uint8_t *blank;      /* [n] 1: the part of the text that it stands for is white space alone,
                            whatever a post-processor trimmed off its offsets */
    size_t n;
};

struct ko_tokenizer;

/* Reads FILE (a tokenizer.json). A component, or a value of one, that is not known is KO_E_INPUT
   naming it: nothing is skipped. Free with ko_tokenizer_close. */
KO_MUST_CHECK enum ko_code ko_tokenizer_open(const char *file, struct ko_tokenizer **out,
                                             struct ko_error *err);
void ko_tokenizer_close(struct ko_tokenizer *tokenizer);

/* encode(text) with special tokens added. n_bytes of valid UTF-8 (else KO_E_INPUT). Not thread-safe
   on one tokenizer. */
KO_MUST_CHECK enum ko_code ko_tokenizer_encode(struct ko_tokenizer *tokenizer, const char *text,
                                               size_t n_bytes, struct ko_encoding *out,
                                               struct ko_error *err);
void ko_encoding_free(struct ko_encoding *encoding); /* leaves {0} */

/* The printable piece of an id as tokenizer.json writes it (byte-level alphabet, <0xF0> for byte
   fallback); NULL for an id that the tokenizer lacks. Borrowed. */
const char *ko_tokenizer_piece(const struct ko_tokenizer *tokenizer, int32_t id);
/* One more than the largest id, added tokens included. */
int32_t ko_tokenizer_n_ids(const struct ko_tokenizer *tokenizer);
/* "byte-level BPE", "BPE with byte fallback" or "BPE", for `inspect`. Borrowed. */
const char *ko_tokenizer_kind(const struct ko_tokenizer *tokenizer);
/* Special tokens that the post-processor puts in front of a text, and behind it: [*n]. Borrowed. */
const int32_t *ko_tokenizer_in_front(const struct ko_tokenizer *tokenizer, size_t *n);
const int32_t *ko_tokenizer_behind(const struct ko_tokenizer *tokenizer, size_t *n);
/* Lengths that the file stores from the last call of whoever wrote it, and that are ignored, as
   `transformers` ignores them: texts are encoded whole. -1: none; 0: no fixed length. */
int64_t ko_tokenizer_truncation(const struct ko_tokenizer *tokenizer);
int64_t ko_tokenizer_padding(const struct ko_tokenizer *tokenizer);
/* The id of a token by its text as ko_tokenizer_piece has it; -1: there is none. */
int32_t ko_tokenizer_find(const struct ko_tokenizer *tokenizer, const char *piece);
/* The token whose text is nearest: of the added ones, else of all; NULL where none is near.
   KO_E_MEMORY. Borrowed. */
KO_MUST_CHECK enum ko_code ko_tokenizer_nearest(const struct ko_tokenizer *tokenizer,
                                                const char *piece, const char **nearest,
                                                struct ko_error *err);
/* XXH3-128 of the file, 32 hex digits. Borrowed. */
const char *ko_tokenizer_fingerprint(const struct ko_tokenizer *tokenizer);

#endif
