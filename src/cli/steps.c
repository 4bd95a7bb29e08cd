#include "src/cli/steps.h"

#include <stdlib.h>
#include <string.h>

#include "ko_version.h"
#include "mpi/cube/cube.h"
#include "mpi/cube/cube_read.h"
#include "src/base/file.h"
#include "src/base/memory.h"

enum { N_ATTRIBUTES = 8 };

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
    if (evaluation)
        out[n++] = (struct ko_cube_attribute){"evaluation", evaluation};
    return n;
}

static enum ko_code create(const struct ko_session *session, const struct ko_inputs *inputs,
                           const struct ko_plan *plan, const char *path,
                           const struct ko_cube_evaluation *evaluation, const char *evaluation_path,
                           struct ko_error *err)
{
    struct ko_cube_attribute attribute[N_ATTRIBUTES];
    const struct ko_cube_content content = {
        .plan = plan,
        .attribute = attribute,
        .n_attributes = fill_attributes(session, inputs, evaluation_path, attribute),
        .evaluation = evaluation,
        .tokenizer = inputs->tokenizer};
    return ko_cube_create(path, &content, err);
}

/* What an existing cube of this very plan has already: done [n_models * n_facts]. */
static enum ko_code read_done(const struct ko_session *session, const struct ko_plan *plan,
                              const char *path, uint8_t *done, struct ko_error *err)
{
    struct ko_cube_view *view = NULL;
    enum ko_code code = ko_cube_view_open(path, &view, err);
    if (code == KO_OK)
        code = ko_cube_view_matches(view, plan, session->backend,
                                    ko_option_string(session->cli->options, KO_OPT_PRECISION), err);
    if (code == KO_OK)
        code = ko_cube_view_done(view, plan, done, err);
    ko_cube_view_close(view);
    return code;
}

/* Computes what is missing of the cube at path, which exists. */
static enum ko_code complete(struct ko_session *session, struct ko_plan *plan, const char *path,
                             bool resume, const char *title, struct ko_error *err)
{
    const size_t n = (size_t)plan->n_models * (size_t)plan->n_facts;
    uint8_t *done = ko_new(n, 1, err);
    enum ko_code code = done ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK && resume)
        code = read_done(session, plan, path, done, err);
    size_t n_done = 0;
    for (size_t k = 0; code == KO_OK && k < n; k++)
        n_done += done[k];
    if (code == KO_OK && n_done == n)
        ko_log_write(&session->log, KO_LOG_INFO, "%s complete already cube=\"%s\"", title, path);
    else if (code == KO_OK)
        code = ko_session_compute(session, plan, done, path, title, err);
    free(done);
    return code;
}

enum ko_code ko_step_evaluate(struct ko_session *session, const struct ko_inputs *inputs,
                              const char *path, bool resume, struct ko_error *err)
{
    struct ko_strings warnings = {0};
    struct ko_plan *plan = NULL;
    const bool exists = resume && ko_file_exists(path);
    enum ko_code code =
        ko_inputs_plan(inputs, KO_PLAN_EVALUATION, NULL, NULL, &warnings, &plan, err);
    if (code == KO_OK && !exists)
        code = create(session, inputs, plan, path, NULL, NULL, err);
    if (code == KO_OK)
        code = complete(session, plan, path, exists, "evaluate", err);
    ko_plan_free(plan);
    ko_strings_free(&warnings);
    return code;
}

enum ko_code ko_step_sweep(struct ko_session *session, const struct ko_inputs *inputs,
                           const char *evaluation_path, const struct ko_output *output,
                           struct ko_error *err)
{
    struct ko_evaluation evaluation = {0};
    struct ko_cube_evaluation clean = {0};
    struct ko_strings warnings = {0};
    struct ko_plan *plan = NULL;
    float *logprob = NULL;
    int32_t *rank = NULL, *top1 = NULL;
    const bool exists = output->resume && ko_file_exists(output->cube);
    enum ko_code code = ko_evaluation_read(evaluation_path, inputs, &evaluation, err);
    if (code == KO_OK)
        code = ko_inputs_plan(inputs, KO_PLAN_SWEEP, evaluation.target_rank, &evaluation.model,
                              &warnings, &plan, err);
    for (size_t w = 0; code == KO_OK && w < warnings.n; w++)
        ko_log_write(&session->log, KO_LOG_WARN, "plan %s", warnings.item[w]);
    if (code == KO_OK)
        code = ko_evaluation_of_plan(&evaluation, plan, &logprob, &rank, &top1, err);
    if (code == KO_OK && !exists) {
        clean = (struct ko_cube_evaluation){logprob, rank, top1};
        code = create(session, inputs, plan, output->cube, &clean, evaluation_path, err);
    }
    if (code == KO_OK)
        code = complete(session, plan, output->cube, exists, "sweep", err);
    free(logprob);
    free(rank);
    free(top1);
    ko_plan_free(plan);
    ko_strings_free(&warnings);
    ko_evaluation_free(&evaluation);
    return code;
}
