/* SPDX-License-Identifier: Apache-2.0 */
/* The prompts whose clean runs give what ~mean and ~resample put in the place of a component. */
#include <string.h>

#include "src/base/memory.h"
#include "src/plan/plan.h"
#include "src/prompts/draw.h"

bool ko_plan_replaces(const struct ko_plan *plan)
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
    if (!ko_plan_block_has_any_window(plan, block, model)) {
        return false;
    }
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
    if (!ko_plan_replaces(plan)) {
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
