/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that the output files can be written and may be replaced or resumed. With --overwrite, it
   renames the old cube, and deletes it or brings it back at the end. */
#define _GNU_SOURCE
#include "src/run/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/cube/read/read.h"
#include "src/run/shard.h"

char *ko_output_evaluation(const char *cube, struct ko_error *err)
{
    const size_t n = strlen(cube);
    const bool suffix = n > 3 && strcmp(cube + n - 3, ".h5") == 0;
    struct ko_text text = {0};
    ko_text_add_bytes(&text, cube, suffix ? n - 3 : n);
    ko_text_add(&text, ".evaluation.h5");
    char *path = ko_text_check(&text, err) == KO_OK ? ko_copy(ko_text_str(&text), err) : NULL;
    ko_text_free(&text);
    return path;
}

/* Whether the file begins like an HDF5 file. This is true of a truncated cube, too. */
static bool is_hdf5(const char *path)
{
    static const char signature[] = "\x89HDF\r\n\x1a\n";
    char begin[sizeof signature - 1] = {0};
    FILE *file = fopen(path, "rb");
    const bool is = file && fread(begin, 1, sizeof begin, file) == sizeof begin &&
                    memcmp(begin, signature, sizeof begin) == 0;
    if (file) {
        fclose(file);
    }
    return is;
}

static enum ko_code check_existing(const char *path, const struct ko_output *output,
                                   struct ko_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return KO_OK;
    }
    /* Opening a pipe would block until another process opens its other end. */
    if (!S_ISREG(info.st_mode)) {
        return ko_fail(err, KO_E_INPUT, "%s: is %s, name a file to write", path,
                       ko_file_kind(info.st_mode));
    }
    if (!output->resume && !output->overwrite) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: exists already, choose --resume to continue it or --overwrite to "
                       "replace it",
                       path);
    }
    if (output->overwrite && !is_hdf5(path)) {
        return ko_fail(err, KO_E_INPUT, "%s: is not a cube, --overwrite replaces only cubes", path);
    }
    return output->overwrite ? ko_cube_check_replaced(path, err) : KO_OK;
}

enum ko_code ko_output_check_again(const struct ko_output *output, struct ko_error *err)
{
    enum ko_code code = check_existing(output->cube, output, err);
    if (code == KO_OK && output->own_evaluation) {
        code = check_existing(output->evaluation, output, err);
    }
    return code;
}

bool ko_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static enum ko_code check_folder(const char *path, struct ko_error *err)
{
    char *folder = ko_path_folder(path, err);
    struct stat info;
    enum ko_code code = folder ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK && stat(folder, &info) != 0) {
        code = ko_fail(err, KO_E_INPUT, "%s: folder '%s': %s, create it first", path, folder,
                       strerror(errno));
    } else if (code == KO_OK && !S_ISDIR(info.st_mode)) {
        code = ko_fail(err, KO_E_INPUT, "%s: '%s' is not a folder, choose another output", path,
                       folder);
    } else if (code == KO_OK && access(folder, W_OK | X_OK) != 0) {
        code =
            ko_fail(err, KO_E_INPUT, "%s: folder '%s' cannot be written: %s, choose another output",
                    path, folder, strerror(errno));
    }
    free(folder);
    return code;
}

enum ko_code ko_output_check(const struct ko_options *options, bool own_evaluation,
                             const char *external, struct ko_shard shard, struct ko_output *out,
                             struct ko_error *err)
{
    const char *cube = ko_option_string(options, KO_OPT_OUTPUT);
    struct ko_output output = {.shard = shard,
                               .resume = ko_option_flag(options, KO_OPT_RESUME),
                               .overwrite = ko_option_flag(options, KO_OPT_OVERWRITE),
                               .own_evaluation = own_evaluation};
    if (!cube || cube[0] == '\0') {
        return ko_fail(err, KO_E_INPUT, "--output: missing, name the cube to write with -o CUBE");
    }
    if (output.resume && output.overwrite) {
        return ko_fail(err, KO_E_INPUT, "--resume: contradicts --overwrite, choose one");
    }
    char *named = ko_cli_shard_path(cube, shard, err);
    output.cube = named ? ko_path_follow(named, err) : NULL;
    free(named);
    output.evaluation = output.cube ? ko_output_evaluation(output.cube, err) : NULL;
    if (!output.cube || !output.evaluation) {
        ko_output_free(&output);
        return err->code;
    }
    enum ko_code code = check_folder(output.cube, err);
    if (code == KO_OK && external && ko_same_file(output.cube, external)) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: is the evaluation that the run reads, choose another "
                       "output",
                       output.cube);
    }
    if (code == KO_OK) {
        code = ko_output_check_again(&output, err);
    }
    if (code != KO_OK) {
        ko_output_free(&output);
    } else {
        *out = output;
    }
    return code;
}

enum ko_code ko_output_set_aside(struct ko_output *output, struct ko_error *err)
{
    struct ko_text name = {0};
    if (!output->overwrite && !output->resume) {
        return KO_OK;
    }
    ko_text_add(&name, "%s.replaced", output->cube);
    enum ko_code code = ko_text_check(&name, err);
    const bool moves = output->overwrite && ko_file_exists(output->cube);
    if (code == KO_OK && moves && rename(output->cube, name.data) != 0) {
        code = ko_fail(err, KO_E_FAILED, "%s: cannot be renamed to %s: %s", output->cube, name.data,
                       strerror(errno));
    }
    /* This run deletes what an interrupted run has renamed. */
    if (code == KO_OK && (moves || ko_file_exists(name.data))) {
        output->aside = name.data;
        name.data = NULL;
    }
    ko_text_free(&name);
    return code;
}

bool ko_output_settle(const struct ko_output *output, enum ko_code code)
{
    if (!output->aside) {
        return true;
    }
    if (ko_file_exists(output->cube)) {
        return unlink(output->aside) == 0;
    }
    return output->overwrite && code == KO_E_INPUT && rename(output->aside, output->cube) == 0;
}

void ko_output_free(struct ko_output *output)
{
    free(output->cube);
    free(output->evaluation);
    free(output->aside);
    *output = (struct ko_output){0};
}
