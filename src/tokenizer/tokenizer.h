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
 * on one tokenizer. */
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
/* XXH3-128 of the file, 32 hex digits. Borrowed. */
const char *ko_tokenizer_fingerprint(const struct ko_tokenizer *tokenizer);

#endif
