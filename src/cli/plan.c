/* SPDX-License-Identifier: Apache-2.0 */
/* The command `plan`: makes the plan of a spec without running it, predicts what it would take, and
   prints both. */
#include <string.h>

#include "kernels/backends/backends.h"
#include "src/base/file.h"
#include "src/base/machine/cpus.h"
#include "src/cli/cli.h"
#include "src/formats/table.h"
#include "src/preview/assume.h"
#include "src/preview/plan_report.h"
#include "src/run/evaluation.h"
#include "src/run/inputs_plan.h"

static const double PLANNED_COMMIT_SECONDS = 10; /* the default of `run` */

struct planner {
    struct ko_cli *cli;
    struct ko_inputs inputs;
    struct ko_evaluation evaluation; /* {0}: there is none */
    const char *evaluation_path;     /* NULL: there is none */
    struct ko_strings warnings;
    struct ko_plan *plan;
    struct ko_plan_settings settings;
    struct ko_threads threads; /* of a worker on this machine */
};

static bool needs_ranks(const struct ko_spec *spec)
{
    for (size_t b = 0; b < spec->n_blocks; b++) {
        if (ko_select_needs_ranks(spec->block[b].select)) {
            return true;
        }
    }
    return false;
}

/* The evaluation of --evaluation must exist. That of the spec may still be missing. */
static enum ko_code read_evaluation(struct planner *planner, struct ko_error *err)
{
    const struct ko_options *options = planner->cli->options;
    const bool given = ko_option_given(options, KO_OPT_EVALUATION);
    const char *path =
        given ? ko_option_string(options, KO_OPT_EVALUATION) : planner->inputs.spec->evaluation;
    if (!path || (!given && !ko_file_exists(path))) {
        return KO_OK;
    }
    const enum ko_code code = ko_evaluation_read(path, &planner->inputs, &planner->evaluation, err);
    if (code == KO_OK) {
        planner->evaluation_path = path;
    }
    return code;
}

static enum ko_code build_plan(struct planner *planner, struct ko_error *err)
{
    ko_strings_free(&planner->warnings);
    ko_plan_free(planner->plan);
    planner->plan = NULL;
    return ko_inputs_plan(&planner->inputs, KO_PLAN_SWEEP,
                          planner->evaluation_path ? &planner->evaluation : NULL,
                          &planner->warnings, &planner->plan, err);
}

static enum ko_code check_numbers(const struct ko_options *options, struct ko_error *err)
{
    const int64_t n_workers = ko_option_int(options, KO_OPT_WORKERS);
    const int64_t n_prompts = ko_option_int(options, KO_OPT_ASSUME_PROMPTS);
    if (n_workers < 1 || n_workers > INT32_MAX) {
        return ko_fail(err, KO_E_INPUT, "--workers: expected 1 or more, got %lld",
                       (long long)n_workers);
    }
    if (n_prompts < 0 || (n_prompts == 0 && ko_option_given(options, KO_OPT_ASSUME_PROMPTS))) {
        return ko_fail(err, KO_E_INPUT, "--assume-prompts: expected 1 or more, got %lld",
                       (long long)n_prompts);
    }
    return KO_OK;
}

/* Describes how the prompts were selected. */
static void describe_selection(const struct planner *planner, struct ko_plan_report *report)
{
    const int64_t n = ko_option_int(planner->cli->options, KO_OPT_ASSUME_PROMPTS);
    struct ko_text *text = &report->selection;
    report->upper_bound = !planner->evaluation_path && n == 0 && needs_ranks(planner->inputs.spec);
    if (planner->evaluation_path) {
        ko_text_add(text, "by the evaluation %s", planner->evaluation_path);
    } else if (needs_ranks(planner->inputs.spec)) {
        ko_text_add(text, "upper bound: without an evaluation all prompts count as correct");
    } else {
        ko_text_add(text, "known without an evaluation");
    }
    if (planner->inputs.spec->evaluation && !planner->evaluation_path) {
        ko_text_add(text, " (%s does not exist yet)", planner->inputs.spec->evaluation);
    }
    if (n > 0) {
        ko_text_add(text,
                    needs_ranks(planner->inputs.spec)
                        ? "; assumed: each block that needs one keeps the first %lld, in file "
                          "order, of the prompts that it would select"
                        : "; --assume-prompts %lld is for selections that need one",
                    (long long)n);
    }
}

/* As many workers share a node as its processors, taken to be this machine's, suffice for. */
static enum ko_code count_node_workers(struct ko_plan_settings *settings, struct ko_error *err)
{
    struct ko_cpus cpus;
    const enum ko_code code = ko_cpus_look(&cpus, err);
    if (code == KO_OK) {
        const int fit = ko_cpus_usable(&cpus, NULL) / settings->threads;
        settings->n_node_workers = fit > 1 ? fit : 1;
        if (settings->n_node_workers > settings->n_workers) {
            settings->n_node_workers = settings->n_workers;
        }
    }
    return code;
}

/* --device names a GPU that this machine may lack; its stored rates are used. */
static enum ko_code read_settings(struct planner *planner, struct ko_error *err)
{
    const struct ko_options *options = planner->cli->options;
    struct ko_plan_settings *s = &planner->settings;
    s->device = ko_option_string(options, KO_OPT_DEVICE);
    s->n_workers = (int32_t)ko_option_int(options, KO_OPT_WORKERS);
    s->read_rate = 1e9 * ko_option_double(options, KO_OPT_READ_RATE);
    s->commit_seconds = PLANNED_COMMIT_SECONDS;
    enum ko_code code = ko_cli_threads(options, &planner->threads, err);
    s->threads = planner->threads.n;
    if (code == KO_OK) {
        code = count_node_workers(s, err);
    }
    if (code == KO_OK) {
        code = ko_cli_precision(options, &s->precision, err);
    }
    if (code == KO_OK && !(s->read_rate > 0)) {
        code = ko_fail(err, KO_E_INPUT, "--read-rate: expected more than 0 GB/s, got %g",
                       ko_option_double(options, KO_OPT_READ_RATE));
    }
    if (code == KO_OK) {
        code = ko_cli_weights(options, &s->weights, &s->memory_limit, err);
    }
    if (code == KO_OK) {
        code = s->device ? ko_cli_backend_elsewhere(options, &s->backend, err)
                         : ko_cli_backend(options, &s->backend, err);
    }
    if (code == KO_OK) {
        code = ko_cli_check_precision(s->backend, s->precision, err);
    }
    if (code == KO_OK) {
        planner->inputs.gpu = ko_backend_find(s->backend)->own_memory;
    }
    return code;
}

static enum ko_code make_plan(struct planner *planner, struct ko_error *err)
{
    struct ko_options *options = planner->cli->options;
    const int64_t n_prompts = ko_option_int(options, KO_OPT_ASSUME_PROMPTS);
    enum ko_code code = check_numbers(options, err);
    if (code == KO_OK) {
        code = ko_inputs_open(options->arguments.item[0], options, KO_MODELS_USED, false,
                              &planner->inputs, err);
    }
    if (code == KO_OK) {
        code = read_settings(planner, err);
    }
    if (code == KO_OK) {
        code = read_evaluation(planner, err);
    }
    if (code == KO_OK) {
        code = build_plan(planner, err);
    }
    if (code == KO_OK && n_prompts > 0) {
        code = ko_assume_prompts(planner->inputs.spec, planner->plan, n_prompts, err);
        if (code == KO_OK) {
            code = build_plan(planner, err);
        }
    }
    if (code == KO_OK && planner->threads.warning[0] != '\0') {
        code = ko_strings_add(&planner->warnings, planner->threads.warning, err);
    }
    return code;
}

static enum ko_code print_report(struct planner *planner, const struct ko_plan_report *report,
                                 struct ko_error *err)
{
    const struct ko_options *options = planner->cli->options;
    if (ko_option_flag(options, KO_OPT_JSON)) {
        return ko_plan_report_json(report, planner->cli->out, err);
    }
    struct ko_text text = {0};
    ko_plan_report_print(
        report, ko_color_wanted(ko_option_string(options, KO_OPT_COLOR), planner->cli->out), &text);
    const enum ko_code code = ko_text_check(&text, err);
    if (code == KO_OK) {
        fputs(ko_text_str(&text), planner->cli->out);
    }
    ko_text_free(&text);
    return code;
}

enum ko_code ko_command_plan(struct ko_cli *cli, int *status, struct ko_error *err)
{
    struct planner planner = {.cli = cli};
    struct ko_plan_report report = {0};
    (void)status;
    enum ko_code code = make_plan(&planner, err);
    if (code == KO_OK) {
        code = ko_plan_report_make(&planner.inputs, planner.plan, &planner.warnings, &report, err);
    }
    if (code == KO_OK) {
        code = ko_plan_report_predict(&report, &planner.settings, !planner.evaluation_path, err);
    }
    if (code == KO_OK) {
        describe_selection(&planner, &report);
        code = print_report(&planner, &report, err);
    }
    ko_plan_report_free(&report);
    ko_plan_free(planner.plan);
    ko_strings_free(&planner.warnings);
    ko_evaluation_free(&planner.evaluation);
    ko_inputs_close(&planner.inputs);
    return code;
}
