/* SPDX-License-Identifier: Apache-2.0 */
/* The branches of one prompt before they are cut into waves: what batches, waves and statuses are
   all derived from, so that they cannot differ. For the files of this folder alone. */
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
    int32_t branch_rows;  /* T - t0 */
};

/* One route and class (and source position, where it is `each`), and where its windows are
   computed. */
struct ko_tree_member {
    int32_t route, class; /* indices in the plan */
    int32_t source_position;
    int32_t group; /* -1: vacuous */
};

struct ko_tree {
    const struct ko_tree_model *model; /* borrowed */
    int32_t fact;
    int32_t n_tokens;
    uint8_t *asked; /* [n_routes, n_classes, n_windows] planned windows of a route and class */
    /* [n_blocks] 1: `asked` has the block's. Consecutive prompts mostly have the same. */
    uint8_t *blocks;
    struct ko_intervention *intervention; /* [n_interventions] distinct ones; owned */
    size_t n_interventions, intervention_capacity;
    struct ko_tree_group *group;
    size_t n_groups, group_capacity;
    uint8_t *windows; /* [n_groups, n_windows] the union over the group's members */
    size_t windows_capacity;
    struct ko_tree_member *member;
    size_t n_members, member_capacity;
    const uint8_t *taken; /* slots of the record that need no branch; NULL: none; borrowed */
    uint8_t *wanted;      /* where `taken`: [n_members, n_windows] windows planned and not taken */
    size_t wanted_capacity;
    bool planned; /* any cell, vacuous or not */
    struct ko_tree_part {
        bool planned, taken; /* any cell; any cell that is taken */
    } part[2];               /* mean routes, heatmaps */
    int64_t n_taken;         /* cells */
};

/* The tree of a prompt that the model can run, without the cells that are `taken` (as ko_taken_of
   says; NULL: none; borrowed while the tree is used). *tree: {0}, or one built before, whose memory
   is reused. Free with ko_tree_free, also after a failure. */
KO_MUST_CHECK enum ko_code ko_tree_build(const struct ko_tree_model *model, int32_t fact,
                                         const uint8_t *taken, struct ko_tree *tree,
                                         struct ko_error *err);
void ko_tree_free(struct ko_tree *tree); /* leaves {0} */

/* The planned windows of a route and class. Borrowed. */
const uint8_t *ko_tree_asked(const struct ko_tree *tree, int32_t route, int32_t class);
/* Those of a member that are not taken. Borrowed. */
const uint8_t *ko_tree_wanted(const struct ko_tree *tree, size_t member);

/* Cells that are neither vacuous nor taken. */
int64_t ko_tree_n_cells(const struct ko_tree *tree);
/* Whether all that the prompt has planned is taken, the clean run beside it: each of the two parts
   that has any cell has one that is taken, and none is left. */
bool ko_tree_is_taken(const struct ko_tree *tree);
/* Whether the window needs no branch: it equals the clean run. */
bool ko_tree_is_clean(const struct ko_tree *tree, const struct ko_tree_group *group, int32_t size,
                      int32_t start);

#endif
