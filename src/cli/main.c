/* SPDX-License-Identifier: Apache-2.0 */
/* The start of the program: picks the command from a table, prints help, and turns an error into
   one line and an exit status. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ko_version.h"
#include "src/base/machine/signals.h"
#include "src/base/text.h"
#include "src/cli/cli.h"
#include "src/cli/restart.h"
#include "src/cli/standard.h"
#include "src/cube/read/guard.h"
#include "src/cube/read/read.h"
#include "src/formats/table.h"
#include "src/spec/schema.h"

struct entry {
    const char *name;
    ko_command *command;
    bool computes;  /* with OpenBLAS and OpenMP */
    bool stoppable; /* installs the handlers of src/base/machine/signals.h */
    bool reads;     /* opens cubes */
    bool colors;    /* has --color */
};

static const struct entry entries[] = {
    {"plan", ko_command_plan, true, false, true, true},
    {"run", ko_command_run, true, true, true, false},
    {"evaluate", ko_command_evaluate, true, true, true, false},
    {"merge", ko_command_merge, false, false, true, false},
    {"status", ko_command_status, false, false, true, false},
    {"show", ko_command_show, false, false, true, false},
    {"verify", ko_command_verify, false, false, true, false},
    {"export", ko_command_export, false, false, true, false},
    {"inspect", ko_command_inspect, false, false, false, true},
    {"bench", ko_command_bench, true, false, false, false},
};

static const struct entry *find_entry(const char *name)
{
    for (size_t k = 0; k < sizeof entries / sizeof entries[0]; k++) {
        if (strcmp(entries[k].name, name) == 0) {
            return &entries[k];
        }
    }
    return NULL;
}

/* This process's rank, from the launcher's environment. NULL without a launcher. */
static const char *launched_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                        "SLURM_PROCID"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        const char *rank = getenv(names[k]);
        if (rank) {
            return rank;
        }
    }
    return NULL;
}

/* Under a launcher every rank reads the same command line, so only rank 0 prints what is wrong with
   it. Other errors concern one rank, which prints them with its number. */
static void limit_error(enum ko_code code, struct ko_error *err)
{
    const char *rank = launched_rank();
    if (rank && code != KO_E_INPUT) {
        (void)ko_fail_in(err, "rank %s", rank);
    } else if (rank && strcmp(rank, "0") != 0) {
        err->text[0] = '\0';
    }
}

/* Starts the guard on rank 0, which opens cubes before any other rank does. */
static enum ko_code start_guard(const struct entry *entry, struct ko_error *err)
{
    const char *rank = launched_rank();
    if (!entry->reads || (rank && strcmp(rank, "0") != 0)) {
        return KO_OK;
    }
    return ko_cube_guard_start(ko_cube_view_read_all, (struct ko_cube_guard_limits){0}, err);
}

static int print_error(enum ko_code code, const struct ko_error *err)
{
    if (err->text[0] != '\0') {
        fprintf(stderr, "knockout: %s\n", err->text);
    }
    return ko_exit_status(code);
}

static enum ko_code print_help(const struct ko_options *options, FILE *out, struct ko_error *err)
{
    struct ko_text text = {0};
    if (options->help_form == KO_HELP_JSON) {
        return ko_options_json(out, err);
    }
    if (options->help_form == KO_HELP_SCHEMA) {
        return ko_spec_schema_print(out, err);
    }
    ko_options_help(options->command, &text);
    enum ko_code code = ko_text_check(&text, err);
    fputs(ko_text_str(&text), out);
    ko_text_free(&text);
    return code;
}

static enum ko_code run_command(const struct entry *entry, struct ko_cli *cli, int *status,
                                struct ko_error *err)
{
    ko_stop_hold();
    if (entry->computes) {
        ko_restart_with_choices(*cli->argv);
    }
    if (!entry->stoppable) {
        ko_stop_release();
    }
    enum ko_code code = start_guard(entry, err);
    if (code == KO_OK) {
        code = entry->command(cli, status, err);
    }
    ko_cube_guard_stop();
    return code;
}

int main(int argc, char **argv)
{
    struct ko_options options = {0};
    struct ko_error err = {0};
    struct ko_standard standard = {0};
    bool wants_help = false, wants_version = false;
    int status = 0;
    ko_standard_fill();
    enum ko_code code = ko_options_parse(argc, argv, &options, &wants_help, &wants_version, &err);
    const struct entry *entry =
        code == KO_OK && options.command ? find_entry(options.command) : NULL;
    if (code == KO_OK && !entry && !wants_version && !wants_help) {
        code = ko_fail(&err, KO_E_FAILED, "command line: the command is not in this program");
    }
    if (code != KO_OK) {
        limit_error(code, &err);
    }
    if (code == KO_OK) {
        code =
            ko_standard_open(&standard, !entry || !ko_option_flag(&options, KO_OPT_CSV),
                             entry && entry->colors &&
                                 ko_color_wanted(ko_option_string(&options, KO_OPT_COLOR), stdout),
                             &err);
    }
    if (code == KO_OK && wants_version) {
        fprintf(standard.out, "knockout %s (%s)\n", KO_VERSION, KO_COMMIT);
    } else if (code == KO_OK && wants_help) {
        code = print_help(&options, standard.out, &err);
    } else if (code == KO_OK && entry) {
        struct ko_cli cli = {
            .options = &options, .argc = &argc, .argv = &argv, .out = standard.out};
        code = run_command(entry, &cli, &status, &err);
    }
    /* A reader that closed the pipe early wants no error line. */
    if (code != KO_OK && standard.failure == EPIPE) {
        err.text[0] = '\0';
    }
    if (code != KO_OK) {
        status = print_error(code, &err);
    }
    ko_options_free(&options);
    if (standard.out && ko_standard_close(&standard, &err) != KO_OK && status == 0) {
        status = print_error(KO_E_FAILED, &err);
    }
    return status;
}
