/* SPDX-License-Identifier: Apache-2.0 */
/* The audit: a fact tokenized for one model, or the reason why the model cannot run it. */
#ifndef KO_PROMPTS_PROMPT_H
#define KO_PROMPTS_PROMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/bytes.h"
#include "src/base/error.h"
#include "src/prompts/answers/answer.h"
#include "src/prompts/answers/choice.h"
#include "src/prompts/answers/reason.h"
#include "src/prompts/facts.h"
#include "src/tokenizer/tokenizer.h"

enum { KO_PROMPT_TOKENS = 1 << 15 }; /* the most per prompt; edges are counted in 32 bits */

enum ko_bos { KO_BOS_DEFAULT, KO_BOS_ADD, KO_BOS_NONE, KO_BOS_TOKEN };

/* Token positions of a run of a named span; several runs may have one name. begin == end if the run
   has no token. */
struct ko_token_span {
    char *name; /* owned */
    int32_t begin, end;
};

/* A tokenized prompt. Positions count from 0, special tokens included. */
struct ko_prompt {
    /* Unless it is KO_RUNNABLE, everything but id, n_tokens and token is zero. */
    enum ko_reason reason;
    char *id;                           /* the fact's; owned */
    int32_t n_tokens;                   /* T, appended tokens included */
    int32_t *token;                     /* [T] ids; owned */
    int32_t n_special;                  /* special tokens before the text (the set `bos`) */
    int32_t subject_begin, subject_end; /* positions, end exclusive */
    uint8_t *in_subject;                /* [T] */
    /* The last tokens: the answer's leading tokens of white space, which `first-text` puts before
       the scored token. */
    int32_t n_appended;
    /* Several right answers, or options. The target is then the first right answer that can be
       scored. */
    struct ko_choices choices;
    int32_t target; /* the answer's scored token; its first one with `whole-answer` */
    /* The answer's other scored tokens, with `whole-answer` alone. The target and all of them but
       the last follow the prompt as rows of their own, which no token set knows. */
    int32_t *rest; /* [n_rest]; owned */
    int32_t n_rest;
    bool target_blank; /* the target is white space alone (`raw-first-token`) */
    int32_t foil;      /* the wrong answer's scored token; -1 unless KO_FOIL_SCORED */
    enum ko_foil foil_state;
    struct ko_token_span *span;
    int32_t n_spans;
    /* Of a prompt that is a matrix of embeddings: its rows, which have -1 as tokens and are the first
       of the prompt; and the XXH3-128 of its bytes. 0 and "": every row is a token. */
    int32_t n_embedded;
    char hash[33];
    int32_t n_added; /* further matrices: the k-th is added to these rows behind layer k */
    /* [n_turns, n_embedded] rotary positions, n_turns 1 or 3; owned. NULL (0): the rows' numbers. */
    int32_t *turn;
    int32_t n_turns;
};

/* Scored tokens of the target. */
static inline int32_t ko_prompt_n_scored(const struct ko_prompt *prompt)
{
    return 1 + prompt->n_rest;
}
/* The k-th scored token of the target. */
static inline int32_t ko_prompt_scored(const struct ko_prompt *prompt, int32_t k)
{
    return k == 0 ? prompt->target : prompt->rest[k - 1];
}

/* What follows sees the target alone as one choice in one sequence. */

static inline int32_t ko_prompt_n_choices(const struct ko_prompt *prompt)
{
    return prompt->choices.n > 0 ? prompt->choices.n : 1;
}
/* The bits KO_CHOICE_RIGHT and KO_CHOICE_OPTION. */
static inline uint8_t ko_prompt_choice_kind(const struct ko_prompt *prompt, int32_t choice)
{
    return prompt->choices.n > 0 ? prompt->choices.item[choice].kind : (uint8_t)KO_CHOICE_RIGHT;
}
/* Scored tokens of a choice; 0: it is left out. */
static inline int32_t ko_prompt_choice_length(const struct ko_prompt *prompt, int32_t choice)
{
    return prompt->choices.n > 0 ? prompt->choices.item[choice].n : ko_prompt_n_scored(prompt);
}
/* Its k-th token. Row n_tokens - 1 + k of its sequence predicts it. */
static inline int32_t ko_prompt_choice_token(const struct ko_prompt *prompt, int32_t choice,
                                             int32_t k)
{
    return prompt->choices.n > 0 ? prompt->choices.item[choice].token[k]
                                 : ko_prompt_scored(prompt, k);
}
static inline int32_t ko_prompt_choice_sequence(const struct ko_prompt *prompt, int32_t choice)
{
    return prompt->choices.n > 0 ? prompt->choices.item[choice].sequence : 0;
}
static inline int32_t ko_prompt_n_sequences(const struct ko_prompt *prompt)
{
    return prompt->choices.n > 0 ? prompt->choices.n_sequences : 1;
}
/* The choice that a sequence has the rows of. */
static inline int32_t ko_prompt_longest(const struct ko_prompt *prompt, int32_t sequence)
{
    return prompt->choices.n > 0 ? prompt->choices.longest[sequence] : 0;
}
/* The last rows of a sequence, which predict the tokens of its choices. */
static inline int32_t ko_prompt_n_last(const struct ko_prompt *prompt, int32_t sequence)
{
    return ko_prompt_choice_length(prompt, ko_prompt_longest(prompt, sequence));
}
/* Rows of a forward pass of a sequence: T, and those of an answer. */
static inline int32_t ko_prompt_n_rows(const struct ko_prompt *prompt, int32_t sequence)
{
    return prompt->n_tokens + ko_prompt_n_last(prompt, sequence) - 1;
}
/* The token of a row, [ko_prompt_n_rows]. */
static inline int32_t ko_prompt_row_token(const struct ko_prompt *prompt, int32_t sequence,
                                          int32_t row)
{
    return row < prompt->n_tokens
               ? prompt->token[row]
               : ko_prompt_choice_token(prompt, ko_prompt_longest(prompt, sequence),
                                        row - prompt->n_tokens);
}
/* The sequence with the most rows, which a trunk and its branches have. All others fork from it. */
static inline int32_t ko_prompt_trunk_sequence(const struct ko_prompt *prompt)
{
    return prompt->choices.n > 0 ? prompt->choices.trunk : 0;
}
/* Its rows. */
static inline int32_t ko_prompt_most_rows(const struct ko_prompt *prompt)
{
    return ko_prompt_n_rows(prompt, ko_prompt_trunk_sequence(prompt));
}
/* The first row of a sequence whose token is not the trunk's; for the trunk's own, its end. The rows
   before it are the same in both. */
static inline int32_t ko_prompt_fork_at(const struct ko_prompt *prompt, int32_t sequence)
{
    return prompt->choices.n > 0 ? prompt->n_tokens + prompt->choices.shared[sequence]
                                 : ko_prompt_n_rows(prompt, sequence);
}
/* Rows that all forks add to those of the trunk's sequence. */
static inline int32_t ko_prompt_fork_rows(const struct ko_prompt *prompt)
{
    return prompt->choices.n_fork_rows;
}
/* The tokens that are scored in a run of a sequence: those of its choices, one after the other. */
int32_t ko_prompt_n_entries(const struct ko_prompt *prompt, int32_t sequence);
/* The most scored tokens of any choice. */
int32_t ko_prompt_longest_answer(const struct ko_prompt *prompt);

/* The rotary position of a row, [ko_prompt_n_rows], on axis 0, 1 or 2. Rows behind the matrix go on
   from its largest position, as in transformers' get_rope_index. */
int32_t ko_prompt_turn(const struct ko_prompt *prompt, int32_t axis, int32_t row);

/* What a model takes of a row's position. */
enum ko_positions {
    KO_POSITIONS_NONE,    /* nothing: SSMs, attention without positions */
    KO_POSITIONS_LEARNED, /* a learned embedding */
    KO_POSITIONS_ROTARY,  /* one rotary position */
    KO_POSITIONS_THREE    /* three: time, height and width (M-RoPE) */
};

struct ko_audit {
    struct ko_tokenizer *tokenizer; /* borrowed */
    enum ko_score score;
    /* default: as tokenizer.json does; add: begin with bos_id unless it is there; none: drop the
       special tokens before the text; token: drop them, then add bos_id unless the text begins with
       it. */
    enum ko_bos bos;
    int32_t bos_id;     /* -1: the model has no BOS token */
    int32_t max_tokens; /* positions of the model; 0: as many as KO_PROMPT_TOKENS */
    int32_t vocabulary; /* rows of the embedding */
    int32_t width;      /* of the residual stream: d_model */
    int32_t n_added;    /* the most further matrices: layers before the last mixer's */
    enum ko_positions positions;
};

/* Subject: the tokens that overlap, by character offset, the first occurrence of the trimmed
   subject. A token of white space alone never belongs to it. Target: the first token of
   encode(prompt + " " + trimmed answer) after encode(prompt), with `whole-answer` all of them. If
   the first is white space, the rule decides (docs/semantics.md). If encode(prompt) is not a
   prefix, the reason is KO_TARGET_MERGES. Returns KO_OK for a prompt that cannot be run, with its
   reason; it fails only for lack of memory and broken input, as a matrix of another width than the
   model's. Of a matrix the answer is tokenized alone, without special tokens in front, as it is
   written. Free with ko_prompt_free. */
KO_MUST_CHECK enum ko_code ko_prompt_audit(const struct ko_audit *audit, const struct ko_fact *fact,
                                           struct ko_prompt *out, struct ko_error *err);
void ko_prompt_free(struct ko_prompt *prompt); /* leaves {0} */
/* Whether both give every fact the same prompt: equal settings, and tokenizers with the same
   fingerprint. */
bool ko_audit_equal(const struct ko_audit *a, const struct ko_audit *b);
KO_MUST_CHECK enum ko_code ko_prompt_copy(const struct ko_prompt *prompt, struct ko_prompt *out,
                                          struct ko_error *err);

/* Write a prompt as bytes and read it back, for messages between ranks. */
void ko_prompt_pack(const struct ko_prompt *prompt, struct ko_bytes *to);
KO_MUST_CHECK enum ko_code ko_prompt_unpack(struct ko_bytes *from, struct ko_prompt *out,
                                            struct ko_error *err);

#endif
