/* SPDX-License-Identifier: Apache-2.0 */
/* Plans the evaluation or the sweep, creates its cube or continues an existing one, and computes
   the prompts that are missing. Only rank 0 runs this code. */
#include "src/run/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ko_version.h"
#include "src/base/file.h"
#include "src/base/machine/signals.h"
#include "src/base/memory.h"
#include "src/cube/create/create.h"
#include "src/cube/read/done.h"
#include "src/cube/read/read.h"
#include "src/run/audit_lines.h"
#include "src/run/inputs_plan.h"
#include "src/run/reuse.h"
#include "src/run/session.h"
#include "src/run/session_run.h"

enum { N_ATTRIBUTES = 8 };

/* Whether --reuse names a cube. */
static bool names_old_cubes(const struct ko_session *session)
{
    return session->cli->options->value[KO_OPT_REUSE].list.n > 0;
}

/* Attributes that do not follow from the plan. The number of them is returned. */
static size_t fill_attributes(const struct ko_session *session, const struct ko_inputs *inputs,
                              const char *evaluation, struct ko_cube_attribute out[N_ATTRIBUTES])
{
    size_t n = 0;
    out[n++] = (struct ko_cube_attribute){"spec", inputs->spec->resolved};
    out[n++] = (struct ko_cube_attribute){"program", "knockout " KO_VERSION};
    out[n++] = (struct ko_cube_attribute){"commit", KO_COMMIT};
    out[n++] = (struct ko_cube_attribute){"backend", session->backend};
    out[n++] = (struct ko_cube_attribute){"device", session->device};
    out[n++] = (struct ko_cube_attribute){
        "precision", ko_option_string(session->cli->options, KO_OPT_PRECISION)};
    if (inputs->embeddings.n > 0) {
        out[n++] = (struct ko_cube_attribute){"embeddings", ko_text_str(&inputs->embeddings)};
    }
    if (evaluation) {
        out[n++] = (struct ko_cube_attribute){"evaluation", evaluation};
    }
    return n;
}

/* The tokenizers of the plan's models, in the plan's order. free() the array. */
static struct ko_tokenizer **plan_tokenizers(const struct ko_inputs *inputs,
                                             const struct ko_plan *plan, struct ko_error *err)
{
    struct ko_tokenizer **tokenizer = ko_new((size_t)plan->n_models, sizeof(void *), err);
    for (int32_t m = 0; tokenizer && m < plan->n_models; m++) {
        tokenizer[m] = inputs->tokenizer[ko_inputs_find(inputs, plan->model[m].name)];
    }
    return tokenizer;
}

/* What an earlier run left in the cube: finished prompts and the hashes of the weights. */
struct earlier {
    uint8_t *done;            /* [n_models * n_facts] */
    char (*content_hash)[33]; /* [n_models] "": not known */
    struct ko_taken *taken;   /* cells from other cubes; NULL: none */
    bool reused;              /* the cube records which cells came from other cubes */
};

static void free_earlier(struct earlier *earlier)
{
    free(earlier->done);
    free(earlier->content_hash);
    ko_taken_free(earlier->taken);
}

/* Nothing is done. Hashes come from the evaluation that selects the prompts, if there is one. */
static enum ko_code start_earlier(const struct ko_plan *plan,
                                  const struct ko_evaluation *evaluation, struct earlier *earlier,
                                  struct ko_error *err)
{
    const size_t n_models = (size_t)plan->n_models;
    earlier->done = ko_new(n_models * (size_t)plan->n_facts, 1, err);
    earlier->content_hash = ko_new(n_models, sizeof *earlier->content_hash, err);
    if (!earlier->done || !earlier->content_hash) {
        return KO_E_MEMORY;
    }
    for (size_t m = 0; evaluation && m < n_models; m++) {
        snprintf(earlier->content_hash[m], sizeof earlier->content_hash[m], "%s",
                 ko_evaluation_content_hash(evaluation, plan->model[m].name));
    }
    return KO_OK;
}

/* What ko_cube_content points to. All owned. */
struct content {
    struct ko_tokenizer **tokenizer;
    struct ko_evaluation_rows rows;
    struct ko_cube_evaluation evaluation;
    struct earlier earlier;
};

static void free_content(struct content *content)
{
    free(content->tokenizer);
    ko_evaluation_rows_free(&content->rows);
    free_earlier(&content->earlier);
}

/* evaluation: the clean runs that select a sweep's prompts; NULL for an evaluation. */
static enum ko_code fill_content(const struct ko_inputs *inputs, const struct ko_plan *plan,
                                 const struct ko_evaluation *evaluation, struct content *content,
                                 struct ko_cube_content *out, struct ko_error *err)
{
    out->plan = plan;
    content->tokenizer = plan_tokenizers(inputs, plan, err);
    if (!content->tokenizer) {
        return KO_E_MEMORY;
    }
    out->tokenizer = content->tokenizer;
    if (!evaluation) {
        return KO_OK;
    }
    const struct ko_evaluation_rows *rows = &content->rows;
    enum ko_code code = ko_evaluation_of_plan(evaluation, plan, &content->rows, err);
    if (code == KO_OK) {
        code = start_earlier(plan, evaluation, &content->earlier, err);
    }
    content->evaluation = (struct ko_cube_evaluation){
        rows->logprob, rows->rank, rows->top1, rows->answer, rows->choice, rows->option_logprob};
    out->evaluation = &content->evaluation;
    out->content_hash = content->earlier.content_hash;
    return code;
}

/* One cube to complete. */
struct step {
    struct ko_session *session;
    const struct ko_inputs *inputs;
    const char *title;                      /* "evaluate" or "sweep" */
    const char *path;                       /* of the cube */
    bool exists;                            /* an earlier run created the cube */
    int32_t last_model;                     /* of the plan; -1: its own order */
    const char *evaluation_path;            /* of a sweep; else NULL */
    const struct ko_evaluation *evaluation; /* selects the sweep's prompts; NULL: nothing does */
    struct ko_plan *plan;                   /* owned */
    struct ko_plan *whole;                  /* if plan is a shard of it, else NULL; owned */
};

static enum ko_code create_cube(const struct step *step, struct ko_error *err)
{
    const struct ko_session *session = step->session;
    const bool overwrites = ko_option_flag(session->cli->options, KO_OPT_OVERWRITE);
    /* ko_output_set_aside has moved the cube that --overwrite replaces, but not its evaluation. */
    const struct ko_cube_placing placing = {.consent = &session->consent,
                                            .keeps = step->evaluation || !overwrites};
    struct ko_cube_attribute attribute[N_ATTRIBUTES];
    struct content of_plan = {0}, of_whole = {0};
    struct ko_cube_content outline = {0};
    struct ko_cube_content content = {
        .attribute = attribute,
        .n_attributes = fill_attributes(session, step->inputs, step->evaluation_path, attribute),
        .reused = step->plan->kind == KO_PLAN_SWEEP && names_old_cubes(session),
        .whole = step->whole ? &outline : NULL,
        .placing = &placing};
    enum ko_code code =
        fill_content(step->inputs, step->plan, step->evaluation, &of_plan, &content, err);
    if (code == KO_OK && step->whole) {
        code = fill_content(step->inputs, step->whole, step->evaluation, &of_whole, &outline, err);
    }
    if (code == KO_OK) {
        code = ko_cube_create(step->path, &content, err);
    }
    free_content(&of_plan);
    free_content(&of_whole);
    return code;
}

/* Reads what the cube has. KO_E_INPUT if it is not of this plan. */
static enum ko_code read_earlier(const struct step *step, struct earlier *earlier,
                                 struct ko_error *err)
{
    const struct ko_session *session = step->session;
    struct ko_cube_view *view = NULL;
    char hash[33];
    enum ko_code code = ko_cube_view_open(step->path, &view, err);
    if (code == KO_OK) {
        code = ko_cube_view_matches(view, step->plan, session->backend,
                                    ko_option_string(session->cli->options, KO_OPT_PRECISION), err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_done(view, step->plan, earlier->done, err);
    }
    earlier->reused = code == KO_OK &&
                      (ko_cube_view_has(view, "reused") || ko_cube_view_has(view, "heat_reused"));
    for (int32_t m = 0; code == KO_OK && m < step->plan->n_models; m++) {
        code = ko_cube_view_content_hash(view, m, hash, err);
        if (code == KO_OK && hash[0] != '\0') {
            memcpy(earlier->content_hash[m], hash, sizeof hash);
        }
    }
    ko_cube_view_close(view);
    return code;
}

/* Gathers what the cube has, after it has been given what the cubes of --reuse have. */
static enum ko_code gather_earlier(const struct step *step, struct earlier *earlier,
                                   struct ko_error *err)
{
    const struct ko_plan *plan = step->plan;
    bool changed = false;
    enum ko_code code = start_earlier(plan, step->evaluation, earlier, err);
    if (code == KO_OK && step->exists) {
        code = read_earlier(step, earlier, err);
    }
    if (code != KO_OK || plan->kind != KO_PLAN_SWEEP ||
        !(earlier->reused || names_old_cubes(step->session))) {
        return code;
    }
    const struct ko_reuse_request request = {plan, step->path, earlier->done,
                                             earlier->content_hash};
    code = ko_reuse_cells(step->session, &request, &earlier->taken, &changed, err);
    return code == KO_OK && changed ? read_earlier(step, earlier, err) : code;
}

/* The slots of the plan's models, as in struct ko_job. free() it. */
static uint8_t *slots_of(const struct step *step, struct ko_error *err)
{
    const struct ko_plan *plan = step->plan;
    uint8_t *slots = ko_new((size_t)plan->n_models, 1, err);
    for (int32_t m = 0; slots && m < plan->n_models; m++) {
        const int32_t k = ko_inputs_find(step->inputs, plan->model[m].name);
        slots[m] = step->inputs->streams[k] ? step->inputs->slots[k] : 0;
    }
    return slots;
}

/* Computes what the cube lacks. */
static enum ko_code compute_missing(const struct step *step, struct ko_error *err)
{
    const size_t n = (size_t)step->plan->n_models * (size_t)step->plan->n_facts;
    struct earlier earlier = {0};
    uint8_t *slots = slots_of(step, err);
    enum ko_code code = slots ? gather_earlier(step, &earlier, err) : KO_E_MEMORY;
    if (code == KO_OK && !memchr(earlier.done, 0, n)) {
        ko_session_log_complete(step->session, step->title, step->path,
                                step->plan->kind == KO_PLAN_EVALUATION);
    } else if (code == KO_OK) {
        const struct ko_job_earlier has = {earlier.done, earlier.content_hash, earlier.taken};
        const struct ko_session_job job = {step->plan,       &has, step->path, step->title,
                                           step->last_model, slots};
        code = ko_session_compute(step->session, &job, err);
    }
    free_earlier(&earlier);
    free(slots);
    return code;
}

/* Logs how many of the numbers are in matrices that bf16x3 multiplies by two products. */
static void log_exact(const struct step *step)
{
    const struct ko_plan *plan = step->plan;
    for (int32_t m = 0; m < plan->n_models && step->session->precision == KO_BF16X3; m++) {
        const char *name = plan->model[m].name;
        const struct ko_model *model = step->inputs->model[ko_inputs_find(step->inputs, name)];
        ko_log_write(&step->session->log, KO_LOG_INFO,
                     "%s model=\"%s\" exactly_bfloat16=\"%.4g %% of the matrices\"", step->title,
                     name, 100 * ko_model_exact_share(model));
    }
}

/* Creates the cube unless it exists, and completes it. A new cube is removed if the run is then
   refused. */
static enum ko_code complete_cube(const struct step *step, struct ko_error *err)
{
    enum ko_code code = step->exists ? KO_OK : create_cube(step, err);
    if (code != KO_OK) {
        return code;
    }
    log_exact(step);
    code = compute_missing(step, err);
    if (code == KO_E_INPUT && !step->exists &&
        ko_consent_ask(&step->session->consent, NULL) == KO_OK) {
        (void)unlink(step->path);
    }
    return code;
}

/* The plan of an evaluation has all of the inputs' models, in their order. */
enum ko_code ko_step_evaluate(struct ko_session *session, const struct ko_inputs *inputs,
                              const struct ko_evaluating *evaluating, struct ko_error *err)
{
    struct step step = {.session = session,
                        .inputs = inputs,
                        .title = "evaluate",
                        .path = evaluating->path,
                        .exists = evaluating->resume && ko_file_exists(evaluating->path),
                        .last_model = evaluating->last_model};
    enum ko_code code = ko_inputs_plan(inputs, KO_PLAN_EVALUATION, NULL, NULL, &step.plan, err);
    if (code == KO_OK) {
        code = ko_audit_log(inputs, step.plan, &session->log, err);
    }
    if (code == KO_OK) {
        code = complete_cube(&step, err);
    }
    ko_plan_free(step.plan);
    return code;
}

/* Plans the sweep and checks its prompts against the evaluation, if that selects them. */
static enum ko_code plan_sweep(struct step *step, struct ko_error *err)
{
    struct ko_strings warnings = {0};
    enum ko_code code =
        ko_inputs_plan(step->inputs, KO_PLAN_SWEEP, step->evaluation, &warnings, &step->plan, err);
    for (size_t w = 0; code == KO_OK && w < warnings.n; w++) {
        ko_log_warn(&step->session->log, "plan", "%s", warnings.item[w]);
    }
    if (code == KO_OK && step->evaluation) {
        code = ko_evaluation_check(step->evaluation_path, step->evaluation, step->plan, err);
    }
    ko_strings_free(&warnings);
    return code;
}

/* Replaces the plan by the shard's part of it. */
static enum ko_code take_shard(struct step *step, struct ko_shard shard, struct ko_error *err)
{
    step->whole = step->plan;
    step->plan = NULL;
    const enum ko_code code = ko_shard_take(step->whole, shard, &step->plan, err);
    if (code == KO_OK) {
        ko_log_write(&step->session->log, KO_LOG_INFO,
                     "shard number=%d of=%d models=%d prompts=%d heat_prompts=%d", shard.number,
                     shard.of, step->plan->n_models, step->plan->n_prompts,
                     step->plan->n_heat_prompts);
    }
    return code;
}

/* Plans the sweep, logs what the audit found, and cuts the shard. */
static enum ko_code prepare_sweep(struct step *step, const struct ko_output *output,
                                  struct ko_error *err)
{
    enum ko_code code = plan_sweep(step, err);
    /* If this run evaluated, ko_step_evaluate has logged the audit. */
    if (code == KO_OK && (!step->evaluation || step->evaluation_path != output->evaluation)) {
        code = ko_audit_log(step->inputs, step->plan, &step->session->log, err);
    }
    if (code == KO_OK && output->shard.of > 0) {
        code = take_shard(step, output->shard, err);
    }
    if (code == KO_OK && ko_stop_wanted()) {
        code =
            ko_fail(err, KO_E_STOPPED, "%s: stopped early, continue with --resume", output->cube);
    }
    return code;
}

enum ko_code ko_step_sweep(struct ko_session *session, const struct ko_inputs *inputs,
                           const char *evaluation_path, const struct ko_output *output,
                           struct ko_error *err)
{
    struct ko_evaluation evaluation = {0};
    struct step step = {.session = session,
                        .inputs = inputs,
                        .title = "sweep",
                        .path = output->cube,
                        .exists = output->resume && ko_file_exists(output->cube),
                        .last_model = -1,
                        .evaluation_path = evaluation_path,
                        .evaluation = inputs->selected ? NULL : &evaluation};
    if (inputs->selected && !step.exists) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: was removed after the run had begun, start the run again",
                       output->cube);
    }
    enum ko_code code = KO_OK;
    if (step.evaluation) {
        code = ko_evaluation_read(evaluation_path, inputs, &evaluation, err);
    }
    if (code == KO_OK) {
        code = prepare_sweep(&step, output, err);
    }
    if (code == KO_OK) {
        code = complete_cube(&step, err);
    }
    ko_plan_free(step.plan);
    ko_plan_free(step.whole);
    ko_evaluation_free(&evaluation);
    return code;
}
