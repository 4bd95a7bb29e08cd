/* SPDX-License-Identifier: Apache-2.0 */
/* The command `export`: writes a cube as CSV, to a file or to standard output, or writes a
   compressed copy of it to a new file. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/file.h"
#include "src/base/machine/terminal.h"
#include "src/base/new_file.h"
#include "src/cli/cli.h"
#include "src/cube/merge/copy.h"
#include "src/export/export_csv.h"
#include "src/options/option_table.h"
#include "src/run/output.h"
#include "src/run/result_line.h"
#include "src/show/curve_filter.h"

/* Checks the options. *output: the file to write; NULL: standard output. */
static enum ko_code read_request(const struct ko_options *options, const char **output,
                                 struct ko_error *err)
{
    const char *cube = options->arguments.item[0],
               *path = ko_option_string(options, KO_OPT_OUTPUT_FILE);
    const bool csv = ko_option_flag(options, KO_OPT_CSV);
    struct stat to;
    *output = path && path[0] != '\0' ? path : NULL;
    if (csv == ko_option_flag(options, KO_OPT_COMPRESS)) {
        return ko_fail(err, KO_E_INPUT, "export: choose one of --csv and --compress");
    }
    if (!csv && !*output) {
        return ko_fail(err, KO_E_INPUT, "--output: missing, name the file to write with -o NEW.h5");
    }
    if (!*output || stat(*output, &to) != 0) {
        return KO_OK;
    }
    if (!S_ISREG(to.st_mode)) {
        return ko_fail(err, KO_E_INPUT, "%s: is %s, name a file to write", *output,
                       ko_file_kind(to.st_mode));
    }
    if (ko_same_file(cube, *output)) {
        return ko_fail(err, KO_E_INPUT, "%s: is the cube itself, choose another output", *output);
    }
    if (!ko_option_flag(options, KO_OPT_OVERWRITE)) {
        return ko_fail(err, KO_E_INPUT, "%s: exists already, choose --overwrite to replace it",
                       *output);
    }
    return KO_OK;
}

/* A compressed copy holds the whole cube, so it takes no filters. */
static enum ko_code refuse_filters(const struct ko_options *options, struct ko_error *err)
{
    static const enum ko_option filters[] = {KO_OPT_MODEL,  KO_OPT_ROUTE,   KO_OPT_TARGET,
                                             KO_OPT_SOURCE, KO_OPT_FEATURE, KO_OPT_WINDOW_SIZE};
    for (size_t k = 0; k < sizeof filters / sizeof filters[0]; k++) {
        if (ko_option_given(options, filters[k])) {
            return ko_fail(err, KO_E_INPUT,
                           "--%s: is for --csv, a compressed copy holds the whole cube; leave one "
                           "of the two out",
                           ko_option_entry(filters[k])->name);
        }
    }
    return KO_OK;
}

/* Fails if the filters leave no route. An evaluation has no routes to filter. */
static enum ko_code check_filter(struct ko_cube_view *view, const struct ko_curve_filter *filter,
                                 const char *path, struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    bool any = ko_cube_view_is_evaluation(view) || axes->route.n + axes->heat_route.n == 0;
    for (size_t r = 0; r < axes->route.n; r++) {
        any = any || filter->route[r];
    }
    for (size_t r = 0; r < axes->heat_route.n; r++) {
        any = any || filter->heat_route[r];
    }
    return any ? KO_OK
               : ko_fail(err, KO_E_INPUT,
                         "%s: no cell of it passes these filters together, drop one of them", path);
}

static enum ko_code write_file(struct ko_cube_view *view, const struct ko_curve_filter *filter,
                               const char *path, struct ko_error *err)
{
    struct ko_new_file file = {0};
    enum ko_code code = ko_new_file_open(path, &file, err);
    if (code != KO_OK) {
        return code;
    }
    FILE *stream = fopen(file.temporary, "w");
    if (!stream) {
        code = ko_fail(err, KO_E_FAILED, "%s: cannot be written: %s", path, strerror(errno));
    } else {
        code = ko_export_csv(view, filter, stream, path, err);
    }
    if (stream && fclose(stream) != 0 && code == KO_OK) {
        code = ko_fail(err, KO_E_FAILED, "%s: cannot be written: %s", path, strerror(errno));
    }
    if (code == KO_OK) {
        return ko_new_file_place(&file, err);
    }
    ko_new_file_drop(&file);
    return code;
}

static enum ko_code write_csv(struct ko_cli *cli, struct ko_cube_view *view, const char *output,
                              struct ko_error *err)
{
    const char *path = cli->options->arguments.item[0];
    struct ko_curve_filter filter = {0};
    enum ko_code code =
        ko_curve_filter_read(cli->options, path, ko_cube_view_axes(view), &filter, err);
    if (code == KO_OK) {
        code = check_filter(view, &filter, path, err);
    }
    if (code == KO_OK) {
        code = output ? write_file(view, &filter, output, err)
                      : ko_export_csv(view, &filter, cli->out, "standard output", err);
    }
    ko_curve_filter_free(&filter);
    return code;
}

/* Writes a compressed copy, and warns if the cube is not complete. */
static enum ko_code compress_cube(struct ko_cube_view *view, const char *cube, const char *output,
                                  struct ko_error *err)
{
    bool incomplete = false;
    const enum ko_code code = ko_cube_compress(view, KO_CUBE_CHUNK_BYTES, output, &incomplete, err);
    if (code == KO_OK && incomplete) {
        fprintf(stderr,
                "knockout: warning: %s is not complete: %s has what was done by now, and no run "
                "can complete it\n",
                cube, output);
    }
    return code;
}

/* Prints what was written, on a terminal. */
static void say_written(const char *output, const char *cube, bool copies)
{
    struct stat to, from;
    struct ko_text word = {0};
    char size[32];
    if (!ko_is_terminal(stderr) || stat(output, &to) != 0 || stat(cube, &from) != 0) {
        return;
    }
    ko_shell_word_add(&word, output);
    fprintf(stderr, "%s: %s", output, ko_bytes_human((double)to.st_size, size));
    if (copies) {
        fprintf(stderr, ", the whole cube in %.0f %% of its space; next: knockout show %s\n",
                100.0 * (double)to.st_size / (double)from.st_size, ko_text_str(&word));
    } else {
        fprintf(stderr, ", a line a cell; next: pandas.read_csv(\"%s\")\n", output);
    }
    ko_text_free(&word);
}

enum ko_code ko_command_export(struct ko_cli *cli, int *status, struct ko_error *err)
{
    struct ko_cube_view *view = NULL;
    const char *output = NULL;
    (void)status;
    const bool copies = ko_option_flag(cli->options, KO_OPT_COMPRESS);
    enum ko_code code = read_request(cli->options, &output, err);
    if (code == KO_OK && copies) {
        code = refuse_filters(cli->options, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_open(cli->options->arguments.item[0], &view, err);
    }
    if (code == KO_OK && copies) {
        code = compress_cube(view, cli->options->arguments.item[0], output, err);
    } else if (code == KO_OK) {
        code = write_csv(cli, view, output, err);
    }
    if (code == KO_OK && output) {
        say_written(output, cli->options->arguments.item[0], copies);
    }
    ko_cube_view_close(view);
    return code;
}
