/* SPDX-License-Identifier: Apache-2.0 */
/* Waves: the token tree that goes through the model in one pass. A batch is one wave, or several
   that repeat the trunk where one prompt has more branches than the row budget allows. */
#ifndef KO_TREE_WAVES_WAVE_H
#define KO_TREE_WAVES_WAVE_H

#include <stdint.h>

#include "kernels/rows.h"
#include "src/plan/plan.h"

/* Where a result goes: the metrics of the tokens that are scored on the branch's path (on the trunk's,
   where branch is -1) are written to this slot of the prompt's record. A cell of a prompt with several
   sequences is there once for each. */
struct ko_wave_cell {
    int32_t prompt; /* index in the wave */
    int32_t branch; /* -1, or the fork of a trunk: the cell equals the clean run (kl 0) */
    int32_t sequence;
    int64_t slot;
};

struct ko_wave {
    int32_t model;
    int32_t *fact; /* [n_prompts] */
    /* [n_results] the sequence that the trunk has the rows of (src/prompts/answers/choice.h); owned */
    int32_t *trunk_sequence;
    int32_t n_prompts;
    int32_t n_results; /* the first of them have results; the others are donors, trunks alone */
    /* [n_branches] in the order of their rows, `stages` owned: by leaves_at, then those with a
       convolution of their own first, then by prompt, t0, edge_set. A parent comes before its
       children, and the forks of a branch follow it. */
    struct ko_branch *branch;
    int32_t *sequence; /* [n_branches] of each branch; owned */
    int32_t n_branches;
    /* [n_edge_sets] parts, whose positions are owned; edges are distinct in each prompt */
    struct ko_edge_set *edge_set;
    int32_t n_edge_sets;
    struct ko_removal *removal; /* [n_removals] `at` and `donor_at` are owned */
    int32_t n_removals;
    struct ko_wave_cell *cell; /* [n_cells] every planned cell of these branches, once a sequence */
    int64_t n_cells;
    int32_t n_rows; /* of trunks and branches */
};

/* The sequence of a prompt's trunk; a donor has none, and counts as 0. */
static inline int32_t ko_wave_sequence(const struct ko_wave *wave, int32_t prompt)
{
    return prompt < wave->n_results ? wave->trunk_sequence[prompt] : 0;
}
/* The rows of a prompt's trunk: T, and those of its answer if it has results. */
static inline int32_t ko_wave_trunk_rows(const struct ko_plan *plan, const struct ko_wave *wave,
                                         int32_t prompt)
{
    const struct ko_prompt *p = ko_plan_prompt(plan, wave->model, wave->fact[prompt]);
    return prompt < wave->n_results ? ko_prompt_n_rows(p, ko_wave_sequence(wave, prompt))
                                    : p->n_tokens;
}
/* The clean run of a sequence: -1 for the prompt's trunk, or the fork of it that has the sequence. */
int32_t ko_wave_clean_branch(const struct ko_wave *wave, int32_t prompt, int32_t sequence);
void ko_wave_free(struct ko_wave *wave); /* leaves {0} */

#endif
