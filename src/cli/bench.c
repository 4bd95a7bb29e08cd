/* SPDX-License-Identifier: Apache-2.0 */
/* The command `bench`: reads its options and measures every asked shape in every asked
   precision. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/backends/backends.h"
#include "src/base/memory.h"
#include "src/bench/bench_run.h"
#include "src/bench/shapes.h"
#include "src/cli/cli.h"

/* Splits "a,b,c" into words. */
static enum ko_code split_list(const char *text, const char *where, struct ko_strings *out,
                               struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (const char *at = text; code == KO_OK && at;) {
        const size_t n = strcspn(at, ",");
        if (n == 0) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: '%s' has an empty item, write names separated by commas", where,
                           text);
        }
        char *word = ko_copy_n(at, n, err);
        code = word ? ko_strings_add(out, word, err) : KO_E_MEMORY;
        free(word);
        at = at[n] == ',' ? at + n + 1 : NULL;
    }
    return code;
}

static bool is_all(const char *text)
{
    return strcmp(text, "all") == 0;
}

static enum ko_code read_shapes(const char *text, struct ko_strings *shapes, struct ko_error *err)
{
    size_t n = 0;
    const char *const *names = ko_shape_names(&n);
    enum ko_code code = KO_OK;
    if (!is_all(text)) {
        return split_list(text, "--shape", shapes, err);
    }
    for (size_t k = 0; code == KO_OK && k < n; k++) {
        code = ko_strings_add(shapes, names[k], err);
    }
    return code;
}

/* many: of all shapes, those that are too large for the memory are left out. */
static enum ko_code run_one(struct ko_cli *cli, const struct ko_bench_settings *settings, bool many,
                            struct ko_error *err)
{
    struct ko_bench_result result;
    enum ko_code code = ko_bench_run(settings, &result, err);
    if (code != KO_OK && many && result.too_large) {
        fprintf(stderr, "knockout: left out: %s\n", err->text);
        *err = (struct ko_error){0};
        return KO_OK;
    }
    if (code != KO_OK) {
        return code;
    }
    if (ko_option_flag(cli->options, KO_OPT_JSON)) {
        code = ko_bench_print_json(&result, cli->out, err);
    } else {
        ko_bench_print(&result, cli->out);
    }
    fflush(cli->out);
    return code;
}

/* Checks, before anything is measured, that the backend computes in every precision. */
static enum ko_code check_precisions(const char *backend, const struct ko_strings *names,
                                     struct ko_error *err)
{
    enum ko_precision precision;
    enum ko_code code = KO_OK;
    for (size_t p = 0; code == KO_OK && p < names->n; p++) {
        code = ko_cli_precision_named(names->item[p], &precision, err);
        if (code == KO_OK) {
            code = ko_cli_check_precision(backend, precision, err);
        }
    }
    return code;
}

static enum ko_code run_all(struct ko_cli *cli, const char *backend,
                            const struct ko_strings *shapes, const struct ko_strings *precisions,
                            struct ko_error *err)
{
    const struct ko_options *options = cli->options;
    const bool all = is_all(ko_option_string(options, KO_OPT_SHAPES));
    struct ko_threads threads = {0};
    enum ko_code code = ko_cli_threads(options, &threads, err);
    struct ko_bench_settings settings = {
        .kernels = ko_backend_find(backend),
        .config = {.threads = threads.n},
        .sweep = {.n_prompts = ko_option_int(options, KO_OPT_PROMPTS),
                  .n_tokens = ko_option_int(options, KO_OPT_PROMPT_TOKENS),
                  .row_budget = ko_option_int(options, KO_OPT_ROW_BUDGET),
                  .exact = strcmp(ko_option_string(options, KO_OPT_STORED), "bfloat16") == 0,
                  .seed = (uint64_t)ko_option_int(options, KO_OPT_WEIGHTS_SEED)}};
    if (code == KO_OK) {
        code = ko_cli_weights(options, &settings.weights, &settings.memory_limit, err);
    }
    if (all && settings.weights == KO_WEIGHTS_AUTO) {
        settings.weights = KO_WEIGHTS_RESIDENT; /* those that do not fit are left out */
    }
    if (code == KO_OK && threads.warning[0] != '\0') {
        fprintf(stderr, "knockout: warning: %s\n", threads.warning);
    }
    settings.sweep.gpu = settings.kernels->own_memory;
    for (size_t s = 0; code == KO_OK && s < shapes->n; s++) {
        for (size_t p = 0; code == KO_OK && p < precisions->n; p++) {
            settings.sweep.shape = shapes->item[s];
            code = ko_cli_precision_named(precisions->item[p], &settings.config.precision, err);
            if (code == KO_OK) {
                code = run_one(cli, &settings, all, err);
            }
        }
    }
    return code;
}

enum ko_code ko_command_bench(struct ko_cli *cli, int *status, struct ko_error *err)
{
    const struct ko_options *options = cli->options;
    struct ko_strings shapes = {0}, precisions = {0};
    const char *backend = NULL;
    (void)status;
    enum ko_code code = ko_cli_backend(options, &backend, err);
    if (code == KO_OK) {
        code = read_shapes(ko_option_string(options, KO_OPT_SHAPES), &shapes, err);
    }
    if (code == KO_OK) {
        code = split_list(ko_option_string(options, KO_OPT_PRECISIONS), "--precision", &precisions,
                          err);
    }
    if (code == KO_OK) {
        code = check_precisions(backend, &precisions, err);
    }
    if (code == KO_OK) {
        code = run_all(cli, backend, &shapes, &precisions, err);
    }
    ko_strings_free(&shapes);
    ko_strings_free(&precisions);
    return code;
}
