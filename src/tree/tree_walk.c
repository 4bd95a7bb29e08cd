/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over the bundles of a tree in the order that cuts it into waves. */
#include "src/tree/tree_walk.h"

const uint8_t *ko_tree_windows(const struct ko_tree *tree, int32_t group, int32_t start)
{
    return tree->windows + (size_t)group * tree->model->n_windows +
           (size_t)start * (size_t)tree->model->plan->n_sizes;
}

void ko_tree_walk_begin(const struct ko_tree *tree, struct ko_tree_walk *walk)
{
    *walk = (struct ko_tree_walk){
        .tree = tree,
        .row_budget = tree->model->plan->model[tree->model->model].row_budget,
        .rows = tree->n_trunk_rows,
        .bundle = {.group = 0, .start = -1},
    };
}

/* Moves to the next group and start. False behind the last. */
static bool step_bundle(const struct ko_tree *tree, struct ko_tree_bundle *bundle)
{
    if (++bundle->start >= tree->model->plan->n_starts) {
        bundle->start = 0;
        bundle->group++;
    }
    return (size_t)bundle->group < tree->n_groups;
}

bool ko_tree_walk_next(struct ko_tree_walk *walk)
{
    const struct ko_tree *tree = walk->tree;
    struct ko_tree_bundle *bundle = &walk->bundle;
    while (step_bundle(tree, bundle)) {
        const struct ko_tree_group *group = &tree->group[bundle->group];
        const uint8_t *windows = ko_tree_windows(tree, bundle->group, bundle->start);
        int32_t planned = 0, branches = 0;
        for (int32_t i = 0; i < tree->model->plan->n_sizes; i++) {
            planned += windows[i];
            branches += windows[i] && !ko_tree_is_clean(tree, group, i, bundle->start);
        }
        if (planned == 0) {
            continue;
        }
        bundle->n_branches = branches;
        bundle->n_rows = (int64_t)branches * group->branch_rows;
        if (walk->rows + bundle->n_rows > walk->row_budget && walk->rows > tree->n_trunk_rows) {
            bundle->wave++;
            walk->rows = tree->n_trunk_rows;
        }
        walk->rows += bundle->n_rows;
        return true;
    }
    return false;
}

int32_t ko_tree_n_waves(const struct ko_tree *tree)
{
    struct ko_tree_walk walk;
    ko_tree_walk_begin(tree, &walk);
    while (ko_tree_walk_next(&walk)) {
    }
    return walk.bundle.wave + 1;
}

int32_t ko_tree_longest(const struct ko_tree *tree, const struct ko_tree_bundle *bundle)
{
    const uint8_t *windows = ko_tree_windows(tree, bundle->group, bundle->start);
    int32_t longest = tree->model->plan->n_sizes - 1;
    while (!windows[longest]) {
        longest--;
    }
    return longest;
}

int32_t ko_tree_leaves_at(const struct ko_tree *tree, const struct ko_tree_bundle *bundle,
                          int32_t size)
{
    const struct ko_tree_range range =
        ko_tree_range_of(tree, &tree->group[bundle->group], size, bundle->start);
    const bool acts =
        size == ko_tree_longest(tree, bundle) || tree->group[bundle->group].layout->alone;
    return acts ? range.begin : range.end;
}
