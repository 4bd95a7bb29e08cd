/* SPDX-License-Identifier: Apache-2.0 */
/* Several right answers and options of a prompt: which tokens of each are scored, and which of them
   share a forward pass. */
#ifndef KO_PROMPTS_ANSWERS_CHOICE_H
#define KO_PROMPTS_ANSWERS_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/bytes.h"
#include "src/base/error.h"

/* What a choice is; bits. */
enum { KO_CHOICE_RIGHT = 1 /* a right answer */, KO_CHOICE_OPTION = 2 /* in the given set */ };

/* A choice for one model. */
struct ko_choice {
    uint8_t kind;     /* bits KO_CHOICE_RIGHT, KO_CHOICE_OPTION */
    int32_t *token;   /* [n] the scored tokens; owned */
    int32_t n;        /* 0: a right answer that cannot be scored, which is left out */
    int32_t sequence; /* the sequence of rows that predicts its tokens */
    /* It is right and begins with all tokens of another right answer (of equal ones: of an earlier
       one). What it says is part of the other, so the sum leaves it out. */
    bool nested;
};

/* The choices of a prompt. A *sequence* is the prompt's tokens and then all tokens but the last of
   one choice. Choices whose tokens but the last begin another choice share its sequence, so choices
   of one token share one. The longest sequence is the trunk's, and all others fork from it at the
   first token that differs. No sequence begins another one. */
struct ko_choices {
    struct ko_choice *item; /* [n] in the order of the fact's; owned */
    int32_t n;              /* 0: the target alone */
    int32_t *longest;       /* [n_sequences] the choice that a sequence has the rows of; owned */
    int32_t *shared;        /* [n_sequences] tokens of its answer that the trunk has too; owned */
    int32_t n_sequences;
    int32_t trunk;       /* the first of the longest sequences */
    int32_t n_fork_rows; /* rows of all other sequences behind the shared ones */
};

/* Sets sequences, forks and nesting from the items' kinds and tokens. */
KO_MUST_CHECK enum ko_code ko_choices_arrange(struct ko_choices *choices, struct ko_error *err);
/* Whether two options have the same scored tokens, so that their ranks say nothing. */
bool ko_choices_have_equal_options(const struct ko_choices *choices);
void ko_choices_free(struct ko_choices *choices); /* leaves {0} */

/* Write choices as bytes and read them back; the number of items is the caller's. */
void ko_choices_pack(const struct ko_choices *choices, struct ko_bytes *to);
KO_MUST_CHECK enum ko_code ko_choices_unpack(struct ko_bytes *from, int32_t n,
                                             struct ko_choices *out, struct ko_error *err);

#endif
