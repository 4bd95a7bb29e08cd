/* SPDX-License-Identifier: Apache-2.0 */
/* The prompts whose clean runs give what ~mean and ~resample put in the place of a component. */
#include <string.h>

#include "src/base/memory.h"
#include "src/plan/plan.h"
#include "src/prompts/draw.h"

static bool has_replacement(const struct ko_plan *plan)
{
    for (int32_t c = 0; c < plan->n_classes; c++) {
        if (plan->class[c].replacement != KO_REPLACE_ZERO) {
            return true;
        }
    }
    return false;
}

/* Whether the block replaces something on the route in this model. */
static bool block_replaces(const struct ko_plan *plan, const struct ko_plan_block *block,
                           int32_t model, int32_t route)
{
    for (int32_t c = 0; block->route[route] && c < plan->n_classes; c++) {
        if (block->class[c] && plan->class[c].replacement != KO_REPLACE_ZERO &&
            ko_plan_has_pair(plan, model, route, c)) {
            return true;
        }
    }
    return false;
}

static uint8_t *references_of(const struct ko_plan *plan, int32_t model, int32_t route)
{
    const size_t row = (size_t)model * (size_t)plan->n_routes + (size_t)route;
    return plan->reference + row * (size_t)plan->n_facts;
}

enum ko_code ko_plan_mark_references(struct ko_plan *plan, struct ko_error *err)
{
    const size_t n_facts = (size_t)plan->n_facts;
    if (!has_replacement(plan)) {
        return KO_OK;
    }
    plan->reference = ko_new((size_t)plan->n_models * (size_t)plan->n_routes * n_facts, 1, err);
    if (!plan->reference) {
        return KO_E_MEMORY;
    }
    for (int32_t m = 0; m < plan->n_models; m++) {
        for (int32_t r = 0; r < plan->n_routes; r++) {
            uint8_t *marks = references_of(plan, m, r);
            for (int32_t b = 0; b < plan->n_blocks; b++) {
                const uint8_t *selected = plan->block[b].selected + (size_t)m * n_facts;
                const bool replaces = block_replaces(plan, &plan->block[b], m, r);
                for (size_t f = 0; replaces && f < n_facts; f++) {
                    marks[f] |= selected[f];
                }
            }
        }
    }
    return KO_OK;
}

bool ko_plan_is_reference(const struct ko_plan *plan, int32_t model, int32_t route, int32_t fact)
{
    return plan->reference && references_of(plan, model, route)[fact];
}

int32_t ko_plan_donor(const struct ko_plan *plan, int32_t model, int32_t route, int32_t fact,
                      uint64_t seed)
{
    const uint64_t start = ko_draw_start(seed, ko_fnv1a64(plan->fact[fact].id));
    uint64_t n = 0;
    for (int32_t f = 0; f < plan->n_facts; f++) {
        n += f != fact && ko_plan_is_reference(plan, model, route, f);
    }
    if (n == 0) {
        return -1;
    }
    uint64_t left = ko_draw_value(start, 0) % n;
    for (int32_t f = 0; f < plan->n_facts; f++) {
        if (f != fact && ko_plan_is_reference(plan, model, route, f) && left-- == 0) {
            return f;
        }
    }
    return -1;
}

static bool has_means(const struct ko_plan *plan)
{
    bool has = false;
    for (int32_t c = 0; c < plan->n_classes; c++) {
        has = has || plan->class[c].replacement == KO_REPLACE_MEAN;
    }
    return has && plan->reference;
}

/* The component routes before number n. */
static int32_t count_means(const struct ko_plan *plan, int32_t n)
{
    int32_t count = 0;
    for (int32_t r = 0; r < n; r++) {
        count += ko_route_is_component(&plan->route[r].route);
    }
    return count;
}

int32_t ko_plan_n_means(const struct ko_plan *plan)
{
    return has_means(plan) ? count_means(plan, plan->n_routes) : 0;
}

int32_t ko_plan_mean(const struct ko_plan *plan, int32_t route)
{
    const bool has = has_means(plan) && ko_route_is_component(&plan->route[route].route);
    return has ? count_means(plan, route) : -1;
}

size_t ko_plan_mean_place(const struct ko_plan_model *model, int32_t n_means, int32_t sublayer,
                          uint8_t component, bool heads)
{
    const size_t n = (size_t)n_means;
    size_t at = 0;
    for (int32_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_plan_sublayer *s = &model->sublayer[i];
        for (uint8_t kind = 1; kind < KO_N_COMPONENT_SETS; kind = (uint8_t)(2 * kind)) {
            if (i == sublayer && !heads && kind == component) {
                return at;
            }
            at += s->components & kind ? n * (size_t)model->d_model : 0;
        }
        if (i == sublayer) {
            return at;
        }
        at += n * (size_t)s->width;
    }
    return at;
}

size_t ko_plan_mean_values(const struct ko_plan_model *model, int32_t n_means)
{
    return ko_plan_mean_place(model, n_means, model->n_sublayers, 0, false);
}

size_t ko_plan_most_mean_values(const struct ko_plan *plan)
{
    const int32_t n_means = ko_plan_n_means(plan);
    size_t most = 0;
    for (int32_t m = 0; n_means > 0 && m < plan->n_models; m++) {
        const size_t n = ko_plan_mean_values(&plan->model[m], n_means);
        most = n > most ? n : most;
    }
    return most;
}

bool ko_plan_gives_means(const struct ko_plan *plan, int32_t model, int32_t fact)
{
    for (int32_t r = 0; has_means(plan) && r < plan->n_routes; r++) {
        if (ko_plan_is_reference(plan, model, r, fact)) {
            return true;
        }
    }
    return false;
}

int64_t ko_plan_reference_rows(const struct ko_plan *plan, int32_t model)
{
    int64_t rows = 0;
    for (int32_t f = 0; has_means(plan) && f < plan->n_facts; f++) {
        if (ko_plan_gives_means(plan, model, f)) {
            rows += ko_plan_prompt(plan, model, f)->n_tokens;
        }
    }
    return rows;
}
