/* SPDX-License-Identifier: Apache-2.0 */
/* The command `verify`: draws finished cells of a cube and recomputes them with the plain kernels.
   verification.c compares both values. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/machine/machine_memory.h"
#include "src/base/memory.h"
#include "src/checkpoint/checkpoint.h"
#include "src/cli/cli.h"
#include "src/cli/sample.h"
#include "src/cli/verification.h"
#include "src/cube/read/planned.h"
#include "src/cube/read/read.h"
#include "src/forward/choice_metrics.h"
#include "src/forward/device_weights.h"
#include "src/forward/forward.h"
#include "src/forward/means.h"
#include "src/forward/streamed_weights.h"
#include "src/models/model_load.h"
#include "src/models/model_open.h"
#include "src/run/dry_plan.h"
#include "src/run/inputs_plan.h"
#include "src/run/settings.h"

/* The largest accepted absolute difference, in nats. float32 sums differ by their order of
   summation alone; a cube of lower precision differs more. Each is two to four times the largest
   difference seen in trained models (docs/precision.md). */
static double accepted_difference(const char *precision)
{
    if (strcmp(precision, "bf16x3") == 0) {
        return 2e-3;
    }
    if (strcmp(precision, "tf32") == 0) {
        return 0.1;
    }
    return strcmp(precision, "bfloat16") == 0 ? 1 : 1e-4;
}

/* Fails where a cell is flagged done and has no value. The sample may miss such a cell, so all are
   looked at. */
static enum ko_code check_values(const struct ko_verification *v, struct ko_error *err)
{
    const struct ko_strings *models = &v->options->value[KO_OPT_MODEL].list;
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
                       v->path, (long long)found.n,
                       (found.heat ? &v->axes->heat_prompt : &v->axes->prompt)->item[found.prompt],
                       v->axes->model.item[found.model]);
    }
    return code;
}

/* Opens what the stored spec names. */
static enum ko_code open_inputs(struct ko_verification *v, struct ko_error *err)
{
    const char *text = ko_cube_view_attribute(v->view, "spec");
    struct ko_spec *spec = NULL;
    if (!text) {
        return ko_fail(err, KO_E_INPUT, "%s: stores no spec, verify a cube that `run` wrote",
                       v->path);
    }
    enum ko_code code = ko_spec_parse(text, "its spec", &spec, err);
    if (code != KO_OK) {
        return ko_fail_in(err, "%s", v->path);
    }
    code = ko_inputs_open_spec(spec, v->options, KO_MODELS_USED, true, &v->inputs, err);
    if (code != KO_OK) {
        ko_spec_free(spec);
        return code;
    }
    /* Cubes of version 0.1 store no scoring rule; that version had only this one. */
    if (!ko_cube_view_attribute(v->view, "score")) {
        spec->score = KO_SCORE_RAW_FIRST_TOKEN;
    }
    return KO_OK;
}

/* A plan over the cube's axes: mean routes, then heat routes. */
static enum ko_code make_plan(struct ko_verification *v, struct ko_error *err)
{
    const struct ko_cube_axes *axes = v->axes;
    struct ko_plan_axes of_cube = {.routes = {&axes->route, &axes->heat_route},
                                   .classes = &axes->feature_class,
                                   .over = axes->over,
                                   .style = axes->style,
                                   .lists = v->inputs.spec->lists,
                                   .size = axes->window_size,
                                   .n_sizes = axes->n_sizes,
                                   .start = axes->window_start,
                                   .n_starts = axes->n_starts};
    const enum ko_code code = ko_inputs_plan_axes(&v->inputs, &of_cube, &v->plan, err);
    return code == KO_E_INPUT ? ko_fail_in(err, "%s", v->path) : code;
}

/* Marks the classes that replace components on the route in a model. */
static void mark_replacing(const struct ko_plan *plan, int32_t model, int32_t route, uint8_t *marks)
{
    for (int32_t c = 0; c < plan->n_classes; c++) {
        marks[c] = plan->class[c].replacement != KO_REPLACE_ZERO &&
                   ko_plan_has_pair(plan, model, route, c);
    }
}

/* The plan selects every prompt, but components are replaced from those of the cube's selection. */
static enum ko_code take_references(struct ko_verification *v, struct ko_error *err)
{
    const size_t n_facts = (size_t)v->plan->n_facts, n_routes = (size_t)v->plan->n_routes;
    struct ko_cube_planned *planned = NULL;
    if (!v->plan->reference || v->axes->eval_prompt.n != n_facts) {
        return KO_OK;
    }
    uint8_t *replacing = ko_new((size_t)v->plan->n_classes, 1, err);
    enum ko_code code = replacing ? ko_cube_planned_open(v->view, &planned, err) : KO_E_MEMORY;
    if (code == KO_OK) {
        code = ko_cube_planned_read_whole(planned, v->view, err);
    }
    for (size_t m = 0; code == KO_OK && m < v->axes->model.n; m++) {
        const int32_t model = ko_inputs_find(&v->inputs, v->axes->model.item[m]);
        for (size_t r = 0; model >= 0 && r < n_routes; r++) {
            const struct ko_plan_route *route = &v->plan->route[r];
            mark_replacing(v->plan, model, (int32_t)r, replacing);
            ko_cube_planned_prompts(planned, route->heat, (size_t)route->axis, (int32_t)m,
                                    replacing,
                                    v->plan->reference + ((size_t)model * n_routes + r) * n_facts);
        }
    }
    ko_cube_planned_close(planned);
    free(replacing);
    return code;
}

static enum ko_code find_model(const struct ko_verification *v, const char *name, int32_t *model,
                               struct ko_error *err)
{
    *model = ko_inputs_find(&v->inputs, name);
    return *model >= 0 ? KO_OK
                       : ko_fail(err, KO_E_INPUT,
                                 "%s: model '%s' is not in the stored spec, verify a cube whose "
                                 "spec was not changed",
                                 v->path, name);
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
    return ko_fail(err, KO_E_INPUT,
                   "%s: prompt '%s' is not in the prompt file, restore the file that the cube was "
                   "made with",
                   v->path, id);
}

static enum ko_code check_runnable(const struct ko_verification *v, int32_t model, int32_t fact,
                                   struct ko_error *err)
{
    const enum ko_reason reason = ko_plan_prompt(v->plan, model, fact)->reason;
    return reason == KO_RUNNABLE
               ? KO_OK
               : ko_fail(err, KO_E_INPUT,
                         "%s: prompt '%s' cannot be run any more, %s, restore the files that the "
                         "cube was made with",
                         v->path, v->plan->fact[fact].id, ko_reason_sentence(reason));
}

/* choice: of the recomputed cell k; NULL where the plan has no choices any more, which then differ. */
static void note_choices(struct ko_verification *v, int64_t k, const struct ko_prompt *prompt,
                         const struct ko_answer_metrics *choice)
{
    const int32_t n_options = v->axes->n_options;
    if (v->sum_again) {
        v->sum_again[k] = choice ? ko_choice_metrics_of(prompt, choice).sum_logprob : NAN;
    }
    for (int32_t o = 0; v->option_again && o < n_options; o++) {
        v->option_again[k * n_options + o] = choice ? ko_option_logprob(prompt, choice, o) : NAN;
    }
}

/* Computes the sampled cells of one model, each in a full forward pass. */
static enum ko_code run_cells(struct ko_verification *v, int32_t cube_model, int32_t model,
                              struct ko_engine *engine, struct ko_error *err)
{
    const int32_t n_mean = v->plan->n_mean_routes;
    const size_t n_tokens = (size_t)v->plan->n_answer_tokens;
    struct ko_answer_metrics *answer =
        ko_new(n_tokens + (size_t)v->plan->n_choices, sizeof *answer, err);
    struct ko_answer_metrics *choice = answer && v->plan->n_choices > 0 ? answer + n_tokens : NULL;
    enum ko_code code = answer ? KO_OK : KO_E_MEMORY;
    for (int64_t k = 0; code == KO_OK && k < v->n_cells; k++) {
        const struct ko_sampled *cell = &v->cell[k];
        int32_t fact = 0;
        if (cell->model != cube_model) {
            continue;
        }
        code = find_fact(v, cell, &fact, err);
        if (code == KO_OK) {
            code = check_runnable(v, model, fact, err);
        }
        if (code == KO_OK) {
            const struct ko_cell at = {.model = model,
                                       .fact = fact,
                                       .route = cell->route + (cell->heat ? n_mean : 0),
                                       .class = cell->class,
                                       .source_position = cell->source_position,
                                       .size = cell->size,
                                       .start = cell->start};
            const struct ko_cell_metrics out = {&v->again[k], n_tokens > 0 ? answer : NULL, choice};
            code = ko_engine_run_cell(engine, &at, &out, err);
        }
        if (code == KO_OK) {
            note_choices(v, k, ko_plan_prompt(v->plan, model, fact), choice);
        }
        /* The plan's longest answer may be another prompt's than the cube's. */
        for (int32_t i = 0; code == KO_OK && i < v->n_answer_tokens; i++) {
            v->answer_again[k * v->n_answer_tokens + i] =
                i < v->plan->n_answer_tokens ? answer[i] : ko_no_answer_metrics;
        }
    }
    free(answer);
    return code;
}

static enum ko_code check_fingerprint(const struct ko_verification *v, int32_t cube_model,
                                      int32_t model, struct ko_error *err)
{
    const char *now = v->plan->model[model].fingerprint;
    const char *stored = v->axes->fingerprint.item[cube_model];
    return strcmp(now, stored) == 0
               ? KO_OK
               : ko_fail(err, KO_E_INPUT,
                         "%s: fingerprint is %s, the cube was made with %s, verify it with the "
                         "checkpoint that it was made with",
                         v->plan->model[model].name, now, stored);
}

/* Compares the content hash of the loaded weights with the cube's. A cube without results has no
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

/* What computes one model's cells. All owned. */
struct computer {
    struct ko_checkpoint *checkpoint;
    struct ko_model *model;
    struct ko_backend *be;
    struct ko_device_weights weights;
    struct ko_streamed_weights *streamed; /* in place of `weights` */
    uint64_t *hash;                       /* [model->n_weights] */
    struct ko_engine *engine;
};

static void close_computer(struct computer *computer)
{
    ko_engine_free(computer->engine);
    ko_device_weights_free(&computer->weights);
    ko_streamed_weights_free(computer->streamed);
    if (computer->be) {
        ko_kernels_plain.close(computer->be);
    }
    free(computer->hash);
    ko_model_free(computer->model);
    ko_checkpoint_close(computer->checkpoint);
}

/* Whether the weights stream: as asked for, or because they do not fit. */
static enum ko_code choose_streaming(const struct ko_options *options, const struct ko_model *model,
                                     bool *streams, struct ko_error *err)
{
    const double weights = (double)ko_model_floats(model) * (double)sizeof(float);
    enum ko_weights_mode mode = KO_WEIGHTS_AUTO;
    double limit = 0;
    const enum ko_code code = ko_cli_weights(options, &mode, &limit, err);
    const double has = limit > 0 ? limit : KO_HOST_SHARE * ko_machine_memory("");
    *streams = ko_weights_stream(mode, weights <= has);
    return code;
}

static enum ko_code load_weights(const struct ko_options *options, struct computer *computer,
                                 struct ko_error *err)
{
    const struct ko_streaming how = {
        computer->model, &ko_kernels_plain, computer->be, KO_FLOAT32, 1, KO_LAYER_LEAST_SLOTS};
    bool streams = false;
    enum ko_code code = choose_streaming(options, computer->model, &streams, err);
    if (code == KO_OK && streams) {
        code = ko_streamed_weights_new(&how, &computer->streamed, err);
        return code == KO_OK
                   ? ko_streamed_weights_load(computer->streamed, computer->checkpoint,
                                              &(struct ko_load_part){0, 1, 1}, computer->hash, err)
                   : code;
    }
    if (code == KO_OK) {
        code = ko_device_weights_new(computer->model, &ko_kernels_plain, computer->be, KO_FLOAT32,
                                     &computer->weights, err);
    }
    return code == KO_OK ? ko_device_weights_load(&computer->weights, computer->checkpoint, 1,
                                                  computer->hash, err)
                         : code;
}

/* Loads the weights. Close with close_computer, also after a failure. */
static enum ko_code open_computer(const struct ko_options *options,
                                  const struct ko_plan_model *model, struct computer *computer,
                                  struct ko_error *err)
{
    const struct ko_backend_config config = {.threads = 1, .precision = KO_FLOAT32};
    enum ko_code code = ko_checkpoint_open(model->path, model->name, &computer->checkpoint, err);
    if (code == KO_OK) {
        code = ko_model_open(computer->checkpoint, &computer->model, err);
    }
    if (code != KO_OK) {
        return code;
    }
    computer->hash = ko_new(computer->model->n_weights, sizeof *computer->hash, err);
    code = computer->hash ? ko_kernels_plain.open(&config, &computer->be, err) : KO_E_MEMORY;
    return code == KO_OK ? load_weights(options, computer, err) : code;
}

/* The means that the cells were computed with. */
static enum ko_code load_means(struct ko_verification *v, int32_t cube_model, int32_t model,
                               struct ko_engine *engine, struct ko_error *err)
{
    const int32_t n_means = ko_plan_n_means(v->plan);
    const size_t n = ko_plan_mean_values(&v->plan->model[model], n_means);
    if (n_means == 0) {
        return KO_OK;
    }
    float *means = ko_new(n, sizeof *means, err);
    enum ko_code code =
        means ? ko_cube_view_means(v->view, cube_model, n, means, err) : KO_E_MEMORY;
    if (code == KO_OK) {
        code = ko_engine_set_means(engine, means, err);
    }
    free(means);
    return code;
}

static enum ko_code run_model(struct ko_verification *v, int32_t cube_model, struct ko_error *err)
{
    struct computer computer = {0};
    int32_t model = 0;
    enum ko_code code = find_model(v, v->axes->model.item[cube_model], &model, err);
    if (code == KO_OK) {
        code = check_fingerprint(v, cube_model, model, err);
    }
    if (code == KO_OK) {
        code = open_computer(v->options, &v->plan->model[model], &computer, err);
    }
    if (code == KO_OK) {
        code = check_weights(v, cube_model, computer.model, computer.hash, err);
    }
    if (code == KO_OK) {
        const struct ko_arena *arena = computer.streamed
                                           ? ko_streamed_weights_arena(computer.streamed)
                                           : &computer.weights.arena;
        code = ko_engine_new(v->plan, model, computer.model, arena, &ko_kernels_plain, computer.be,
                             3 * (v->plan->n_positions + v->plan->n_answer_tokens),
                             &computer.engine, err);
    }
    if (code == KO_OK) {
        code = load_means(v, cube_model, model, computer.engine, err);
    }
    if (code == KO_OK) {
        code = run_cells(v, cube_model, model, computer.engine, err);
    }
    close_computer(&computer);
    return code;
}

/* Reads several right answers and options, and makes room for the recomputed ones. */
static enum ko_code make_choices(struct ko_verification *v, struct ko_error *err)
{
    const size_t n = (size_t)v->n_cells, n_options = (size_t)v->axes->n_options;
    enum ko_code code = ko_sample_choices(v->view, v->cell, v->n_cells, &v->sum, &v->option, err);
    if (code == KO_OK && v->sum) {
        v->sum_again = ko_new(n, sizeof *v->sum_again, err);
        code = v->sum_again ? KO_OK : KO_E_MEMORY;
    }
    if (code == KO_OK && v->option) {
        v->option_again = ko_new(n * n_options, sizeof *v->option_again, err);
        code = v->option_again ? KO_OK : KO_E_MEMORY;
    }
    return code;
}

static enum ko_code open_verification(struct ko_verification *v, struct ko_error *err)
{
    enum ko_code code = ko_cube_view_open(v->path, &v->view, err);
    if (code != KO_OK) {
        return code;
    }
    const char *precision = ko_cube_view_attribute(v->view, "precision");
    v->axes = ko_cube_view_axes(v->view);
    v->atol = accepted_difference(precision ? precision : "float32");
    if (ko_cube_view_is_evaluation(v->view)) {
        return ko_fail(err, KO_E_INPUT, "%s: is an evaluation, name a sweep's cube", v->path);
    }
    code = check_values(v, err);
    if (code == KO_OK) {
        code = open_inputs(v, err);
    }
    if (code == KO_OK) {
        code = make_plan(v, err);
    }
    if (code == KO_OK) {
        code = take_references(v, err);
    }
    if (code == KO_OK) {
        const struct ko_sampling sampling = {.path = v->path,
                                             .models = &v->options->value[KO_OPT_MODEL].list,
                                             .n = ko_option_int(v->options, KO_OPT_SAMPLE),
                                             .seed =
                                                 (uint64_t)ko_option_int(v->options, KO_OPT_SEED)};
        code = ko_sample_cells(v->view, &sampling, &v->cell, &v->n_cells, err);
    }
    if (code != KO_OK) {
        return code;
    }
    v->again = ko_new((size_t)v->n_cells, sizeof *v->again, err);
    v->n_answer_tokens = v->axes->n_answer_tokens;
    v->answer_again =
        ko_new((size_t)(v->n_cells * v->n_answer_tokens), sizeof *v->answer_again, err);
    if (!v->again || !v->answer_again) {
        return KO_E_MEMORY;
    }
    code = ko_sample_answers(v->view, v->cell, v->n_cells, &v->answer, err);
    return code == KO_OK ? make_choices(v, err) : code;
}

static bool has_cells_of(const struct ko_verification *v, int32_t model)
{
    for (int64_t k = 0; k < v->n_cells; k++) {
        if (v->cell[k].model == model) {
            return true;
        }
    }
    return false;
}

enum ko_code ko_command_verify(struct ko_cli *cli, int *status, struct ko_error *err)
{
    struct ko_verification v = {.path = cli->options->arguments.item[0], .options = cli->options};
    bool passed = false;
    enum ko_code code = open_verification(&v, err);
    for (int32_t m = 0; code == KO_OK && m < (int32_t)v.axes->model.n; m++) {
        if (has_cells_of(&v, m)) {
            code = run_model(&v, m, err);
        }
    }
    if (code == KO_OK) {
        code = ko_verification_report(&v, cli->out, &passed, err);
    }
    if (code == KO_OK && !passed) {
        *status = 1;
    }
    free(v.cell);
    free(v.again);
    free(v.answer);
    free(v.answer_again);
    free(v.sum);
    free(v.sum_again);
    free(v.option);
    free(v.option_again);
    ko_plan_free(v.plan);
    ko_inputs_close(&v.inputs);
    ko_cube_view_close(v.view);
    return code;
}
