/* SPDX-License-Identifier: Apache-2.0 */
/* The command `merge`: checks the output, takes its lock, merges the shards and prints the result.
   The merge itself is in src/cube/merge/. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mpi/lock/lock.h"
#include "mpi/world/launch.h"
#include "src/base/file.h"
#include "src/base/machine/terminal.h"
#include "src/cli/cli.h"
#include "src/cube/merge/merge.h"
#include "src/run/output.h"
#include "src/run/result_line.h"

static enum ko_code check_output(const struct ko_cli *cli, const char *path, struct ko_error *err)
{
    const struct ko_strings *shards = &cli->options->arguments;
    struct stat info;
    if (path[0] == '\0') {
        return ko_fail(err, KO_E_INPUT, "--output: missing, name the cube to write with -o CUBE");
    }
    for (size_t i = 0; i < shards->n; i++) {
        if (ko_same_file(path, shards->item[i])) {
            return ko_fail(err, KO_E_INPUT, "%s: is one of the shards, choose another output",
                           path);
        }
    }
    if (stat(path, &info) != 0) {
        return KO_OK;
    }
    if (!S_ISREG(info.st_mode)) {
        return ko_fail(err, KO_E_INPUT, "%s: is %s, name a file to write", path,
                       ko_file_kind(info.st_mode));
    }
    if (!ko_option_flag(cli->options, KO_OPT_OVERWRITE)) {
        return ko_fail(err, KO_E_INPUT, "%s: exists already, choose --overwrite to replace it",
                       path);
    }
    return KO_OK;
}

static const char *merged_state(const struct ko_cube_merged *merged)
{
    if (merged->pending > 0) {
        return "incomplete";
    }
    return merged->failed > 0 ? "complete with failures" : "complete";
}

static void print_warning(const char *text)
{
    struct ko_text safe = {0};
    ko_text_add_printable(&safe, text, strlen(text));
    fprintf(stderr, "knockout: warning: %s\n", ko_text_str(&safe));
    ko_text_free(&safe);
}

static void report_merge(const struct ko_cli *cli, const char *path,
                         const struct ko_cube_merged *merged)
{
    char pairs[32], pending[32], failed[32];
    for (size_t i = 0; i < merged->warnings.n; i++) {
        print_warning(merged->warnings.item[i]);
    }
    if (merged->pending > 0) {
        print_warning(ko_text_str(&merged->missing));
    }
    fprintf(cli->out, "%s: %zu of %d shards, %s: %s prompts and heatmaps of all models", path,
            cli->options->arguments.n, merged->n_shards, merged_state(merged),
            ko_grouped(merged->n_pairs, pairs));
    if (merged->pending > 0) {
        fprintf(cli->out, ", %s pending", ko_grouped(merged->pending, pending));
    }
    if (merged->failed > 0) {
        fprintf(cli->out, ", %s failed", ko_grouped(merged->failed, failed));
    }
    if (ko_is_terminal(stdout)) {
        struct ko_text word = {0};
        ko_shell_word_add(&word, path);
        fprintf(cli->out, "; next: knockout %s %s",
                merged->pending + merged->failed > 0 ? "status" : "show", ko_text_str(&word));
        ko_text_free(&word);
    }
    fputc('\n', cli->out);
}

static enum ko_code ask_lock(void *context, struct ko_error *err)
{
    return ko_lock_check(context, err);
}

/* Merges under the lock of the output, so that no run writes the cube while it is replaced. Checks
   the output again: a run may have made it since. */
static enum ko_code merge_locked(const struct ko_cli *cli, const char *path,
                                 struct ko_cube_merged *merged, struct ko_error *err)
{
    struct ko_lock_owner owner = {0};
    struct ko_lock *lock = NULL;
    enum ko_code code = ko_lock_gather_alone(&owner, err);
    if (code == KO_OK) {
        code = ko_lock_take(path, &owner, KO_LOCK_WAIT_SECONDS, NULL, &lock, err);
    }
    if (code == KO_OK) {
        code = check_output(cli, path, err);
    }
    const struct ko_consent consent = {ask_lock, lock};
    const struct ko_cube_placing placing = {
        .consent = &consent, .keeps = !ko_option_flag(cli->options, KO_OPT_OVERWRITE)};
    if (code == KO_OK) {
        code = ko_cube_merge(path, &cli->options->arguments,
                             ko_option_flag(cli->options, KO_OPT_PARTIAL), &placing, merged, err);
    }
    ko_lock_release(lock);
    ko_lock_owner_free(&owner);
    return code;
}

static enum ko_code merge_into(const struct ko_cli *cli, const char *path, int *status,
                               struct ko_error *err)
{
    struct ko_cube_merged merged = {0};
    enum ko_code code = check_output(cli, path, err);
    if (code == KO_OK) {
        code = merge_locked(cli, path, &merged, err);
    }
    if (code != KO_OK) {
        return code;
    }
    report_merge(cli, path, &merged);
    if (merged.pending > 0) {
        *status = KO_EXIT_INCOMPLETE;
    } else if (merged.failed > 0) {
        *status = KO_EXIT_FAILURES;
    }
    ko_cube_merged_free(&merged);
    return KO_OK;
}

enum ko_code ko_command_merge(struct ko_cli *cli, int *status, struct ko_error *err)
{
    const char *named = ko_option_string(cli->options, KO_OPT_OUTPUT);
    enum ko_code code = ko_launch_check(1, err);
    if (code != KO_OK) {
        return code;
    }
    char *path = ko_path_follow(named ? named : "", err);
    code = path ? merge_into(cli, path, status, err) : err->code;
    free(path);
    return code;
}
