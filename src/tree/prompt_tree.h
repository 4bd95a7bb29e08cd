/* SPDX-License-Identifier: Apache-2.0 */
/* The branches of one prompt before they are cut into waves. Batches, waves and statuses are all
   derived from it, so they cannot disagree. Only the files of this folder use it. */
#ifndef KO_TREE_PROMPT_TREE_H
#define KO_TREE_PROMPT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/tree/intervention.h"
#include "src/tree/tree_model.h"

/* Branches with the same intervention and class. */
struct ko_tree_group {
    int32_t intervention; /* index in the tree */
    int32_t class;        /* index on the class axis */
    int32_t branch_rows;  /* rows of the prompt and its answer from t0 on, and those of its forks */
    int64_t shared_rows;  /* that the forks of one branch share with it, added up */
    const struct ko_tree_layout *layout; /* borrowed */
};

/* One route and class (and source position, for a heat route), and the group that computes its
   windows. */
struct ko_tree_member {
    int32_t route, class; /* indices in the plan */
    int32_t source_position;
    int32_t group; /* -1: vacuous in every window */
};

struct ko_tree {
    const struct ko_tree_model *model; /* borrowed */
    int32_t fact;
    int32_t n_tokens; /* T */
    /* Rows of the clean run: T, and those of the longest answer. Each other sequence of the prompt
       (src/prompts/answers/choice.h) is a fork of every run, and all forks of one run have n_fork_rows
       rows. */
    int32_t n_rows, n_forks, n_fork_rows;
    int32_t n_scored; /* rows of a run and its forks that are scored */
    uint8_t *asked;   /* [n_routes, n_classes, n_windows] planned windows of a route and class */
    /* [n_blocks] 1: `asked` has the block's. Consecutive prompts mostly have the same. */
    uint8_t *blocks;
    struct ko_intervention *intervention; /* [n_interventions] distinct ones; owned */
    size_t n_interventions, intervention_capacity;
    struct ko_tree_group *group;
    size_t n_groups, group_capacity;
    /* [n_groups, n_windows] what the group's members want. Of windows that do the same, the first
       stands for all. */
    uint8_t *windows;
    size_t windows_capacity;
    struct ko_tree_member *member;
    size_t n_members, member_capacity;
    const uint8_t *taken; /* slots of the record that need no branch; NULL: none; borrowed */
    /* where `taken` or the model's layers differ: [n_members, n_windows] the windows of each member
       that are planned, and neither taken nor vacuous */
    uint8_t *wanted;
    size_t wanted_capacity;
    /* [n_donors] facts whose clean runs pass the layers with the prompt's branches, distinct */
    int32_t *donor;
    int32_t n_donors;
    size_t donor_capacity;
    int64_t n_trunk_rows; /* of the prompt, its forks and its donors */
    bool planned;         /* the prompt has a planned cell, vacuous or not */
    struct ko_tree_part {
        bool planned, taken; /* whether it has a planned cell, a taken cell */
    } part[2];               /* of mean routes, of heat routes */
    int64_t n_taken;         /* taken cells */
};

/* Builds the tree of a runnable prompt without its taken cells. taken: as ko_taken_of returns it,
   borrowed while the tree is used. *tree: {0}, or a tree built before, whose memory is reused. Free
   with ko_tree_free, also after a failure. */
KO_MUST_CHECK enum ko_code ko_tree_build(const struct ko_tree_model *model, int32_t fact,
                                         const uint8_t *taken, struct ko_tree *tree,
                                         struct ko_error *err);
void ko_tree_free(struct ko_tree *tree); /* leaves {0} */

/* The planned windows of a route and class. Borrowed. */
const uint8_t *ko_tree_asked(const struct ko_tree *tree, int32_t route, int32_t class);
/* The planned windows of a member with a group that are neither taken nor vacuous. Borrowed. */
const uint8_t *ko_tree_wanted(const struct ko_tree *tree, size_t member);
/* Whether the member's window is vacuous. */
bool ko_tree_is_vacuous(const struct ko_tree *tree, const struct ko_tree_member *member,
                        int32_t size, int32_t start);

/* Cells that are neither vacuous nor taken. */
int64_t ko_tree_n_cells(const struct ko_tree *tree);
/* Whether an earlier cube gave everything that is planned for the prompt, its clean run included.
   True where no cell is left and each part with a planned cell has a taken one: the clean run comes
   with the taken cells of a part. */
bool ko_tree_is_taken(const struct ko_tree *tree);
/* The stages in which the group acts in a window. */
struct ko_tree_range ko_tree_range_of(const struct ko_tree *tree, const struct ko_tree_group *group,
                                      int32_t size, int32_t start);
/* Whether the window equals the clean run, so that it needs no branch. */
bool ko_tree_is_clean(const struct ko_tree *tree, const struct ko_tree_group *group, int32_t size,
                      int32_t start);

#endif
