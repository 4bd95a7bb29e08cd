/* SPDX-License-Identifier: Apache-2.0 */
/* The command `verify`: draws finished cells of a cube, computes them again with the plain kernels
   and hands both values to verification.c, which compares them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/checkpoint/checkpoint.h"
#include "src/cli/cli.h"
#include "src/cli/sample.h"
#include "src/cli/verification.h"
#include "src/cube/read/planned.h"
#include "src/cube/read/read.h"
#include "src/forward/device_weights.h"
#include "src/forward/forward.h"
#include "src/run/inputs.h"

/* Largest difference that is accepted, absolute, in nats: float32 by float32 in another order of
   summation; looser arithmetic on the cube's side. */
static double tolerance(const char *precision)
{
    if (strcmp(precision, "tf32") == 0) {
        return 0.02;
    }
    return strcmp(precision, "bfloat16") == 0 ? 0.15 : 1e-4;
}

/* A cell that is flagged done and has no value: nothing that is drawn can speak for it. */
static enum ko_code check_values(const struct ko_cli *cli, const struct ko_verification *v,
                                 struct ko_error *err)
{
    const struct ko_strings *models = &cli->options->value[KO_OPT_MODEL].list;
    uint8_t *shown = ko_new(v->axes->model.n, 1, err);
    struct ko_cube_valueless found = {0};
    for (size_t m = 0; shown && m < v->axes->model.n; m++) {
        shown[m] = models->n == 0 || ko_strings_find(models, v->axes->model.item[m]) >= 0;
    }
    enum ko_code code = shown ? ko_cube_find_valueless(v->view, shown, &found, err) : KO_E_MEMORY;
    free(shown);
    if (code == KO_OK && found.n > 0) {
        code = ko_fail(err, KO_E_FAILED,
                       "%s: %lld cells are flagged done and have no value, the first of prompt "
                       "'%s' of %s, compute them again with run --resume",
                       cli->options->arguments.item[0], (long long)found.n,
                       (found.heat ? &v->axes->heat_prompt : &v->axes->prompt)->item[found.prompt],
                       v->axes->model.item[found.model]);
    }
    return code;
}

/* By the spec that the cube holds. */
static enum ko_code open_inputs(struct ko_cli *cli, struct ko_verification *v, struct ko_error *err)
{
    const char *text = ko_cube_view_attribute(v->view, "spec");
    struct ko_spec *spec = NULL;
    if (!text) {
        return ko_fail(err, KO_E_INPUT, "the cube holds no spec, it cannot be verified");
    }
    enum ko_code code = ko_spec_parse(text, "its spec", &spec, err);
    if (code != KO_OK) {
        return ko_fail_in(err, "%s", cli->options->arguments.item[0]);
    }
    code = ko_inputs_open_spec(spec, cli->options, KO_MODELS_USED, true, &v->inputs, err);
    if (code != KO_OK) {
        ko_spec_free(spec);
    }
    return code;
}

static enum ko_code add_routes(struct ko_plan *plan, const struct ko_strings *labels,
                               const struct ko_strings *spans, bool heat, struct ko_error *err)
{
    for (size_t r = 0; r < labels->n; r++) {
        struct ko_plan_route *route = &plan->route[plan->n_routes];
        const enum ko_code code = ko_route_parse(labels->item[r], spans, &route->route, err);
        if (code != KO_OK) {
            return code;
        }
        route->heat = heat;
        route->axis = (int32_t)r;
        plan->n_routes++;
    }
    return KO_OK;
}

/* Gives the evaluation's plan the cube's routes, classes and windows. */
static enum ko_code add_axes(struct ko_verification *v, struct ko_error *err)
{
    const struct ko_cube_axes *axes = v->axes;
    struct ko_plan *plan = v->plan;
    struct ko_strings spans = {0};
    enum ko_code code = KO_OK;
    for (size_t f = 0; code == KO_OK && f < v->inputs.spec->prompt_files.n; f++) {
        for (size_t s = 0; code == KO_OK && s < v->inputs.facts[f].span_names.n; s++) {
            code = ko_strings_intern(&spans, v->inputs.facts[f].span_names.item[s], NULL, err);
        }
    }
    plan->route = ko_new(axes->route.n + axes->heat_route.n, sizeof *plan->route, err);
    plan->class = ko_new(axes->feature_class.n, sizeof *plan->class, err);
    plan->size = ko_new((size_t)axes->n_sizes, sizeof *plan->size, err);
    plan->start = ko_new((size_t)axes->n_starts, sizeof *plan->start, err);
    if (code == KO_OK && (!plan->route || !plan->class || !plan->size || !plan->start)) {
        code = KO_E_MEMORY;
    }
    if (code == KO_OK) {
        code = add_routes(plan, &axes->route, &spans, false, err);
    }
    if (code == KO_OK) {
        code = add_routes(plan, &axes->heat_route, &spans, true, err);
    }
    for (size_t c = 0; code == KO_OK && c < axes->feature_class.n; c++) {
        code = ko_feature_class_parse(axes->feature_class.item[c], &plan->class[c], err);
        plan->n_classes += code == KO_OK;
    }
    if (code == KO_OK) {
        plan->n_sizes = axes->n_sizes;
        plan->n_starts = axes->n_starts;
        memcpy(plan->size, axes->window_size, (size_t)axes->n_sizes * sizeof *plan->size);
        memcpy(plan->start, axes->window_start, (size_t)axes->n_starts * sizeof *plan->start);
    }
    ko_strings_free(&spans);
    return code;
}

static enum ko_code find_model(const struct ko_verification *v, const char *name, int32_t *model,
                               struct ko_error *err)
{
    for (int32_t m = 0; m < v->plan->n_models; m++) {
        if (strcmp(v->plan->model[m].name, name) == 0) {
            *model = m;
            return KO_OK;
        }
    }
    return ko_fail(err, KO_E_INPUT, "model '%s' is in the cube and not in its spec", name);
}

static enum ko_code find_fact(const struct ko_verification *v, const struct ko_sampled *cell,
                              int32_t *fact, struct ko_error *err)
{
    const char *id = (cell->heat ? &v->axes->heat_prompt : &v->axes->prompt)->item[cell->prompt];
    for (int32_t f = 0; f < v->plan->n_facts; f++) {
        if (strcmp(v->plan->fact[f].id, id) == 0) {
            *fact = f;
            return KO_OK;
        }
    }
    return ko_fail(err, KO_E_INPUT, "prompt '%s' is in the cube and not in the prompt file", id);
}

/* The sampled cells of one model, each as a full forward pass on the plain kernels. */
static enum ko_code run_cells(struct ko_verification *v, int32_t cube_model, int32_t model,
                              struct ko_engine *engine, struct ko_error *err)
{
    const int32_t n_mean = (int32_t)v->axes->route.n;
    enum ko_code code = KO_OK;
    for (int64_t k = 0; code == KO_OK && k < v->n_cells; k++) {
        const struct ko_sampled *cell = &v->cell[k];
        int32_t fact = 0;
        if (cell->model != cube_model) {
            continue;
        }
        code = find_fact(v, cell, &fact, err);
        if (code == KO_OK && ko_plan_prompt(v->plan, model, fact)->reason != KO_RUNNABLE) {
            code = ko_fail(err, KO_E_INPUT, "prompt '%s' cannot be run any more: %s",
                           v->plan->fact[fact].id,
                           ko_reason_sentence(ko_plan_prompt(v->plan, model, fact)->reason));
        }
        if (code == KO_OK) {
            const struct ko_cell at = {.model = model,
                                       .fact = fact,
                                       .route = cell->route + (cell->heat ? n_mean : 0),
                                       .class = cell->class,
                                       .source_position = cell->source_position,
                                       .size = cell->size,
                                       .start = cell->start};
            code = ko_engine_run_cell(engine, &at, &v->again[k], err);
        }
    }
    return code;
}

/* The weights are those that the cube's cells came from; a cube that was never computed has no
   hash. */
static enum ko_code check_weights(struct ko_verification *v, int32_t cube_model,
                                  const struct ko_model *model, const uint64_t *hash,
                                  struct ko_error *err)
{
    char stored[33], now[33];
    enum ko_code code = ko_cube_view_content_hash(v->view, cube_model, stored, err);
    ko_model_content_hash(model, hash, now);
    if (code == KO_OK && stored[0] != '\0' && strcmp(stored, now) != 0) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: the weights have content hash %s, the cube was made with %s, verify "
                       "it with the checkpoint that it was made with",
                       v->axes->model.item[cube_model], now, stored);
    }
    return code;
}

static enum ko_code run_model(struct ko_verification *v, int32_t cube_model, struct ko_error *err)
{
    const struct ko_backend_config config = {.threads = 1, .precision = KO_FLOAT32};
    const struct ko_kernels *kernels = &ko_kernels_plain;
    struct ko_checkpoint *checkpoint = NULL;
    struct ko_model *opened = NULL;
    struct ko_engine *engine = NULL;
    struct ko_backend *be = NULL;
    struct ko_device_weights weights = {0};
    uint64_t *hash = NULL;
    int32_t model = 0;
    enum ko_code code = find_model(v, v->axes->model.item[cube_model], &model, err);
    if (code == KO_OK &&
        strcmp(v->plan->model[model].fingerprint, v->axes->fingerprint.item[cube_model]) != 0) {
        code = ko_fail(err, KO_E_INPUT, "%s: fingerprint is %s, the cube was made with %s",
                       v->plan->model[model].name, v->plan->model[model].fingerprint,
                       v->axes->fingerprint.item[cube_model]);
    }
    if (code == KO_OK) {
        code = ko_checkpoint_open(v->plan->model[model].path, v->plan->model[model].name,
                                  &checkpoint, err);
    }
    if (code == KO_OK) {
        code = ko_model_open(checkpoint, &opened, err);
    }
    if (code == KO_OK && opened) {
        hash = ko_new(opened->n_weights, sizeof *hash, err);
        code = hash ? kernels->open(&config, &be, err) : KO_E_MEMORY;
    }
    if (code == KO_OK) {
        code = ko_device_weights_new(opened, kernels, be, config.precision, &weights, err);
    }
    if (code == KO_OK) {
        code = ko_device_weights_load(&weights, checkpoint, hash, err);
    }
    if (code == KO_OK) {
        code = check_weights(v, cube_model, opened, hash, err);
    }
    if (code == KO_OK) {
        code = ko_engine_new(v->plan, model, opened, &weights.arena, kernels, be,
                             2 * v->plan->n_positions, &engine, err);
    }
    if (code == KO_OK) {
        code = run_cells(v, cube_model, model, engine, err);
    }
    ko_engine_free(engine);
    ko_device_weights_free(&weights);
    if (be) {
        kernels->close(be);
    }
    free(hash);
    ko_model_free(opened);
    ko_checkpoint_close(checkpoint);
    return code;
}

static enum ko_code prepare(struct ko_cli *cli, struct ko_verification *v, struct ko_error *err)
{
    const char *path = cli->options->arguments.item[0];
    struct ko_strings warnings = {0};
    const char *precision = ko_cube_view_attribute(v->view, "precision");
    v->axes = ko_cube_view_axes(v->view);
    v->atol = tolerance(precision ? precision : "float32");
    if (ko_cube_view_is_evaluation(v->view)) {
        return ko_fail(err, KO_E_INPUT, "%s: is an evaluation, name a sweep's cube", path);
    }
    enum ko_code code = check_values(cli, v, err);
    if (code == KO_OK) {
        code = open_inputs(cli, v, err);
    }
    /* A cube of version 0.1 does not say its rule, which was this one. */
    if (code == KO_OK && !ko_cube_view_attribute(v->view, "score")) {
        v->inputs.spec->score = KO_SCORE_RAW_FIRST_TOKEN;
    }
    if (code == KO_OK) {
        code = ko_inputs_plan(&v->inputs, KO_PLAN_EVALUATION, NULL, NULL, &warnings, &v->plan, err);
    }
    if (code == KO_OK) {
        code = add_axes(v, err);
    }
    if (code == KO_OK) {
        code = ko_sample_cells(v->view, &cli->options->value[KO_OPT_MODEL].list,
                               ko_option_int(cli->options, KO_OPT_SAMPLE),
                               (uint64_t)ko_option_int(cli->options, KO_OPT_SEED), &v->cell,
                               &v->n_cells, err);
    }
    if (code == KO_OK) {
        v->again = ko_new((size_t)v->n_cells, sizeof *v->again, err);
        code = v->again ? KO_OK : KO_E_MEMORY;
    }
    ko_strings_free(&warnings);
    return code;
}

enum ko_code ko_command_verify(struct ko_cli *cli, int *status, struct ko_error *err)
{
    const char *path = cli->options->arguments.item[0];
    struct ko_verification v = {0};
    enum ko_code code = ko_cube_view_open(path, &v.view, err);
    if (code == KO_OK) {
        code = prepare(cli, &v, err);
    }
    for (size_t m = 0; code == KO_OK && m < v.axes->model.n; m++) {
        for (int64_t k = 0; k < v.n_cells; k++) {
            if (v.cell[k].model == (int32_t)m) {
                code = run_model(&v, (int32_t)m, err);
                break;
            }
        }
    }
    bool passed = false;
    if (code == KO_OK) {
        code = ko_verification_report(cli, &v, &passed, err);
    }
    if (code == KO_OK && !passed) {
        *status = 1;
    }
    free(v.cell);
    free(v.again);
    ko_plan_free(v.plan);
    ko_inputs_close(&v.inputs);
    ko_cube_view_close(v.view);
    return code;
}
