/* SPDX-License-Identifier: Apache-2.0 */
/* The commands `run` and `evaluate`. Rank 0 reads the spec, checks everything that can be checked
   before the start, and then takes the steps of the run. */
#include "mpi/job.h"
#include "src/base/file.h"
#include "src/cli/cli.h"
#include "src/run/dry_plan.h"
#include "src/run/frozen.h"
#include "src/run/inputs.h"
#include "src/run/output.h"
#include "src/run/reuse.h"
#include "src/run/session.h"
#include "src/run/shard.h"
#include "src/run/steps.h"

struct request {
    const char *spec;
    bool evaluate_only;
};

/* Backend and precision, known once the spec has been read. */
static enum ko_code choose_backend(struct ko_session *session, struct ko_error *err)
{
    const struct ko_options *options = session->cli->options;
    enum ko_code code = ko_cli_precision(options, &session->precision, err);
    if (code == KO_OK) {
        code =
            ko_backend_choose(ko_option_string(options, KO_OPT_BACKEND), ko_gpus_kernels() != NULL,
                              session->sight, session->world.n_workers, &session->backend, err);
    }
    if (code == KO_OK) {
        code = ko_cli_check_precision(session->backend, session->precision, err);
    }
    return code;
}

static enum ko_code dry_check(const struct ko_session *session, const struct ko_inputs *inputs,
                              const struct request *request, const char *external,
                              struct ko_error *err)
{
    const struct ko_dry_gpus gpus = {ko_backend_find(session->backend), session->precision,
                                     session->sight, session->world.n_workers};
    return ko_dry_plan_check(inputs, request->evaluate_only ? KO_PLAN_EVALUATION : KO_PLAN_SWEEP,
                             external, inputs->gpu ? &gpus : NULL, err);
}

static enum ko_code lead(struct ko_session *session, void *context, struct ko_error *err)
{
    const struct request *request = context;
    struct ko_options *options = session->cli->options;
    struct ko_inputs inputs = {0};
    struct ko_output output = {0};
    struct ko_spec *spec = NULL;
    const char *external = NULL;
    struct ko_shard shard = {0};
    enum ko_code code = ko_cli_shard(options, &shard, err);
    if (code == KO_OK) {
        code = ko_spec_read(request->spec, options, &spec, err);
    }
    if (code == KO_OK && !request->evaluate_only) {
        external = ko_option_given(options, KO_OPT_EVALUATION)
                       ? ko_option_string(options, KO_OPT_EVALUATION)
                       : spec->evaluation;
    }
    if (code == KO_OK) {
        code = ko_cli_shard_check(spec, shard, external, err);
    }
    /* Who is evaluated here decides what `correct-by-all` means: every model that the spec
       declares. */
    if (code == KO_OK) {
        code = ko_inputs_open_spec(spec, options, external ? KO_MODELS_USED : KO_MODELS_ALL, true,
                                   &inputs, err);
    }
    if (code != KO_OK) {
        ko_spec_free(spec);
    } else {
        code = choose_backend(session, err);
    }
    if (code == KO_OK) {
        inputs.gpu = ko_backend_find(session->backend)->own_memory;
        code = ko_output_check(options, !request->evaluate_only && !external, external, shard,
                               &output, err);
    }
    if (code == KO_OK && !request->evaluate_only) {
        code = ko_reuse_check(options, session->backend, output.cube, err);
    }
    /* A shard's cube holds its own part of the selection alone. */
    if (code == KO_OK && !request->evaluate_only && shard.of == 0 && output.resume &&
        ko_file_exists(output.cube)) {
        code = ko_frozen_read(output.cube, &inputs, err);
    }
    const bool selects = !inputs.selected;
    if (code == KO_OK) {
        code = dry_check(session, &inputs, request, external, err);
    }
    if (code == KO_OK) {
        code = ko_session_begin(session, &output, err);
    }
    for (size_t k = 0; code == KO_OK && k < inputs.notes.n; k++) {
        ko_log_write(&session->log, KO_LOG_INFO, "note %s", inputs.notes.item[k]);
        ko_log_say(&session->log, "%s", inputs.notes.item[k]);
    }
    if (code == KO_OK) {
        code = ko_consent_ask(&session->consent, err);
    }
    if (code == KO_OK) {
        code = ko_output_set_aside(&output, err);
    }
    if (code == KO_OK && request->evaluate_only) {
        code = ko_step_evaluate(session, &inputs, output.cube, output.resume, err);
    }
    if (code == KO_OK && !request->evaluate_only && !external && selects) {
        code = ko_step_evaluate(session, &inputs, output.evaluation, output.resume, err);
    }
    if (code == KO_OK && !request->evaluate_only) {
        code =
            ko_step_sweep(session, &inputs, external ? external : output.evaluation, &output, err);
    }
    if (ko_consent_ask(&session->consent, NULL) == KO_OK && !ko_output_settle(&output, code)) {
        ko_log_write(&session->log, KO_LOG_WARN,
                     "overwrite replaced=\"%s\" is kept until the new cube is made", output.aside);
    }
    ko_output_free(&output);
    ko_inputs_close(&inputs);
    return code;
}

static enum ko_code run(struct ko_cli *cli, bool evaluate_only, int *status, struct ko_error *err)
{
    struct request request = {cli->options->arguments.item[0], evaluate_only};
    return ko_session_run(cli, lead, &request, status, err);
}

enum ko_code ko_command_run(struct ko_cli *cli, int *status, struct ko_error *err)
{
    return run(cli, false, status, err);
}

enum ko_code ko_command_evaluate(struct ko_cli *cli, int *status, struct ko_error *err)
{
    return run(cli, true, status, err);
}
