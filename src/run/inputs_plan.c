/* SPDX-License-Identifier: Apache-2.0 */
/* Builds plans from opened inputs: describes the models, audits the prompts, builds the plan, and
   raises the default row budgets to fit the longest prompt. */
#include "src/run/inputs_plan.h"

#include <stdlib.h>

#include "src/base/memory.h"
#include "src/tree/batch.h"
#include "src/tree/cost.h"

/* In a stage with several mixers the one that reaches farthest counts. */
static enum ko_code describe_stages(const struct ko_model *model, struct ko_plan_model *out,
                                    struct ko_error *err)
{
    const int32_t n = model->n_stages;
    struct ko_plan_stage *stage = ko_new((size_t)n, sizeof *stage, err);
    if (!stage) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_sublayer *sublayer = &model->sublayer[i];
        struct ko_plan_stage *at = &stage[sublayer->stage];
        if (sublayer->kind->mixer) {
            const int32_t reach = sublayer->size.reach > 0 ? sublayer->size.reach : INT32_MAX;
            at->layer = sublayer->layer;
            at->mixers |= sublayer->kind->mixer;
            at->reach = reach > at->reach ? reach : at->reach;
        }
    }
    for (int32_t s = 0; s < n; s++) {
        ko_model_stage_flop(model, s, stage[s].flop);
    }
    const enum ko_code code = ko_plan_model_set_stages(out, stage, n, err);
    free(stage);
    return code;
}

static enum ko_code describe_sublayers(const struct ko_model *model, struct ko_plan_model *out,
                                       struct ko_error *err)
{
    struct ko_plan_sublayer *list = ko_new(model->n_sublayers, sizeof *list, err);
    if (!list) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_sublayer *sublayer = &model->sublayer[i];
        int32_t widths[KO_N_BUFFERS] = {0};
        sublayer->kind->widths(sublayer, model->shape.d_model, widths);
        list[i] = (struct ko_plan_sublayer){
            .layer = sublayer->layer,
            .stage = sublayer->stage,
            .components = sublayer->kind->components,
            .width = ko_sublayer_heads(sublayer) > 0 ? widths[1] : 0,
        };
    }
    const enum ko_code code =
        ko_plan_model_set_sublayers(out, list, (int32_t)model->n_sublayers, err);
    free(list);
    return code;
}

enum ko_code ko_plan_model_describe(const struct ko_model *model, int64_t row_budget, bool gpu,
                                    struct ko_plan_model *out, struct ko_error *err)
{
    const struct ko_shape *shape = &model->shape;
    const struct ko_sizes sizes = ko_model_sizes(model);
    out->n_layers = shape->n_layers;
    out->d_model = shape->d_model;
    out->vocabulary = shape->vocabulary;
    out->max_tokens = shape->max_tokens;
    out->n_features = sizes.n_features;
    out->n_heads = sizes.n_heads;
    out->n_ssm_heads = sizes.n_ssm_heads;
    out->d_conv = sizes.d_conv;
    out->row_bytes = (double)(ko_model_row_floats(model) * sizeof(float));
    out->weight_bytes = (double)ko_model_floats(model) * sizeof(float);
    out->row_budget =
        row_budget > 0 ? (int32_t)row_budget : ko_default_row_budget(out->row_bytes, gpu);
    const enum ko_code code = describe_stages(model, out, err);
    return code == KO_OK ? describe_sublayers(model, out, err) : code;
}

static enum ko_code describe_model(const struct ko_inputs *inputs, int32_t m,
                                   struct ko_plan_model *out, struct ko_error *err)
{
    const struct ko_model *model = inputs->model[m];
    const struct ko_spec_model *from = &inputs->spec->model[inputs->spec_model[m]];
    out->name = ko_copy(from->name, err);
    out->path = ko_copy(from->path, err);
    out->tokenizer = ko_copy(from->tokenizer, err);
    out->architecture = ko_copy(model->family->name, err);
    out->fingerprint = ko_copy(inputs->fingerprint[m], err);
    out->tokenizer_fingerprint = ko_copy(ko_tokenizer_fingerprint(inputs->tokenizer[m]), err);
    if (!out->name || !out->path || !out->tokenizer || !out->architecture || !out->fingerprint ||
        !out->tokenizer_fingerprint) {
        return KO_E_MEMORY;
    }
    return ko_plan_model_describe(model, inputs->row_budget, inputs->gpu, out, err);
}

static enum ko_positions positions_of(const struct ko_model *model)
{
    if (model->ends.positions != KO_NO_WEIGHT) {
        return KO_POSITIONS_LEARNED;
    }
    if (model->n_ropes == 0) {
        return KO_POSITIONS_NONE;
    }
    return model->rope[0].config.section[0] > 0 ? KO_POSITIONS_THREE : KO_POSITIONS_ROTARY;
}

/* The layers before that of the last mixer. Behind that one a pass has the last rows alone. */
static int32_t layers_before_last_mixer(const struct ko_model *model)
{
    int32_t n = 0;
    for (size_t i = 0; i < model->n_sublayers; i++) {
        n = model->sublayer[i].kind->mixer ? model->sublayer[i].layer : n;
    }
    return n;
}

static struct ko_audit audit_of(const struct ko_inputs *inputs, int32_t m)
{
    const struct ko_shape *shape = &inputs->model[m]->shape;
    return (struct ko_audit){.tokenizer = inputs->tokenizer[m],
                             .score = inputs->spec->score,
                             .bos = inputs->spec->model[inputs->spec_model[m]].bos,
                             .bos_id = inputs->front[m].bos_id,
                             .max_tokens = shape->max_tokens,
                             .vocabulary = shape->vocabulary,
                             .width = shape->d_model,
                             .n_added = layers_before_last_mixer(inputs->model[m]),
                             .positions = positions_of(inputs->model[m])};
}

static enum ko_code audit_model(const struct ko_inputs *inputs, int32_t m,
                                struct ko_prompt *prompts, struct ko_error *err)
{
    const struct ko_audit audit = audit_of(inputs, m);
    size_t at = 0;
    for (size_t f = 0; f < inputs->spec->prompt_files.n; f++) {
        for (size_t k = 0; k < inputs->facts[f].n; k++) {
            const enum ko_code code =
                ko_prompt_audit(&audit, &inputs->facts[f].fact[k], &prompts[at++], err);
            if (code != KO_OK) {
                return ko_fail_in(err, "%s: prompt '%s'", inputs->model[m]->name,
                                  inputs->facts[f].fact[k].id);
            }
        }
    }
    return KO_OK;
}

/* Audits the prompts of the c-th chosen model, or copies them from an earlier model with the same
   audit. prompts: [chosen models, facts] */
static enum ko_code take_prompts(const struct ko_inputs *inputs, const int32_t *chosen, int32_t c,
                                 struct ko_prompt *prompts, struct ko_error *err)
{
    const size_t n = (size_t)inputs->n_facts;
    const struct ko_audit audit = audit_of(inputs, chosen[c]);
    struct ko_prompt *out = prompts + (size_t)c * n;
    for (int32_t e = 0; e < c; e++) {
        const struct ko_audit earlier = audit_of(inputs, chosen[e]);
        enum ko_code code = KO_OK;
        if (!ko_audit_equal(&audit, &earlier)) {
            continue;
        }
        for (size_t k = 0; k < n && code == KO_OK; k++) {
            code = ko_prompt_copy(&prompts[(size_t)e * n + k], &out[k], err);
        }
        return code;
    }
    return audit_model(inputs, chosen[c], out, err);
}

/* What a plan takes from the inputs: the models of one kind of plan and their prompts. */
struct parts {
    int32_t *chosen;    /* [n_models] index among the inputs' models */
    size_t *spec_model; /* [n_models] index into spec->model */
    struct ko_plan_model *model;
    struct ko_prompt *prompt; /* [n_models * n_facts] */
    int32_t n_models;
};

static void free_parts(struct parts *parts, int32_t n_facts)
{
    ko_plan_free_untaken(parts->model, parts->n_models, parts->prompt, n_facts);
    free(parts->chosen);
    free(parts->spec_model);
}

/* An evaluation has all models, a sweep the models that blocks use. */
static enum ko_code choose_plan_models(const struct ko_inputs *inputs, enum ko_plan_kind kind,
                                       struct parts *parts, struct ko_error *err)
{
    parts->spec_model = ko_new((size_t)inputs->n_models, sizeof *parts->spec_model, err);
    parts->chosen = ko_new((size_t)inputs->n_models, sizeof *parts->chosen, err);
    if (!parts->spec_model || !parts->chosen) {
        return KO_E_MEMORY;
    }
    for (int32_t m = 0; m < inputs->n_models; m++) {
        if (kind == KO_PLAN_EVALUATION || inputs->used[m]) {
            parts->chosen[parts->n_models] = m;
            parts->spec_model[parts->n_models++] = inputs->spec_model[m];
        }
    }
    return KO_OK;
}

/* Free with free_parts, also after a failure. */
static enum ko_code make_parts(const struct ko_inputs *inputs, enum ko_plan_kind kind,
                               struct parts *parts, struct ko_error *err)
{
    size_t n_prompts = 0;
    enum ko_code code = choose_plan_models(inputs, kind, parts, err);
    if (code == KO_OK) {
        code = ko_multiply((size_t)parts->n_models, (size_t)inputs->n_facts, &n_prompts,
                           "models x prompts", err);
    }
    if (code != KO_OK) {
        return code;
    }
    parts->model = ko_new((size_t)parts->n_models, sizeof *parts->model, err);
    parts->prompt = ko_new(n_prompts, sizeof *parts->prompt, err);
    code = parts->model && parts->prompt ? KO_OK : KO_E_MEMORY;
    for (int32_t m = 0; code == KO_OK && m < parts->n_models; m++) {
        code = describe_model(inputs, parts->chosen[m], &parts->model[m], err);
        if (code == KO_OK) {
            code = take_prompts(inputs, parts->chosen, m, parts->prompt, err);
        }
    }
    return code;
}

/* Raises default budgets until the longest prompt fits. */
static enum ko_code raise_budgets(const struct ko_inputs *inputs, struct ko_plan *plan,
                                  struct ko_strings *warnings, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int32_t m = 0; code == KO_OK && inputs->row_budget == 0 && m < plan->n_models; m++) {
        struct ko_text text = {0};
        bool raised = false;
        const int32_t before = plan->model[m].row_budget;
        code = ko_batches_raise_budget(plan, m, &raised, err);
        if (code != KO_OK || !raised) {
            continue;
        }
        ko_text_add(&text,
                    "%s: the row budget is %d in place of %d: the longest prompt needs as many",
                    plan->model[m].name, plan->model[m].row_budget, before);
        code = ko_text_check(&text, err);
        if (code == KO_OK && warnings) {
            code = ko_strings_add(warnings, ko_text_str(&text), err);
        }
        ko_text_free(&text);
    }
    return code;
}

/* The files that hold the plan's matrices. */
static enum ko_code take_embeddings(const struct ko_inputs *inputs, struct ko_plan *plan,
                                    struct ko_error *err)
{
    const struct ko_strings *paths = &inputs->spec->embeddings;
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < paths->n; i++) {
        code = ko_strings_add(&plan->embeddings, paths->item[i], err);
    }
    return code;
}

enum ko_code ko_inputs_plan(const struct ko_inputs *inputs, enum ko_plan_kind kind,
                            const struct ko_evaluation *evaluation, struct ko_strings *warnings,
                            struct ko_plan **out, struct ko_error *err)
{
    struct parts parts = {0};
    struct ko_plan *plan = NULL;
    enum ko_code code = make_parts(inputs, kind, &parts, err);
    if (code == KO_OK) {
        struct ko_plan_input input = {.kind = kind,
                                      .spec = inputs->spec,
                                      .spec_model = parts.spec_model,
                                      .model = parts.model,
                                      .n_models = parts.n_models,
                                      .facts = inputs->facts,
                                      .prompt = parts.prompt,
                                      .rank = evaluation ? evaluation->answer_rank : NULL,
                                      .ranked_models = evaluation ? &evaluation->model : NULL,
                                      .selected = kind == KO_PLAN_SWEEP ? inputs->selected : NULL,
                                      .warnings = warnings};
        code = ko_plan_build(&input, &plan, err);
        parts.model = input.model;
        parts.prompt = input.prompt;
    }
    if (code == KO_OK) {
        code = take_embeddings(inputs, plan, err);
    }
    if (code == KO_OK) {
        code = raise_budgets(inputs, plan, warnings, err);
    }
    if (code == KO_OK) {
        *out = plan;
    } else {
        ko_plan_free(plan);
    }
    free_parts(&parts, inputs->n_facts);
    return code;
}

enum ko_code ko_inputs_plan_axes(const struct ko_inputs *inputs, struct ko_plan_axes *axes,
                                 struct ko_plan **out, struct ko_error *err)
{
    struct parts parts = {0};
    struct ko_plan *plan = NULL;
    enum ko_code code = make_parts(inputs, KO_PLAN_EVALUATION, &parts, err);
    if (code == KO_OK) {
        axes->model = parts.model;
        axes->n_models = parts.n_models;
        axes->prompt = parts.prompt;
        axes->score = inputs->spec->score;
        axes->answer_rows = inputs->spec->answer_rows;
        axes->facts = inputs->facts;
        axes->n_files = inputs->spec->prompt_files.n;
        code = ko_plan_from_axes(axes, &plan, err);
        parts.model = axes->model;
        parts.prompt = axes->prompt;
    }
    if (code == KO_OK) {
        code = take_embeddings(inputs, plan, err);
    }
    if (code == KO_OK) {
        *out = plan;
    } else {
        ko_plan_free(plan);
    }
    free_parts(&parts, inputs->n_facts);
    return code;
}
