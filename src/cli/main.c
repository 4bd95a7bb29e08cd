#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ko_version.h"
#include "mpi/cube/cube_guard.h"
#include "mpi/cube/cube_read.h"
#include "src/base/text.h"
#include "src/cli/cli.h"
#include "src/cli/restart.h"
#include "src/cli/stop.h"

struct entry {
    const char *name;
    ko_command *command;
    bool computes;  /* with OpenBLAS and OpenMP */
    bool stoppable; /* installs the polite stop */
    bool reads;     /* opens cubes */
};

static const struct entry entries[] = {
    {"plan", ko_command_plan, true, false, true},
    {"run", ko_command_run, true, true, true},
    {"evaluate", ko_command_evaluate, true, true, true},
    {"merge", ko_command_merge, false, false, true},
    {"status", ko_command_status, false, false, true},
    {"show", ko_command_show, false, false, true},
    {"verify", ko_command_verify, false, false, true},
    {"export", ko_command_export, false, false, true},
    {"inspect", ko_command_inspect, false, false, false},
    {"bench", ko_command_bench, true, false, false},
};

static const struct entry *find(const char *name)
{
    for (size_t k = 0; k < sizeof entries / sizeof entries[0]; k++)
        if (strcmp(entries[k].name, name) == 0)
            return &entries[k];
    return NULL;
}

/* This process's rank as the launcher says it; NULL without one. */
static const char *launched_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                        "SLURM_PROCID"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        const char *rank = getenv(names[k]);
        if (rank)
            return rank;
    }
    return NULL;
}

/* Under a launcher every rank reads the same command line: what is wrong with it rank 0 says. What
   only one rank lacks, that rank does. */
static void choose_speaker(enum ko_code code, struct ko_error *err)
{
    const char *rank = launched_rank();
    if (rank && code != KO_E_INPUT)
        (void)ko_fail_in(err, "rank %s", rank);
    else if (rank && strcmp(rank, "0") != 0)
        err->text[0] = '\0';
}

/* Rank 0 opens cubes, before any other rank does. */
static enum ko_code start_guard(const struct entry *entry, struct ko_error *err)
{
    const char *rank = launched_rank();
    if (!entry->reads || (rank && strcmp(rank, "0") != 0))
        return KO_OK;
    return ko_cube_guard_start(ko_cube_view_read_all, (struct ko_cube_guard_limits){0}, err);
}

static int fail(enum ko_code code, const struct ko_error *err)
{
    if (err->text[0] != '\0')
        fprintf(stderr, "knockout: %s\n", err->text);
    return ko_exit_status(code);
}

static int help(const char *command)
{
    struct ko_text text = {0};
    ko_options_help(command, &text);
    fputs(ko_text_str(&text), stdout);
    ko_text_free(&text);
    return 0;
}

int main(int argc, char **argv)
{
    struct ko_options options = {0};
    struct ko_error err = {0};
    bool wants_help = false, wants_version = false;
    enum ko_code code = ko_options_parse(argc, argv, &options, &wants_help, &wants_version, &err);
    const struct entry *entry = code == KO_OK && options.command ? find(options.command) : NULL;
    int status = 0;
    if (code == KO_OK && !entry && !wants_version && !wants_help)
        code = ko_fail(&err, KO_E_FAILED, "command line: the command is not in this program");
    if (wants_version) {
        printf("knockout %s (%s)\n", KO_VERSION, KO_COMMIT);
    } else if (wants_help) {
        status = help(options.command);
    } else if (code != KO_OK || !entry) {
        choose_speaker(code, &err);
        status = fail(code, &err);
    } else {
        ko_stop_hold();
        if (entry->computes)
            ko_restart_with_choices(argv);
        if (!entry->stoppable)
            ko_stop_release();
        /* Idle ranks share processors with busy ones; Open MPI would spin in every wait. */
        setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
        struct ko_cli cli = {.options = &options, .argc = &argc, .argv = &argv, .out = stdout};
        code = start_guard(entry, &err);
        if (code == KO_OK)
            code = entry->command(&cli, &status, &err);
        ko_cube_guard_stop();
        if (code != KO_OK)
            status = fail(code, &err);
    }
    ko_options_free(&options);
    if (fflush(stdout) != 0 && status == 0) {
        fprintf(stderr, "knockout: standard output cannot be written\n");
        status = 1;
    }
    return status;
}
