/* SPDX-License-Identifier: Apache-2.0 */
/* Turns one wave of a batch into branches with their edges and cells. */
#include "src/tree/wave.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/tree/branches/branch_order.h"
#include "src/tree/interventions.h"
#include "src/tree/prompt_tree.h"
#include "src/tree/taken.h"
#include "src/tree/tree_walk.h"

struct wave_builder {
    const struct ko_plan *plan;
    const struct ko_tree *tree; /* of the prompt that is added */
    int32_t index;              /* of the wave in its batch */
    struct ko_wave wave;
    int32_t n_rows; /* of the sequence that is added: T, and those of its answer */
    size_t fact_capacity, run_capacity, branch_capacity, edge_set_capacity, removal_capacity,
        cell_capacity;
    int32_t first_donor;  /* where the donors of the prompt that is added begin in the wave */
    int32_t *edge_set_at; /* [tree->n_interventions] index in the wave, -1: not there yet */
    int32_t *branch_at;   /* [n_groups, n_windows] index in the wave; NOWHERE: in another wave */
    struct ko_error *err;
};

enum { NOWHERE = -2 };

/* Copies what is said of each position [T] and extends it to the rows of the answer, which do as the
   prompt's last position where the plan wants it. Returns whether they do. */
static bool copy_positions(const struct wave_builder *b, const struct ko_intervention *x,
                           const uint8_t *from, uint8_t *to)
{
    const size_t n = (size_t)x->n_tokens;
    const bool too = b->plan->answer_rows == KO_ANSWER_ROWS_KNOCKED && from[n - 1];
    memcpy(to, from, n);
    memset(to + n, too, (size_t)b->n_rows - n);
    return too;
}

/* Copies a part of removed edges into the wave. Sources are positions of the prompt alone. */
static enum ko_code add_edge_part(struct wave_builder *b, const struct ko_intervention *x,
                                  struct ko_edge_set set)
{
    const size_t n = (size_t)b->n_rows, n_sets = (size_t)b->wave.n_edge_sets + 1;
    void *grown = ko_grow(b->wave.edge_set, &b->edge_set_capacity, n_sets, sizeof set, b->err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    b->wave.edge_set = grown;
    uint8_t *positions = ko_new(2 * n, 1, b->err);
    if (!positions) {
        return KO_E_MEMORY;
    }
    (void)copy_positions(b, x, set.target, positions);
    memcpy(positions + n, set.source, (size_t)x->n_tokens);
    set.target = positions; /* freed with the wave */
    set.source = positions + n;
    b->wave.edge_set[b->wave.n_edge_sets++] = set;
    return KO_OK;
}

/* *index: the first part of the intervention's edges, which are copied into the wave. */
static enum ko_code add_edge_set(struct wave_builder *b, const struct ko_intervention *x,
                                 int32_t *index)
{
    enum ko_code code = KO_OK;
    const int32_t first = b->wave.n_edge_sets;
    bool more = true;
    for (int32_t part = 0; code == KO_OK && more; part++) {
        const struct ko_edge_set set = x->kind->edge_set(x, part);
        more = set.more;
        code = add_edge_part(b, x, set);
    }
    *index = code == KO_OK ? first : *index;
    return code;
}

static enum ko_code add_fact(struct wave_builder *b, int32_t fact)
{
    int32_t *grown = ko_grow(b->wave.fact, &b->fact_capacity, (size_t)b->wave.n_prompts + 1,
                             sizeof *grown, b->err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    b->wave.fact = grown;
    b->wave.fact[b->wave.n_prompts++] = fact;
    return KO_OK;
}

/* Adds a prompt with results. All of them come before any donor. */
static enum ko_code add_run(struct wave_builder *b, int32_t fact, const struct ko_wave_run *run)
{
    void *grown = ko_grow(b->wave.run, &b->run_capacity, (size_t)b->wave.n_results + 1,
                          sizeof *b->wave.run, b->err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    b->wave.run = grown;
    b->wave.run[b->wave.n_results++] = *run;
    return add_fact(b, fact);
}

static int32_t donor_of(const struct ko_intervention *x, const struct ko_tree_model *model,
                        int32_t class)
{
    return x->kind->donor ? x->kind->donor(x, model, class) : -1;
}

/* The place in the wave of a donor of the prompt that is added. */
static int32_t place_of_donor(const struct wave_builder *b, int32_t fact)
{
    int32_t place = b->first_donor;
    while (b->wave.fact[place] != fact) {
        place++;
    }
    return place;
}

/* A copy of what a layout marks for a window; NULL in *out where it marks nothing. */
static enum ko_code copy_within(const struct ko_tree_layout *layout, int32_t window,
                                const uint8_t **out, struct ko_error *err)
{
    const size_t n = (size_t)layout->n_within;
    *out = NULL;
    if (!layout->within) {
        return KO_OK;
    }
    uint8_t *copy = ko_new(n, 1, err);
    if (!copy) {
        return KO_E_MEMORY;
    }
    memcpy(copy, layout->within + (size_t)window * n, n);
    *out = copy; /* freed with the wave */
    return KO_OK;
}

/* *index: the removal of a branch that acts in a window. */
static enum ko_code add_removal(struct wave_builder *b, const struct ko_intervention *x,
                                const struct ko_tree_model *model, int32_t class, int32_t window,
                                int32_t *index)
{
    const struct ko_tree_layout *layout = x->kind->layout(x, model, class);
    const int32_t n_tokens = x->n_tokens, n_rows = b->n_rows;
    const int32_t donor = donor_of(x, model, class);
    struct ko_removal removal = {0};
    void *grown = ko_grow(b->wave.removal, &b->removal_capacity, (size_t)b->wave.n_removals + 1,
                          sizeof removal, b->err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    b->wave.removal = grown;
    x->kind->removal(x, model, class, &removal);
    uint8_t *at = ko_new((size_t)n_rows, 1, b->err);
    int32_t *donor_at = at && donor >= 0 ? ko_new((size_t)n_rows, sizeof *donor_at, b->err) : NULL;
    if (!at || (donor >= 0 && !donor_at) ||
        copy_within(layout, window, &removal.within, b->err) != KO_OK) {
        free(at);
        free(donor_at);
        return KO_E_MEMORY;
    }
    const bool too = copy_positions(b, x, removal.at, at);
    if (donor_at) {
        memcpy(donor_at, removal.donor_at, (size_t)n_tokens * sizeof *donor_at);
        removal.donor = place_of_donor(b, donor);
    }
    /* The donor has no rows of this answer: they take what the last position takes. */
    for (int32_t i = n_tokens; donor_at && too && i < n_rows; i++) {
        donor_at[i] = donor_at[n_tokens - 1];
    }
    removal.at = at; /* freed with the wave, as donor_at */
    removal.donor_at = donor_at;
    removal.begin = layout->sublayers[window].begin;
    removal.end = layout->sublayers[window].end;
    *index = b->wave.n_removals++;
    b->wave.removal[*index] = removal;
    return KO_OK;
}

/* Takes over the branch's stages, also after a failure. */
static enum ko_code add_branch(struct wave_builder *b, const struct ko_branch *branch,
                               int32_t *index)
{
    void *grown = ko_grow(b->wave.branch, &b->branch_capacity, (size_t)b->wave.n_branches + 1,
                          sizeof *b->wave.branch, b->err);
    if (!grown) {
        free((void *)(uintptr_t)branch->stages);
        return KO_E_MEMORY;
    }
    b->wave.branch = grown;
    *index = b->wave.n_branches++;
    b->wave.branch[*index] = *branch;
    return KO_OK;
}

/* The longest window leaves the trunk at its start, every shorter one leaves it at its own end, where
   it has nothing more to do. */
static enum ko_code add_bundle(struct wave_builder *b, int32_t prompt,
                               const struct ko_tree_bundle *bundle)
{
    const struct ko_plan *plan = b->plan;
    const struct ko_tree *tree = b->tree;
    const struct ko_tree_group *group = &tree->group[bundle->group];
    const struct ko_intervention *x = &tree->intervention[group->intervention];
    const uint8_t *windows = ko_tree_windows(tree, bundle->group, bundle->start);
    int32_t *branch_at = b->branch_at + (windows - tree->windows);
    int32_t *edge_set = &b->edge_set_at[group->intervention];
    if (bundle->n_branches == 0) {
        for (int32_t i = 0; i < plan->n_sizes; i++) {
            branch_at[i] = -1; /* the clean run */
        }
        return KO_OK;
    }
    enum ko_code code = *edge_set < 0 && x->kind->edge_set ? add_edge_set(b, x, edge_set) : KO_OK;
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
            code = add_removal(b, x, tree->model, group->class, window, &branch.removal);
        } else if (acts) {
            code = copy_within(group->layout, window, &branch.stages, b->err);
        }
        if (code == KO_OK) {
            code = add_branch(b, &branch, &branch_at[i]);
        }
    }
    return code;
}

static enum ko_code add_cells(struct wave_builder *b, int32_t prompt, size_t index)
{
    const struct ko_plan *plan = b->plan;
    const struct ko_tree_member *member = &b->tree->member[index];
    const uint8_t *wanted = ko_tree_wanted(b->tree, index);
    const int32_t *at = b->branch_at + (size_t)member->group * b->tree->model->n_windows;
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

static enum ko_code add_prompt(struct wave_builder *b, int32_t prompt)
{
    const struct ko_tree *tree = b->tree;
    size_t n = tree->n_groups * tree->model->n_windows;
    enum ko_code code = KO_E_MEMORY;
    b->edge_set_at = ko_new(tree->n_interventions, sizeof *b->edge_set_at, b->err);
    b->branch_at = ko_new(n, sizeof *b->branch_at, b->err);
    if (!b->edge_set_at || !b->branch_at) {
        goto done;
    }
    for (size_t i = 0; i < tree->n_interventions; i++) {
        b->edge_set_at[i] = -1;
    }
    for (size_t i = 0; i < n; i++) {
        b->branch_at[i] = NOWHERE;
    }
    code = KO_OK;
    b->wave.n_rows += (int32_t)tree->n_trunk_rows;
    b->first_donor = b->wave.n_prompts;
    for (int32_t d = 0; code == KO_OK && d < tree->n_donors; d++) {
        code = add_fact(b, tree->donor[d]);
    }
    struct ko_tree_walk walk;
    ko_tree_walk_begin(tree, &walk);
    while (code == KO_OK && ko_tree_walk_next(&walk)) {
        if (walk.bundle.wave == b->index) {
            code = add_bundle(b, prompt, &walk.bundle);
            b->wave.n_rows += (int32_t)walk.bundle.n_rows;
        }
    }
    for (size_t i = 0; code == KO_OK && i < tree->n_members; i++) {
        if (tree->member[i].group >= 0) {
            code = add_cells(b, prompt, i);
        }
    }
done:
    free(b->edge_set_at);
    free(b->branch_at);
    b->edge_set_at = b->branch_at = NULL;
    return code;
}

/* The sequences [begin, end) of a fact that pass in the wave: all of them in the only wave of a
   batch. In a batch of several waves it is one, and b->index becomes the number of the wave among
   those of the sequence. */
struct sequences {
    int32_t begin, end;
};

static enum ko_code find_sequences(struct wave_builder *b, const struct ko_tree_model *model,
                                   const struct ko_batch *batch, int32_t record,
                                   const uint8_t *taken, struct ko_tree *tree,
                                   struct sequences *out)
{
    const int32_t fact = batch->fact[record];
    const struct ko_prompt *prompt = ko_plan_prompt(b->plan, batch->model, fact);
    enum ko_code code = KO_OK;
    *out = (struct sequences){0, ko_prompt_n_sequences(prompt)};
    while (code == KO_OK && batch->n_waves > 1 && out->end - out->begin > 1) {
        code = ko_tree_build(model, fact, out->begin, taken, tree, b->err);
        const int32_t n = code == KO_OK ? ko_tree_n_waves(tree) : 0;
        if (b->index < n) {
            out->end = out->begin + 1;
        } else {
            b->index -= n;
            out->begin++;
        }
    }
    return code;
}

static const uint8_t *taken_of(const struct ko_batch *batch, int32_t record)
{
    return batch->taken ? ko_taken_of(batch->taken, batch->model, batch->fact[record]) : NULL;
}

/* Adds the prompts themselves, before donors follow. */
static enum ko_code add_runs(struct wave_builder *b, const struct ko_tree_model *model,
                             const struct ko_batch *batch, struct ko_tree *tree)
{
    enum ko_code code = KO_OK;
    for (int32_t i = 0; code == KO_OK && i < batch->n_facts; i++) {
        struct sequences s;
        code = find_sequences(b, model, batch, i, taken_of(batch, i), tree, &s);
        for (int32_t k = s.begin; code == KO_OK && k < s.end; k++) {
            const struct ko_wave_run run = {k, i};
            code = add_run(b, batch->fact[i], &run);
        }
    }
    return code;
}

static enum ko_code add_prompts(struct wave_builder *b, const struct ko_batch *batch)
{
    struct ko_tree_model model = {0};
    struct ko_tree tree = {0};
    enum ko_code code = ko_tree_model_open(b->plan, batch->model, &model, b->err);
    if (code == KO_OK) {
        code = add_runs(b, &model, batch, &tree);
    }
    b->tree = &tree;
    for (int32_t p = 0; code == KO_OK && p < b->wave.n_results; p++) {
        const struct ko_wave_run run = b->wave.run[p];
        code = ko_tree_build(&model, batch->fact[run.record], run.sequence,
                             taken_of(batch, run.record), &tree, b->err);
        b->n_rows = tree.n_rows;
        if (code == KO_OK) {
            code = add_prompt(b, p);
        }
    }
    b->tree = NULL;
    ko_tree_free(&tree);
    ko_tree_model_close(&model);
    return code;
}

static enum ko_code sort_branches(const struct wave_builder *b)
{
    const struct ko_wave *wave = &b->wave;
    int32_t *now = ko_new((size_t)wave->n_branches, sizeof *now, b->err);
    enum ko_code code =
        now ? ko_branches_sort(wave->branch, wave->n_branches, now, b->err) : KO_E_MEMORY;
    for (int64_t i = 0; code == KO_OK && i < wave->n_cells; i++) {
        if (wave->cell[i].branch >= 0) {
            wave->cell[i].branch = now[wave->cell[i].branch];
        }
    }
    free(now);
    return code;
}

/* Hands the wave out, or frees it after a failure. */
static enum ko_code end_wave(struct wave_builder *b, enum ko_code code, struct ko_wave *out)
{
    if (code != KO_OK) {
        ko_wave_free(&b->wave);
        return code;
    }
    ko_branches_number_rows(b->wave.branch, b->wave.n_branches, b->wave.n_rows);
    *out = b->wave;
    return KO_OK;
}

enum ko_code ko_wave_build(const struct ko_plan *plan, const struct ko_batch *batch, int32_t index,
                           struct ko_wave *out, struct ko_error *err)
{
    struct wave_builder b = {
        .plan = plan, .index = index, .wave = {.model = batch->model}, .err = err};
    if (index < 0 || index >= batch->n_waves) {
        return ko_fail(err, KO_E_FAILED, "wave %d of a batch of %d", index, batch->n_waves);
    }
    enum ko_code code = add_prompts(&b, batch);
    if (code == KO_OK) {
        code = sort_branches(&b);
    }
    return end_wave(&b, code, out);
}

/* The donor of a single cell; -1: it has none. */
static enum ko_code add_cell_donor(struct wave_builder *b, const struct ko_tree_model *model,
                                   int32_t donor)
{
    b->first_donor = b->wave.n_prompts;
    if (donor < 0) {
        return KO_OK;
    }
    b->wave.n_rows += ko_plan_prompt(b->plan, model->model, donor)->n_tokens;
    return add_fact(b, donor);
}

static enum ko_code add_full_branch(struct wave_builder *b, const struct ko_tree_model *model,
                                    const struct ko_cell *cell)
{
    const int32_t window = cell->start * b->plan->n_sizes + cell->size;
    struct ko_branch branch = {.parent = -1, .leaves_at = -1, .edge_set = -1, .removal = -1};
    struct ko_intervention x = {0};
    int32_t index = 0;
    enum ko_code code =
        ko_intervention_make(model, cell->fact, cell->route, cell->source_position, &x, b->err);
    if (code == KO_OK) {
        const struct ko_tree_layout *layout = x.kind->layout(&x, model, cell->class);
        branch.n_rows = b->n_rows;
        branch.window_begin = layout->range[window].begin;
        branch.window_end = layout->range[window].end;
        x.kind->describe(model, cell->class, &branch);
        b->wave.n_rows = 2 * b->n_rows;
        code = add_cell_donor(b, model, donor_of(&x, model, cell->class));
        if (code == KO_OK && x.kind->edge_set) {
            code = add_edge_set(b, &x, &branch.edge_set);
        }
        if (code == KO_OK && x.kind->removal) {
            code = add_removal(b, &x, model, cell->class, window, &branch.removal);
        } else if (code == KO_OK) {
            code = copy_within(layout, window, &branch.stages, b->err);
        }
    }
    if (code == KO_OK) {
        code = add_branch(b, &branch, &index);
    }
    ko_intervention_free(&x);
    return code;
}

enum ko_code ko_wave_of_cell(const struct ko_plan *plan, const struct ko_cell *cell,
                             int32_t sequence, struct ko_wave *out, struct ko_error *err)
{
    const struct ko_prompt *prompt = ko_plan_prompt(plan, cell->model, cell->fact);
    struct wave_builder b = {.plan = plan,
                             .n_rows = ko_prompt_n_rows(prompt, sequence),
                             .wave = {.model = cell->model},
                             .err = err};
    const struct ko_wave_run run = {sequence, 0};
    struct ko_tree_model model = {0};
    enum ko_code code = add_run(&b, cell->fact, &run);
    if (code == KO_OK) {
        code = ko_tree_model_open(plan, cell->model, &model, err);
    }
    if (code == KO_OK) {
        code = add_full_branch(&b, &model, cell);
    }
    ko_tree_model_close(&model);
    return end_wave(&b, code, out);
}

void ko_wave_free(struct ko_wave *wave)
{
    for (int32_t i = 0; i < wave->n_edge_sets; i++) {
        free((void *)(uintptr_t)wave->edge_set[i].target); /* holds the sources too */
    }
    for (int32_t i = 0; i < wave->n_removals; i++) {
        free((void *)(uintptr_t)wave->removal[i].at);
        free((void *)(uintptr_t)wave->removal[i].donor_at);
        free((void *)(uintptr_t)wave->removal[i].within);
    }
    for (int32_t b = 0; b < wave->n_branches; b++) {
        free((void *)(uintptr_t)wave->branch[b].stages);
    }
    free(wave->removal);
    free(wave->fact);
    free(wave->run);
    free(wave->branch);
    free(wave->edge_set);
    free(wave->cell);
    *wave = (struct ko_wave){0};
}
