/* SPDX-License-Identifier: Apache-2.0 */
/* Answers the tree's questions for components that are taken out. */
#include "src/tree/component_removal.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/prompts/token_set.h"

/* The prompt that gives the component for one seed of classes that resample it. */
struct donor {
    uint64_t seed;
    int32_t fact; /* -1: none */
    bool paired;  /* it has a position for each of the prompt's set */
    int32_t *at;  /* [T] the position there of each position in the set */
};

/* Where the components are taken out of a prompt. */
struct removed {
    int32_t route;
    bool replaces;       /* the plan has classes that replace the component */
    uint8_t components;  /* those that the model has */
    uint8_t *at;         /* [T] 1: at this position */
    struct donor *donor; /* [n_donors] */
    int32_t n_donors;
};

/* Routes that replace a component take it from prompts of their own. */
static bool equal_removed(const struct ko_intervention *a, const struct ko_intervention *b)
{
    const struct removed *x = a->self, *y = b->self;
    return x->components == y->components && (!x->replaces || x->route == y->route) &&
           memcmp(x->at, y->at, (size_t)a->n_tokens) == 0;
}

/* Marks the positions of the route. */
static enum ko_code mark_positions(const struct ko_route *route, const struct ko_prompt *prompt,
                                   int32_t position, uint8_t *at, struct ko_error *err)
{
    if (route->kind != KO_ROUTE_COMPONENT_EACH) {
        return ko_token_set_eval(route->target, prompt, at, err);
    }
    if (position >= 0 && position < prompt->n_tokens) {
        at[position] = 1;
    }
    return KO_OK;
}

/* The donor for a class; NULL for a class that does not resample. */
static const struct donor *find_donor(const struct removed *removed,
                                      const struct ko_tree_model *model, int32_t class)
{
    const struct ko_feature_class *c = &model->plan->class[class];
    for (int32_t d = 0; c->replacement == KO_REPLACE_RESAMPLE && d < removed->n_donors; d++) {
        if (removed->donor[d].seed == c->donor_seed) {
            return &removed->donor[d];
        }
    }
    return NULL;
}

/* Pairs the k-th position of the prompt's set with the k-th of the donor's.
   at: [T of the donor] 1: in the donor's set */
static bool pair_positions(const struct removed *removed, int32_t n_tokens, const uint8_t *at,
                           int32_t n_donor_tokens, int32_t *donor_at)
{
    int32_t next = 0;
    for (int32_t i = 0; i < n_tokens; i++) {
        if (!removed->at[i]) {
            continue;
        }
        while (next < n_donor_tokens && !at[next]) {
            next++;
        }
        if (next == n_donor_tokens) {
            return false;
        }
        donor_at[i] = next++;
    }
    return true;
}

/* A prompt without a donor, or whose donor has too few positions, keeps its component. */
static bool class_applies(const struct ko_intervention *intervention,
                          const struct ko_tree_model *model, int32_t class)
{
    const struct removed *removed = intervention->self;
    if (model->plan->class[class].replacement != KO_REPLACE_RESAMPLE) {
        return true;
    }
    const struct donor *donor = find_donor(removed, model, class);
    return donor && donor->paired;
}

static int32_t donor_of(const struct ko_intervention *intervention,
                        const struct ko_tree_model *model, int32_t class)
{
    const struct donor *donor = find_donor(intervention->self, model, class);
    return donor ? donor->fact : -1;
}

static int32_t same_class(const struct ko_intervention *intervention,
                          const struct ko_tree_model *model, int32_t class)
{
    (void)intervention;
    return model->same_class[class];
}

static const struct ko_tree_layout *layout_of(const struct ko_intervention *intervention,
                                              const struct ko_tree_model *model, int32_t class)
{
    const struct removed *removed = intervention->self;
    (void)class;
    return ko_tree_component_layout_of(model, removed->components);
}

/* Nothing reads the other positions' outputs of the last stage. */
static bool is_clean(const struct ko_intervention *intervention, const struct ko_tree_model *model,
                     int32_t class, const struct ko_tree_range *range)
{
    const struct removed *removed = intervention->self;
    (void)class;
    return range->begin == model->n_stages - 1 && !removed->at[intervention->n_tokens - 1];
}

static bool own_convolution(const struct ko_tree_model *model, int32_t class)
{
    (void)model;
    (void)class;
    return false;
}

/* No edges are removed. */
static void describe_branch(const struct ko_tree_model *model, int32_t class,
                            struct ko_branch *branch)
{
    (void)model;
    (void)class;
    branch->mixers = 0;
    branch->mask = -1;
    branch->only_head = 0;
    branch->conv = false;
    branch->after_softmax = false;
}

static void describe_removal(const struct ko_intervention *intervention,
                             const struct ko_tree_model *model, int32_t class,
                             struct ko_removal *out)
{
    const struct removed *removed = intervention->self;
    const struct ko_feature_class *c = &model->plan->class[class];
    const struct donor *donor = find_donor(removed, model, class);
    *out = (struct ko_removal){
        .components = removed->components,
        .head = ko_feature_class_is_head(c) ? c->head : -1,
        .mean = c->replacement == KO_REPLACE_MEAN ? ko_plan_mean(model->plan, removed->route) : -1,
        .donor = -1,
        .donor_at = donor ? donor->at : NULL,
        .at = removed->at,
    };
}

static void free_removed(void *self)
{
    struct removed *removed = self;
    for (int32_t d = 0; d < removed->n_donors; d++) {
        free(removed->donor[d].at);
    }
    free(removed->donor);
    free(removed->at);
    free(removed);
}

static const struct ko_intervention_kind component_removal = {
    .equal = equal_removed,
    .same_class = same_class,
    .applies = class_applies,
    .donor = donor_of,
    .layout = layout_of,
    .is_clean = is_clean,
    .own_convolution = own_convolution,
    .describe = describe_branch,
    .removal = describe_removal,
    .free = free_removed,
};

/* Adds the donor of a seed. */
static enum ko_code add_donor(struct removed *removed, const struct ko_tree_model *model,
                              int32_t fact, int32_t position, uint64_t seed, struct ko_error *err)
{
    const struct ko_plan *plan = model->plan;
    const int32_t n = ko_plan_prompt(plan, model->model, fact)->n_tokens;
    struct donor *donor = &removed->donor[removed->n_donors++];
    *donor = (struct donor){.seed = seed,
                            .fact = ko_plan_donor(plan, model->model, removed->route, fact, seed)};
    if (donor->fact < 0) {
        return KO_OK;
    }
    const struct ko_prompt *prompt = ko_plan_prompt(plan, model->model, donor->fact);
    uint8_t *at = ko_new((size_t)prompt->n_tokens, 1, err);
    donor->at = at ? ko_new((size_t)n, sizeof *donor->at, err) : NULL;
    enum ko_code code = donor->at ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = mark_positions(&plan->route[removed->route].route, prompt, position, at, err);
    }
    if (code == KO_OK) {
        donor->paired = pair_positions(removed, n, at, prompt->n_tokens, donor->at);
    }
    free(at);
    return code;
}

/* The donors of all seeds of the route's classes. */
static enum ko_code add_donors(struct removed *removed, const struct ko_tree_model *model,
                               int32_t fact, int32_t position, struct ko_error *err)
{
    const struct ko_plan *plan = model->plan;
    enum ko_code code = KO_OK;
    removed->donor = ko_new((size_t)plan->n_classes, sizeof *removed->donor, err);
    if (!removed->donor) {
        return KO_E_MEMORY;
    }
    for (int32_t c = 0; code == KO_OK && c < plan->n_classes; c++) {
        if (plan->class[c].replacement == KO_REPLACE_RESAMPLE && !find_donor(removed, model, c) &&
            ko_plan_has_pair(plan, model->model, removed->route, c)) {
            code = add_donor(removed, model, fact, position, plan->class[c].donor_seed, err);
        }
    }
    return code;
}

enum ko_code ko_component_removal_make(const struct ko_tree_model *model, int32_t fact,
                                       int32_t route, int32_t position, struct ko_intervention *out,
                                       struct ko_error *err)
{
    const struct ko_prompt *prompt = ko_plan_prompt(model->plan, model->model, fact);
    const struct ko_route *r = &model->plan->route[route].route;
    const size_t n = (size_t)prompt->n_tokens;
    struct removed *removed = ko_new(1, sizeof *removed, err);
    if (!removed) {
        return KO_E_MEMORY;
    }
    removed->route = route;
    removed->replaces = model->plan->reference != NULL;
    removed->components = ko_tree_components_of(model, r);
    removed->at = ko_new(n, 1, err);
    enum ko_code code =
        removed->at ? mark_positions(r, prompt, position, removed->at, err) : KO_E_MEMORY;
    if (code == KO_OK && removed->replaces) {
        code = add_donors(removed, model, fact, position, err);
    }
    if (code != KO_OK) {
        free_removed(removed);
        return code;
    }
    const uint8_t *first = memchr(removed->at, 1, n);
    const bool none = !first || removed->components == 0;
    *out = (struct ko_intervention){.kind = &component_removal,
                                    .n_tokens = prompt->n_tokens,
                                    .first_position =
                                        none ? prompt->n_tokens : (int32_t)(first - removed->at),
                                    .self = removed};
    return KO_OK;
}
