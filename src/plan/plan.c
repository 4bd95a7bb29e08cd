/* SPDX-License-Identifier: Apache-2.0 */
/* Frees plans, answers whether a cell is planned, and computes where a cell lies in the arrays of
   statuses and values. Building a plan is in build.c. */
#include "src/plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

static void model_free(struct ko_plan_model *model)
{
    free(model->name);
    free(model->path);
    free(model->tokenizer);
    free(model->architecture);
    free(model->fingerprint);
    free(model->tokenizer_fingerprint);
    free(model->stage);
    free(model->counted);
    free(model->sublayer);
}

static void fact_free(struct ko_plan_fact *fact)
{
    free(fact->id);
    free(fact->text);
    free(fact->subject);
    free(fact->target);
    free(fact->foil);
    free(fact->relation);
    free(fact->targets);
    free(fact->options);
}

static void block_free(struct ko_plan_block *block)
{
    free(block->selected);
    free(block->route);
    free(block->class);
    free(block->size);
    free(block->start);
}

void ko_plan_free_models(struct ko_plan *plan)
{
    if (plan->prompt) {
        for (size_t i = 0; i < (size_t)plan->n_models * (size_t)plan->n_facts; i++) {
            ko_prompt_free(&plan->prompt[i]);
        }
    }
    for (int32_t i = 0; plan->model && i < plan->n_models; i++) {
        model_free(&plan->model[i]);
    }
}

void ko_plan_free_untaken(struct ko_plan_model *model, int32_t n_models, struct ko_prompt *prompt,
                          int32_t n_facts)
{
    struct ko_plan plan = {
        .model = model, .n_models = n_models, .prompt = prompt, .n_facts = n_facts};
    ko_plan_free_models(&plan);
    free(model);
    free(prompt);
}

void ko_plan_free(struct ko_plan *plan)
{
    if (!plan) {
        return;
    }
    ko_plan_free_models(plan);
    for (int32_t i = 0; plan->fact && i < plan->n_facts; i++) {
        fact_free(&plan->fact[i]);
    }
    for (int32_t i = 0; plan->route && i < plan->n_routes; i++) {
        ko_route_free(&plan->route[i].route);
    }
    for (int32_t i = 0; plan->block && i < plan->n_blocks; i++) {
        block_free(&plan->block[i]);
    }
    free(plan->model);
    free(plan->fact);
    free(plan->prompt);
    ko_strings_free(&plan->embeddings);
    free(plan->route);
    free(plan->class);
    free(plan->size);
    free(plan->start);
    ko_window_lists_free(&plan->lists);
    free(plan->prompt_fact);
    free(plan->heat_fact);
    free(plan->block);
    free(plan->reference);
    free(plan->shard.model);
    free(plan->shard.prompt);
    free(plan->shard.heat_prompt);
    free(plan);
}

bool ko_plan_model_has_class(const struct ko_plan *plan, int32_t model, int32_t class)
{
    const struct ko_model_features features = ko_plan_model_features(&plan->model[model]);
    return ko_feature_class_exists(&plan->class[class], &features);
}

static bool route_takes_class(const struct ko_route *route, const struct ko_feature_class *class)
{
    if (!ko_route_is_component(route)) {
        return class->replacement == KO_REPLACE_ZERO;
    }
    switch (class->kind) {
    case KO_FEATURE_ALL:
        return !class->conv;
    case KO_FEATURE_HEAD:
        return route->components == KO_MIXER_ATTENTION;
    case KO_FEATURE_SSM_HEAD:
        return route->components == KO_MIXER_SSM;
    default:
        return false;
    }
}

bool ko_plan_has_pair(const struct ko_plan *plan, int32_t model, int32_t route, int32_t class)
{
    const struct ko_route *r = &plan->route[route].route;
    return ko_plan_model_has_class(plan, model, class) &&
           route_takes_class(r, &plan->class[class]) &&
           (!ko_route_is_component(r) || (plan->model[model].components & r->components));
}

bool ko_plan_block_has_pair(const struct ko_plan *plan, const struct ko_plan_block *block,
                            int32_t model)
{
    for (int32_t r = 0; r < plan->n_routes; r++) {
        for (int32_t c = 0; block->route[r] && c < plan->n_classes; c++) {
            if (block->class[c] && ko_plan_has_pair(plan, model, r, c)) {
                return true;
            }
        }
    }
    return false;
}

bool ko_plan_has_components(const struct ko_plan *plan)
{
    for (int32_t r = 0; r < plan->n_routes; r++) {
        if (ko_route_is_component(&plan->route[r].route)) {
            return true;
        }
    }
    return false;
}

bool ko_plan_block_has_window(const struct ko_plan *plan, const struct ko_plan_block *block,
                              int32_t model, int32_t size, int32_t start)
{
    return block->start[start] &&
           block->size[(size_t)model * (size_t)plan->n_sizes + (size_t)size] &&
           ko_plan_window(&plan->model[model], plan->size[size], plan->start[start]).end > 0;
}

bool ko_plan_block_has_any_window(const struct ko_plan *plan, const struct ko_plan_block *block,
                                  int32_t model)
{
    for (int32_t i = 0; i < plan->n_sizes; i++) {
        for (int32_t s = 0; s < plan->n_starts; s++) {
            if (ko_plan_block_has_window(plan, block, model, i, s)) {
                return true;
            }
        }
    }
    return false;
}

static bool needs_mask(const struct ko_plan *plan, int32_t model, int32_t class)
{
    const int32_t n_features = plan->model[model].n_features;
    return ko_plan_model_has_class(plan, model, class) &&
           !ko_feature_class_is_everything(&plan->class[class], n_features);
}

static int32_t count_masks(const struct ko_plan *plan, int32_t model, int32_t n_classes)
{
    int32_t n = 0;
    for (int32_t c = 0; c < n_classes; c++) {
        n += needs_mask(plan, model, c);
    }
    return n;
}

int32_t ko_plan_n_masks(const struct ko_plan *plan, int32_t model)
{
    return count_masks(plan, model, plan->n_classes);
}

int32_t ko_plan_mask(const struct ko_plan *plan, int32_t model, int32_t class)
{
    return needs_mask(plan, model, class) ? count_masks(plan, model, class) : -1;
}

bool ko_plan_has(const struct ko_plan *plan, int32_t model, int32_t fact, int32_t route,
                 int32_t class, int32_t size, int32_t start)
{
    const size_t prompt = (size_t)model * (size_t)plan->n_facts + (size_t)fact;
    if (!ko_plan_has_pair(plan, model, route, class)) {
        return false;
    }
    for (int32_t i = 0; i < plan->n_blocks; i++) {
        const struct ko_plan_block *block = &plan->block[i];
        if (block->route[route] && block->class[class] && block->selected[prompt] &&
            ko_plan_block_has_window(plan, block, model, size, start)) {
            return true;
        }
    }
    return false;
}

bool ko_plan_has_any_start(const struct ko_plan *plan, int32_t model, int32_t fact, int32_t route,
                           int32_t class, int32_t size)
{
    for (int32_t s = 0; s < plan->n_starts; s++) {
        if (ko_plan_has(plan, model, fact, route, class, size, s)) {
            return true;
        }
    }
    return false;
}

int32_t ko_plan_route_of(const struct ko_plan *plan, bool heat, int32_t axis)
{
    for (int32_t i = 0; i < plan->n_routes; i++) {
        if (plan->route[i].heat == heat && plan->route[i].axis == axis) {
            return i;
        }
    }
    return -1;
}

int64_t ko_plan_n_mean_statuses(const struct ko_plan *plan)
{
    return (int64_t)plan->n_mean_routes * plan->n_classes * plan->n_sizes;
}

int64_t ko_plan_n_mean_values(const struct ko_plan *plan)
{
    return ko_plan_n_mean_statuses(plan) * plan->n_starts;
}

int64_t ko_plan_n_statuses(const struct ko_plan *plan)
{
    return ko_plan_n_mean_statuses(plan) + (int64_t)plan->n_heat_routes * plan->n_classes *
                                               plan->n_source_positions * plan->n_sizes;
}

int64_t ko_plan_n_values(const struct ko_plan *plan)
{
    return ko_plan_n_statuses(plan) * plan->n_starts;
}

int64_t ko_plan_status_slot(const struct ko_plan *plan, int32_t route, int32_t class,
                            int32_t source_position, int32_t size)
{
    const struct ko_plan_route *r = &plan->route[route];
    int64_t row = (int64_t)r->axis * plan->n_classes + class;
    if (!r->heat) {
        return row * plan->n_sizes + size;
    }
    return ko_plan_n_mean_statuses(plan) +
           (row * plan->n_source_positions + source_position) * plan->n_sizes + size;
}

int64_t ko_plan_value_slot(const struct ko_plan *plan, int32_t route, int32_t class,
                           int32_t source_position, int32_t size, int32_t start)
{
    return ko_plan_status_slot(plan, route, class, source_position, size) * plan->n_starts + start;
}
