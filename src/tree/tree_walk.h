/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over the bundles of a prompt's tree. A bundle is the windows of one group with the same
   start: their branches share rows, so they stay in one wave. */
#ifndef KO_TREE_TREE_WALK_H
#define KO_TREE_TREE_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "src/tree/prompt_tree.h"

struct ko_tree_bundle {
    int32_t group, start;
    int32_t n_branches; /* without their forks */
    int64_t n_rows;     /* with those of forks */
    int32_t wave;       /* index in the batch */
};

struct ko_tree_walk {
    const struct ko_tree *tree;
    int32_t row_budget;
    int64_t rows; /* of the wave so far, with the trunk */
    struct ko_tree_bundle bundle;
};

void ko_tree_walk_begin(const struct ko_tree *tree, struct ko_tree_walk *walk);
/* Moves to the next bundle with a planned window and puts it into a wave. False at the end. */
bool ko_tree_walk_next(struct ko_tree_walk *walk);

/* The waves that the tree is cut into. */
int32_t ko_tree_n_waves(const struct ko_tree *tree);

/* The windows [n_sizes] of a group with this start: 1 where a cell asks for it. Borrowed. */
const uint8_t *ko_tree_windows(const struct ko_tree *tree, int32_t group, int32_t start);
/* The bundle's longest size. Its branch leaves the trunk where it first acts; all others leave that
   branch behind the last stage where they act. With an `alone` layout all leave the trunk. */
int32_t ko_tree_longest(const struct ko_tree *tree, const struct ko_tree_bundle *bundle);
/* The stage at which the branch of a window leaves its parent. */
int32_t ko_tree_leaves_at(const struct ko_tree *tree, const struct ko_tree_bundle *bundle,
                          int32_t size);

#endif
