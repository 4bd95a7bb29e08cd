/* SPDX-License-Identifier: Apache-2.0 */
/* Makes branches of the bundles of one prompt's tree, and cells of its members. */
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/tree/tree_walk.h"
#include "src/tree/waves/wave_builder.h"

enum { NOWHERE = -2 };

/* Where the wave has what the tree has. */
struct places {
    int32_t *edge_set; /* [n_interventions] the first part; -1: not there yet */
    int32_t *branch;   /* [n_groups, n_windows] -1: the clean run; NOWHERE: in another wave */
};

/* The longest window leaves the trunk at its start, every shorter one leaves it at its own end, where
   it has nothing more to do. */
static enum ko_code add_bundle(struct ko_wave_builder *b, const struct places *places,
                               int32_t prompt, const struct ko_tree_bundle *bundle)
{
    const struct ko_plan *plan = b->plan;
    const struct ko_tree *tree = b->tree;
    const struct ko_tree_group *group = &tree->group[bundle->group];
    const struct ko_intervention *x = &tree->intervention[group->intervention];
    const uint8_t *windows = ko_tree_windows(tree, bundle->group, bundle->start);
    int32_t *branch_at = places->branch + (windows - tree->windows);
    int32_t *edge_set = &places->edge_set[group->intervention];
    if (bundle->n_branches == 0) {
        for (int32_t i = 0; i < plan->n_sizes; i++) {
            branch_at[i] = -1; /* the clean run */
        }
        return KO_OK;
    }
    enum ko_code code =
        *edge_set < 0 && x->kind->edge_set ? ko_wave_add_edges(b, x, edge_set) : KO_OK;
    struct ko_branch branch = {.prompt = prompt,
                               .n_rows = group->branch_rows,
                               .first_position = x->first_position,
                               .edge_set = *edge_set};
    const int32_t longest = ko_tree_longest(tree, bundle);
    x->kind->describe(tree->model, group->class, &branch);
    for (int32_t i = plan->n_sizes - 1; code == KO_OK && i >= 0; i--) {
        if (!windows[i]) {
            continue;
        }
        if (ko_tree_is_clean(tree, group, i, bundle->start)) {
            branch_at[i] = -1;
            continue;
        }
        const struct ko_tree_range range = ko_tree_range_of(tree, group, i, bundle->start);
        const bool acts = i == longest || group->layout->alone;
        branch.leaves_at = ko_tree_leaves_at(tree, bundle, i);
        branch.window_begin = branch.leaves_at;
        branch.window_end = range.end;
        branch.parent = acts ? -1 : branch_at[longest];
        branch.removal = -1;
        branch.stages = NULL;
        const int32_t window = bundle->start * plan->n_sizes + i;
        if (acts && x->kind->removal) {
            code = ko_wave_add_removal(b, x, tree->model, group->class, window, &branch.removal);
        } else if (acts) {
            code = ko_wave_copy_within(group->layout, window, &branch.stages, b->err);
        }
        if (code == KO_OK) {
            code = ko_wave_add_branch(b, &branch, &branch_at[i]);
        }
    }
    return code;
}

static enum ko_code add_cells(struct ko_wave_builder *b, const struct places *places,
                              int32_t prompt, size_t index)
{
    const struct ko_plan *plan = b->plan;
    const struct ko_tree_member *member = &b->tree->member[index];
    const uint8_t *wanted = ko_tree_wanted(b->tree, index);
    const int32_t *at = places->branch + (size_t)member->group * b->tree->model->n_windows;
    const int32_t *same = b->tree->group[member->group].layout->same;
    for (int32_t s = 0; s < plan->n_starts; s++) {
        for (int32_t i = 0; i < plan->n_sizes; i++, wanted++, same++) {
            if (!*wanted || at[*same] == NOWHERE) {
                continue;
            }
            void *grown = ko_grow(b->wave.cell, &b->cell_capacity, (size_t)b->wave.n_cells + 1,
                                  sizeof *b->wave.cell, b->err);
            if (!grown) {
                return KO_E_MEMORY;
            }
            b->wave.cell = grown;
            b->wave.cell[b->wave.n_cells++] =
                (struct ko_wave_cell){prompt, at[*same],
                                      ko_plan_value_slot(plan, member->route, member->class,
                                                         member->source_position, i, s)};
        }
    }
    return KO_OK;
}

enum ko_code ko_wave_add_prompt(struct ko_wave_builder *b, int32_t prompt)
{
    const struct ko_tree *tree = b->tree;
    size_t n = tree->n_groups * tree->model->n_windows;
    enum ko_code code = KO_E_MEMORY;
    struct places places = {ko_new(tree->n_interventions, sizeof *places.edge_set, b->err),
                            ko_new(n, sizeof *places.branch, b->err)};
    if (!places.edge_set || !places.branch) {
        goto done;
    }
    for (size_t i = 0; i < tree->n_interventions; i++) {
        places.edge_set[i] = -1;
    }
    for (size_t i = 0; i < n; i++) {
        places.branch[i] = NOWHERE;
    }
    code = KO_OK;
    b->wave.n_rows += (int32_t)tree->n_trunk_rows;
    b->first_donor = b->wave.n_prompts;
    for (int32_t d = 0; code == KO_OK && d < tree->n_donors; d++) {
        code = ko_wave_add_fact(b, tree->donor[d]);
    }
    struct ko_tree_walk walk;
    ko_tree_walk_begin(tree, &walk);
    while (code == KO_OK && ko_tree_walk_next(&walk)) {
        if (walk.bundle.wave == b->index) {
            code = add_bundle(b, &places, prompt, &walk.bundle);
            b->wave.n_rows += (int32_t)walk.bundle.n_rows;
        }
    }
    for (size_t i = 0; code == KO_OK && i < tree->n_members; i++) {
        if (tree->member[i].group >= 0) {
            code = add_cells(b, &places, prompt, i);
        }
    }
done:
    free(places.edge_set);
    free(places.branch);
    return code;
}
