/* The audit: one fact through one model's tokenizer, or the reason why it cannot be run. */
#ifndef KO_PROMPTS_PROMPT_H
#define KO_PROMPTS_PROMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/prompts/facts.h"
#include "src/tokenizer/tokenizer.h"

/* Why a prompt is skipped for a model. X(NAME, code in the cube, sentence) */
#define KO_REASONS(X)                                                                              \
    X(KO_RUNNABLE, 0, "runnable")                                                                  \
    X(KO_SUBJECT_NOT_FOUND, 1, "subject not found in the prompt")                                  \
    X(KO_SUBJECT_EMPTY, 2, "empty subject")                                                        \
    X(KO_TARGET_EMPTY, 3, "empty answer")                                                          \
    X(KO_TARGET_MERGES, 4, "answer merges with prompt")                                            \
    X(KO_PROMPT_EMPTY, 5, "empty prompt")                                                          \
    X(KO_PROMPT_TOO_LONG, 6, "prompt longer than the model's positions")                           \
    X(KO_TOKEN_OUTSIDE_VOCABULARY, 7, "token outside the model's vocabulary")                      \
    X(KO_SUBJECT_HAS_NO_TOKEN, 8, "subject has no token of its own")

enum ko_reason {
#define X(name, code, sentence) name = code,
    KO_REASONS(X)
#undef X
};
const char *ko_reason_sentence(enum ko_reason reason);

enum { KO_PROMPT_TOKENS = 1 << 15 }; /* most of one prompt; its edges are counted in 32 bits */

enum ko_bos { KO_BOS_DEFAULT, KO_BOS_ADD, KO_BOS_NONE };

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
    int32_t n_tokens;  /* T */
    int32_t *token;    /* [T] ids; owned */
    int32_t n_special; /* special tokens in front of the text (the set `bos`) */
    int32_t subject_begin,
        subject_end; /* positions, end exclusive: every token in between belongs to the subject */
    uint8_t *in_subject; /* [T] */
    int32_t target;      /* first token of the answer */
    int32_t foil;        /* first token of the wrong answer; -1 where there is none or it merges */
    struct ko_token_span *span;
    int32_t n_spans;
};

struct ko_audit {
    struct ko_tokenizer *tokenizer; /* borrowed */
    enum ko_bos bos;    /* default: what tokenizer.json does; add: bos_id in front unless already
                           there; none: dropped */
    int32_t bos_id;     /* the configuration's bos_token_id, -1 where it has none */
    int32_t max_tokens; /* positions that the model has; 0: KO_PROMPT_TOKENS, the most for every
                           model */
    int32_t vocabulary; /* rows of the embedding */
};

/* Subject: the tokens that overlap, by character offset, the first occurrence of the trimmed
   subject; a token of white space alone never belongs. Target: strip the answer; the first token of
   encode(prompt + " " + answer) beyond encode(prompt); where the latter is no prefix of the former
   the reason is KO_TARGET_MERGES. A prompt that cannot be run is KO_OK with its reason; errors are
   memory and broken input alone. Free with ko_prompt_free. */
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
