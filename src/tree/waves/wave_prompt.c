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
    int32_t fork;      /* the first fork of the trunk */
};

/* The place of a fork: behind its stem. stem -1: the trunk, whose forks are the first branches of the
   prompt. */
static int32_t fork_of(const struct places *places, int32_t stem, int32_t fork)
{
    return (stem < 0 ? places->fork : stem + 1) + fork;
}

/* Adds the fork of `run` for a sequence. `run` has the rows of the trunk's sequence from first_position
   on; for the trunk itself first_position is not read. */
static enum ko_code add_fork(struct ko_wave_builder *b, const struct ko_branch *run,
                             int32_t sequence)
{
    const struct ko_prompt *prompt =
        ko_plan_prompt(b->plan, b->wave.model, b->wave.fact[run->prompt]);
    struct ko_branch fork = *run;
    int32_t index = 0;
    fork.first_position = ko_prompt_fork_at(prompt, sequence);
    fork.n_rows = ko_prompt_n_rows(prompt, sequence) - fork.first_position;
    fork.n_shared = run->leaves_at == KO_HAS_TOKENS ? 0 : fork.first_position - run->first_position;
    return ko_wave_add_branch(b, &fork, sequence, &index);
}

/* Adds the forks of the prompt's trunk. */
static enum ko_code add_trunk_forks(struct ko_wave_builder *b, int32_t prompt)
{
    const struct ko_branch trunk = {.prompt = prompt,
                                    .parent = -1,
                                    .leaves_at = KO_HAS_TOKENS,
                                    .edge_set = -1,
                                    .mask = -1,
                                    .removal = -1};
    enum ko_code code = KO_OK;
    for (int32_t s = 0; code == KO_OK && s <= b->tree->n_forks; s++) {
        if (s != b->wave.trunk_sequence[prompt]) {
            code = add_fork(b, &trunk, s);
        }
    }
    return code;
}

/* A window of a bundle. */
struct place_in_bundle {
    const struct ko_tree_layout *layout;
    int32_t window;
    bool acts; /* the branch acts in the window, and not only its parent */
};

/* Adds a branch with its forks. Each of them leaves the run of its own sequence: branch.parent, or the
   fork of that. *index: the place of the branch. */
static enum ko_code add_with_forks(struct ko_wave_builder *b, const struct places *places,
                                   const struct place_in_bundle *at, struct ko_branch branch,
                                   int32_t *index)
{
    const int32_t trunk = b->wave.trunk_sequence[branch.prompt], parent = branch.parent;
    enum ko_code code = KO_OK;
    for (int32_t s = -1, fork = 0; code == KO_OK && s <= b->tree->n_forks; s++) {
        if (s == trunk) {
            continue;
        }
        branch.parent = s < 0 ? parent : fork_of(places, parent, fork++);
        branch.stages = NULL;
        if (at->acts && branch.removal < 0) {
            code = ko_wave_copy_within(at->layout, at->window, &branch.stages, b->err);
        }
        if (code == KO_OK) {
            code = s < 0 ? ko_wave_add_branch(b, &branch, trunk, index) : add_fork(b, &branch, s);
        }
    }
    return code;
}

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
                               .n_rows = tree->n_rows - x->first_position,
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
        const struct place_in_bundle at = {.layout = group->layout,
                                           .window = bundle->start * plan->n_sizes + i,
                                           .acts = i == longest || group->layout->alone};
        branch.leaves_at = ko_tree_leaves_at(tree, bundle, i);
        branch.window_begin = branch.leaves_at;
        branch.window_end = range.end;
        branch.parent = at.acts ? -1 : branch_at[longest];
        branch.removal = -1;
        if (at.acts && x->kind->removal) {
            code = ko_wave_add_removal(b, x, tree->model, group->class, at.window, &branch.removal);
        }
        if (code == KO_OK) {
            code = add_with_forks(b, places, &at, branch, &branch_at[i]);
        }
    }
    return code;
}

static enum ko_code add_cell(struct ko_wave_builder *b, const struct ko_wave_cell *cell)
{
    void *grown = ko_grow(b->wave.cell, &b->cell_capacity, (size_t)b->wave.n_cells + 1,
                          sizeof *b->wave.cell, b->err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    b->wave.cell = grown;
    b->wave.cell[b->wave.n_cells++] = *cell;
    return KO_OK;
}

/* Adds a cell of the branch (-1: the trunk) for each sequence, ascending. */
static enum ko_code add_sequences(struct ko_wave_builder *b, const struct places *places,
                                  int32_t prompt, int32_t branch, int64_t slot)
{
    const int32_t trunk = b->wave.trunk_sequence[prompt];
    enum ko_code code = KO_OK;
    for (int32_t s = 0, fork = 0; code == KO_OK && s <= b->tree->n_forks; s++) {
        const int32_t its = s == trunk ? branch : fork_of(places, branch, fork++);
        code = add_cell(b, &(struct ko_wave_cell){prompt, its, s, slot});
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
    enum ko_code code = KO_OK;
    for (int32_t s = 0; s < plan->n_starts; s++) {
        for (int32_t i = 0; code == KO_OK && i < plan->n_sizes; i++, wanted++, same++) {
            if (*wanted && at[*same] != NOWHERE) {
                code = add_sequences(b, places, prompt, at[*same],
                                     ko_plan_value_slot(plan, member->route, member->class,
                                                        member->source_position, i, s));
            }
        }
    }
    return code;
}

enum ko_code ko_wave_add_prompt(struct ko_wave_builder *b, int32_t prompt)
{
    const struct ko_tree *tree = b->tree;
    size_t n = tree->n_groups * tree->model->n_windows;
    enum ko_code code = KO_E_MEMORY;
    struct places places = {ko_new(tree->n_interventions, sizeof *places.edge_set, b->err),
                            ko_new(n, sizeof *places.branch, b->err), b->wave.n_branches};
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
    if (code == KO_OK) {
        code = add_trunk_forks(b, prompt);
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
