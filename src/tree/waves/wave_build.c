/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the sequences of prompts that pass in a wave of a batch, and builds the wave. */
#include "src/tree/waves/wave_build.h"

#include <stdlib.h>

#include "src/base/memory.h"
#include "src/tree/branches/branch_order.h"
#include "src/tree/interventions.h"
#include "src/tree/taken.h"
#include "src/tree/tree_walk.h"
#include "src/tree/waves/wave_builder.h"

/* The sequences [begin, end) of a fact that pass in the wave: all of them in the only wave of a
   batch. In a batch of several waves it is one, and b->index becomes the number of the wave among
   those of the sequence. */
struct sequences {
    int32_t begin, end;
};

static enum ko_code find_sequences(struct ko_wave_builder *b, const struct ko_tree_model *model,
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
static enum ko_code add_runs(struct ko_wave_builder *b, const struct ko_tree_model *model,
                             const struct ko_batch *batch, struct ko_tree *tree)
{
    enum ko_code code = KO_OK;
    for (int32_t i = 0; code == KO_OK && i < batch->n_facts; i++) {
        struct sequences s;
        code = find_sequences(b, model, batch, i, taken_of(batch, i), tree, &s);
        for (int32_t k = s.begin; code == KO_OK && k < s.end; k++) {
            const struct ko_wave_run run = {k, i};
            code = ko_wave_add_run(b, batch->fact[i], &run);
        }
    }
    return code;
}

static enum ko_code add_prompts(struct ko_wave_builder *b, const struct ko_batch *batch)
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
            code = ko_wave_add_prompt(b, p);
        }
    }
    b->tree = NULL;
    ko_tree_free(&tree);
    ko_tree_model_close(&model);
    return code;
}

static enum ko_code sort_branches(const struct ko_wave_builder *b)
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
static enum ko_code end_wave(struct ko_wave_builder *b, enum ko_code code, struct ko_wave *out)
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
    struct ko_wave_builder b = {
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
static enum ko_code add_cell_donor(struct ko_wave_builder *b, const struct ko_tree_model *model,
                                   int32_t donor)
{
    b->first_donor = b->wave.n_prompts;
    if (donor < 0) {
        return KO_OK;
    }
    b->wave.n_rows += ko_plan_prompt(b->plan, model->model, donor)->n_tokens;
    return ko_wave_add_fact(b, donor);
}

static enum ko_code add_full_branch(struct ko_wave_builder *b, const struct ko_tree_model *model,
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
        code = add_cell_donor(b, model, ko_wave_donor_of(&x, model, cell->class));
        if (code == KO_OK && x.kind->edge_set) {
            code = ko_wave_add_edges(b, &x, &branch.edge_set);
        }
        if (code == KO_OK && x.kind->removal) {
            code = ko_wave_add_removal(b, &x, model, cell->class, window, &branch.removal);
        } else if (code == KO_OK) {
            code = ko_wave_copy_within(layout, window, &branch.stages, b->err);
        }
    }
    if (code == KO_OK) {
        code = ko_wave_add_branch(b, &branch, &index);
    }
    ko_intervention_free(&x);
    return code;
}

enum ko_code ko_wave_of_cell(const struct ko_plan *plan, const struct ko_cell *cell,
                             int32_t sequence, struct ko_wave *out, struct ko_error *err)
{
    const struct ko_prompt *prompt = ko_plan_prompt(plan, cell->model, cell->fact);
    struct ko_wave_builder b = {.plan = plan,
                                .n_rows = ko_prompt_n_rows(prompt, sequence),
                                .wave = {.model = cell->model},
                                .err = err};
    const struct ko_wave_run run = {sequence, 0};
    struct ko_tree_model model = {0};
    enum ko_code code = ko_wave_add_run(&b, cell->fact, &run);
    if (code == KO_OK) {
        code = ko_tree_model_open(plan, cell->model, &model, err);
    }
    if (code == KO_OK) {
        code = add_full_branch(&b, &model, cell);
    }
    ko_tree_model_close(&model);
    return end_wave(&b, code, out);
}
