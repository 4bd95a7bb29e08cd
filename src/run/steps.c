/* SPDX-License-Identifier: Apache-2.0 */
/* Plans the evaluation or the sweep, creates its cube or continues an existing one, and computes
   the prompts that are missing. Only rank 0 runs this code. */
#include "src/run/steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ko_version.h"
#include "mpi/cube/cube.h"
#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/cube/read/done.h"
#include "src/cube/read/read.h"
#include "src/run/audit_lines.h"
#include "src/run/inputs_plan.h"
#include "src/run/reuse.h"
#include "src/run/session_log.h"
#include "src/run/stop.h"

enum { N_ATTRIBUTES = 8 };

/* Whether --reuse names a cube. */
static bool reuses(const struct ko_session *session)
{
    return session->cli->options->value[KO_OPT_REUSE].list.n > 0;
}

/* What is known at creation and does not depend on the plan alone. */
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
    if (evaluation) {
        out[n++] = (struct ko_cube_attribute){"evaluation", evaluation};
    }
    return n;
}

/* The tokenizers of the plan's models, in its order. */
static struct ko_tokenizer **plan_tokenizers(const struct ko_inputs *inputs,
                                             const struct ko_plan *plan, struct ko_error *err)
{
    struct ko_tokenizer **tokenizer = ko_new((size_t)plan->n_models, sizeof(void *), err);
    for (int32_t m = 0; tokenizer && m < plan->n_models; m++) {
        tokenizer[m] = inputs->tokenizer[ko_inputs_find(inputs, plan->model[m].name)];
    }
    return tokenizer;
}

/* What earlier work left: which prompts are done, and which weights its results came from. */
struct earlier {
    uint8_t *done;            /* [n_models * n_facts] */
    char (*content_hash)[33]; /* [n_models] "": not known */
    struct ko_taken *taken;   /* cells from earlier cubes; NULL: none */
    bool reused;              /* the cube says of each cell whether it was taken */
};

static void free_earlier(struct earlier *earlier)
{
    free(earlier->done);
    free(earlier->content_hash);
    ko_taken_free(earlier->taken);
}

/* Nothing done; hashes from the evaluation that the prompts are selected by, if there is one. */
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

/* What a plan brings into its cube besides attributes. */
struct content {
    struct ko_tokenizer **tokenizer;
    float *logprob;
    int32_t *rank, *top1;
    struct ko_cube_evaluation evaluation;
    struct earlier earlier;
};

static void free_content(struct content *content)
{
    free(content->tokenizer);
    free(content->logprob);
    free(content->rank);
    free(content->top1);
    free_earlier(&content->earlier);
}

/* evaluation: the clean runs that a sweep's prompts are selected by; NULL for an evaluation. */
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
    enum ko_code code = ko_evaluation_of_plan(evaluation, plan, &content->logprob, &content->rank,
                                              &content->top1, err);
    if (code == KO_OK) {
        code = start_earlier(plan, evaluation, &content->earlier, err);
    }
    content->evaluation =
        (struct ko_cube_evaluation){content->logprob, content->rank, content->top1};
    out->evaluation = &content->evaluation;
    out->content_hash = content->earlier.content_hash;
    return code;
}

/* whole: the plan of which `plan` is a shard, else NULL. */
static enum ko_code create(const struct ko_session *session, const struct ko_inputs *inputs,
                           const struct ko_plan *plan, const struct ko_plan *whole,
                           const char *path, const struct ko_evaluation *evaluation,
                           const char *evaluation_path, struct ko_error *err)
{
    /* A cube that --overwrite replaces has been set aside; an evaluation is where it was. */
    const struct ko_cube_placing placing = {
        .consent = &session->consent,
        .keeps = evaluation || !ko_option_flag(session->cli->options, KO_OPT_OVERWRITE)};
    struct ko_cube_attribute attribute[N_ATTRIBUTES];
    struct content of_plan = {0}, of_whole = {0};
    struct ko_cube_content outline = {0};
    struct ko_cube_content content = {
        .attribute = attribute,
        .n_attributes = fill_attributes(session, inputs, evaluation_path, attribute),
        .reused = plan->kind == KO_PLAN_SWEEP && reuses(session),
        .whole = whole ? &outline : NULL,
        .placing = &placing};
    enum ko_code code = fill_content(inputs, plan, evaluation, &of_plan, &content, err);
    if (code == KO_OK && whole) {
        code = fill_content(inputs, whole, evaluation, &of_whole, &outline, err);
    }
    if (code == KO_OK) {
        code = ko_cube_create(path, &content, err);
    }
    free_content(&of_plan);
    free_content(&of_whole);
    return code;
}

/* What an existing cube of this very plan has already. */
static enum ko_code read_earlier(const struct ko_session *session, const struct ko_plan *plan,
                                 const char *path, struct earlier *earlier, struct ko_error *err)
{
    struct ko_cube_view *view = NULL;
    char hash[33];
    enum ko_code code = ko_cube_view_open(path, &view, err);
    if (code == KO_OK) {
        code = ko_cube_view_matches(view, plan, session->backend,
                                    ko_option_string(session->cli->options, KO_OPT_PRECISION), err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_done(view, plan, earlier->done, err);
    }
    earlier->reused = code == KO_OK &&
                      (ko_cube_view_has(view, "reused") || ko_cube_view_has(view, "heat_reused"));
    for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
        code = ko_cube_view_content_hash(view, m, hash, err);
        if (code == KO_OK && hash[0] != '\0') {
            memcpy(earlier->content_hash[m], hash, sizeof hash);
        }
    }
    ko_cube_view_close(view);
    return code;
}

/* Computes what is missing of the cube at path, which exists; it is an earlier run's where
   `resume`. */
static enum ko_code complete(struct ko_session *session, struct ko_plan *plan, const char *path,
                             bool resume, const struct ko_evaluation *evaluation, const char *title,
                             struct ko_error *err)
{
    const size_t n = (size_t)plan->n_models * (size_t)plan->n_facts;
    struct earlier earlier = {0};
    enum ko_code code = start_earlier(plan, evaluation, &earlier, err);
    if (code == KO_OK && resume) {
        code = read_earlier(session, plan, path, &earlier, err);
    }
    if (code == KO_OK && plan->kind == KO_PLAN_SWEEP && (earlier.reused || reuses(session))) {
        const struct ko_reuse_request request = {plan, path, earlier.done, earlier.content_hash};
        bool changed = false;
        code = ko_reuse_cells(session, &request, &earlier.taken, &changed, err);
        if (code == KO_OK && changed) {
            code = read_earlier(session, plan, path, &earlier, err);
        }
    }
    size_t n_done = 0;
    for (size_t k = 0; code == KO_OK && k < n; k++) {
        n_done += earlier.done[k];
    }
    if (code == KO_OK && n_done == n) {
        ko_session_log_complete(session, title, path, plan->kind == KO_PLAN_EVALUATION);
    } else if (code == KO_OK) {
        const struct ko_job_earlier has = {earlier.done, earlier.content_hash, earlier.taken};
        code = ko_session_compute(session, plan, &has, path, title, err);
    }
    free_earlier(&earlier);
    return code;
}

enum ko_code ko_step_evaluate(struct ko_session *session, const struct ko_inputs *inputs,
                              const char *path, bool resume, struct ko_error *err)
{
    struct ko_strings warnings = {0};
    struct ko_plan *plan = NULL;
    const bool exists = resume && ko_file_exists(path);
    bool created = false;
    enum ko_code code = ko_inputs_plan(inputs, KO_PLAN_EVALUATION, NULL, &warnings, &plan, err);
    if (code == KO_OK) {
        code = ko_audit_log(inputs, plan, &session->log, err);
    }
    if (code == KO_OK && !exists) {
        code = create(session, inputs, plan, NULL, path, NULL, NULL, err);
        created = code == KO_OK;
    }
    if (code == KO_OK) {
        code = complete(session, plan, path, exists, NULL, "evaluate", err);
    }
    if (code == KO_E_INPUT && created && ko_consent_ask(&session->consent, NULL) == KO_OK) {
        (void)unlink(path); /* refused: nothing is left behind */
    }
    ko_plan_free(plan);
    ko_strings_free(&warnings);
    return code;
}

/* The sweep's plan by the evaluation, checked; or by the selection that a cube was created with. */
static enum ko_code plan_sweep(const struct ko_session *session, const struct ko_inputs *inputs,
                               const char *evaluation_path, const struct ko_evaluation *evaluation,
                               struct ko_plan **out, struct ko_error *err)
{
    struct ko_strings warnings = {0};
    const bool selects = !inputs->selected;
    enum ko_code code =
        ko_inputs_plan(inputs, KO_PLAN_SWEEP, selects ? evaluation : NULL, &warnings, out, err);
    for (size_t w = 0; code == KO_OK && w < warnings.n; w++) {
        ko_log_warn(&session->log, "plan", "%s", warnings.item[w]);
    }
    if (code == KO_OK && selects) {
        code = ko_evaluation_check(evaluation_path, evaluation, *out, err);
    }
    ko_strings_free(&warnings);
    return code;
}

/* The shard's part of the whole plan, which it takes the place of in *plan. */
static enum ko_code take_shard(const struct ko_session *session, struct ko_shard shard,
                               struct ko_plan **plan, struct ko_plan **whole, struct ko_error *err)
{
    *whole = *plan;
    *plan = NULL;
    const enum ko_code code = ko_shard_take(*whole, shard, plan, err);
    if (code == KO_OK) {
        ko_log_write(&session->log, KO_LOG_INFO,
                     "shard number=%d of=%d models=%d prompts=%d heat_prompts=%d", shard.number,
                     shard.of, (*plan)->n_models, (*plan)->n_prompts, (*plan)->n_heat_prompts);
    }
    return code;
}

enum ko_code ko_step_sweep(struct ko_session *session, const struct ko_inputs *inputs,
                           const char *evaluation_path, const struct ko_output *output,
                           struct ko_error *err)
{
    const bool exists = output->resume && ko_file_exists(output->cube);
    const bool selects = !inputs->selected;
    struct ko_evaluation evaluation = {0};
    struct ko_plan *plan = NULL, *whole = NULL;
    bool created = false;
    enum ko_code code = KO_OK;
    if (!selects && !exists) {
        return ko_fail(err, KO_E_INPUT, "%s: was removed meanwhile, start the run again",
                       output->cube);
    }
    if (selects) {
        code = ko_evaluation_read(evaluation_path, inputs, &evaluation, err);
    }
    if (code == KO_OK) {
        code = plan_sweep(session, inputs, evaluation_path, &evaluation, &plan, err);
    }
    /* Where this run evaluated, it has said so. */
    if (code == KO_OK && (!selects || evaluation_path != output->evaluation)) {
        code = ko_audit_log(inputs, plan, &session->log, err);
    }
    if (code == KO_OK && output->shard.of > 0) {
        code = take_shard(session, output->shard, &plan, &whole, err);
    }
    if (code == KO_OK && ko_stop_wanted()) {
        code =
            ko_fail(err, KO_E_STOPPED, "%s: stopped early, continue with --resume", output->cube);
    }
    if (code == KO_OK && !exists) {
        code =
            create(session, inputs, plan, whole, output->cube, &evaluation, evaluation_path, err);
        created = code == KO_OK;
    }
    if (code == KO_OK) {
        code = complete(session, plan, output->cube, exists, selects ? &evaluation : NULL, "sweep",
                        err);
    }
    if (code == KO_E_INPUT && created && ko_consent_ask(&session->consent, NULL) == KO_OK) {
        (void)unlink(output->cube);
    }
    ko_plan_free(plan);
    ko_plan_free(whole);
    ko_evaluation_free(&evaluation);
    return code;
}
