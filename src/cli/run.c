#include "src/cli/cli.h"
#include "src/cli/dry_plan.h"
#include "src/cli/inputs.h"
#include "src/cli/output.h"
#include "src/cli/reuse.h"
#include "src/cli/session.h"
#include "src/cli/steps.h"

struct request {
    const char *spec;
    bool evaluate_only;
};

/* Backend and precision, known once the spec has been read. */
static enum ko_code choose_backend(struct ko_session *session, struct ko_error *err)
{
    const struct ko_options *options = session->cli->options;
    enum ko_code code = ko_cli_precision(options, &session->precision, err);
    if (code == KO_OK)
        code = ko_cli_backend(options, &session->backend, err);
    return code;
}

static enum ko_code lead(struct ko_session *session, void *context, struct ko_error *err)
{
    const struct request *request = context;
    struct ko_options *options = session->cli->options;
    struct ko_inputs inputs = {0};
    struct ko_output output = {0};
    struct ko_spec *spec = NULL;
    const char *external = NULL;
    enum ko_code code = ko_spec_read(request->spec, options, &spec, err);
    if (code == KO_OK && !request->evaluate_only)
        external = ko_option_given(options, KO_OPT_EVALUATION)
                       ? ko_option_string(options, KO_OPT_EVALUATION)
                       : spec->evaluation;
    /* Who is evaluated here decides what `correct-by-all` means: every model that the spec
     * declares. */
    if (code == KO_OK)
        code = ko_inputs_open_spec(spec, options, external ? KO_MODELS_USED : KO_MODELS_ALL, true,
                                   &inputs, err);
    if (code != KO_OK)
        ko_spec_free(spec);
    if (code == KO_OK)
        code = choose_backend(session, err);
    if (code == KO_OK)
        code =
            ko_output_check(options, !request->evaluate_only && !external, external, &output, err);
    if (code == KO_OK && !request->evaluate_only)
        code = ko_reuse_check(options, session->backend, output.cube, err);
    if (code == KO_OK)
        code = ko_dry_plan_check(
            &inputs, request->evaluate_only ? KO_PLAN_EVALUATION : KO_PLAN_SWEEP, external, err);
    if (code == KO_OK)
        code = ko_session_begin(session, &output, err);
    if (code == KO_OK)
        code = ko_output_set_aside(&output, err);
    if (code == KO_OK && request->evaluate_only)
        code = ko_step_evaluate(session, &inputs, output.cube, output.resume, err);
    if (code == KO_OK && !request->evaluate_only && !external)
        code = ko_step_evaluate(session, &inputs, output.evaluation, output.resume, err);
    if (code == KO_OK && !request->evaluate_only)
        code =
            ko_step_sweep(session, &inputs, external ? external : output.evaluation, &output, err);
    ko_output_settle(&output, code);
    ko_output_free(&output);
    ko_inputs_close(&inputs);
    return code;
}

static enum ko_code run(struct ko_cli *cli, bool evaluate_only, struct ko_error *err)
{
    struct request request = {cli->options->arguments.item[0], evaluate_only};
    return ko_session_run(cli, lead, &request, err);
}

enum ko_code ko_command_run(struct ko_cli *cli, int *status, struct ko_error *err)
{
    (void)status;
    return run(cli, false, err);
}

enum ko_code ko_command_evaluate(struct ko_cli *cli, int *status, struct ko_error *err)
{
    (void)status;
    return run(cli, true, err);
}
