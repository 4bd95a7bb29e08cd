/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a wave as the kernels see them. */
#ifndef KO_FORWARD_ROWS_H
#define KO_FORWARD_ROWS_H

#include <stdint.h>

#include "kernels/rows.h"
#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/tree/waves/wave.h"

/* A trunk whose first rows are a matrix of embeddings. */
struct ko_given_rows {
    const struct ko_prompt *prompt; /* the plan's; borrowed */
    int32_t first_row;
};

/* Owns every array that `rows` points to, but branches and edge sets, which are the wave's. */
struct ko_row_set {
    struct ko_rows rows;
    int32_t *per_row;    /* position, previous, branch, prompt, parent_row: [n_rows] each */
    int32_t *token;      /* [n_embedded] */
    int32_t *per_prompt; /* trunk_first, n_tokens, n_longest: [n_prompts] each */
    int32_t *per_stage; /* n_projected, n_convolved, n_active, n_branches_active: [n_stages] each */
    /* [n_prompts + n_branches] where the scored rows of each prompt's trunk, then of each branch,
       begin in `last`. A run has one for each token of the longest answer. A fork has one for each of
       its own rows; rows of its stem predict the tokens before. */
    int32_t *first_last;
    int32_t n_last; /* all of them */
    int32_t *last;  /* [n_last] row numbers */
    /* [n_prompts + n_branches] where the scored tokens of each of these runs begin. They are the
       tokens of the choices in the run's sequence, one choice after the other. */
    int32_t *first_scored;
    int32_t n_scored;
    /* [n_scored] as ko_unembed wants them; `source` is an index in `last` */
    int32_t *source, *clean, *target, *foil;
    struct ko_given_rows *given; /* [n_given]; owned */
    int32_t n_given;
    /* [n_turns, n_rows], as struct ko_rows says; NULL where no prompt brings positions; owned */
    int32_t *turn;
};

/* Lays out a wave: trunk rows prompt after prompt, then the branches' rows. The wave is borrowed.
   Free with ko_row_set_free. */
KO_MUST_CHECK enum ko_code ko_row_set_build(const struct ko_plan *plan, const struct ko_wave *wave,
                                            struct ko_row_set *out, struct ko_error *err);
void ko_row_set_free(struct ko_row_set *set); /* leaves {0} */

#endif
