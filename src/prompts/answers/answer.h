/* SPDX-License-Identifier: Apache-2.0 */
/* Which tokens of an answer are scored. */
#ifndef KO_PROMPTS_ANSWERS_ANSWER_H
#define KO_PROMPTS_ANSWERS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/prompts/answers/reason.h"
#include "src/tokenizer/tokenizer.h"

/* The rule (docs/semantics.md). X(NAME, word in the spec and in the cube) */
#define KO_SCORES(X)                                                                               \
    X(KO_SCORE_FIRST_TOKEN, "first-token")                                                         \
    X(KO_SCORE_FIRST_TEXT, "first-text")                                                           \
    X(KO_SCORE_RAW_FIRST_TOKEN, "raw-first-token")                                                 \
    X(KO_SCORE_WHOLE_ANSWER, "whole-answer")

enum ko_score {
#define X(name, word) name,
    KO_SCORES(X)
#undef X
        KO_N_SCORES
};
extern const char *const ko_score_words[KO_N_SCORES];

/* Whether the rows of a whole answer are targets. X(NAME, word in the spec and in the cube) */
#define KO_ANSWER_ROWS(X)                                                                          \
    X(KO_ANSWER_ROWS_CLEAN, "clean")     /* no; they read what the knocked-out prompt left */      \
    X(KO_ANSWER_ROWS_KNOCKED, "knocked") /* each, wherever the prompt's last position is one */

enum ko_answer_rows {
#define X(name, word) name,
    KO_ANSWER_ROWS(X)
#undef X
        KO_N_ANSWER_ROWS
};
extern const char *const ko_answer_rows_words[KO_N_ANSWER_ROWS];

/* Whether a foil is scored for a model and prompt, or why not. X(NAME, sentence) */
#define KO_FOILS(X)                                                                                \
    X(KO_FOIL_ABSENT, "there is none")                                                             \
    X(KO_FOIL_SCORED, "it is scored")                                                              \
    X(KO_FOIL_IS_ANSWER, "the scored token is the answer's")                                       \
    X(KO_FOIL_BLANK, "it begins with a token of white space alone")                                \
    X(KO_FOIL_OTHER_BLANKS, "other tokens of white space than the answer's come before its text")  \
    X(KO_FOIL_MERGES, "it merges with the prompt")                                                 \
    X(KO_FOIL_OUTSIDE_VOCABULARY, "its token is outside the model's vocabulary")                   \
    X(KO_FOIL_REFUSED, "the tokenizer refuses its text")                                           \
    X(KO_FOIL_NOT_WHOLE, "whole answers are scored without foils")                                 \
    X(KO_FOIL_BESIDE_CHOICES, "several right answers and options are scored without foils")

enum ko_foil {
#define X(name, sentence) name,
    KO_FOILS(X)
#undef X
        KO_N_FOILS
};
const char *ko_foil_sentence(enum ko_foil foil);

/* ko_tokenizer_encode without the special tokens that a post-processor puts after a text: a causal
   model does not continue after them. */
KO_MUST_CHECK enum ko_code ko_prompt_encode(struct ko_tokenizer *tokenizer, const char *text,
                                            size_t n_bytes, struct ko_encoding *out,
                                            struct ko_error *err);

/* The tokens that a trimmed answer adds to its prompt. */
struct ko_answer {
    /* KO_RUNNABLE; or KO_TARGET_EMPTY, KO_TARGET_MERGES, KO_TEXT_REFUSED: the rest is zero. */
    enum ko_reason reason;
    int32_t *token; /* [n]; owned */
    int32_t n;
    int32_t n_blank; /* the first of them are white space alone */
    int32_t text;    /* the first with text; -1: there is none */
};

/* The tokens of encode(text + " " + answer) after `prompt`, the encoding of `text`. Free with
   ko_answer_free. */
KO_MUST_CHECK enum ko_code ko_answer_find(struct ko_tokenizer *tokenizer, const char *text,
                                          const struct ko_encoding *prompt, const char *answer,
                                          struct ko_answer *out, struct ko_error *err);
/* The tokens of the answer as it is written, without special tokens in front. */
KO_MUST_CHECK enum ko_code ko_answer_find_alone(struct ko_tokenizer *tokenizer, const char *answer,
                                                struct ko_answer *out, struct ko_error *err);
/* The answer with these tokens [n], n > 0. The first one counts as the first that is not blank. */
KO_MUST_CHECK enum ko_code ko_answer_take(const int32_t *id, size_t n, struct ko_answer *out,
                                          struct ko_error *err);
void ko_answer_free(struct ko_answer *answer); /* leaves {0} */
/* The first token, of white space or not: `raw-first-token` scores it. */
int32_t ko_answer_first(const struct ko_answer *answer);
/* Whether both begin with the same tokens of white space alone. */
bool ko_answer_has_same_blanks(const struct ko_answer *a, const struct ko_answer *b);
/* Judges a foil of the answer under the rule. *token: the foil's token if it is KO_FOIL_SCORED, else
   -1. */
enum ko_foil ko_foil_judge(enum ko_score score, const struct ko_answer *answer,
                           const struct ko_answer *foil, int32_t vocabulary, int32_t *token);

#endif
