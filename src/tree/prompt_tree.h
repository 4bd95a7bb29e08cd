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

/* A set of windows is one byte each, [n_starts, n_sizes]: 1 where it is planned. */

/* What is the same for every prompt of one model. */
struct ko_tree_model {
    const struct ko_plan *plan; /* borrowed */
    int32_t model;
    size_t n_windows;       /* n_starts * n_sizes */
    uint8_t *block_windows; /* [n_blocks, n_windows] those of the block that fit the model */
    uint8_t *exists;        /* [n_classes] the model has the class */
    int32_t *without_conv;  /* [n_classes] the same class without conv; itself where that is not
                               on the axis */
};
KO_MUST_CHECK enum ko_code ko_tree_model_open(const struct ko_plan *plan, int32_t model,
                                              struct ko_tree_model *out, struct ko_error *err);
void ko_tree_model_close(struct ko_tree_model *model); /* leaves {0} */

/* Branches with the same edges and class. */
struct ko_tree_group {
    int32_t edges;       /* index in the tree */
    int32_t class;       /* index on the feature axis */
    int32_t branch_rows; /* T - t0 */
    bool spares_last;    /* a window of the last layer alone changes nothing */
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
    uint8_t
        *blocks; /* [n_blocks] 1: `asked` has the block's; prompts in a row mostly have the same */
    struct ko_edges *edges; /* [n_edges] distinct ones */
    size_t n_edges, edges_capacity;
    struct ko_tree_group *group;
    size_t n_groups, group_capacity;
    uint8_t *windows; /* [n_groups, n_windows] the union over the group's members */
    size_t windows_capacity;
    struct ko_tree_member *member;
    size_t n_members, member_capacity;
    const uint8_t
        *taken;      /* slots of the prompt's record that need no branch; NULL: none; borrowed */
    uint8_t *wanted; /* [n_members, n_windows] what is planned and not taken, where `taken` */
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

/* A walk over the families: the windows of one group and start, which stay in one wave. */
struct ko_tree_family {
    int32_t group, start;
    int32_t n_branches;
    int64_t n_rows;
    int32_t wave;
};
struct ko_tree_walk {
    const struct ko_tree *tree;
    int32_t row_budget;
    int64_t rows; /* of the wave so far, the trunk included */
    struct ko_tree_family family;
};
void ko_tree_walk_begin(const struct ko_tree *tree, struct ko_tree_walk *walk);
/* Moves to the next family with a planned window and puts it into a wave; false at the end. */
bool ko_tree_walk_next(struct ko_tree_walk *walk);

/* The layer at which the branch of a window leaves its parent; *longest: the family's longest size.
 */
int32_t ko_tree_leaves_at(const struct ko_tree *tree, int32_t group, int32_t start, int32_t size,
                          int32_t *longest);

#endif
