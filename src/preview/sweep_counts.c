/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the prompts and cells that each sweep block adds. For prompts that the same blocks select,
   cells are counted once and the result is reused, which keeps large plans fast. */
#include "src/preview/sweep_counts.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

/* Cells of one prompt in one block: on routes, and in a heatmap for each source position. */
struct share {
    int64_t mean, heat, new_mean, new_heat;
};

struct counter {
    const struct ko_plan *plan;
    int32_t model;
    uint8_t *pattern;    /* [n_patterns, n_blocks] which blocks select */
    struct share *share; /* [n_patterns, n_blocks] */
    size_t n_patterns, pattern_capacity, share_capacity;
    uint8_t *reached; /* [n_blocks, n_facts] the block has cells of the prompt in any model */
    int64_t *planned; /* [n_models] borrowed */
};

/* Counts one cell in every block that has it. */
static void count_cell(const struct counter *c, const uint8_t *selects, const struct ko_cell *at,
                       struct share *share)
{
    const struct ko_plan *plan = c->plan;
    bool first = true;
    for (int32_t b = 0; b < plan->n_blocks; b++) {
        const struct ko_plan_block *block = &plan->block[b];
        if (!selects[b] || !block->route[at->route] || !block->class[at->class] ||
            !ko_plan_block_has_window(plan, block, c->model, at->size, at->start)) {
            continue;
        }
        *(plan->route[at->route].heat ? &share[b].heat : &share[b].mean) += 1;
        *(plan->route[at->route].heat ? &share[b].new_heat : &share[b].new_mean) += first;
        first = false;
    }
}

/* Counts all cells of a prompt. share [n_blocks], zero. */
static void count_pattern(const struct counter *c, const uint8_t *selects, struct share *share)
{
    const struct ko_plan *plan = c->plan;
    for (int32_t f = 0; f < plan->n_classes; f++) {
        for (int32_t r = 0; r < plan->n_routes; r++) {
            if (!ko_plan_has_pair(plan, c->model, r, f)) {
                continue;
            }
            for (int32_t k = 0; k < plan->n_sizes; k++) {
                for (int32_t s = 0; s < plan->n_starts; s++) {
                    const struct ko_cell at = {.route = r, .class = f, .size = k, .start = s};
                    count_cell(c, selects, &at, share);
                }
            }
        }
    }
}

/* The shares of a prompt that these blocks select. NULL if memory runs out. */
static const struct share *shares_of(struct counter *c, const uint8_t *selects,
                                     struct ko_error *err)
{
    const size_t n_blocks = (size_t)c->plan->n_blocks;
    for (size_t k = c->n_patterns; k-- > 0;) {
        if (memcmp(c->pattern + k * n_blocks, selects, n_blocks) == 0) {
            return c->share + k * n_blocks;
        }
    }
    const size_t n = (c->n_patterns + 1) * n_blocks;
    uint8_t *patterns = ko_grow(c->pattern, &c->pattern_capacity, n, 1, err);
    if (!patterns) {
        return NULL;
    }
    c->pattern = patterns;
    struct share *shares = ko_grow(c->share, &c->share_capacity, n, sizeof *shares, err);
    if (!shares) {
        return NULL;
    }
    c->share = shares;
    struct share *share = c->share + c->n_patterns * n_blocks;
    memcpy(c->pattern + c->n_patterns++ * n_blocks, selects, n_blocks);
    memset(share, 0, n_blocks * sizeof *share);
    count_pattern(c, selects, share);
    return share;
}

static void add_shares(struct counter *c, int32_t fact, const struct share *share,
                       uint8_t *model_reached, struct ko_sweep_cells *out)
{
    const int64_t n_tokens = ko_plan_prompt(c->plan, c->model, fact)->n_tokens;
    const size_t n_facts = (size_t)c->plan->n_facts;
    for (size_t b = 0; b < (size_t)c->plan->n_blocks; b++) {
        out[b].n_mean += share[b].mean;
        out[b].n_heat += share[b].heat * n_tokens;
        out[b].new_mean += share[b].new_mean;
        out[b].new_heat += share[b].new_heat * n_tokens;
        c->planned[c->model] += share[b].new_mean + share[b].new_heat * n_tokens;
        if (share[b].mean + share[b].heat > 0) {
            model_reached[b] = c->reached[b * n_facts + (size_t)fact] = 1;
        }
    }
}

static enum ko_code count_model(struct counter *c, uint8_t *selects, uint8_t *model_reached,
                                struct ko_sweep_cells *out, struct ko_error *err)
{
    const struct ko_plan *plan = c->plan;
    const size_t n_blocks = (size_t)plan->n_blocks, n_facts = (size_t)plan->n_facts;
    c->n_patterns = 0;
    memset(model_reached, 0, n_blocks);
    for (int32_t f = 0; f < plan->n_facts; f++) {
        if (ko_plan_prompt(plan, c->model, f)->reason != KO_RUNNABLE) {
            continue;
        }
        for (size_t b = 0; b < n_blocks; b++) {
            selects[b] = plan->block[b].selected[(size_t)c->model * n_facts + (size_t)f];
        }
        if (!memchr(selects, 1, n_blocks)) {
            continue;
        }
        const struct share *share = shares_of(c, selects, err);
        if (!share) {
            return KO_E_MEMORY;
        }
        add_shares(c, f, share, model_reached, out);
    }
    for (size_t b = 0; b < n_blocks; b++) {
        out[b].n_models += model_reached[b];
    }
    return KO_OK;
}

enum ko_code ko_sweep_cells_count(const struct ko_plan *plan, struct ko_sweep_cells *out,
                                  int64_t *planned, struct ko_error *err)
{
    const size_t n_blocks = (size_t)plan->n_blocks, n_facts = (size_t)plan->n_facts;
    struct counter counter = {
        .plan = plan, .reached = ko_new(n_blocks * n_facts, 1, err), .planned = planned};
    uint8_t *marks = ko_new(2 * n_blocks, 1, err);
    enum ko_code code = counter.reached && marks ? KO_OK : KO_E_MEMORY;
    memset(out, 0, n_blocks * sizeof *out);
    memset(planned, 0, (size_t)plan->n_models * sizeof *planned);
    for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
        counter.model = m;
        code = count_model(&counter, marks, marks + n_blocks, out, err);
    }
    for (size_t b = 0; code == KO_OK && b < n_blocks; b++) {
        for (size_t f = 0; f < n_facts; f++) {
            out[b].n_prompts += counter.reached[b * n_facts + f];
        }
    }
    free(counter.pattern);
    free(counter.share);
    free(counter.reached);
    free(marks);
    return code;
}
