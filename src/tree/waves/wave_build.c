/* SPDX-License-Identifier: Apache-2.0 */
/* Builds a wave of a batch, or of a single cell. */
#include "src/tree/waves/wave_build.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/tree/branches/branch_order.h"
#include "src/tree/interventions.h"
#include "src/tree/taken.h"
#include "src/tree/tree_walk.h"
#include "src/tree/waves/wave_builder.h"

static const uint8_t *taken_of(const struct ko_batch *batch, int32_t record)
{
    return batch->taken ? ko_taken_of(batch->taken, batch->model, batch->fact[record]) : NULL;
}

/* Adds the prompts themselves, before donors follow. */
static enum ko_code add_runs(struct ko_wave_builder *b, const struct ko_batch *batch)
{
    enum ko_code code = KO_OK;
    for (int32_t i = 0; code == KO_OK && i < batch->n_facts; i++) {
        const struct ko_prompt *prompt = ko_plan_prompt(b->plan, batch->model, batch->fact[i]);
        code = ko_wave_add_run(b, batch->fact[i], ko_prompt_trunk_sequence(prompt));
    }
    return code;
}

static enum ko_code add_prompts(struct ko_wave_builder *b, const struct ko_batch *batch)
{
    struct ko_tree_model model = {0};
    struct ko_tree tree = {0};
    enum ko_code code = ko_tree_model_open(b->plan, batch->model, &model, b->err);
    if (code == KO_OK) {
        code = add_runs(b, batch);
    }
    b->tree = &tree;
    for (int32_t p = 0; code == KO_OK && p < b->wave.n_results; p++) {
        code = ko_tree_build(&model, batch->fact[p], taken_of(batch, p), &tree, b->err);
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
    const size_t n = (size_t)wave->n_branches;
    int32_t *now = ko_new(2 * n, sizeof *now, b->err);
    enum ko_code code =
        now ? ko_branches_sort(wave->branch, wave->n_branches, now, b->err) : KO_E_MEMORY;
    if (code == KO_OK && n > 0) {
        int32_t *was = now + n;
        memcpy(was, wave->sequence, n * sizeof *was);
        for (size_t k = 0; k < n; k++) {
            wave->sequence[now[k]] = was[k];
        }
    }
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
    struct ko_branch branch = {
        .parent = -1, .leaves_at = KO_LEAVES_EMBEDDED, .edge_set = -1, .removal = -1};
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
        code = ko_wave_add_branch(b, &branch, b->wave.trunk_sequence[0], &index);
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
    struct ko_tree_model model = {0};
    enum ko_code code = ko_wave_add_run(&b, cell->fact, sequence);
    if (code == KO_OK) {
        code = ko_tree_model_open(plan, cell->model, &model, err);
    }
    if (code == KO_OK) {
        code = add_full_branch(&b, &model, cell);
    }
    ko_tree_model_close(&model);
    return end_wave(&b, code, out);
}
