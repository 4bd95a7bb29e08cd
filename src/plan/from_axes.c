/* SPDX-License-Identifier: Apache-2.0 */
/* Builds a plan from given axes. It shares the steps of build.c; only the axes are copied and
   the one block selects everything. */
#include "src/plan/from_axes.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/plan/build.h"

static enum ko_code add_labels(const struct ko_plan_axes *axes, const struct ko_strings *spans,
                               struct ko_plan *plan, struct ko_error *err)
{
    plan->route = ko_new(axes->routes[0]->n + axes->routes[1]->n, sizeof *plan->route, err);
    plan->class = ko_new(axes->classes->n, sizeof *plan->class, err);
    enum ko_code code = plan->route && plan->class ? KO_OK : KO_E_MEMORY;
    for (int k = 0; k < 2; k++) {
        for (size_t r = 0; code == KO_OK && r < axes->routes[k]->n; r++) {
            code = ko_plan_add_route(plan, axes->routes[k]->item[r], spans, err);
        }
    }
    for (size_t c = 0; code == KO_OK && c < axes->classes->n; c++) {
        code = ko_plan_add_class(plan, axes->classes->item[c], err);
    }
    return code;
}

static enum ko_code copy_windows(const struct ko_plan_axes *axes, struct ko_plan *plan,
                                 struct ko_error *err)
{
    const size_t n_sizes = (size_t)axes->n_sizes, n_starts = (size_t)axes->n_starts;
    plan->size = ko_new(n_sizes, sizeof *plan->size, err);
    plan->start = ko_new(n_starts, sizeof *plan->start, err);
    if (!plan->size || !plan->start) {
        return KO_E_MEMORY;
    }
    memcpy(plan->size, axes->size, n_sizes * sizeof *plan->size);
    memcpy(plan->start, axes->start, n_starts * sizeof *plan->start);
    plan->n_sizes = axes->n_sizes;
    plan->n_starts = axes->n_starts;
    const enum ko_code code = ko_plan_count_layers(plan, axes->over, err);
    return code == KO_OK ? ko_plan_set_style(plan, axes->style, &axes->lists, err) : code;
}

static uint8_t *new_ones(size_t n, struct ko_error *err)
{
    uint8_t *ones = ko_new(n, 1, err);
    if (ones) {
        memset(ones, 1, n);
    }
    return ones;
}

static enum ko_code add_block(struct ko_plan *plan, struct ko_error *err)
{
    const size_t n_models = (size_t)plan->n_models, n_prompts = n_models * (size_t)plan->n_facts;
    const size_t n_sizes = (size_t)plan->n_sizes;
    plan->block = ko_new(1, sizeof *plan->block, err);
    if (!plan->block) {
        return KO_E_MEMORY;
    }
    plan->n_blocks = 1;
    struct ko_plan_block *block = &plan->block[0];
    block->selected = ko_new(n_prompts, 1, err);
    block->route = new_ones((size_t)plan->n_routes, err);
    block->class = new_ones((size_t)plan->n_classes, err);
    block->size = ko_new(n_models * n_sizes, 1, err);
    block->start = new_ones((size_t)plan->n_starts, err);
    if (!block->selected || !block->route || !block->class || !block->size || !block->start) {
        return KO_E_MEMORY;
    }
    for (size_t p = 0; p < n_prompts; p++) {
        block->selected[p] = plan->prompt[p].reason == KO_RUNNABLE;
    }
    for (size_t k = 0; k < n_models * n_sizes; k++) {
        block->size[k] = plan->size[k % n_sizes] <= ko_plan_n_counted(&plan->model[k / n_sizes]);
    }
    return KO_OK;
}

enum ko_code ko_plan_from_axes(struct ko_plan_axes *axes, struct ko_plan **out,
                               struct ko_error *err)
{
    struct ko_plan *plan = ko_new(1, sizeof *plan, err);
    if (!plan) {
        return KO_E_MEMORY;
    }
    *plan = (struct ko_plan){.kind = KO_PLAN_SWEEP,
                             .model = axes->model,
                             .n_models = axes->n_models,
                             .prompt = axes->prompt,
                             .score = axes->score,
                             .answer_rows = axes->answer_rows};
    struct ko_plan_builder builder = {
        .facts = axes->facts, .n_files = axes->n_files, .plan = plan, .err = err};
    struct ko_strings spans = {0};
    enum ko_code code = ko_plan_build_facts(&builder);
    if (code == KO_OK) {
        code = ko_plan_gather_spans(&builder, &spans);
    }
    if (code == KO_OK) {
        code = add_labels(axes, &spans, plan, err);
    }
    if (code == KO_OK) {
        code = copy_windows(axes, plan, err);
    }
    if (code == KO_OK) {
        code = add_block(plan, err);
    }
    if (code == KO_OK) {
        code = ko_plan_build_prompts(&builder);
    }
    if (code == KO_OK) {
        code = ko_plan_mark_references(plan, err);
    }
    ko_strings_free(&spans);
    free(builder.file_begin);
    if (code != KO_OK) {
        plan->model = NULL; /* still the caller's */
        plan->prompt = NULL;
        ko_plan_free(plan);
        return code;
    }
    axes->model = NULL;
    axes->prompt = NULL;
    *out = plan;
    return KO_OK;
}
