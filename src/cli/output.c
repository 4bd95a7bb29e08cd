#define _GNU_SOURCE
#include "src/cli/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/text.h"

/* "results/cube.h5" -> "results/cube.evaluation.h5" */
static char *evaluation_path(const char *cube, struct ko_error *err)
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

static enum ko_code check_existing(const char *path, const struct ko_output *output,
                                   struct ko_error *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return KO_OK;
    if (S_ISDIR(info.st_mode))
        return ko_fail(err, KO_E_INPUT, "%s: is a folder, name a file to write", path);
    if (!output->resume && !output->overwrite)
        return ko_fail(err, KO_E_INPUT,
                       "%s: exists already, choose --resume to continue it or --overwrite to "
                       "replace it",
                       path);
    return KO_OK;
}

static enum ko_code check_folder(const char *path, struct ko_error *err)
{
    char *folder = ko_path_folder(path, err);
    struct stat info;
    enum ko_code code = folder ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK && stat(folder, &info) != 0)
        code = ko_fail(err, KO_E_INPUT, "%s: folder '%s': %s, create it first", path, folder,
                       strerror(errno));
    else if (code == KO_OK && !S_ISDIR(info.st_mode))
        code =
            ko_fail(err, KO_E_INPUT, "%s: '%s' is no folder, choose another output", path, folder);
    else if (code == KO_OK && access(folder, W_OK | X_OK) != 0)
        code = ko_fail(err, KO_E_INPUT, "%s: folder '%s' cannot be written: %s", path, folder,
                       strerror(errno));
    free(folder);
    return code;
}

enum ko_code ko_output_check(const struct ko_options *options, bool own_evaluation,
                             struct ko_output *out, struct ko_error *err)
{
    const char *cube = ko_option_string(options, KO_OPT_OUTPUT);
    struct ko_output output = {.resume = ko_option_flag(options, KO_OPT_RESUME),
                               .overwrite = ko_option_flag(options, KO_OPT_OVERWRITE)};
    if (!cube || cube[0] == '\0')
        return ko_fail(err, KO_E_INPUT, "--output: missing, name the cube to write with -o CUBE");
    if (output.resume && output.overwrite)
        return ko_fail(err, KO_E_INPUT, "--resume: contradicts --overwrite, choose one");
    output.cube = ko_copy(cube, err);
    output.evaluation = evaluation_path(cube, err);
    enum ko_code code = output.cube && output.evaluation ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK)
        code = check_folder(output.cube, err);
    if (code == KO_OK)
        code = check_existing(output.cube, &output, err);
    if (code == KO_OK && own_evaluation)
        code = check_existing(output.evaluation, &output, err);
    if (code != KO_OK)
        ko_output_free(&output);
    else
        *out = output;
    return code;
}

void ko_output_free(struct ko_output *output)
{
    free(output->cube);
    free(output->evaluation);
    *output = (struct ko_output){0};
}
