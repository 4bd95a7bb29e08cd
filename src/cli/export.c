#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mpi/cube/cube_copy.h"
#include "src/base/file.h"
#include "src/base/new_file.h"
#include "src/cli/cli.h"
#include "src/cli/export_csv.h"

/* The output, NULL for standard output. */
static enum ko_code read_request(const struct ko_options *options, const char **output,
                                 struct ko_error *err)
{
    const char *cube = options->arguments.item[0], *path = ko_option_string(options, KO_OPT_OUTPUT);
    const bool csv = ko_option_flag(options, KO_OPT_CSV);
    struct stat from, to;

    *output = path && path[0] != '\0' ? path : NULL;
    if (csv == ko_option_flag(options, KO_OPT_COMPRESS))
        return ko_fail(err, KO_E_INPUT, "export: choose one of --csv and --compress");
    if (!csv && !*output)
        return ko_fail(err, KO_E_INPUT, "--output: missing, name the file to write with -o NEW.h5");
    if (!*output || stat(*output, &to) != 0)
        return KO_OK;
    if (!S_ISREG(to.st_mode))
        return ko_fail(err, KO_E_INPUT, "%s: is %s, name a file to write", *output,
                       ko_file_kind(to.st_mode));
    if (stat(cube, &from) == 0 && from.st_dev == to.st_dev && from.st_ino == to.st_ino)
        return ko_fail(err, KO_E_INPUT, "%s: is the cube itself, choose another output", *output);
    if (!ko_option_flag(options, KO_OPT_OVERWRITE))
        return ko_fail(err, KO_E_INPUT, "%s: exists already, choose --overwrite to replace it",
                       *output);
    return KO_OK;
}

static enum ko_code write_file(struct ko_cube_view *view, const char *path, struct ko_error *err)
{
    struct ko_new_file file = {0};
    enum ko_code code = ko_new_file_open(path, &file, err);
    if (code != KO_OK)
        return code;
    FILE *stream = fopen(file.temporary, "w");
    if (!stream)
        code = ko_fail(err, KO_E_FAILED, "%s: cannot be written: %s", path, strerror(errno));
    else
        code = ko_export_csv(view, stream, path, err);
    if (stream && fclose(stream) != 0 && code == KO_OK)
        code = ko_fail(err, KO_E_FAILED, "%s: cannot be written: %s", path, strerror(errno));
    if (code == KO_OK)
        return ko_new_file_place(&file, err);
    ko_new_file_drop(&file);
    return code;
}

enum ko_code ko_command_export(struct ko_cli *cli, int *status, struct ko_error *err)
{
    struct ko_cube_view *view = NULL;
    const char *output = NULL;
    (void)status;
    enum ko_code code = read_request(cli->options, &output, err);
    if (code == KO_OK)
        code = ko_cube_view_open(cli->options->arguments.item[0], &view, err);
    if (code == KO_OK && ko_option_flag(cli->options, KO_OPT_COMPRESS))
        code = ko_cube_compress(view, KO_CUBE_CHUNK_BYTES, output, err);
    else if (code == KO_OK)
        code = output ? write_file(view, output, err)
                      : ko_export_csv(view, cli->out, "standard output", err);
    ko_cube_view_close(view);
    return code;
}
