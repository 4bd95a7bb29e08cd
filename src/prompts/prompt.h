/* SPDX-License-Identifier: Apache-2.0 */
/* The audit: one fact through one model's tokenizer, or the reason why it cannot be run. */
#ifndef KO_PROMPTS_PROMPT_H
#define KO_PROMPTS_PROMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/prompts/answer.h"
#include "src/prompts/facts.h"
#include "src/prompts/reason.h"
#include "src/tokenizer/tokenizer.h"

enum { KO_PROMPT_TOKENS = 1 << 15 }; /* most of one prompt; its edges are counted in 32 bits */

enum ko_bos { KO_BOS_DEFAULT, KO_BOS_ADD, KO_BOS_NONE, KO_BOS_TOKEN };

/* Token positions of a named span; begin == end where the span has no token or the fact lacks it.
 */
struct ko_token_span {
    char *name; /* owned */
    int32_t begin, end;
};

/* A tokenised prompt. Positions count from 0, special tokens included. */
struct ko_prompt {
    enum ko_reason
        reason;        /* all below is zero unless KO_RUNNABLE (n_tokens and ids may be known) */
    char *id;          /* the fact's; owned */
    int32_t n_tokens;  /* T, appended tokens included */
    int32_t *token;    /* [T] ids; owned */
    int32_t n_special; /* special tokens in front of the text (the set `bos`) */
    int32_t subject_begin,
        subject_end; /* positions, end exclusive: every token in between belongs to the subject */
    uint8_t *in_subject; /* [T] */
    int32_t n_appended;  /* the last tokens: the answer's of white space alone, which `first-text`
                            puts in front of the scored one */
    int32_t target;      /* the answer's scored token */
    bool target_blank;   /* it is white space alone (`raw-first-token`) */
    int32_t foil;        /* the wrong answer's scored token; -1 unless KO_FOIL_SCORED */
    enum ko_foil foil_state;
    struct ko_token_span *span;
    int32_t n_spans;
};

struct ko_audit {
    struct ko_tokenizer *tokenizer; /* borrowed */
    enum ko_score score;
    enum ko_bos bos;    /* default: what tokenizer.json does; add: bos_id in front unless already
                        there; none: special tokens in front are dropped; token: dropped, and bos_id
                        in front unless the text begins with it */
    int32_t bos_id;     /* -1: none */
    int32_t max_tokens; /* positions that the model has; 0: KO_PROMPT_TOKENS, the most for every
                           model */
    int32_t vocabulary; /* rows of the embedding */
};

/* Subject: the tokens that overlap, by character offset, the first occurrence of the trimmed
   subject; a token of white space alone never belongs. Target: of the tokens of encode(prompt + " "
   + answer), the answer trimmed, beyond encode(prompt): the first, where that has text. Where it
   has none the rule decides (docs/semantics.md). Where encode(prompt) is no prefix the reason is
   KO_TARGET_MERGES. A prompt that cannot be run is KO_OK with its reason; errors are memory and
   broken input alone. Free with ko_prompt_free. */
KO_MUST_CHECK enum ko_code ko_prompt_audit(const struct ko_audit *audit, const struct ko_fact *fact,
                                           struct ko_prompt *out, struct ko_error *err);
void ko_prompt_free(struct ko_prompt *prompt); /* leaves {0} */
/* Whether both give every fact the same prompt: tokenizers of one fingerprint, and the same else.
 */
bool ko_audit_equal(const struct ko_audit *a, const struct ko_audit *b);
KO_MUST_CHECK enum ko_code ko_prompt_copy(const struct ko_prompt *prompt, struct ko_prompt *out,
                                          struct ko_error *err);

/* For messages between ranks. */
void ko_prompt_pack(const struct ko_prompt *prompt, struct ko_bytes *to);
KO_MUST_CHECK enum ko_code ko_prompt_unpack(struct ko_bytes *from, struct ko_prompt *out,
                                            struct ko_error *err);

#endif
