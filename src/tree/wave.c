/* SPDX-License-Identifier: Apache-2.0 */
/* Turns one wave of a batch into branches with their edges and cells, and sorts the branches by
   their rows. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/tree/batch.h"
#include "src/tree/prompt_tree.h"
#include "src/tree/taken.h"

struct wave_builder {
    const struct ko_plan *plan;
    const struct ko_tree *tree;
    int32_t index; /* of the wave in its batch */
    struct ko_wave wave;
    size_t branch_capacity, edges_capacity, edges_prompt_capacity, cell_capacity;
    int32_t *edges_at;  /* [tree->n_edges] index in the wave, -1: not there yet */
    int32_t *branch_at; /* [n_groups, n_windows] of the prompt in hand; NOWHERE: in another wave */
    struct ko_error *err;
};

enum { NOWHERE = -2 };

static enum ko_code copy_edges(const struct ko_edges *from, struct ko_edges *to,
                               struct ko_error *err)
{
    size_t n = (size_t)from->n_tokens;
    struct ko_edges copy = *from;
    copy.target = ko_new(n, 1, err);
    copy.source = ko_new(n, 1, err);
    if (!copy.target || !copy.source) {
        ko_edges_free(&copy);
        return KO_E_MEMORY;
    }
    memcpy(copy.target, from->target, n);
    memcpy(copy.source, from->source, n);
    *to = copy;
    return KO_OK;
}

static enum ko_code place_edges(struct wave_builder *b, int32_t prompt, int32_t edges,
                                int32_t *index)
{
    if (b->edges_at[edges] >= 0) {
        *index = b->edges_at[edges];
        return KO_OK;
    }
    struct ko_wave *wave = &b->wave;
    size_t n = (size_t)wave->n_edges + 1;
    void *grown = ko_grow(wave->edges, &b->edges_capacity, n, sizeof *wave->edges, b->err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    wave->edges = grown;
    grown = ko_grow(wave->edges_prompt, &b->edges_prompt_capacity, n, sizeof *wave->edges_prompt,
                    b->err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    wave->edges_prompt = grown;
    enum ko_code code = copy_edges(&b->tree->edges[edges], &wave->edges[wave->n_edges], b->err);
    if (code != KO_OK) {
        return code;
    }
    wave->edges_prompt[wave->n_edges] = prompt;
    *index = b->edges_at[edges] = wave->n_edges++;
    return KO_OK;
}

static enum ko_code add_branch(struct wave_builder *b, const struct ko_wave_branch *branch,
                               int32_t *index)
{
    void *grown = ko_grow(b->wave.branch, &b->branch_capacity, (size_t)b->wave.n_branches + 1,
                          sizeof *b->wave.branch, b->err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    b->wave.branch = grown;
    *index = b->wave.n_branches++;
    b->wave.branch[*index] = *branch;
    return KO_OK;
}

/* The longest window leaves the trunk at its start, every shorter one leaves it at its own end. */
static enum ko_code add_family(struct wave_builder *b, int32_t prompt,
                               const struct ko_tree_family *family)
{
    const struct ko_plan *plan = b->plan;
    const struct ko_tree_group *group = &b->tree->group[family->group];
    size_t at = (size_t)family->group * b->tree->model->n_windows +
                (size_t)family->start * (size_t)plan->n_sizes;
    struct ko_wave_branch branch = {.prompt = prompt,
                                    .parent = -1,
                                    .class = group->class,
                                    .first_position = b->tree->n_tokens - group->branch_rows};
    if (family->n_branches == 0) {
        for (int32_t i = 0; i < plan->n_sizes; i++) {
            b->branch_at[at + (size_t)i] = -1; /* the clean run */
        }
        return KO_OK;
    }
    enum ko_code code = place_edges(b, prompt, group->edges, &branch.edges);
    for (int32_t i = plan->n_sizes - 1; code == KO_OK && i >= 0; i--) {
        if (!b->tree->windows[at + (size_t)i]) {
            continue;
        }
        int32_t longest = 0;
        branch.leaves_at = ko_tree_leaves_at(b->tree, family->group, family->start, i, &longest);
        branch.window_begin = branch.leaves_at;
        branch.window_end = branch.leaves_at + (i == longest ? plan->size[i] : 0);
        branch.parent = i == longest ? -1 : b->branch_at[at + (size_t)longest];
        code = add_branch(b, &branch, &b->branch_at[at + (size_t)i]);
    }
    return code;
}

static enum ko_code add_cells(struct wave_builder *b, int32_t prompt, size_t index)
{
    const struct ko_plan *plan = b->plan;
    const struct ko_tree_member *member = &b->tree->member[index];
    const uint8_t *wanted = ko_tree_wanted(b->tree, index);
    const int32_t *at = b->branch_at + (size_t)member->group * b->tree->model->n_windows;
    for (int32_t s = 0; s < plan->n_starts; s++) {
        for (int32_t i = 0; i < plan->n_sizes; i++, wanted++, at++) {
            if (!*wanted || *at == NOWHERE) {
                continue;
            }
            void *grown = ko_grow(b->wave.cell, &b->cell_capacity, (size_t)b->wave.n_cells + 1,
                                  sizeof *b->wave.cell, b->err);
            if (!grown) {
                return KO_E_MEMORY;
            }
            b->wave.cell = grown;
            b->wave.cell[b->wave.n_cells++] =
                (struct ko_wave_cell){prompt, *at,
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
    b->edges_at = ko_new(tree->n_edges, sizeof *b->edges_at, b->err);
    b->branch_at = ko_new(n, sizeof *b->branch_at, b->err);
    if (!b->edges_at || !b->branch_at) {
        goto done;
    }
    for (size_t i = 0; i < tree->n_edges; i++) {
        b->edges_at[i] = -1;
    }
    for (size_t i = 0; i < n; i++) {
        b->branch_at[i] = NOWHERE;
    }
    code = KO_OK;
    b->wave.n_rows += tree->n_tokens;
    struct ko_tree_walk walk;
    ko_tree_walk_begin(tree, &walk);
    while (code == KO_OK && ko_tree_walk_next(&walk)) {
        if (walk.family.wave == b->index) {
            code = add_family(b, prompt, &walk.family);
            b->wave.n_rows += (int32_t)walk.family.n_rows;
        }
    }
    for (size_t i = 0; code == KO_OK && i < tree->n_members; i++) {
        if (tree->member[i].group >= 0) {
            code = add_cells(b, prompt, i);
        }
    }
done:
    free(b->edges_at);
    free(b->branch_at);
    b->edges_at = b->branch_at = NULL;
    return code;
}

struct sorted_branch {
    struct ko_wave_branch branch;
    bool conv;
    int32_t was;
};

static int compare_int(int32_t a, int32_t b)
{
    return (a > b) - (a < b);
}

static int by_rows(const void *left, const void *right)
{
    const struct sorted_branch *a = left, *b = right;
    const int orders[] = {compare_int(a->branch.leaves_at, b->branch.leaves_at),
                          compare_int(b->conv, a->conv),
                          compare_int(a->branch.prompt, b->branch.prompt),
                          compare_int(a->branch.first_position, b->branch.first_position),
                          compare_int(a->branch.edges, b->branch.edges),
                          compare_int(a->was, b->was)};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        if (orders[i] != 0) {
            return orders[i];
        }
    }
    return 0;
}

/* Brings the branches into the order of their rows; parents stay in front, for they leave earlier.
 */
static enum ko_code sort_branches(struct wave_builder *b)
{
    struct ko_wave *wave = &b->wave;
    size_t n = (size_t)wave->n_branches;
    struct sorted_branch *sorted = ko_new(n, sizeof *sorted, b->err);
    int32_t *now = ko_new(n, sizeof *now, b->err);
    enum ko_code code = KO_E_MEMORY;
    if (!sorted || !now) {
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i].branch = wave->branch[i];
        sorted[i].conv = b->plan->class[wave->branch[i].class].conv;
        sorted[i].was = (int32_t)i;
    }
    qsort(sorted, n, sizeof *sorted, by_rows);
    for (size_t i = 0; i < n; i++) {
        now[sorted[i].was] = (int32_t)i;
    }
    for (size_t i = 0; i < n; i++) {
        wave->branch[i] = sorted[i].branch;
        if (wave->branch[i].parent >= 0) {
            wave->branch[i].parent = now[wave->branch[i].parent];
        }
    }
    for (int64_t i = 0; i < wave->n_cells; i++) {
        if (wave->cell[i].branch >= 0) {
            wave->cell[i].branch = now[wave->cell[i].branch];
        }
    }
    code = KO_OK;
done:
    free(sorted);
    free(now);
    return code;
}

static enum ko_code build(struct wave_builder *b, const struct ko_batch *batch)
{
    struct ko_tree_model model = {0};
    struct ko_tree tree = {0};
    b->wave.model = batch->model;
    b->wave.fact = ko_new((size_t)batch->n_facts, sizeof *b->wave.fact, b->err);
    if (!b->wave.fact) {
        return KO_E_MEMORY;
    }
    memcpy(b->wave.fact, batch->fact, (size_t)batch->n_facts * sizeof *b->wave.fact);
    b->wave.n_prompts = batch->n_facts;
    enum ko_code code = ko_tree_model_open(b->plan, batch->model, &model, b->err);
    b->tree = &tree;
    for (int32_t i = 0; code == KO_OK && i < batch->n_facts; i++) {
        const uint8_t *taken =
            batch->taken ? ko_taken_of(batch->taken, batch->model, batch->fact[i]) : NULL;
        code = ko_tree_build(&model, batch->fact[i], taken, &tree, b->err);
        if (code == KO_OK) {
            code = add_prompt(b, i);
        }
    }
    b->tree = NULL;
    ko_tree_free(&tree);
    ko_tree_model_close(&model);
    return code == KO_OK ? sort_branches(b) : code;
}

enum ko_code ko_wave_build(const struct ko_plan *plan, const struct ko_batch *batch, int32_t index,
                           struct ko_wave *out, struct ko_error *err)
{
    struct wave_builder b = {.plan = plan, .index = index, .err = err};
    if (index < 0 || index >= batch->n_waves) {
        return ko_fail(err, KO_E_FAILED, "wave %d of a batch of %d", index, batch->n_waves);
    }
    enum ko_code code = build(&b, batch);
    if (code != KO_OK) {
        ko_wave_free(&b.wave);
        return code;
    }
    *out = b.wave;
    return KO_OK;
}

void ko_wave_free(struct ko_wave *wave)
{
    for (int32_t i = 0; i < wave->n_edges; i++) {
        ko_edges_free(&wave->edges[i]);
    }
    free(wave->fact);
    free(wave->branch);
    free(wave->edges);
    free(wave->edges_prompt);
    free(wave->cell);
    *wave = (struct ko_wave){0};
}
