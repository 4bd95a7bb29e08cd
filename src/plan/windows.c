/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the axes of window sizes and starts from the sweep blocks, and marks which of them each
   block uses. It warns of sizes that exceed the layers that windows count in a model. */
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
    return ko_plan_block_has_pair(plan, block, model) &&
           memchr(selected, 1, (size_t)plan->n_facts) != NULL;
}

static int32_t largest_counted(const struct ko_plan *plan)
{
    int32_t largest = 0;
    for (int32_t m = 0; m < plan->n_models; m++) {
        const int32_t n = ko_plan_n_counted(&plan->model[m]);
        largest = n > largest ? n : largest;
    }
    return largest;
}

/* The number of starts that a window of any model may have. */
static int32_t most_starts(const struct ko_plan *plan)
{
    return plan->style == KO_STYLE_LISTED ? plan->lists.n : largest_counted(plan);
}

/* Marks the planned sizes [largest + 1] and starts [most_starts], in counted layers. Lists sizes that
   exceed the model's in *sizes_out, and sizes without a start that fits in *starts_out. */
static enum ko_code mark_windows(const struct ko_plan_builder *builder, int32_t model,
                                 uint8_t *size_used, uint8_t *start_used, struct ko_text *sizes_out,
                                 struct ko_text *starts_out)
{
    const struct ko_plan *plan = builder->plan;
    const int32_t n_layers = ko_plan_n_counted(&plan->model[model]);
    for (int32_t b = 0; b < plan->n_blocks; b++) {
        const struct ko_spec_block *block = &builder->input->spec->block[b];
        if (!builder->block_model[(size_t)b * (size_t)plan->n_models + (size_t)model] ||
            !is_active(plan, &plan->block[b], model)) {
            continue;
        }
        for (size_t i = 0; i < block->n_sizes; i++) {
            int32_t size = ko_size_layers(&block->size[i], n_layers);
            bool fits = false;
            for (int32_t start = 0; start < most_starts(plan); start++) {
                if (ko_plan_window(&plan->model[model], size, start).end > 0 &&
                    ko_spec_starts_at(block, start)) {
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
    const char *what = ko_over_what[builder->plan->over];
    const int32_t n_layers = ko_plan_n_counted(m);
    if (code == KO_OK && sizes.n > 0) {
        code = ko_plan_warn(builder,
                            "%s: window sizes%.*s are larger than its %d %s and left "
                            "out",
                            m->name, (int)sizes.n - 1, ko_text_str(&sizes), n_layers, what);
    }
    if (code == KO_OK && starts.n > 0 && !ko_style_has_sizes(builder->plan->style)) {
        code = ko_plan_warn(builder,
                            "%s: the windows of a block do not fit its %d %s and are left out",
                            m->name, n_layers, what);
    } else if (code == KO_OK && starts.n > 0) {
        code = ko_plan_warn(builder,
                            "%s: window sizes%.*s have no start that fits its %d %s "
                            "and are left out",
                            m->name, (int)starts.n - 1, ko_text_str(&starts), n_layers, what);
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
        const int32_t n_layers = ko_plan_n_counted(&plan->model[m]);
        for (size_t i = 0; i < block->n_sizes; i++) {
            int32_t size = ko_size_layers(&block->size[i], n_layers);
            int32_t at = find_value(plan->size, plan->n_sizes, size);
            if (at >= 0 && size <= n_layers) {
                out->size[(size_t)m * n_sizes + (size_t)at] = 1;
            }
        }
    }
    for (int32_t s = 0; s < plan->n_starts; s++) {
        out->start[s] = ko_spec_starts_at(block, plan->start[s]);
    }
    return KO_OK;
}

/* The window size of an active block that comes nearest to its model. */
struct nearest {
    const struct ko_spec_block *block; /* NULL: no block is active */
    const struct ko_size *size;
    int32_t model, excess; /* layers by which it is too large; at most 0: it fits */
};

static struct nearest find_nearest(const struct ko_plan_builder *builder)
{
    const struct ko_plan *plan = builder->plan;
    struct nearest nearest = {.model = -1, .excess = INT32_MAX};
    for (int32_t b = 0; b < plan->n_blocks; b++) {
        const struct ko_spec_block *block = &builder->input->spec->block[b];
        for (int32_t m = 0; m < plan->n_models; m++) {
            if (!builder->block_model[(size_t)b * (size_t)plan->n_models + (size_t)m] ||
                !is_active(plan, &plan->block[b], m)) {
                continue;
            }
            const int32_t n_layers = ko_plan_n_counted(&plan->model[m]);
            for (size_t i = 0; i < block->n_sizes; i++) {
                const int32_t excess = ko_size_layers(&block->size[i], n_layers) - n_layers;
                if (excess < nearest.excess) {
                    nearest = (struct nearest){block, &block->size[i], m, excess};
                }
            }
        }
    }
    return nearest;
}

/* The model that a block asks for in which windows count the most layers. NULL: there is none. */
static const struct ko_plan_model *largest_asked(const struct ko_plan_builder *builder)
{
    const struct ko_plan *plan = builder->plan;
    const struct ko_plan_model *largest = NULL;
    for (int32_t k = 0; k < plan->n_blocks * plan->n_models; k++) {
        const struct ko_plan_model *model = &plan->model[k % plan->n_models];
        if (builder->block_model[k] &&
            (!largest || ko_plan_n_counted(model) > ko_plan_n_counted(largest))) {
            largest = model;
        }
    }
    return largest;
}

/* A route and a class that a block of a model asks for together. */
struct pair {
    int32_t route, class; /* -1: there is none */
};

/* The first pair that means nothing together although the model has both. If there is none, the first
   route whose component the model lacks, with class -1. */
static struct pair find_pair(const struct ko_plan *plan, const struct ko_plan_block *block,
                             int32_t model)
{
    struct pair lacking = {-1, -1};
    for (int32_t r = 0; r < plan->n_routes; r++) {
        const struct ko_route *route = &plan->route[r].route;
        const bool has = !ko_route_is_component(route) ||
                         (plan->model[model].components & route->components) != 0;
        for (int32_t c = 0; block->route[r] && c < plan->n_classes; c++) {
            if (!block->class[c] || !ko_plan_model_has_class(plan, model, c) ||
                ko_plan_has_pair(plan, model, r, c)) {
                continue;
            }
            if (has) {
                return (struct pair){r, c};
            }
            lacking.route = lacking.route < 0 ? r : lacking.route;
        }
    }
    return lacking;
}

/* Reports that no block has a route and a class that have a meaning together in a model. */
static enum ko_code fail_pairs(const struct ko_plan_builder *builder)
{
    const struct ko_plan *plan = builder->plan;
    const char *file = builder->input->spec->file;
    struct pair pair = {-1, -1};
    for (int32_t k = 0; pair.class < 0 && k < plan->n_blocks * plan->n_models; k++) {
        if (builder->block_model[k]) {
            const struct pair found =
                find_pair(plan, &plan->block[k / plan->n_models], k % plan->n_models);
            pair = found.route >= 0 && (pair.route < 0 || found.class >= 0) ? found : pair;
        }
    }
    if (pair.route < 0) {
        return ko_fail(builder->err, KO_E_INPUT,
                       "%s: no cell is left: no model has a feature class of the block that asks "
                       "for it, give it features: [all]",
                       file);
    }
    const struct ko_route *route = &plan->route[pair.route].route;
    if (pair.class < 0) {
        return ko_fail(builder->err, KO_E_INPUT,
                       "%s: no cell is left: no model has the sublayers of route '%s', choose a "
                       "route of sublayers that a model has",
                       file, route->label);
    }
    char class[64];
    ko_feature_class_label(&plan->class[pair.class], class);
    return ko_fail(builder->err, KO_E_INPUT,
                   "%s: no cell is left: class '%s' has no meaning with route '%s', %s", file,
                   class, route->label,
                   ko_route_is_component(route)
                       ? "give a route KIND@SET the class all, attention@SET also head:K, and "
                         "ssm@SET also ssm-head:K"
                       : "classes with a suffix ~ need a route KIND@SET, as attention@last");
}

/* Reports that no window fits a model, with the size that came nearest. */
static enum ko_code fail_windows(const struct ko_plan_builder *builder)
{
    const struct ko_plan *plan = builder->plan;
    const struct nearest nearest = find_nearest(builder);
    const struct ko_plan_model *largest = largest_asked(builder);
    const char *what = ko_over_what[plan->over];
    if (!nearest.block || !largest) {
        return fail_pairs(builder);
    }
    const int32_t n_largest = ko_plan_n_counted(largest);
    if (n_largest == 0) {
        return ko_fail(builder->err, KO_E_INPUT,
                       "%s: windows.over: '%s', but no model has %s, write over: layers",
                       nearest.size->where, ko_over_words[plan->over], what);
    }
    if (plan->style != KO_STYLE_WHOLE && nearest.excess <= 0) {
        return ko_fail(builder->err, KO_E_INPUT,
                       "%s: windows: no window is left: no %s of style '%s' fits %s (%d %s) at the "
                       "starts that are given",
                       nearest.block->where, plan->style == KO_STYLE_LISTED ? "list" : "window",
                       ko_style_words[plan->style], plan->model[nearest.model].name,
                       ko_plan_n_counted(&plan->model[nearest.model]), what);
    }
    if (nearest.excess > 0) {
        return ko_fail(builder->err, KO_E_INPUT,
                       "%s: window size %.15g is larger than the largest model (%s, %d %s), "
                       "use sizes up to %d",
                       nearest.size->where, nearest.size->value, largest->name, n_largest, what,
                       n_largest);
    }
    const struct ko_plan_model *model = &plan->model[nearest.model];
    const int32_t n_layers = ko_plan_n_counted(model);
    return ko_fail(builder->err, KO_E_INPUT,
                   "%s: windows: no start is left: windows of %d layers start at 0 to %d in %s "
                   "(%d %s)",
                   nearest.block->where, n_layers + nearest.excess, -nearest.excess, model->name,
                   n_layers, what);
}

enum ko_code ko_plan_build_windows(struct ko_plan_builder *builder)
{
    struct ko_plan *plan = builder->plan;
    const struct ko_spec *spec = builder->input->spec;
    enum ko_code code = ko_plan_count_layers(plan, spec->over, builder->err);
    if (code == KO_OK) {
        code = ko_plan_set_style(plan, spec->style, &spec->lists, builder->err);
    }
    if (code != KO_OK) {
        return code;
    }
    const int32_t largest = largest_counted(plan);
    uint8_t *size_used = ko_new((size_t)largest + 1, 1, builder->err);
    uint8_t *start_used = ko_new((size_t)most_starts(plan), 1, builder->err);
    code = !size_used || !start_used ? KO_E_MEMORY : KO_OK;
    for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
        code = mark_model(builder, m, size_used, start_used);
    }
    if (code == KO_OK) {
        code = list_marks(size_used, largest + 1, &plan->size, &plan->n_sizes, builder->err);
    }
    if (code == KO_OK) {
        code =
            list_marks(start_used, most_starts(plan), &plan->start, &plan->n_starts, builder->err);
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
