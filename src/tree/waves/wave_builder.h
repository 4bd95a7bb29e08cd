/* SPDX-License-Identifier: Apache-2.0 */
/* A wave while it is built, and what is added to it. For this folder alone. */
#ifndef KO_TREE_WAVES_WAVE_BUILDER_H
#define KO_TREE_WAVES_WAVE_BUILDER_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/tree/intervention.h"
#include "src/tree/prompt_tree.h"
#include "src/tree/waves/wave.h"

struct ko_wave_builder {
    const struct ko_plan *plan; /* borrowed, as tree and err */
    const struct ko_tree *tree; /* of the prompt that is added */
    int32_t index;              /* of the wave in its batch */
    struct ko_wave wave;
    int32_t n_rows; /* of the trunk that is added: T, and those of its answer */
    size_t fact_capacity, trunk_capacity, branch_capacity, sequence_capacity, edge_set_capacity,
        removal_capacity, cell_capacity;
    int32_t first_donor; /* where the donors of the prompt that is added begin in the wave */
    struct ko_error *err;
};

/* What follows fails for lack of memory alone. The caller then frees the wave. */

/* Adds the trunk of a fact without results: a donor. */
KO_MUST_CHECK enum ko_code ko_wave_add_fact(struct ko_wave_builder *b, int32_t fact);
/* Adds a prompt with results, whose trunk has the rows of a sequence. All of them come before any
   donor. */
KO_MUST_CHECK enum ko_code ko_wave_add_run(struct ko_wave_builder *b, int32_t fact,
                                           int32_t sequence);
/* Copies the intervention's edges into the wave. *index: their first part. */
KO_MUST_CHECK enum ko_code ko_wave_add_edges(struct ko_wave_builder *b,
                                             const struct ko_intervention *x, int32_t *index);
/* The fact whose run an intervention takes from; -1: it has no donor. */
int32_t ko_wave_donor_of(const struct ko_intervention *x, const struct ko_tree_model *model,
                         int32_t class);
/* Copies the removal of a branch that acts in a window into the wave, which has its donor.
   *index: its place. */
KO_MUST_CHECK enum ko_code ko_wave_add_removal(struct ko_wave_builder *b,
                                               const struct ko_intervention *x,
                                               const struct ko_tree_model *model, int32_t class,
                                               int32_t window, int32_t *index);
/* *out: a copy of what a layout marks for a window; NULL where it marks nothing. The caller frees
   it. */
KO_MUST_CHECK enum ko_code ko_wave_copy_within(const struct ko_tree_layout *layout, int32_t window,
                                               const uint8_t **out, struct ko_error *err);
/* Adds a branch that has the rows of a sequence, and takes its stages, also on failure. *index: its
   place. */
KO_MUST_CHECK enum ko_code ko_wave_add_branch(struct ko_wave_builder *b,
                                              const struct ko_branch *branch, int32_t sequence,
                                              int32_t *index);
/* Adds the donors, branches and cells of b->tree, whose trunk is `prompt` of the wave. */
KO_MUST_CHECK enum ko_code ko_wave_add_prompt(struct ko_wave_builder *b, int32_t prompt);

#endif
