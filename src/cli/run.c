/* SPDX-License-Identifier: Apache-2.0 */
/* The commands `run` and `evaluate`. Rank 0 opens and checks everything that can be checked before
   the start, and then takes the steps of the run. */
#include "kernels/backends/backends.h"
#include "mpi/job.h"
#include "src/base/file.h"
#include "src/cli/cli.h"
#include "src/run/dry_plan.h"
#include "src/run/frozen.h"
#include "src/run/inputs.h"
#include "src/run/output.h"
#include "src/run/reuse.h"
#include "src/run/session_run.h"
#include "src/run/shard.h"
#include "src/run/steps.h"

/* One run, on rank 0. */
struct run {
    struct ko_session *session; /* borrowed */
    const char *spec;           /* file */
    bool evaluate_only;
    const char *external; /* path of an existing evaluation that selects prompts; NULL: none */
    struct ko_shard shard;
    int32_t first_model; /* that the sweep begins with, as far as is known; -1: none */
    struct ko_inputs inputs;
    struct ko_output output;
};

/* Reads the spec and opens what it names. Without an external evaluation the run evaluates every
   model that the spec declares, because `correct-by-all` is about all of them. */
static enum ko_code open_inputs(struct run *run, struct ko_error *err)
{
    struct ko_options *options = run->session->cli->options;
    struct ko_spec *spec = NULL;
    enum ko_code code = ko_cli_shard(options, &run->shard, err);
    if (code == KO_OK) {
        code = ko_spec_read(run->spec, options, &spec, err);
    }
    if (code != KO_OK) {
        return code;
    }
    if (!run->evaluate_only) {
        run->external = ko_option_given(options, KO_OPT_EVALUATION)
                            ? ko_option_string(options, KO_OPT_EVALUATION)
                            : spec->evaluation;
    }
    code = ko_cli_shard_check(spec, run->shard, run->external, err);
    if (code == KO_OK) {
        code = ko_inputs_open_spec(spec, options, run->external ? KO_MODELS_USED : KO_MODELS_ALL,
                                   true, &run->inputs, err);
    }
    if (code != KO_OK) {
        ko_spec_free(spec);
    }
    return code;
}

static enum ko_code choose_backend(struct run *run, struct ko_error *err)
{
    struct ko_session *session = run->session;
    const struct ko_options *options = session->cli->options;
    enum ko_code code = ko_cli_precision(options, &session->precision, err);
    if (code == KO_OK) {
        code =
            ko_backend_choose(ko_option_string(options, KO_OPT_BACKEND), ko_backend_cuda() != NULL,
                              session->sight, session->world.n_workers, &session->backend, err);
    }
    if (code == KO_OK) {
        code = ko_cli_check_precision(session->backend, session->precision, err);
    }
    if (code == KO_OK) {
        run->inputs.gpu = ko_backend_find(session->backend)->own_memory;
    }
    return code;
}

/* Checks the output and the cubes of --reuse, and takes over the selection of a cube that is
   resumed. */
static enum ko_code check_output(struct run *run, struct ko_error *err)
{
    const struct ko_options *options = run->session->cli->options;
    struct ko_output *output = &run->output;
    enum ko_code code = ko_output_check(options, !run->evaluate_only && !run->external,
                                        run->external, run->shard, output, err);
    if (code != KO_OK || run->evaluate_only) {
        return code;
    }
    code = ko_reuse_check(options, run->session->backend, output->cube, err);
    /* A shard's cube holds the selection of its own part alone. */
    if (code == KO_OK && run->shard.of == 0 && output->resume && ko_file_exists(output->cube)) {
        code = ko_frozen_read(output->cube, &run->inputs, err);
    }
    return code;
}

static enum ko_code check_plan(struct run *run, struct ko_error *err)
{
    const struct ko_session *session = run->session;
    struct ko_dry_workers workers = {.kernels = ko_backend_find(session->backend),
                                     .precision = session->precision,
                                     .sight = session->sight,
                                     .n_workers = session->world.n_workers};
    const struct ko_dry_run dry = {run->evaluate_only ? KO_PLAN_EVALUATION : KO_PLAN_SWEEP,
                                   run->external, &workers, run->shard};
    const enum ko_code code =
        ko_cli_weights(session->cli->options, &workers.weights, &workers.memory_limit, err);
    return code == KO_OK ? ko_dry_plan_check(&run->inputs, &dry, &run->first_model, err) : code;
}

static void log_notes(const struct run *run)
{
    const struct ko_strings *notes = &run->inputs.notes;
    for (size_t k = 0; k < notes->n; k++) {
        ko_log_write(&run->session->log, KO_LOG_INFO, "note %s", notes->item[k]);
        ko_log_say(&run->session->log, "%s", notes->item[k]);
    }
}

static enum ko_code take_steps(struct run *run, struct ko_error *err)
{
    struct ko_session *session = run->session;
    const struct ko_output *output = &run->output;
    const char *evaluation = run->external ? run->external : output->evaluation;
    if (run->evaluate_only) {
        const struct ko_evaluating alone = {output->cube, output->resume, -1};
        return ko_step_evaluate(session, &run->inputs, &alone, err);
    }
    if (!run->external && !run->inputs.selected) {
        const struct ko_evaluating before = {evaluation, output->resume, run->first_model};
        const enum ko_code code = ko_step_evaluate(session, &run->inputs, &before, err);
        if (code != KO_OK) {
            return code;
        }
    }
    return ko_step_sweep(session, &run->inputs, evaluation, output, err);
}

/* Begins the session, after which other ranks serve and the output is locked, and computes. */
static enum ko_code compute_run(struct run *run, struct ko_error *err)
{
    enum ko_code code = ko_session_begin(run->session, &run->output, err);
    if (code != KO_OK) {
        return code;
    }
    log_notes(run);
    code = ko_consent_ask(&run->session->consent, err);
    if (code == KO_OK) {
        code = ko_output_set_aside(&run->output, err);
    }
    return code == KO_OK ? take_steps(run, err) : code;
}

static enum ko_code lead_run(struct ko_session *session, void *context, struct ko_error *err)
{
    struct run *run = context;
    run->session = session;
    enum ko_code code = open_inputs(run, err);
    if (code == KO_OK) {
        code = choose_backend(run, err);
    }
    if (code == KO_OK) {
        code = check_output(run, err);
    }
    if (code == KO_OK) {
        code = check_plan(run, err);
    }
    if (code == KO_OK) {
        code = compute_run(run, err);
    }
    if (ko_consent_ask(&session->consent, NULL) == KO_OK && !ko_output_settle(&run->output, code)) {
        ko_log_write(&session->log, KO_LOG_WARN,
                     "overwrite replaced=\"%s\" is kept until the new cube is made",
                     run->output.aside);
    }
    ko_output_free(&run->output);
    ko_inputs_close(&run->inputs);
    return code;
}

enum ko_code ko_command_run(struct ko_cli *cli, int *status, struct ko_error *err)
{
    struct run run = {.spec = cli->options->arguments.item[0]};
    return ko_session_run(cli, lead_run, &run, status, err);
}

enum ko_code ko_command_evaluate(struct ko_cli *cli, int *status, struct ko_error *err)
{
    struct run run = {.spec = cli->options->arguments.item[0], .evaluate_only = true};
    return ko_session_run(cli, lead_run, &run, status, err);
}
