/* SPDX-License-Identifier: Apache-2.0 */
/* Answers the tree's questions for components that are taken out. */
#include "src/tree/component_removal.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/prompts/token_set.h"

/* Where the components are taken out of a prompt. */
struct removed {
    uint8_t components; /* those that the model has */
    uint8_t at[];       /* [T] 1: at this position */
};

static bool equal_removed(const struct ko_intervention *a, const struct ko_intervention *b)
{
    const struct removed *x = a->self, *y = b->self;
    return x->components == y->components && memcmp(x->at, y->at, (size_t)a->n_tokens) == 0;
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
    *out = (struct ko_removal){
        .components = removed->components,
        .head = ko_feature_class_is_head(c) ? c->head : -1,
        .at = removed->at,
    };
}

static const struct ko_intervention_kind component_removal = {
    .equal = equal_removed,
    .same_class = same_class,
    .layout = layout_of,
    .is_clean = is_clean,
    .own_convolution = own_convolution,
    .describe = describe_branch,
    .removal = describe_removal,
    .free = free,
};

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
