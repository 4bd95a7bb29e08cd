/* SPDX-License-Identifier: Apache-2.0 */
/* Measures the rows and FLOP of each prompt and fills batches with prompts up to the row budget.
   Also finds the smallest budget that works, removes taken cells, and puts batches into bytes. */
#include "src/tree/batch.h"

#include <stdlib.h>

#include "src/base/memory.h"
#include "src/tree/prompt_tree.h"
#include "src/tree/taken.h"
#include "src/tree/tree_walk.h"

/* One prompt's share of a batch. */
struct share {
    int64_t n_cells, n_rows;
    /* as in struct ko_batch */
    int64_t n_branches, n_branch_rows, n_part_branches, n_part_rows, n_shared_rows;
    int32_t longest_path;
    int32_t n_waves;
    int64_t smallest_budget; /* rows of the trunk and the largest bundle */
    double flop, separate_flop;
};

struct composer {
    const struct ko_plan *plan;
    struct ko_batch *batch; /* owned */
    size_t n, capacity, fact_capacity;
    bool open; /* the last batch takes more prompts */
    struct ko_error *err;
};

/* A trunk of n rows, n_scored of them scored. */
static double trunk_flop(const struct ko_tree_model *m, int32_t n, int32_t n_scored)
{
    return n * m->rest_flop[0] + n_scored * m->last_flop;
}

/* A branch of n rows, n_scored of them scored. In the stage where it leaves, it takes its parent's
   projections. It takes the parent's convolution and what follows it too, unless it computes its own
   (conv). */
static double branch_flop(const struct ko_tree_model *m, int32_t n, int32_t n_scored,
                          int32_t leaves_at, bool conv)
{
    const double after_conv =
        conv ? ko_plan_stage_of(&m->plan->model[m->model], leaves_at).flop[1] : 0;
    return n * (m->rest_flop[leaves_at + 1] + after_conv) + n_scored * m->last_flop;
}

/* The forward passes of all sequences of the prompt, nothing shared. */
static double separate_flop(const struct ko_tree *tree)
{
    const struct ko_prompt *prompt =
        ko_plan_prompt(tree->model->plan, tree->model->model, tree->fact);
    double flop = 0.0;
    for (int32_t s = 0; s < ko_prompt_n_sequences(prompt); s++) {
        flop += trunk_flop(tree->model, ko_prompt_n_rows(prompt, s), ko_prompt_n_last(prompt, s));
    }
    return flop;
}

static double bundle_flop(const struct ko_tree *tree, const struct ko_tree_bundle *bundle)
{
    const struct ko_tree_group *group = &tree->group[bundle->group];
    const struct ko_intervention *x = &tree->intervention[group->intervention];
    const bool conv = x->kind->own_convolution(tree->model, group->class);
    const uint8_t *windows = ko_tree_windows(tree, bundle->group, bundle->start);
    double flop = 0.0;
    for (int32_t i = 0; bundle->n_branches > 0 && i < tree->model->plan->n_sizes; i++) {
        if (windows[i] && !ko_tree_is_clean(tree, group, i, bundle->start)) {
            flop += branch_flop(tree->model, group->branch_rows, tree->n_scored,
                                ko_tree_leaves_at(tree, bundle, i), conv);
        }
    }
    return flop;
}

static double donors_flop(const struct ko_tree *tree)
{
    double flop = 0.0;
    for (int32_t d = 0; d < tree->n_donors; d++) {
        const struct ko_prompt *prompt =
            ko_plan_prompt(tree->model->plan, tree->model->model, tree->donor[d]);
        flop += trunk_flop(tree->model, prompt->n_tokens, 1);
    }
    return flop;
}

static void count_branches(const struct ko_tree *tree, const struct ko_tree_bundle *bundle,
                           struct share *share)
{
    const struct ko_tree_group *group = &tree->group[bundle->group];
    const struct ko_feature_class *class = &tree->model->plan->class[group->class];
    const bool part =
        tree->intervention[group->intervention].kind->removal || ko_feature_class_is_head(class);
    const int64_t n_branches = (int64_t)bundle->n_branches * (1 + tree->n_forks);
    const int32_t path = tree->n_rows - tree->intervention[group->intervention].first_position;
    share->n_branches += n_branches;
    share->n_branch_rows += bundle->n_rows;
    share->n_shared_rows += bundle->n_branches * group->shared_rows;
    share->longest_path = n_branches > 0 && path > share->longest_path ? path : share->longest_path;
    share->n_part_branches += part ? n_branches : 0;
    share->n_part_rows += part ? bundle->n_rows : 0;
}

static struct share measure_tree(const struct ko_tree *tree)
{
    const struct ko_plan *plan = tree->model->plan;
    struct share share = {.n_cells = plan->kind == KO_PLAN_EVALUATION ? 1 : ko_tree_n_cells(tree),
                          .smallest_budget = tree->n_trunk_rows,
                          .n_waves = 1};
    struct ko_tree_walk walk;
    ko_tree_walk_begin(tree, &walk);
    while (ko_tree_walk_next(&walk)) {
        share.n_rows += walk.bundle.n_rows;
        count_branches(tree, &walk.bundle, &share);
        share.flop += bundle_flop(tree, &walk.bundle);
        share.n_waves = walk.bundle.wave + 1;
        if (tree->n_trunk_rows + walk.bundle.n_rows > share.smallest_budget) {
            share.smallest_budget = tree->n_trunk_rows + walk.bundle.n_rows;
        }
    }
    const int32_t n_own = tree->n_rows + tree->n_fork_rows;
    share.n_rows += share.n_waves * tree->n_trunk_rows;
    share.flop +=
        share.n_waves * (trunk_flop(tree->model, n_own, tree->n_scored) + donors_flop(tree));
    share.separate_flop = (double)share.n_cells * separate_flop(tree);
    return share;
}

static enum ko_code measure_prompt(const struct ko_tree_model *model, int32_t fact,
                                   const uint8_t *taken, struct ko_tree *tree, struct share *share,
                                   struct ko_error *err)
{
    const enum ko_code code = ko_tree_build(model, fact, taken, tree, err);
    *share = code == KO_OK ? measure_tree(tree) : (struct share){0};
    return code;
}

static struct ko_batch *new_batch(struct composer *c, int32_t model, const struct share *share)
{
    struct ko_batch *grown = ko_grow(c->batch, &c->capacity, c->n + 1, sizeof *grown, c->err);
    if (!grown) {
        return NULL;
    }
    c->batch = grown;
    c->fact_capacity = 0;
    c->batch[c->n] = (struct ko_batch){.model = model, .n_waves = share->n_waves};
    c->open = share->n_waves == 1;
    return &c->batch[c->n++];
}

/* Adds a prompt to a batch whose `fact` has room for it. */
static void count_prompt(struct ko_batch *batch, int32_t fact, const struct share *share)
{
    batch->fact[batch->n_facts++] = fact;
    batch->n_cells += share->n_cells;
    batch->n_rows += share->n_rows;
    batch->n_branches += share->n_branches;
    batch->n_branch_rows += share->n_branch_rows;
    batch->n_part_branches += share->n_part_branches;
    batch->n_part_rows += share->n_part_rows;
    batch->n_shared_rows += share->n_shared_rows;
    batch->longest_path =
        share->longest_path > batch->longest_path ? share->longest_path : batch->longest_path;
    batch->flop += share->flop;
    batch->separate_flop += share->separate_flop;
}

static enum ko_code add_prompt(struct composer *c, int32_t model, int32_t fact,
                               const struct share *share)
{
    struct ko_batch *batch = c->open ? &c->batch[c->n - 1] : NULL;
    if (!batch || batch->n_rows + share->n_rows > c->plan->model[model].row_budget) {
        batch = new_batch(c, model, share);
        if (!batch) {
            return KO_E_MEMORY;
        }
    }
    int32_t *facts =
        ko_grow(batch->fact, &c->fact_capacity, (size_t)batch->n_facts + 1, sizeof *facts, c->err);
    if (!facts) {
        return KO_E_MEMORY;
    }
    batch->fact = facts;
    count_prompt(batch, fact, share);
    return KO_OK;
}

static enum ko_code fail_budget(const struct composer *c, int32_t model, int32_t fact,
                                int64_t smallest)
{
    const struct ko_plan_model *m = &c->plan->model[model];
    return ko_fail(c->err, KO_E_INPUT,
                   "%s: row budget %d is too small: prompt '%s' needs %lld, set row-budget to at "
                   "least %lld",
                   m->name, m->row_budget, c->plan->fact[fact].id, (long long)smallest,
                   (long long)smallest);
}

static enum ko_code compose_model(struct composer *c, int32_t model)
{
    const struct ko_plan *plan = c->plan;
    struct ko_tree_model tree_model = {0};
    struct ko_tree tree = {0};
    int64_t smallest = 0;
    int32_t largest_fact = -1;
    c->open = false;
    enum ko_code code = ko_tree_model_open(plan, model, &tree_model, c->err);
    for (int32_t f = 0; code == KO_OK && f < plan->n_facts; f++) {
        if (ko_plan_prompt(plan, model, f)->reason != KO_RUNNABLE) {
            continue;
        }
        struct share share;
        code = measure_prompt(&tree_model, f, NULL, &tree, &share, c->err);
        if (code != KO_OK || (plan->kind == KO_PLAN_SWEEP && !tree.planned)) {
            continue;
        }
        if (share.smallest_budget > smallest) {
            smallest = share.smallest_budget;
            largest_fact = f;
        }
        code = add_prompt(c, model, f, &share);
    }
    if (code == KO_OK && smallest > plan->model[model].row_budget) {
        code = fail_budget(c, model, largest_fact, smallest);
    }
    ko_tree_free(&tree);
    ko_tree_model_close(&tree_model);
    return code;
}

enum ko_code ko_batches_smallest_budget(const struct ko_plan *plan, int32_t model, int32_t *out,
                                        struct ko_error *err)
{
    struct ko_tree_model tree_model = {0};
    struct ko_tree tree = {0};
    int64_t smallest = 0;
    enum ko_code code = ko_tree_model_open(plan, model, &tree_model, err);
    for (int32_t f = 0; code == KO_OK && f < plan->n_facts; f++) {
        if (ko_plan_prompt(plan, model, f)->reason != KO_RUNNABLE) {
            continue;
        }
        struct share share;
        code = measure_prompt(&tree_model, f, NULL, &tree, &share, err);
        if (code == KO_OK && (plan->kind != KO_PLAN_SWEEP || tree.planned)) {
            smallest = share.smallest_budget > smallest ? share.smallest_budget : smallest;
        }
    }
    ko_tree_free(&tree);
    ko_tree_model_close(&tree_model);
    *out = (int32_t)smallest;
    return code;
}

enum ko_code ko_batches_raise_budget(struct ko_plan *plan, int32_t model, bool *raised,
                                     struct ko_error *err)
{
    int64_t n_rows = 0;
    int32_t smallest = 0;
    *raised = false;
    for (int32_t f = 0; f < plan->n_facts; f++) {
        const struct ko_prompt *prompt = ko_plan_prompt(plan, model, f);
        if (prompt->reason == KO_RUNNABLE) {
            const int64_t n = (int64_t)ko_prompt_most_rows(prompt) + ko_prompt_fork_rows(prompt);
            n_rows = n > n_rows ? n : n_rows;
        }
    }
    /* A trunk and a branch for each size are the most that must stay together, and a trunk for each
       donor. */
    const int64_t n_donors = plan->reference ? (int64_t)plan->n_routes * plan->n_classes : 0;
    if (n_rows * (1 + n_donors + plan->n_sizes) <= plan->model[model].row_budget) {
        return KO_OK;
    }
    const enum ko_code code = ko_batches_smallest_budget(plan, model, &smallest, err);
    if (code == KO_OK && smallest > plan->model[model].row_budget) {
        plan->model[model].row_budget = smallest;
        *raised = true;
    }
    return code;
}

enum ko_code ko_batches_compose(const struct ko_plan *plan, struct ko_batches *out,
                                struct ko_error *err)
{
    struct composer c = {.plan = plan, .err = err};
    enum ko_code code = KO_OK;
    for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
        code = compose_model(&c, m);
    }
    struct ko_batches batches = {c.batch, (int32_t)c.n};
    if (code != KO_OK) {
        ko_batches_free(&batches);
        return code;
    }
    *out = batches;
    return KO_OK;
}

static bool has_taken(const struct ko_batch *batch, const struct ko_taken *taken)
{
    for (int32_t i = 0; i < batch->n_facts; i++) {
        if (ko_taken_of(taken, batch->model, batch->fact[i])) {
            return true;
        }
    }
    return false;
}

/* Measures the batch's prompts again and drops those with nothing left to compute. */
static enum ko_code prune_batch(const struct ko_tree_model *model, const struct ko_taken *taken,
                                struct ko_batch *batch, struct ko_tree *tree, struct ko_error *err)
{
    struct ko_batch left = {.model = batch->model, .fact = batch->fact, .taken = taken};
    enum ko_code code = KO_OK;
    for (int32_t i = 0; code == KO_OK && i < batch->n_facts; i++) {
        const int32_t fact = batch->fact[i];
        struct share share;
        code =
            measure_prompt(model, fact, ko_taken_of(taken, batch->model, fact), tree, &share, err);
        if (code != KO_OK) {
            continue;
        }
        left.n_taken += tree->n_taken;
        if (!ko_tree_is_taken(tree)) {
            left.n_waves = share.n_waves; /* a batch of several waves has one prompt */
            count_prompt(&left, fact, &share);
        }
    }
    if (code == KO_OK) {
        *batch = left;
    }
    return code;
}

enum ko_code ko_batches_prune(const struct ko_plan *plan, const struct ko_taken *taken,
                              struct ko_batches *batches, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int32_t b = 0; code == KO_OK && b < batches->n;) {
        const int32_t m = batches->batch[b].model;
        struct ko_tree_model model = {0};
        struct ko_tree tree = {0};
        code = ko_tree_model_open(plan, m, &model, err);
        for (; code == KO_OK && b < batches->n && batches->batch[b].model == m; b++) {
            if (has_taken(&batches->batch[b], taken)) {
                code = prune_batch(&model, taken, &batches->batch[b], &tree, err);
            }
        }
        ko_tree_free(&tree);
        ko_tree_model_close(&model);
    }
    return code;
}

void ko_batches_free(struct ko_batches *batches)
{
    for (int32_t i = 0; i < batches->n; i++) {
        free(batches->batch[i].fact);
    }
    free(batches->batch);
    *batches = (struct ko_batches){0};
}

/* ----------------------------------------------------------------------------------------------
   as bytes */

enum { LEAST_BYTES = 16 * 8 }; /* of a packed batch: its numbers */

void ko_batches_pack(const struct ko_batches *batches, struct ko_bytes *to)
{
    ko_put_int(to, batches->n);
    for (int32_t b = 0; b < batches->n; b++) {
        const struct ko_batch *batch = &batches->batch[b];
        ko_put_int(to, batch->model);
        ko_put_int(to, batch->n_facts);
        ko_put_blob(to, batch->fact, (size_t)batch->n_facts * sizeof *batch->fact);
        ko_put_int(to, batch->n_waves);
        ko_put_int(to, batch->taken != NULL);
        ko_put_int(to, batch->n_taken);
        ko_put_int(to, batch->n_cells);
        ko_put_int(to, batch->n_rows);
        ko_put_int(to, batch->n_branches);
        ko_put_int(to, batch->n_branch_rows);
        ko_put_int(to, batch->n_part_branches);
        ko_put_int(to, batch->n_part_rows);
        ko_put_int(to, batch->n_shared_rows);
        ko_put_int(to, batch->longest_path);
        ko_put_double(to, batch->flop);
        ko_put_double(to, batch->separate_flop);
    }
}

static enum ko_code get_facts(struct ko_bytes *from, const struct ko_plan *plan,
                              struct ko_batch *batch, struct ko_error *err)
{
    const int64_t n = ko_get_int(from);
    if (n < 0 || (size_t)n > from->left / sizeof *batch->fact) {
        from->broken = 1;
        return KO_OK;
    }
    batch->fact = ko_new((size_t)n, sizeof *batch->fact, err);
    if (!batch->fact) {
        return KO_E_MEMORY;
    }
    batch->n_facts = (int32_t)n;
    ko_get_blob(from, batch->fact, (size_t)n * sizeof *batch->fact);
    for (int32_t k = 0; k < batch->n_facts; k++) {
        from->broken |= batch->fact[k] < 0 || batch->fact[k] >= plan->n_facts;
    }
    return KO_OK;
}

static enum ko_code get_batch(struct ko_bytes *from, const struct ko_plan *plan,
                              const struct ko_taken *taken, struct ko_batch *batch,
                              struct ko_error *err)
{
    batch->model = (int32_t)ko_get_int(from);
    from->broken |= batch->model < 0 || batch->model >= plan->n_models;
    const enum ko_code code = get_facts(from, plan, batch, err);
    if (code != KO_OK || from->broken) {
        return code;
    }
    batch->n_waves = (int32_t)ko_get_int(from);
    batch->taken = ko_get_int(from) ? taken : NULL;
    batch->n_taken = ko_get_int(from);
    batch->n_cells = ko_get_int(from);
    batch->n_rows = ko_get_int(from);
    batch->n_branches = ko_get_int(from);
    batch->n_branch_rows = ko_get_int(from);
    batch->n_part_branches = ko_get_int(from);
    batch->n_part_rows = ko_get_int(from);
    batch->n_shared_rows = ko_get_int(from);
    batch->longest_path = (int32_t)ko_get_int(from);
    batch->flop = ko_get_double(from);
    batch->separate_flop = ko_get_double(from);
    return KO_OK;
}

enum ko_code ko_batches_unpack(struct ko_bytes *from, const struct ko_plan *plan,
                               const struct ko_taken *taken, struct ko_batches *out,
                               struct ko_error *err)
{
    const int64_t n = ko_get_int(from);
    struct ko_batches batches = {0};
    enum ko_code code = KO_OK;
    *out = batches;
    if (n < 0 || (size_t)n > from->left / LEAST_BYTES) {
        from->broken = 1;
        return KO_OK;
    }
    batches.batch = ko_new((size_t)n, sizeof *batches.batch, err);
    if (!batches.batch) {
        return KO_E_MEMORY;
    }
    while (code == KO_OK && !from->broken && batches.n < n) {
        code = get_batch(from, plan, taken, &batches.batch[batches.n++], err);
    }
    if (code != KO_OK || from->broken) {
        ko_batches_free(&batches);
    }
    *out = batches;
    return code;
}
