/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the route axis and the class axis of a plan: collects the labels of all sweep blocks,
   parses them, and marks which block uses which label. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/plan/build.h"

enum ko_code ko_plan_gather_spans(const struct ko_plan_builder *builder, struct ko_strings *names)
{
    enum ko_code code = KO_OK;
    for (size_t f = 0; f < builder->n_files; f++) {
        const struct ko_strings *more = &builder->facts[f].span_names;
        for (size_t i = 0; code == KO_OK && i < more->n; i++) {
            code = ko_strings_intern(names, more->item[i], NULL, builder->err);
        }
    }
    return code;
}

/* Collects the labels of all blocks in order of first use, and where each first stands. */
static enum ko_code gather_labels(const struct ko_plan_input *input, bool routes,
                                  struct ko_strings *labels, struct ko_strings *where,
                                  struct ko_error *err)
{
    for (size_t b = 0; b < input->spec->n_blocks; b++) {
        const struct ko_spec_block *block = &input->spec->block[b];
        const struct ko_strings *list = routes ? &block->routes : &block->features;
        const struct ko_strings *places = routes ? &block->routes_where : &block->features_where;
        for (size_t i = 0; i < list->n; i++) {
            if (ko_strings_find(labels, list->item[i]) >= 0) {
                continue;
            }
            enum ko_code code = ko_strings_add(labels, list->item[i], err);
            if (code == KO_OK) {
                code = ko_strings_add(where, places->item[i], err);
            }
            if (code != KO_OK) {
                return code;
            }
        }
    }
    return KO_OK;
}

/* Marks a block's labels on an axis. */
static uint8_t *mark_labels(const struct ko_strings *labels, const struct ko_strings *own,
                            struct ko_error *err)
{
    uint8_t *mark = ko_new(labels->n, 1, err);
    for (size_t i = 0; mark && i < own->n; i++) {
        mark[ko_strings_find(labels, own->item[i])] = 1;
    }
    return mark;
}

enum ko_code ko_plan_add_route(struct ko_plan *plan, const char *label,
                               const struct ko_strings *spans, struct ko_error *err)
{
    struct ko_plan_route *route = &plan->route[plan->n_routes];
    const enum ko_code code = ko_route_parse(label, spans, &route->route, err);
    if (code != KO_OK) {
        return code;
    }
    plan->n_routes++;
    route->heat = route->route.kind == KO_ROUTE_EACH || route->route.kind == KO_ROUTE_LATER_EACH;
    route->axis = route->heat ? plan->n_heat_routes++ : plan->n_mean_routes++;
    return KO_OK;
}

static enum ko_code parse_routes(struct ko_plan *plan, const struct ko_strings *labels,
                                 const struct ko_strings *where, const struct ko_strings *spans,
                                 struct ko_error *err)
{
    plan->route = ko_new(labels->n, sizeof *plan->route, err);
    if (!plan->route) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < labels->n; i++) {
        enum ko_code code = ko_plan_add_route(plan, labels->item[i], spans, err);
        if (code != KO_OK) {
            return code == KO_E_INPUT ? ko_fail_in(err, "%s: routes", where->item[i]) : code;
        }
    }
    return KO_OK;
}

enum ko_code ko_plan_build_routes(struct ko_plan_builder *builder)
{
    struct ko_plan *plan = builder->plan;
    struct ko_strings labels = {0}, where = {0}, spans = {0};
    enum ko_code code = ko_plan_gather_spans(builder, &spans);
    if (code == KO_OK) {
        code = gather_labels(builder->input, true, &labels, &where, builder->err);
    }
    if (code == KO_OK) {
        code = parse_routes(plan, &labels, &where, &spans, builder->err);
    }
    for (int32_t b = 0; code == KO_OK && b < plan->n_blocks; b++) {
        const struct ko_strings *own = &builder->input->spec->block[b].routes;
        plan->block[b].route = mark_labels(&labels, own, builder->err);
        code = !plan->block[b].route ? KO_E_MEMORY : KO_OK;
    }
    ko_strings_free(&labels);
    ko_strings_free(&where);
    ko_strings_free(&spans);
    return code;
}

static bool any_model_has(const struct ko_plan *plan, const struct ko_feature_class *class)
{
    for (int32_t m = 0; m < plan->n_models; m++) {
        const struct ko_model_features features = ko_plan_model_features(&plan->model[m]);
        if (ko_feature_class_exists(class, &features)) {
            return true;
        }
    }
    return false;
}

/* What a model needs to have the class. */
static const char *needs_of(const struct ko_feature_class *class)
{
    switch (class->kind) {
    case KO_FEATURE_ATTENTION:
    case KO_FEATURE_AFTER_SOFTMAX:
        return "it needs attention";
    case KO_FEATURE_CONV:
        return "it needs convolutions that mix positions themselves, as LFM2 has";
    case KO_FEATURE_ALL:
    case KO_FEATURE_SSM:
        return "it needs state-space layers";
    default:
        return "thirds need Mamba layers with at least 3 features";
    }
}

enum ko_code ko_plan_add_class(struct ko_plan *plan, const char *label, struct ko_error *err)
{
    struct ko_feature_class *class = &plan->class[plan->n_classes];
    const enum ko_code code = ko_feature_class_parse(label, class, err);
    if (code != KO_OK) {
        return code;
    }
    plan->n_classes++;
    if (any_model_has(plan, class)) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_INPUT, "no model has the class '%s', %s", label, needs_of(class));
}

static enum ko_code parse_classes(struct ko_plan *plan, const struct ko_strings *labels,
                                  const struct ko_strings *where, struct ko_error *err)
{
    plan->class = ko_new(labels->n, sizeof *plan->class, err);
    if (!plan->class) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < labels->n; i++) {
        enum ko_code code = ko_plan_add_class(plan, labels->item[i], err);
        if (code != KO_OK) {
            return code == KO_E_INPUT ? ko_fail_in(err, "%s: features", where->item[i]) : code;
        }
    }
    return KO_OK;
}

enum ko_code ko_plan_build_classes(struct ko_plan_builder *builder)
{
    struct ko_plan *plan = builder->plan;
    struct ko_strings labels = {0}, where = {0};
    enum ko_code code = gather_labels(builder->input, false, &labels, &where, builder->err);
    if (code == KO_OK) {
        code = parse_classes(plan, &labels, &where, builder->err);
    }
    for (int32_t b = 0; code == KO_OK && b < plan->n_blocks; b++) {
        const struct ko_strings *own = &builder->input->spec->block[b].features;
        plan->block[b].class = mark_labels(&labels, own, builder->err);
        code = !plan->block[b].class ? KO_E_MEMORY : KO_OK;
    }
    ko_strings_free(&labels);
    ko_strings_free(&where);
    return code;
}
