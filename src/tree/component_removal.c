/* SPDX-License-Identifier: Apache-2.0 */
/* Answers the tree's questions for components that are taken out. */
#include "src/tree/component_removal.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/prompts/token_set.h"

/* Where the components are taken out of a prompt. */
struct removed {
    int32_t fact, route;
    int32_t position; /* of a route with `each` */
    bool replaces;    /* the plan has classes that replace the component */
    /* The donor that was found last, since the classes of all heads have the same; -2: none yet */
    int32_t donor;
    uint64_t donor_seed;
    uint8_t components; /* those that the model has */
    uint8_t at[];       /* [T] 1: at this position */
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

static int32_t find_donor(struct removed *removed, const struct ko_tree_model *model, int32_t class)
{
    const struct ko_feature_class *c = &model->plan->class[class];
    if (c->replacement != KO_REPLACE_RESAMPLE) {
        return -1;
    }
    if (removed->donor == -2 || removed->donor_seed != c->donor_seed) {
        removed->donor =
            ko_plan_donor(model->plan, model->model, removed->route, removed->fact, c->donor_seed);
        removed->donor_seed = c->donor_seed;
    }
    return removed->donor;
}

/* Pairs the k-th position of the prompt's set with the k-th of the donor's. donor_at may be NULL.
   Returns whether each has one. */
static bool pair_positions(const struct removed *removed, const struct ko_tree_model *model,
                           int32_t n_tokens, int32_t donor, int32_t *donor_at)
{
    const struct ko_prompt *prompt = ko_plan_prompt(model->plan, model->model, donor);
    const struct ko_route *route = &model->plan->route[removed->route].route;
    uint8_t *at = ko_new((size_t)prompt->n_tokens, 1, NULL);
    bool paired = at && mark_positions(route, prompt, removed->position, at, NULL) == KO_OK;
    int32_t next = 0;
    for (int32_t i = 0; paired && i < n_tokens; i++) {
        if (!removed->at[i]) {
            continue;
        }
        while (next < prompt->n_tokens && !at[next]) {
            next++;
        }
        paired = next < prompt->n_tokens;
        if (paired && donor_at) {
            donor_at[i] = next;
        }
        next++;
    }
    free(at);
    return paired;
}

/* A prompt without a donor, or whose donor has too few positions, keeps its component. */
static bool class_applies(const struct ko_intervention *intervention,
                          const struct ko_tree_model *model, int32_t class)
{
    struct removed *removed = intervention->self;
    if (model->plan->class[class].replacement != KO_REPLACE_RESAMPLE) {
        return true;
    }
    const int32_t donor = find_donor(removed, model, class);
    return donor >= 0 && pair_positions(removed, model, intervention->n_tokens, donor, NULL);
}

static int32_t donor_of(const struct ko_intervention *intervention,
                        const struct ko_tree_model *model, int32_t class)
{
    return find_donor(intervention->self, model, class);
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
                             const struct ko_tree_model *model, int32_t class, int32_t *donor_at,
                             struct ko_removal *out)
{
    struct removed *removed = intervention->self;
    const struct ko_feature_class *c = &model->plan->class[class];
    const int32_t donor = find_donor(removed, model, class);
    *out = (struct ko_removal){
        .components = removed->components,
        .head = ko_feature_class_is_head(c) ? c->head : -1,
        .mean = c->replacement == KO_REPLACE_MEAN ? ko_plan_mean(model->plan, removed->route) : -1,
        .donor = -1,
        .at = removed->at,
    };
    if (donor >= 0) {
        (void)pair_positions(removed, model, intervention->n_tokens, donor, donor_at);
    }
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
    .free = free,
};

enum ko_code ko_component_removal_make(const struct ko_tree_model *model, int32_t fact,
                                       int32_t route, int32_t position, struct ko_intervention *out,
                                       struct ko_error *err)
{
    const struct ko_prompt *prompt = ko_plan_prompt(model->plan, model->model, fact);
    const struct ko_route *r = &model->plan->route[route].route;
    const size_t n = (size_t)prompt->n_tokens;
    struct removed *removed = ko_new(1, sizeof *removed + n, err);
    if (!removed) {
        return KO_E_MEMORY;
    }
    removed->fact = fact;
    removed->route = route;
    removed->position = position;
    removed->donor = -2;
    removed->replaces = model->plan->reference != NULL;
    removed->components = ko_tree_components_of(model, r);
    const enum ko_code code = mark_positions(r, prompt, position, removed->at, err);
    if (code != KO_OK) {
        free(removed);
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
