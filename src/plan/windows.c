/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the axes of window sizes and starts from the sweep blocks, and marks which of them each
   block uses. It warns of sizes that exceed a model's layers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/plan/build.h"

/* Whether the block has a prompt and a class for the model. */
static bool is_active(const struct ko_plan *plan, const struct ko_plan_block *block, int32_t model)
{
    const uint8_t *selected = block->selected + (size_t)model * (size_t)plan->n_facts;
    return ko_plan_block_has_class(plan, block, model) &&
           memchr(selected, 1, (size_t)plan->n_facts) != NULL;
}

static int32_t largest_layers(const struct ko_plan *plan)
{
    int32_t largest = 0;
    for (int32_t m = 0; m < plan->n_models; m++) {
        if (plan->model[m].n_layers > largest) {
            largest = plan->model[m].n_layers;
        }
    }
    return largest;
}

/* Marks the planned sizes [largest + 1] and starts [largest], in layers. Lists sizes that exceed the
   model's layers in *sizes_out, and sizes without a start that fits in *starts_out. */
static enum ko_code mark_windows(const struct ko_plan_builder *builder, int32_t model,
                                 uint8_t *size_used, uint8_t *start_used, struct ko_text *sizes_out,
                                 struct ko_text *starts_out)
{
    const struct ko_plan *plan = builder->plan;
    int32_t n_layers = plan->model[model].n_layers;
    for (int32_t b = 0; b < plan->n_blocks; b++) {
        const struct ko_spec_block *block = &builder->input->spec->block[b];
        if (!builder->block_model[(size_t)b * (size_t)plan->n_models + (size_t)model] ||
            !is_active(plan, &plan->block[b], model)) {
            continue;
        }
        for (size_t i = 0; i < block->n_sizes; i++) {
            int32_t size = ko_size_layers(&block->size[i], n_layers);
            bool fits = false;
            for (int32_t start = 0; start <= n_layers - size; start++) {
                if (ko_spec_starts_at(block, start)) {
                    size_used[size] = start_used[start] = 1;
                    fits = true;
                }
            }
            char text[16], padded[24];
            snprintf(text, sizeof text, "%d", size);
            snprintf(padded, sizeof padded, " %d,", size);
            struct ko_text *out = size > n_layers ? sizes_out : starts_out;
            if (!fits && !strstr(ko_text_str(out), padded)) {
                ko_text_add(out, " %s,", text);
            }
        }
    }
    enum ko_code code = ko_text_check(sizes_out, builder->err);
    return code == KO_OK ? ko_text_check(starts_out, builder->err) : code;
}

static enum ko_code mark_model(const struct ko_plan_builder *builder, int32_t model,
                               uint8_t *size_used, uint8_t *start_used)
{
    struct ko_text sizes = {0}, starts = {0};
    enum ko_code code = mark_windows(builder, model, size_used, start_used, &sizes, &starts);
    const struct ko_plan_model *m = &builder->plan->model[model];
    if (code == KO_OK && sizes.n > 0) {
        code = ko_plan_warn(builder,
                            "%s: window sizes%.*s are larger than its %d layers and left "
                            "out",
                            m->name, (int)sizes.n - 1, ko_text_str(&sizes), m->n_layers);
    }
    if (code == KO_OK && starts.n > 0) {
        code = ko_plan_warn(builder,
                            "%s: window sizes%.*s have no start that fits its %d layers "
                            "and are left out",
                            m->name, (int)starts.n - 1, ko_text_str(&starts), m->n_layers);
    }
    ko_text_free(&sizes);
    ko_text_free(&starts);
    return code;
}

static enum ko_code list_marks(const uint8_t *used, int32_t n, int32_t **list, int32_t *n_list,
                               struct ko_error *err)
{
    int32_t count = 0;
    for (int32_t i = 0; i < n; i++) {
        count += used[i];
    }
    *list = ko_new((size_t)count, sizeof **list, err);
    if (!*list) {
        return KO_E_MEMORY;
    }
    for (int32_t i = 0; i < n; i++) {
        if (used[i]) {
            (*list)[(*n_list)++] = i;
        }
    }
    return KO_OK;
}

static int32_t find_value(const int32_t *list, int32_t n, int32_t value)
{
    int32_t i = 0;
    while (i < n && list[i] != value) {
        i++;
    }
    return i < n ? i : -1;
}

static enum ko_code fill_block(const struct ko_plan_builder *builder, int32_t b)
{
    const struct ko_plan *plan = builder->plan;
    const struct ko_spec_block *block = &builder->input->spec->block[b];
    struct ko_plan_block *out = &plan->block[b];
    size_t n_sizes = (size_t)plan->n_sizes;
    out->size = ko_new((size_t)plan->n_models * n_sizes, 1, builder->err);
    out->start = ko_new((size_t)plan->n_starts, 1, builder->err);
    if (!out->size || !out->start) {
        return KO_E_MEMORY;
    }
    for (int32_t m = 0; m < plan->n_models; m++) {
        if (!builder->block_model[(size_t)b * (size_t)plan->n_models + (size_t)m]) {
            continue;
        }
        for (size_t i = 0; i < block->n_sizes; i++) {
            int32_t size = ko_size_layers(&block->size[i], plan->model[m].n_layers);
            int32_t at = find_value(plan->size, plan->n_sizes, size);
            if (at >= 0 && size <= plan->model[m].n_layers) {
                out->size[(size_t)m * n_sizes + (size_t)at] = 1;
            }
        }
    }
    for (int32_t s = 0; s < plan->n_starts; s++) {
        out->start[s] = ko_spec_starts_at(block, plan->start[s]);
    }
    return KO_OK;
}

/* Reports that no window fits a model, with the size that came nearest. */
static enum ko_code fail_windows(const struct ko_plan_builder *builder)
{
    const struct ko_plan *plan = builder->plan;
    const struct ko_spec_block *best_block = NULL;
    const struct ko_size *best = NULL;
    const struct ko_plan_model *largest = NULL;
    int32_t least = INT32_MAX, model = -1;
    for (int32_t b = 0; b < plan->n_blocks; b++) {
        const struct ko_spec_block *block = &builder->input->spec->block[b];
        for (int32_t m = 0; m < plan->n_models; m++) {
            if (!builder->block_model[(size_t)b * (size_t)plan->n_models + (size_t)m]) {
                continue;
            }
            if (!largest || plan->model[m].n_layers > largest->n_layers) {
                largest = &plan->model[m];
            }
            for (size_t i = 0; i < block->n_sizes && is_active(plan, &plan->block[b], m); i++) {
                int32_t size = ko_size_layers(&block->size[i], plan->model[m].n_layers);
                if (size - plan->model[m].n_layers < least) {
                    least = size - plan->model[m].n_layers;
                    best = &block->size[i];
                    best_block = block;
                    model = m;
                }
            }
        }
    }
    if (!best) {
        return ko_fail(builder->err, KO_E_INPUT,
                       "%s: no cell is left: no model has a feature class of the block that asks "
                       "for it, give it features: [all]",
                       builder->input->spec->file);
    }
    if (least > 0) {
        return ko_fail(builder->err, KO_E_INPUT,
                       "%s: window size %.15g is larger than the largest model (%s, %d layers), "
                       "use sizes up to %d",
                       best->where, best->value, largest->name, largest->n_layers,
                       largest->n_layers);
    }
    return ko_fail(builder->err, KO_E_INPUT,
                   "%s: windows: no start is left: windows of %d layers start at 0 to %d in %s "
                   "(%d layers)",
                   best_block->where, plan->model[model].n_layers + least, -least,
                   plan->model[model].name, plan->model[model].n_layers);
}

enum ko_code ko_plan_build_windows(struct ko_plan_builder *builder)
{
    struct ko_plan *plan = builder->plan;
    int32_t largest = largest_layers(plan);
    uint8_t *size_used = ko_new((size_t)largest + 1, 1, builder->err);
    uint8_t *start_used = ko_new((size_t)largest, 1, builder->err);
    enum ko_code code = !size_used || !start_used ? KO_E_MEMORY : KO_OK;
    for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
        code = mark_model(builder, m, size_used, start_used);
    }
    if (code == KO_OK) {
        code = list_marks(size_used, largest + 1, &plan->size, &plan->n_sizes, builder->err);
    }
    if (code == KO_OK) {
        code = list_marks(start_used, largest, &plan->start, &plan->n_starts, builder->err);
    }
    if (code == KO_OK && plan->n_sizes == 0) {
        code = fail_windows(builder);
    }
    for (int32_t b = 0; code == KO_OK && b < plan->n_blocks; b++) {
        code = fill_block(builder, b);
    }
    free(size_used);
    free(start_used);
    return code;
}
