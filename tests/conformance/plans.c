/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/conformance/wave.h"

/* Positions from a to b, both included. */
#define SPAN(a, b) ((1U << ((b) + 1)) - (1U << (a)))

static const struct wave_plan plans[] = {
    {.name = "one token, its only edge removed",
     .n_layers = 2,
     .n_prompts = 1,
     .n_tokens = {1},
     .n_sets = 1,
     .sets = {{false, 1, 1}},
     .n_branches = 2,
     .branches = {{0, -1, 0, 0, 0, 1, 0, -1, false, false},
                  {0, -1, 0, 1, 1, 2, 0, -1, true, true}}},
    {.name = "no branches", .n_layers = 1, .n_prompts = 2, .n_tokens = {5, 3}},
    {.name = "branches from the first position",
     .n_layers = 3,
     .n_prompts = 2,
     .n_tokens = {6, 4},
     .n_sets = 2,
     .sets = {{false, SPAN(0, 5), SPAN(0, 2)}, {false, SPAN(0, 3), SPAN(0, 3)}},
     .n_branches = 4,
     .branches = {{0, -1, 0, 0, 0, 2, 0, -1, false, false},
                  {0, -1, 0, 1, 1, 3, 0, 0, false, true},
                  {1, -1, 0, 0, 0, 3, 1, -1, true, false},
                  {1, -1, 0, 2, 2, 3, 1, 1, true, true}}},
    {.name = "several rows from the middle, targets with gaps",
     .n_layers = 3,
     .n_prompts = 1,
     .n_tokens = {9},
     .n_sets = 3,
     .sets = {{false, SPAN(4, 8), SPAN(1, 2)},
              {false, 1U << 3 | 1U << 6, SPAN(0, 3) | 1U << 6},
              {false, 1U << 5, SPAN(0, 8)}},
     .n_branches = 6,
     .branches = {{0, -1, 4, 0, 0, 2, 0, -1, false, false},
                  {0, -1, 3, 0, 0, 3, 1, -1, false, false},
                  {0, -1, 3, 1, 1, 2, 1, 0, false, true},
                  {0, -1, 5, 0, 0, 2, 2, 1, true, false},
                  {0, -1, 3, 0, 0, 3, 1, 1, true, false},
                  {0, -1, 4, 1, 1, 3, 0, 0, true, true}}},
    {.name = "single rows of the last position",
     .n_layers = 4,
     .n_prompts = 2,
     .n_tokens = {8, 5},
     .n_sets = 4,
     .sets = {{false, 1U << 7, SPAN(2, 4)},
              {false, 1U << 7, 1U << 7},
              {false, 1U << 7, SPAN(0, 7)},
              {false, 1U << 4, SPAN(0, 1)}},
     .n_branches = 8,
     .branches = {{0, -1, 7, 0, 0, 3, 0, -1, false, false},
                  {0, -1, 7, 0, 0, 4, 1, -1, false, false},
                  {0, -1, 7, 1, 1, 2, 2, -1, false, true},
                  {0, -1, 7, 1, 1, 3, 0, 0, false, false},
                  {0, -1, 7, 0, 0, 2, 1, 1, true, false},
                  {1, -1, 4, 0, 0, 2, 3, -1, true, true},
                  {1, -1, 4, 2, 2, 4, 3, 1, false, false},
                  {0, -1, 7, 0, 0, 3, 2, 0, true, true}}},
    {.name = "edges of three parts",
     .n_layers = 3,
     .n_prompts = 2,
     .n_tokens = {9, 4},
     .n_sets = 5,
     .sets = {{false, SPAN(3, 4), 1U << 0 | 1U << 4},
              {false, 1U << 6, SPAN(2, 5)},
              {false, SPAN(7, 8), SPAN(0, 3) | 1U << 7},
              {true, SPAN(1, 2), SPAN(0, 2)},
              {true, 1U << 3, SPAN(1, 3)}},
     .more = 1U << 0 | 1U << 1 | 1U << 3,
     .n_branches = 6,
     .branches = {{0, -1, 3, 0, 0, 2, 0, -1, false, false},
                  {0, -1, 3, 0, 0, 3, 0, 0, false, true},
                  {0, -1, 3, 1, 1, 3, 0, 1, true, false},
                  {0, -1, 0, -1, 0, 3, 0, -1, false, false},
                  {1, -1, 1, 0, 0, 2, 3, -1, false, false},
                  {1, -1, 1, 1, 1, 3, 3, 0, true, true}}},
    {.name = "later",
     .n_layers = 3,
     .n_prompts = 1,
     .n_tokens = {8},
     .n_sets = 2,
     .sets = {{true, SPAN(3, 7), 1U << 2 | 1U << 4}, {true, SPAN(1, 7), SPAN(0, 7)}},
     .n_branches = 5,
     .branches = {{0, -1, 3, 0, 0, 2, 0, -1, false, false},
                  {0, -1, 3, 1, 1, 3, 0, 0, false, true},
                  {0, -1, 1, 0, 0, 3, 1, -1, true, false},
                  {0, -1, 1, 0, 0, 2, 1, 1, false, false},
                  {0, -1, 3, 0, 0, 2, 0, 1, true, true}}},
    {.name = "later, with rows behind the last target",
     .n_layers = 2,
     .n_prompts = 1,
     .n_tokens = {9},
     .n_sets = 2,
     .sets = {{true, SPAN(3, 5), SPAN(1, 4)}, {true, SPAN(1, 6), SPAN(0, 8)}},
     .n_branches = 4,
     .branches = {{0, -1, 3, 0, 0, 2, 0, -1, false, false},
                  {0, -1, 3, 0, 0, 1, 0, 0, true, true},
                  {0, -1, 1, 0, 0, 2, 1, -1, true, false},
                  {0, -1, 1, 1, 1, 2, 1, 1, false, false}}},
    {.name = "nested branches",
     .n_layers = 5,
     .n_prompts = 1,
     .n_tokens = {7},
     .n_sets = 2,
     .sets = {{false, 1U << 6, SPAN(1, 3)}, {false, SPAN(3, 5), SPAN(0, 4)}},
     .n_branches = 9,
     .branches = {{0, -1, 6, 0, 0, 4, 0, -1, false, false},
                  {0, 0, 6, 1, 1, 1, 0, -1, false, false},
                  {0, 0, 6, 3, 3, 3, 0, -1, false, false},
                  {0, -1, 3, 1, 1, 4, 1, 0, false, false},
                  {0, 3, 3, 2, 2, 2, 1, 0, false, false},
                  {0, -1, 3, 0, 0, 3, 1, -1, true, true},
                  {0, 5, 3, 1, 1, 1, 1, -1, true, true},
                  {0, 5, 3, 2, 2, 2, 1, -1, true, true},
                  {0, 2, 6, 4, 4, 5, 0, 1, false, false}}},
    {.name = "full passes, in and out of their windows",
     .n_layers = 3,
     .n_prompts = 2,
     .n_tokens = {6, 3},
     .n_sets = 2,
     .sets = {{false, 1U << 5, SPAN(0, 3)}, {true, SPAN(1, 2), SPAN(0, 1)}},
     .n_branches = 5,
     .branches = {{0, -1, 0, -1, 1, 2, 0, -1, false, false},
                  {0, -1, 5, -1, 1, 3, 0, 0, true, false},
                  {1, -1, 0, -1, 0, 3, 1, -1, true, true},
                  {1, -1, 1, -1, 0, 0, 1, -1, false, false},
                  {0, 0, 0, 1, 1, 3, 0, 1, false, true}}},
};

const struct wave_plan *wave_plans(size_t *n)
{
    *n = sizeof plans / sizeof plans[0];
    return plans;
}

const struct wave_plan wave_all_removed = {.name = "everything removed",
                                           .n_layers = 2,
                                           .n_prompts = 1,
                                           .n_tokens = {6},
                                           .n_sets = 1,
                                           .sets = {{false, 63, 63}},
                                           .n_branches = 2,
                                           .branches = {{0, -1, 0, 0, 0, 2, 0, -1, false, false},
                                                        {0, -1, 0, -1, 0, 2, 0, -1, true, false}}};

struct wave_plan wave_without_windows(const struct wave_plan *plan)
{
    struct wave_plan out = *plan;
    for (int32_t n = 0; n < out.n_branches; n++) {
        out.branches[n].window_end = out.branches[n].window_begin;
    }
    return out;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

static int32_t random_below(uint32_t *state, int32_t n)
{
    return (int32_t)(next_random(state) % (uint32_t)n);
}

/* The first position that loses an edge of the set or its further parts, or -1. */
static int32_t first_target(const struct wave_plan *plan, int32_t set, int32_t n_tokens)
{
    for (int32_t i = 0; i < n_tokens; i++) {
        bool more = true;
        for (int32_t s = set; more; s++) {
            const struct wave_edges *edges = &plan->sets[s];
            uint32_t sources = edges->source & (edges->later ? (1U << i) - 1 : (2U << i) - 1);
            if (sources && edges->target >> i & 1) {
                return i;
            }
            more = plan->more >> s & 1;
        }
    }
    return -1;
}

/* Sometimes gives the last set, number `first`, further parts: with other targets and sources. */
static void add_parts(uint32_t *state, struct wave_plan *plan, int32_t first, int32_t n_tokens)
{
    const uint32_t all = (1U << n_tokens) - 1;
    uint32_t targets = plan->sets[first].target;
    for (int32_t n = random_below(state, 3) ? 0 : 2; n > 0; n--) {
        const struct wave_edges part = {.later = plan->sets[first].later,
                                        .target = next_random(state) & all & ~targets,
                                        .source = next_random(state) & all};
        bool known = false;
        for (int32_t s = first; s < plan->n_sets; s++) {
            known = known || plan->sets[s].source == part.source;
        }
        plan->sets[plan->n_sets] = part;
        if (!known && first_target(plan, plan->n_sets, n_tokens) >= 0) {
            plan->more |= 1U << (plan->n_sets - 1);
            plan->n_sets++;
            targets |= part.target;
        }
    }
}

static void add_random_branch(uint32_t *state, struct wave_plan *plan, int32_t prompt, int32_t set)
{
    int32_t start = random_below(state, plan->n_layers);
    int32_t size = 1 + random_below(state, plan->n_layers - start);
    static const uint8_t spares[] = {0, 0, 0, KO_MIXER_ATTENTION, KO_MIXER_SSM, KO_MIXER_CONV};
    struct wave_branch branch = {.prompt = prompt,
                                 .parent = -1,
                                 .first_position = first_target(plan, set, plan->n_tokens[prompt]),
                                 .leaves_at = start,
                                 .window_begin = start,
                                 .window_end = start + size,
                                 .edge_set = set,
                                 .mask = random_below(state, 3) - 1,
                                 .conv = random_below(state, 3) == 0,
                                 .after_softmax = random_below(state, 2) == 0,
                                 .spares = spares[random_below(state, 6)]};
    if (branch.first_position < 0) {
        return;
    }
    if (random_below(state, 6) == 0) {
        branch.leaves_at = -1;
        branch.first_position = random_below(state, branch.first_position + 1);
    }
    if (random_below(state, 3) == 0) {
        branch.skips = (uint8_t)random_below(state, 1 << plan->n_layers);
    }
    int32_t parent = plan->n_branches;
    plan->branches[plan->n_branches++] = branch;
    for (int32_t shorter = size - 1; shorter > 0 && random_below(state, 2); shorter--) {
        branch.parent = parent;
        branch.leaves_at = branch.window_begin = branch.window_end = start + shorter;
        plan->branches[plan->n_branches++] = branch;
    }
}

/* One or two forks in about half of the prompts: from the same position on, or from different ones. */
static void add_forks(uint32_t *state, struct wave_plan *plan)
{
    for (int32_t p = 0; p < plan->n_prompts; p++) {
        const int32_t n_tokens = plan->n_tokens[p];
        const int32_t n = n_tokens < 2 ? 0 : random_below(state, 2 + WAVE_FORKS) - 1;
        for (int32_t f = 0; f < n; f++) {
            struct wave_fork *fork = &plan->forks[p][f];
            fork->at = 1 + random_below(state, n_tokens - 1);
            fork->at = f > 0 && random_below(state, 2) ? plan->forks[p][0].at : fork->at;
            fork->n = 1 + random_below(state, n_tokens - fork->at);
        }
    }
}

void wave_random(uint32_t seed, struct wave_plan *plan)
{
    uint32_t state = seed * 2654435761U + 1;
    memset(plan, 0, sizeof *plan);
    plan->name = "random";
    plan->n_layers = 1 + random_below(&state, WAVE_LAYERS);
    plan->n_prompts = 1 + random_below(&state, WAVE_PROMPTS);
    for (int32_t p = 0; p < plan->n_prompts; p++) {
        plan->n_tokens[p] = 1 + random_below(&state, 12);
        uint32_t all = (1U << plan->n_tokens[p]) - 1;
        for (int32_t s = 1 + random_below(&state, 3); s > 0 && plan->n_sets + 3 < WAVE_SETS; s--) {
            bool last = random_below(&state, 2) == 0;
            plan->sets[plan->n_sets++] = (struct wave_edges){
                .later = random_below(&state, 4) == 0,
                .target = last ? 1U << (plan->n_tokens[p] - 1) : next_random(&state) & all,
                .source = next_random(&state) & all};
            const int32_t first = plan->n_sets - 1;
            add_parts(&state, plan, first, plan->n_tokens[p]);
            for (int32_t n = random_below(&state, 3);
                 n >= 0 && plan->n_branches + WAVE_LAYERS < WAVE_BRANCHES; n--) {
                add_random_branch(&state, plan, p, first);
            }
        }
    }
    add_forks(&state, plan);
}
