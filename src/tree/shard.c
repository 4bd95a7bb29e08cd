/* SPDX-License-Identifier: Apache-2.0 */
/* Decides which batches belong to a shard, so that all shards cost about the same. Then copies the
   plan and keeps only the models and prompts of these batches. */
#include "src/tree/shard.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/plan/pack.h"

enum ko_code ko_shard_parse(const char *text, const char *where, struct ko_shard *out,
                            struct ko_error *err)
{
    const char *slash = strchr(text, '/');
    char *number = slash ? ko_copy_n(text, (size_t)(slash - text), err) : NULL;
    int64_t k = 0, n = 0;
    if (slash && !number) {
        return KO_E_MEMORY;
    }
    bool good = slash && ko_parse_int(number, 1, KO_MOST_SHARDS, &k, where, NULL) == KO_OK &&
                ko_parse_int(slash + 1, 1, KO_MOST_SHARDS, &n, where, NULL) == KO_OK && k <= n;
    free(number);
    if (!good) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: expected K/N with 1 <= K <= N <= %d, got '%s', write 3/16 for the "
                       "third of 16 shards, or auto in a Slurm array",
                       where, KO_MOST_SHARDS, text);
    }
    *out = (struct ko_shard){(int32_t)k, (int32_t)n};
    return KO_OK;
}

/* ---------------------------------------------------------------------------- which batches */

static double cost_of(const struct ko_batches *batches, double total, int32_t b)
{
    return total > 0.0 ? batches->batch[b].flop : 1.0;
}

void ko_shard_range(const struct ko_batches *batches, struct ko_shard shard, int32_t *first,
                    int32_t *end)
{
    double total = 0.0, before = 0.0;
    for (int32_t b = 0; b < batches->n; b++) {
        total += batches->batch[b].flop;
    }
    double all = total > 0.0 ? total : (double)batches->n;
    *first = *end = 0;
    for (int32_t b = 0; b < batches->n; b++) {
        double cost = cost_of(batches, total, b);
        double at = (before + 0.5 * cost) / all * shard.of;
        /* Rounding must not leave out the last batches. */
        int32_t owner = at < (double)shard.of ? (int32_t)at + 1 : shard.of;
        before += cost;
        *first += owner < shard.number;
        *end += owner <= shard.number;
    }
}

/* ------------------------------------------------------------------------ the part of a plan */

static enum ko_code copy_plan(const struct ko_plan *plan, struct ko_plan **out,
                              struct ko_error *err)
{
    struct ko_bytes packed = {0}, from = {0};
    ko_plan_pack(plan, &packed);
    enum ko_code code = ko_text_check(&packed.data, err);
    if (code == KO_OK) {
        ko_bytes_read_from(&from, packed.data.data, packed.data.n);
        code = ko_plan_unpack(&from, out, err);
    }
    ko_text_free(&packed.data);
    return code;
}

/* The models and prompts of a shard's batches, on the whole plan's axes. */
struct touched {
    uint8_t *pair; /* [n_models * n_facts]; owned */
    uint8_t *fact; /* [n_facts] under any model; owned */
    int32_t first_model, end_model;
};

static enum ko_code mark_touched(const struct ko_plan *whole, struct ko_shard shard,
                                 struct touched *touched, struct ko_error *err)
{
    struct ko_batches batches = {0};
    size_t n_facts = (size_t)whole->n_facts;
    int32_t first, end;
    touched->pair = ko_new((size_t)whole->n_models * n_facts, 1, err);
    touched->fact = ko_new(n_facts, 1, err);
    if (!touched->pair || !touched->fact) {
        return KO_E_MEMORY;
    }
    enum ko_code code = ko_batches_compose(whole, &batches, err);
    if (code != KO_OK) {
        return code;
    }
    ko_shard_range(&batches, shard, &first, &end);
    touched->first_model = first < end ? batches.batch[first].model : 0;
    touched->end_model = first < end ? batches.batch[end - 1].model + 1 : 1;
    for (int32_t b = first; b < end; b++) {
        const struct ko_batch *batch = &batches.batch[b];
        for (int32_t k = 0; k < batch->n_facts; k++) {
            touched->pair[(size_t)batch->model * n_facts + (size_t)batch->fact[k]] = 1;
            touched->fact[batch->fact[k]] = 1;
        }
    }
    ko_batches_free(&batches);
    return KO_OK;
}

/* Whether the shard keeps the model: it has a batch of it, or it is empty and this is the first. */
static bool keeps_model(const struct ko_plan *whole, const struct touched *touched, int32_t model)
{
    if (model < touched->first_model || model >= touched->end_model) {
        return false;
    }
    return model == touched->first_model ||
           memchr(touched->pair + (size_t)model * (size_t)whole->n_facts, 1,
                  (size_t)whole->n_facts) != NULL;
}

static void move_rows(uint8_t *rows, int32_t to, int32_t from, size_t width)
{
    memmove(rows + (size_t)to * width, rows + (size_t)from * width, width);
}

static void keep_model(struct ko_plan *plan, const struct touched *touched, int32_t to,
                       int32_t from)
{
    size_t n_facts = (size_t)plan->n_facts;
    struct ko_plan_model model = plan->model[to];
    plan->model[to] = plan->model[from];
    plan->model[from] = model;
    for (size_t f = 0; f < n_facts; f++) {
        struct ko_prompt prompt = plan->prompt[(size_t)to * n_facts + f];
        plan->prompt[(size_t)to * n_facts + f] = plan->prompt[(size_t)from * n_facts + f];
        plan->prompt[(size_t)from * n_facts + f] = prompt;
    }
    if (plan->reference) {
        move_rows(plan->reference, to, from, (size_t)plan->n_routes * n_facts);
    }
    for (int32_t i = 0; i < plan->n_blocks; i++) {
        struct ko_plan_block *block = &plan->block[i];
        move_rows(block->selected, to, from, n_facts);
        move_rows(block->size, to, from, (size_t)plan->n_sizes);
        for (size_t f = 0; f < n_facts; f++) {
            block->selected[(size_t)to * n_facts + f] &= touched->pair[(size_t)from * n_facts + f];
        }
    }
}

/* Frees the models from number n on, which no longer belong to the plan. */
static void drop_models(struct ko_plan *plan, int32_t n)
{
    struct ko_plan rest = {.model = plan->model + n,
                           .prompt = plan->prompt + (size_t)n * (size_t)plan->n_facts,
                           .n_models = plan->n_models - n,
                           .n_facts = plan->n_facts};
    ko_plan_free_models(&rest);
    plan->n_models = n;
}

/* Keeps the touched facts of a prompt axis. (*index)[i]: where the i-th kept fact was before. */
static enum ko_code keep_facts(const struct touched *touched, int32_t *fact, int32_t *n,
                               int32_t **index, struct ko_error *err)
{
    int32_t kept = 0;
    *index = ko_new((size_t)*n, sizeof **index, err);
    if (!*index) {
        return KO_E_MEMORY;
    }
    for (int32_t i = 0; i < *n; i++) {
        if (touched->fact[fact[i]]) {
            (*index)[kept] = i;
            fact[kept++] = fact[i];
        }
    }
    *n = kept;
    return KO_OK;
}

static enum ko_code restrict_plan(struct ko_plan *plan, const struct touched *touched,
                                  struct ko_error *err)
{
    int32_t n = 0;
    plan->shard.model = ko_new((size_t)plan->n_models, sizeof *plan->shard.model, err);
    if (!plan->shard.model) {
        return KO_E_MEMORY;
    }
    enum ko_code code =
        keep_facts(touched, plan->prompt_fact, &plan->n_prompts, &plan->shard.prompt, err);
    if (code == KO_OK) {
        code = keep_facts(touched, plan->heat_fact, &plan->n_heat_prompts, &plan->shard.heat_prompt,
                          err);
    }
    if (code != KO_OK) {
        return code;
    }
    for (int32_t m = 0; m < plan->n_models; m++) {
        if (keeps_model(plan, touched, m)) {
            plan->shard.model[n] = m;
            keep_model(plan, touched, n++, m);
        }
    }
    drop_models(plan, n);
    return KO_OK;
}

enum ko_code ko_shard_take(const struct ko_plan *whole, struct ko_shard shard, struct ko_plan **out,
                           struct ko_error *err)
{
    struct touched touched = {0};
    struct ko_plan *plan = NULL;
    enum ko_code code = mark_touched(whole, shard, &touched, err);
    if (code == KO_OK) {
        code = copy_plan(whole, &plan, err);
    }
    if (code == KO_OK) {
        code = restrict_plan(plan, &touched, err);
    }
    if (code == KO_OK) {
        code = ko_plan_hash(whole, plan->shard.plan_hash, err);
    }
    free(touched.pair);
    free(touched.fact);
    if (code != KO_OK) {
        ko_plan_free(plan);
        return code;
    }
    plan->shard.number = shard.number;
    plan->shard.of = shard.of;
    *out = plan;
    return KO_OK;
}
