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

/* The labels of a block and where each stands. */
struct labels {
    struct ko_strings label, where;
};

static void free_labels(struct labels *list, int32_t n)
{
    for (int32_t b = 0; list && b < n; b++) {
        ko_strings_free(&list[b].label);
        ko_strings_free(&list[b].where);
    }
    free(list);
}

static enum ko_code add_label(struct labels *list, const char *label, const char *where,
                              struct ko_error *err)
{
    const enum ko_code code = ko_strings_add(&list->label, label, err);
    return code == KO_OK ? ko_strings_add(&list->where, where, err) : code;
}

/* The most heads of the class's kind that a model of the block has. */
static int32_t most_heads(const struct ko_plan_builder *builder, int32_t block,
                          const struct ko_feature_class *class)
{
    const struct ko_plan *plan = builder->plan;
    const uint8_t *has = builder->block_model + (size_t)block * (size_t)plan->n_models;
    int32_t most = 0;
    for (int32_t m = 0; m < plan->n_models; m++) {
        const struct ko_plan_model *model = &plan->model[m];
        const int32_t n = class->kind == KO_FEATURE_HEAD ? model->n_heads : model->n_ssm_heads;
        most = has[m] && n > most ? n : most;
    }
    return most;
}

/* Adds the label; instead of head:each, a label for each head. */
static enum ko_code add_feature(const struct ko_plan_builder *builder, int32_t block,
                                const char *label, const char *where, struct labels *list)
{
    struct ko_feature_class class = {0};
    enum ko_code code = ko_feature_class_parse(label, &class, builder->err);
    if (code != KO_OK || !ko_feature_class_is_head(&class) || class.head != KO_HEAD_EACH) {
        return code == KO_OK ? add_label(list, label, where, builder->err) : code;
    }
    const int32_t n = most_heads(builder, block, &class);
    if (n == 0) {
        return ko_fail(builder->err, KO_E_INPUT,
                       "%s: features: '%s': no model here has such heads, %s", where, label,
                       class.kind == KO_FEATURE_HEAD ? "they need attention"
                                                     : "they need Mamba-2 or gated DeltaNet");
    }
    for (class.head = 0; code == KO_OK && class.head < n; class.head++) {
        char text[64];
        ko_feature_class_label(&class, text);
        code = add_label(list, text, where, builder->err);
    }
    return code;
}

/* The labels of each block of the spec [n_blocks]. Free with free_labels, also after a failure. */
static enum ko_code list_labels(const struct ko_plan_builder *builder, bool routes,
                                struct labels **out)
{
    const struct ko_plan *plan = builder->plan;
    struct labels *list = ko_new((size_t)plan->n_blocks, sizeof *list, builder->err);
    enum ko_code code = list ? KO_OK : KO_E_MEMORY;
    for (int32_t b = 0; code == KO_OK && b < plan->n_blocks; b++) {
        const struct ko_spec_block *block = &builder->input->spec->block[b];
        const struct ko_strings *own = routes ? &block->routes : &block->features;
        const struct ko_strings *where = routes ? &block->routes_where : &block->features_where;
        for (size_t i = 0; code == KO_OK && i < own->n; i++) {
            code = routes ? add_label(&list[b], own->item[i], where->item[i], builder->err)
                          : add_feature(builder, b, own->item[i], where->item[i], &list[b]);
        }
    }
    *out = list;
    return code;
}

/* Collects the labels of all blocks in order of first use, and where each first stands. */
static enum ko_code gather_labels(const struct labels *list, int32_t n_blocks, struct labels *out,
                                  struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int32_t b = 0; code == KO_OK && b < n_blocks; b++) {
        for (size_t i = 0; code == KO_OK && i < list[b].label.n; i++) {
            if (ko_strings_find(&out->label, list[b].label.item[i]) < 0) {
                code = add_label(out, list[b].label.item[i], list[b].where.item[i], err);
            }
        }
    }
    return code;
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
    route->heat = ko_route_is_each(&route->route);
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
    struct labels *list = NULL, all = {0};
    struct ko_strings spans = {0};
    enum ko_code code = ko_plan_gather_spans(builder, &spans);
    if (code == KO_OK) {
        code = list_labels(builder, true, &list);
    }
    if (code == KO_OK) {
        code = gather_labels(list, plan->n_blocks, &all, builder->err);
    }
    if (code == KO_OK) {
        code = parse_routes(plan, &all.label, &all.where, &spans, builder->err);
    }
    for (int32_t b = 0; code == KO_OK && b < plan->n_blocks; b++) {
        plan->block[b].route = mark_labels(&all.label, &list[b].label, builder->err);
        code = !plan->block[b].route ? KO_E_MEMORY : KO_OK;
    }
    free_labels(list, plan->n_blocks);
    ko_strings_free(&all.label);
    ko_strings_free(&all.where);
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
    case KO_FEATURE_HEAD:
        return "it needs attention with more heads";
    case KO_FEATURE_SSM_HEAD:
        return "it needs Mamba-2 or gated DeltaNet with more heads";
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
    struct labels *list = NULL, all = {0};
    enum ko_code code = list_labels(builder, false, &list);
    if (code == KO_OK) {
        code = gather_labels(list, plan->n_blocks, &all, builder->err);
    }
    if (code == KO_OK) {
        code = parse_classes(plan, &all.label, &all.where, builder->err);
    }
    for (int32_t b = 0; code == KO_OK && b < plan->n_blocks; b++) {
        plan->block[b].class = mark_labels(&all.label, &list[b].label, builder->err);
        code = !plan->block[b].class ? KO_E_MEMORY : KO_OK;
    }
    free_labels(list, plan->n_blocks);
    ko_strings_free(&all.label);
    ko_strings_free(&all.where);
    return code;
}
