/* SPDX-License-Identifier: Apache-2.0 */
/* The stages and sublayers of a plan's models, and whether layers differ so that windows of one size
   may be vacuous or not. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/plan/plan.h"

static bool stages_equal(const struct ko_plan_stage *a, const struct ko_plan_stage *b)
{
    bool equal = a->mixers == b->mixers && a->reach == b->reach;
    for (int part = 0; part < 3; part++) {
        equal = equal && a->flop[part] <= b->flop[part] && a->flop[part] >= b->flop[part];
    }
    return equal;
}

/* Whether every layer is one stage and all are equal. */
static bool layers_are_alike(const struct ko_plan_model *model, const struct ko_plan_stage *stage,
                             int32_t n)
{
    bool alike = n == model->n_layers;
    for (int32_t s = 0; alike && s < n; s++) {
        alike = stage[s].layer == s && stages_equal(&stage[s], &stage[0]);
    }
    return alike;
}

enum ko_code ko_plan_model_set_stages(struct ko_plan_model *model,
                                      const struct ko_plan_stage *stage, int32_t n,
                                      struct ko_error *err)
{
    struct ko_plan_stage *copy = NULL;
    if (!layers_are_alike(model, stage, n)) {
        copy = ko_new((size_t)n, sizeof *copy, err);
        if (!copy) {
            return KO_E_MEMORY;
        }
        memcpy(copy, stage, (size_t)n * sizeof *copy);
    }
    free(model->stage);
    model->stage = copy;
    model->n_stages = copy ? n : 0;
    model->mixers = 0;
    model->reach = 0;
    memset(model->row_flop, 0, sizeof model->row_flop);
    for (int32_t s = 0; s < n; s++) {
        model->mixers |= stage[s].mixers;
        model->reach = stage[s].reach > model->reach ? stage[s].reach : model->reach;
        for (int part = 0; part < 3; part++) {
            model->row_flop[part] += stage[s].flop[part] / n;
        }
    }
    if (!copy && n > 0) {
        memcpy(model->row_flop, stage[0].flop, sizeof model->row_flop);
    }
    return KO_OK;
}

enum ko_code ko_plan_model_set_sublayers(struct ko_plan_model *model,
                                         const struct ko_plan_sublayer *sublayer, int32_t n,
                                         struct ko_error *err)
{
    struct ko_plan_sublayer *copy = ko_new((size_t)n, sizeof *copy, err);
    if (!copy) {
        return KO_E_MEMORY;
    }
    memcpy(copy, sublayer, (size_t)n * sizeof *copy);
    free(model->sublayer);
    model->sublayer = copy;
    model->n_sublayers = n;
    model->components = 0;
    for (int32_t i = 0; i < n; i++) {
        model->components |= copy[i].components;
    }
    return KO_OK;
}

int32_t ko_plan_n_stages(const struct ko_plan_model *model)
{
    return model->stage ? model->n_stages : model->n_layers;
}

struct ko_plan_stage ko_plan_stage_of(const struct ko_plan_model *model, int32_t stage)
{
    if (model->stage) {
        return model->stage[stage];
    }
    return (struct ko_plan_stage){
        stage,
        model->mixers,
        model->reach,
        {model->row_flop[0], model->row_flop[1], model->row_flop[2]},
    };
}

struct ko_model_features ko_plan_model_features(const struct ko_plan_model *model)
{
    return (struct ko_model_features){
        .mixers = model->mixers,
        .n_features = model->n_features,
        .n_heads = model->n_heads,
        .n_ssm_heads = model->n_ssm_heads,
    };
}

/* Whether each layer of the model has one of these mixers. */
static bool every_layer_has(const struct ko_plan_model *model, uint8_t mixers)
{
    int32_t next = 0; /* the layers before it have one */
    for (int32_t s = 0; s < ko_plan_n_stages(model); s++) {
        const struct ko_plan_stage stage = ko_plan_stage_of(model, s);
        if (stage.layer == next && (stage.mixers & mixers)) {
            next++;
        }
    }
    return next == model->n_layers;
}

/* Whether a class of the plan names mixers that some layers of the model lack. */
static bool lacks_mixers(const struct ko_plan *plan, int32_t model)
{
    for (int32_t c = 0; c < plan->n_classes; c++) {
        if (ko_plan_model_has_class(plan, model, c) &&
            !every_layer_has(&plan->model[model], ko_feature_class_mixers(&plan->class[c]))) {
            return true;
        }
    }
    return false;
}

/* Whether each layer of the model has one of these components. */
static bool every_layer_has_component(const struct ko_plan_model *model, uint8_t components)
{
    int32_t next = 0; /* the layers before it have one */
    for (int32_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_plan_sublayer *sublayer = &model->sublayer[i];
        if (sublayer->layer == next && (sublayer->components & components)) {
            next++;
        }
    }
    return next == model->n_layers;
}

/* Whether a route of the plan takes out components that some layers of the model lack. */
static bool lacks_components(const struct ko_plan *plan, int32_t model)
{
    const struct ko_plan_model *m = &plan->model[model];
    for (int32_t r = 0; r < plan->n_routes; r++) {
        const uint8_t components = plan->route[r].route.components & m->components;
        if (components && !every_layer_has_component(m, components)) {
            return true;
        }
    }
    return false;
}

/* Whether a prompt of the axis, a list of facts, is longer than a stage of the model reaches. */
static bool any_longer(const struct ko_plan *plan, int32_t model, const int32_t *fact, int32_t n)
{
    int32_t least = INT32_MAX;
    for (int32_t s = 0; s < plan->model[model].n_stages; s++) {
        const int32_t reach = plan->model[model].stage[s].reach;
        least = reach < least ? reach : least;
    }
    for (int32_t i = 0; i < n; i++) {
        const struct ko_prompt *prompt = ko_plan_prompt(plan, model, fact[i]);
        if (prompt->reason == KO_RUNNABLE && prompt->n_tokens > least) {
            return true;
        }
    }
    return false;
}

bool ko_plan_mixes_vacuous(const struct ko_plan *plan)
{
    for (int32_t m = 0; plan->kind == KO_PLAN_SWEEP && m < plan->n_models; m++) {
        if (plan->model[m].stage && (lacks_mixers(plan, m) || lacks_components(plan, m) ||
                                     any_longer(plan, m, plan->prompt_fact, plan->n_prompts) ||
                                     any_longer(plan, m, plan->heat_fact, plan->n_heat_prompts))) {
            return true;
        }
    }
    return false;
}
