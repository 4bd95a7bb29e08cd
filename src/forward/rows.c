/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a wave into arrays of rows: first the trunks, then the branches, then the last rows, which
   are scored. */
#include "src/forward/rows.h"

#include <stdlib.h>

#include "src/base/memory.h"

static enum ko_code allocate_rows(struct ko_row_set *set, int32_t n_trunk,
                                  const struct ko_wave *wave, int32_t n_stages,
                                  struct ko_error *err)
{
    set->n_last = wave->n_prompts + wave->n_branches;
    set->per_row = ko_new(5 * (size_t)wave->n_rows, sizeof *set->per_row, err);
    set->token = ko_new((size_t)n_trunk, sizeof *set->token, err);
    set->per_prompt = ko_new(2 * (size_t)wave->n_prompts, sizeof *set->per_prompt, err);
    set->per_stage = ko_new(4 * (size_t)n_stages, sizeof *set->per_stage, err);
    set->last = ko_new(4 * (size_t)set->n_last, sizeof *set->last, err);
    if (!set->per_row || !set->token || !set->per_prompt || !set->per_stage || !set->last) {
        return err ? err->code : KO_E_MEMORY;
    }
    set->clean = set->last + set->n_last;
    set->target = set->clean + set->n_last;
    set->foil = set->target + set->n_last;
    return KO_OK;
}

/* The row arrays of the set, writable. */
struct row_arrays {
    int32_t *position, *previous, *branch, *prompt, *parent_row;
};

static struct row_arrays bind_arrays(struct ko_row_set *set, int32_t n_trunk,
                                     const struct ko_wave *wave, int32_t n_stages)
{
    const size_t n = (size_t)wave->n_rows;
    struct row_arrays a = {set->per_row, set->per_row + n, set->per_row + 2 * n,
                           set->per_row + 3 * n, set->per_row + 4 * n};
    struct ko_rows *rows = &set->rows;
    rows->n_rows = wave->n_rows;
    rows->n_trunk_rows = n_trunk;
    rows->n_prompts = wave->n_prompts;
    rows->n_branches = wave->n_branches;
    rows->n_edge_sets = wave->n_edge_sets;
    rows->n_stages = n_stages;
    rows->position = a.position;
    rows->previous = a.previous;
    rows->branch = a.branch;
    rows->prompt = a.prompt;
    rows->parent_row = a.parent_row;
    rows->token = set->token;
    rows->trunk_first = set->per_prompt;
    rows->n_tokens = set->per_prompt + wave->n_prompts;
    rows->branches = wave->branch;
    rows->edges = wave->edge_set;
    rows->removals = wave->removal;
    rows->n_removals = wave->n_removals;
    rows->n_projected = set->per_stage;
    rows->n_convolved = set->per_stage + n_stages;
    rows->n_active = set->per_stage + 2 * (size_t)n_stages;
    rows->n_branches_active = set->per_stage + 3 * (size_t)n_stages;
    return a;
}

static void lay_trunks(const struct ko_plan *plan, const struct ko_wave *wave,
                       struct ko_row_set *set, const struct row_arrays *a)
{
    int32_t row = 0;
    for (int32_t p = 0; p < wave->n_prompts; p++) {
        const struct ko_prompt *prompt = ko_plan_prompt(plan, wave->model, wave->fact[p]);
        set->per_prompt[p] = row;
        set->per_prompt[wave->n_prompts + p] = prompt->n_tokens;
        if (prompt->n_tokens > set->rows.max_tokens) {
            set->rows.max_tokens = prompt->n_tokens;
        }
        for (int32_t i = 0; i < prompt->n_tokens; i++, row++) {
            set->token[row] = prompt->token[i];
            a->position[row] = i;
            a->previous[row] = i > 0 ? row - 1 : -1;
            a->branch[row] = -1;
            a->prompt[row] = p;
            a->parent_row[row] = -1;
        }
    }
}

static void lay_branches(const struct ko_wave *wave, const struct ko_row_set *set,
                         const struct row_arrays *a)
{
    for (int32_t k = 0; k < wave->n_branches; k++) {
        const struct ko_branch *b = &wave->branch[k];
        const int32_t trunk = set->per_prompt[b->prompt], t0 = b->first_position;
        const int32_t parent = b->parent < 0 ? trunk + t0 : wave->branch[b->parent].first_row;
        for (int32_t i = 0; i < b->n_rows; i++) {
            const int32_t row = b->first_row + i;
            a->position[row] = t0 + i;
            a->previous[row] = i > 0 ? row - 1 : t0 > 0 ? trunk + t0 - 1 : -1;
            a->branch[row] = k;
            a->prompt[row] = b->prompt;
            a->parent_row[row] = parent + i;
        }
    }
}

static void count_stages(struct ko_row_set *set)
{
    struct ko_rows *rows = &set->rows;
    const int32_t n_stages = rows->n_stages;
    int32_t next = 0, active = rows->n_trunk_rows;
    while (next < rows->n_branches && rows->branches[next].leaves_at < 0) {
        active += rows->branches[next++].n_rows;
    }
    for (int32_t s = 0; s < n_stages; s++) {
        set->per_stage[s] = active;
        int32_t convolved = active;
        for (; next < rows->n_branches && rows->branches[next].leaves_at == s; next++) {
            active += rows->branches[next].n_rows;
            if (rows->branches[next].conv) {
                convolved = active;
            }
        }
        set->per_stage[n_stages + s] = convolved;
        set->per_stage[2 * n_stages + s] = active;
        set->per_stage[3 * n_stages + s] = next;
    }
}

static void find_last_rows(const struct ko_plan *plan, const struct ko_wave *wave,
                           struct ko_row_set *set)
{
    for (int32_t k = 0; k < set->n_last; k++) {
        const int32_t branch = k - wave->n_prompts;
        const int32_t p = branch < 0 ? k : wave->branch[branch].prompt;
        const struct ko_prompt *prompt = ko_plan_prompt(plan, wave->model, wave->fact[p]);
        const int32_t end = branch < 0
                                ? set->per_prompt[p] + prompt->n_tokens
                                : wave->branch[branch].first_row + wave->branch[branch].n_rows;
        set->last[k] = end - 1;
        set->clean[k] = p;
        set->target[k] = prompt->target;
        set->foil[k] = prompt->foil;
    }
}

enum ko_code ko_row_set_build(const struct ko_plan *plan, const struct ko_wave *wave,
                              struct ko_row_set *out, struct ko_error *err)
{
    const int32_t n_stages = ko_plan_n_stages(&plan->model[wave->model]);
    int32_t n_trunk = 0;
    for (int32_t p = 0; p < wave->n_prompts; p++) {
        n_trunk += ko_plan_prompt(plan, wave->model, wave->fact[p])->n_tokens;
    }
    struct ko_row_set set = {0};
    const enum ko_code code = allocate_rows(&set, n_trunk, wave, n_stages, err);
    if (code != KO_OK) {
        ko_row_set_free(&set);
        return code;
    }
    const struct row_arrays arrays = bind_arrays(&set, n_trunk, wave, n_stages);
    lay_trunks(plan, wave, &set, &arrays);
    lay_branches(wave, &set, &arrays);
    count_stages(&set);
    find_last_rows(plan, wave, &set);
    *out = set;
    return KO_OK;
}

void ko_row_set_free(struct ko_row_set *set)
{
    if (!set) {
        return;
    }
    free(set->per_row);
    free(set->token);
    free(set->per_prompt);
    free(set->per_stage);
    free(set->last);
    *set = (struct ko_row_set){0};
}
