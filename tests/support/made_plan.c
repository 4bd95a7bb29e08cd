/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/made_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/folder.h"

static void check(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "made_plan: %s\n", what);
        abort();
    }
}

static void *zeros(size_t n, size_t size)
{
    void *memory = calloc(n > 0 ? n : 1, size);
    check(memory != NULL, "out of memory");
    return memory;
}

static char *numbered(const char *prefix, int32_t number)
{
    char text[64];
    snprintf(text, sizeof text, "%s%d", prefix, number);
    char *copy = strdup(text);
    check(copy != NULL, "out of memory");
    return copy;
}

struct ko_spec *made_plan_spec(const struct made_case *made)
{
    char *folder = test_folder_make();
    test_folder_write_text(folder, "spec.yaml", made->spec);
    char *path = test_folder_path(folder, "spec.yaml");
    struct ko_spec *spec = NULL;
    struct ko_error err = {0};
    enum ko_code code = ko_spec_read(path, NULL, &spec, &err);
    free(path);
    test_folder_remove(folder);
    check(code == KO_OK, err.text);
    return spec;
}

static struct ko_facts make_facts(const struct made_case *made, int32_t file, int32_t first_id)
{
    int32_t n = made->n_facts[file];
    struct ko_facts facts = {.n = (size_t)n, .file = numbered("facts-", file)};
    facts.fact = zeros((size_t)n, sizeof *facts.fact);
    for (int32_t i = 0; i < n; i++) {
        struct ko_fact *fact = &facts.fact[i];
        fact->id = numbered("", made->same_ids ? i : first_id + i);
        fact->text = numbered("prompt ", i);
        fact->subject = numbered("subject ", i);
        fact->target = numbered("target ", i);
        fact->relation = numbered("R", (first_id + i) % 3);
        fact->line = i + 1;
    }
    return facts;
}

static struct ko_prompt make_prompt(const struct made_case *made, int32_t model, int32_t fact)
{
    struct ko_prompt prompt = {.reason = KO_RUNNABLE,
                               .id = numbered("", fact),
                               .n_tokens = 4 + (3 * fact + model) % 7,
                               .n_special = 1,
                               .subject_begin = 1 + fact % 2,
                               .subject_end = 3 + fact % 2,
                               .target = 1,
                               .foil = -1};
    if (made->shape) {
        made->shape(model, fact, &prompt);
    }
    prompt.token = zeros((size_t)prompt.n_tokens, sizeof *prompt.token);
    prompt.in_subject = zeros((size_t)prompt.n_tokens, 1);
    for (int32_t i = prompt.subject_begin; i < prompt.subject_end; i++) {
        prompt.in_subject[i] = 1;
    }
    return prompt;
}

static struct ko_plan_model make_model(const struct ko_spec_model *from,
                                       const struct made_model *shape)
{
    return (struct ko_plan_model){
        .name = strdup(from->name),
        .path = strdup(from->path),
        .tokenizer = strdup(from->tokenizer),
        .architecture = numbered(shape->n_features > 0 ? "mamba" : "gpt", 2),
        .fingerprint = numbered("fingerprint-", shape->n_layers),
        .tokenizer_fingerprint = numbered("tokenizer-", 1),
        .n_layers = shape->n_layers,
        .d_model = 8,
        .vocabulary = 50,
        .mixers = shape->n_features > 0 ? KO_MIXER_SSM : KO_MIXER_ATTENTION,
        .reach = shape->reach > 0 ? shape->reach : INT32_MAX,
        .n_features = shape->n_features,
        .d_conv = shape->d_conv,
        .row_budget = shape->row_budget > 0 ? shape->row_budget : 1000000,
        .row_bytes = 100.0,
        .weight_bytes = 5000.0,
        .row_flop = {100.0, 10.0, 1.0},
    };
}

/* Layers that differ, where the case says so. */
static void make_stages(const struct made_case *made, int32_t m, struct ko_plan_model *model)
{
    const int32_t *reach = made->layer_reach[m];
    const uint8_t *mixers = made->layer_mixers[m];
    struct ko_plan_stage *stage = zeros((size_t)model->n_layers, sizeof *stage);
    struct ko_error err = {0};
    int32_t n = 0;
    for (int32_t l = 0; l < model->n_layers; l++) {
        if (mixers && mixers[l] == 0) {
            continue;
        }
        stage[n].layer = l;
        stage[n].mixers = mixers ? mixers[l] : model->mixers;
        stage[n].reach = reach ? reach[l] : model->reach;
        memcpy(stage[n].flop, model->row_flop, sizeof stage[n].flop);
        n++;
    }
    if (reach || mixers) {
        check(ko_plan_model_set_stages(model, stage, n, &err) == KO_OK, err.text);
    }
    free(stage);
}

/* The sublayers that follow from the stages. */
static void make_sublayers(struct ko_plan_model *model)
{
    struct ko_plan_sublayer *list = zeros((size_t)model->n_layers * 3, sizeof *list);
    struct ko_error err = {0};
    int32_t n = 0, stage = -1;
    for (int32_t l = 0; l < model->n_layers; l++) {
        uint8_t mixers = 0;
        if (stage + 1 < ko_plan_n_stages(model) && ko_plan_stage_of(model, stage + 1).layer == l) {
            mixers = ko_plan_stage_of(model, ++stage).mixers;
        }
        for (uint8_t kind = 1; kind < KO_COMPONENT_MLP; kind = (uint8_t)(2 * kind)) {
            if (mixers & kind) {
                list[n++] = (struct ko_plan_sublayer){l, stage, kind, 6};
            }
        }
        if (mixers == 0 || (mixers & KO_MIXER_ATTENTION)) {
            list[n++] = (struct ko_plan_sublayer){l, stage, KO_COMPONENT_MLP, 0};
        }
    }
    check(ko_plan_model_set_sublayers(model, list, n, &err) == KO_OK, err.text);
    model->n_heads = model->mixers & KO_MIXER_ATTENTION ? 3 : 0;
    model->n_ssm_heads = model->mixers & KO_MIXER_SSM ? 2 : 0;
    free(list);
}

struct parts {
    struct ko_spec *spec;
    struct ko_facts facts[MADE_FILES];
    struct ko_strings ranked;
    size_t spec_model[MADE_MODELS];
    struct ko_plan_input input;
};

static void make_parts(const struct made_case *made, struct parts *parts)
{
    parts->spec = made_plan_spec(made);
    size_t n_models = parts->spec->n_models, n_files = parts->spec->prompt_files.n;
    check(n_models <= MADE_MODELS && n_files <= MADE_FILES, "too many models or files");
    int32_t n = 0;
    for (size_t i = 0; i < n_files; i++) {
        parts->facts[i] = make_facts(made, (int32_t)i, n);
        n += made->n_facts[i];
    }
    struct ko_error err = {0};
    for (size_t i = 0; i < MADE_MODELS && made->ranked[i]; i++) {
        check(ko_strings_add(&parts->ranked, made->ranked[i], &err) == KO_OK, err.text);
    }
    struct ko_plan_input *input = &parts->input;
    input->kind = made->evaluation ? KO_PLAN_EVALUATION : KO_PLAN_SWEEP;
    input->spec = parts->spec;
    input->spec_model = parts->spec_model;
    input->model = zeros(n_models, sizeof *input->model);
    input->n_models = (int32_t)n_models;
    input->facts = parts->facts;
    input->prompt = zeros(n_models * (size_t)n, sizeof *input->prompt);
    for (int32_t m = 0; m < input->n_models; m++) {
        parts->spec_model[m] = (size_t)m;
        input->model[m] = make_model(&parts->spec->model[m], &made->model[m]);
        make_stages(made, m, &input->model[m]);
        make_sublayers(&input->model[m]);
        for (int32_t f = 0; f < n; f++) {
            input->prompt[m * n + f] = make_prompt(made, m, f);
        }
    }
    input->rank = made->rank;
    input->ranked_models = parts->ranked.n > 0 ? &parts->ranked : NULL;
}

enum ko_code made_plan_build(const struct made_case *made, struct ko_plan **out,
                             struct ko_strings *warnings, struct ko_error *err)
{
    struct parts parts = {0};
    make_parts(made, &parts);
    parts.input.warnings = warnings;
    int32_t n_facts = 0;
    for (size_t i = 0; i < parts.spec->prompt_files.n; i++) {
        n_facts += (int32_t)parts.facts[i].n;
    }
    enum ko_code code = ko_plan_build(&parts.input, out, err);
    if (code != KO_OK) {
        check(parts.input.model != NULL && parts.input.prompt != NULL, "the input was taken over");
        struct ko_plan *rest = zeros(1, sizeof *rest);
        rest->model = parts.input.model;
        rest->n_models = parts.input.n_models;
        rest->prompt = parts.input.prompt;
        rest->n_facts = n_facts;
        ko_plan_free(rest);
    }
    for (size_t i = 0; i < MADE_FILES; i++) {
        ko_facts_free(&parts.facts[i]);
    }
    ko_strings_free(&parts.ranked);
    ko_spec_free(parts.spec);
    return code;
}
