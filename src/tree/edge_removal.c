/* SPDX-License-Identifier: Apache-2.0 */
/* Answers the tree's questions for removed edges. The edges themselves are computed from the route
   by ko_route_edges. */
#include "src/tree/edge_removal.h"

#include <stdlib.h>

#include "src/base/memory.h"

static bool equal_edges(const struct ko_intervention *a, const struct ko_intervention *b)
{
    return ko_edges_equal(a->self, b->self);
}

/* Whether the class removes taps of the convolution. An edge that spans d_conv or more has none. */
static bool removes_taps(const struct ko_intervention *intervention,
                         const struct ko_tree_model *model, int32_t class)
{
    const struct ko_edges *edges = intervention->self;
    return model->plan->class[class].conv &&
           edges->min_span < model->plan->model[model->model].d_conv;
}

static int32_t same_class(const struct ko_intervention *intervention,
                          const struct ko_tree_model *model, int32_t class)
{
    return removes_taps(intervention, model, class) ? model->same_class[class]
                                                    : model->without_conv[class];
}

/* The shortest edge exists wherever any does. */
static const struct ko_tree_layout *layout_of(const struct ko_intervention *intervention,
                                              const struct ko_tree_model *model, int32_t class)
{
    const struct ko_edges *edges = intervention->self;
    return ko_tree_layout_of(model, ko_feature_class_mixers(&model->plan->class[class]),
                             edges->min_span);
}

/* Nothing reads the other positions' outputs of the last stage. */
static bool is_clean(const struct ko_intervention *intervention, const struct ko_tree_model *model,
                     int32_t class, const struct ko_tree_range *range)
{
    const struct ko_edges *edges = intervention->self;
    const bool spares_last = !removes_taps(intervention, model, class) &&
                             !ko_edges_has_target(edges, intervention->n_tokens - 1);
    return spares_last && range->begin == model->n_stages - 1;
}

static bool own_convolution(const struct ko_tree_model *model, int32_t class)
{
    return model->plan->class[class].conv;
}

static void describe_branch(const struct ko_tree_model *model, int32_t class,
                            struct ko_branch *branch)
{
    branch->mixers = ko_feature_class_mixers(&model->plan->class[class]);
    branch->mask = model->mask[class];
    branch->only_head =
        model->plan->class[class].kind == KO_FEATURE_HEAD ? model->plan->class[class].head + 1 : 0;
    branch->conv = own_convolution(model, class);
    branch->after_softmax = model->plan->class[class].kind == KO_FEATURE_AFTER_SOFTMAX;
}

static struct ko_edge_set edge_set(const struct ko_intervention *intervention, int32_t part)
{
    const struct ko_edges *edges = intervention->self;
    return (struct ko_edge_set){.later = edges->later,
                                .target = edges->part[part].target,
                                .source = edges->part[part].source,
                                .more = part + 1 < edges->n_parts};
}

static void free_edges(void *self)
{
    ko_edges_free(self);
    free(self);
}

static const struct ko_intervention_kind edge_removal = {
    .equal = equal_edges,
    .same_class = same_class,
    .layout = layout_of,
    .is_clean = is_clean,
    .own_convolution = own_convolution,
    .describe = describe_branch,
    .edge_set = edge_set,
    .free = free_edges,
};

enum ko_code ko_edge_removal_make(const struct ko_tree_model *model, int32_t fact, int32_t route,
                                  int32_t source_position, struct ko_intervention *out,
                                  struct ko_error *err)
{
    const struct ko_plan *plan = model->plan;
    const struct ko_prompt *prompt = ko_plan_prompt(plan, model->model, fact);
    struct ko_edges *edges = ko_new(1, sizeof *edges, err);
    if (!edges) {
        return KO_E_MEMORY;
    }
    const enum ko_code code = ko_route_edges(&plan->route[route].route, prompt, source_position,
                                             plan->model[model->model].reach, edges, err);
    if (code != KO_OK) {
        free(edges);
        return code;
    }
    *out = (struct ko_intervention){.kind = &edge_removal,
                                    .n_tokens = prompt->n_tokens,
                                    .first_position = edges->first_target,
                                    .self = edges};
    return KO_OK;
}
