/* SPDX-License-Identifier: Apache-2.0 */
/* Reads --shard, or the variables of a Slurm array for --shard auto. Refuses an array that may be
   only part of a larger one, and makes the shard's file name. */
#include "src/run/shard.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/memory.h"
#include "src/base/text.h"

/* Reads a variable that Slurm sets in every task of an array. */
static enum ko_code read_variable(const char *name, int64_t *out, struct ko_error *err)
{
    const char *text = getenv(name);
    if (!text) {
        return ko_fail(err, KO_E_INPUT,
                       "--shard: auto: %s is not set, start it in a task of a Slurm array or "
                       "write K/N",
                       name);
    }
    return ko_parse_int(text, 0, INT32_MAX, out, name, err);
}

/* The variables of an array, as Slurm sets them. */
struct array {
    int64_t id, min, max, count;
};

static enum ko_code read_array(struct array *out, struct ko_error *err)
{
    static const char *const name[] = {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN",
                                       "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT"};
    int64_t value[4] = {0};
    enum ko_code code = KO_OK;
    for (size_t k = 0; code == KO_OK && k < 4; k++) {
        code = read_variable(name[k], &value[k], err);
    }
    *out = (struct array){value[0], value[1], value[2], value[3]};
    return code;
}

/* If a file's name is that of a shard of the cube `stem`, the number of all shards in it; else 0.
   */
static int32_t shards_of_name(const char *name, const char *stem)
{
    const size_t n = strlen(stem);
    char suffix[64];
    int number = 0, of = 0;
    if (strncmp(name, stem, n) != 0 ||
        sscanf(name + n, ".shard-%4d-of-%4d.h5", &number, &of) != 2 || number < 1 || of < number) {
        return 0;
    }
    (void)snprintf(suffix, sizeof suffix, KO_SHARD_SUFFIX, number, of);
    return strcmp(name + n, suffix) == 0 ? of : 0;
}

/* Finds a shard of this cube beside the output whose number of shards is not `count`. *of: that
   number; 0: there is no such file, or the folder cannot be read. */
static enum ko_code find_others(const char *output, int64_t count, int32_t *of,
                                struct ko_error *err)
{
    const char *cube = output ? output : "";
    char *folder = ko_path_folder(cube, err), *stem = ko_path_last(cube, err);
    enum ko_code code = folder && stem ? KO_OK : KO_E_MEMORY;
    DIR *list = code == KO_OK ? opendir(folder) : NULL;
    const size_t n = stem ? strlen(stem) : 0;
    if (stem && n > 3 && strcmp(stem + n - 3, ".h5") == 0) {
        stem[n - 3] = '\0';
    }
    *of = 0;
    for (const struct dirent *entry; list && *of == 0 && (entry = readdir(list));) {
        const int32_t found = shards_of_name(entry->d_name, stem);
        *of = found != count ? found : 0;
    }
    if (list) {
        (void)closedir(list);
    }
    free(folder);
    free(stem);
    return code;
}

/* The array may be part of a larger one. The error says what to write for this task. */
static enum ko_code refuse_part(const struct array *array, int32_t of, const char *why,
                                struct ko_error *err)
{
    char n[16] = "N", zero[96] = "";
    const char *which = of > 0 ? "" : ", N being the number of all shards";
    const int64_t first = array->id > 0 ? array->id : 1;
    if (of > 0) {
        (void)snprintf(n, sizeof n, "%d", of);
    }
    if (array->id > 0 && (of == 0 || array->id < of)) {
        (void)snprintf(zero, sizeof zero, ", or %lld/%s where the array of all began at 0",
                       (long long)array->id + 1, n);
    }
    return ko_fail(
        err, KO_E_INPUT, "--shard: auto: the array is %lld-%lld%s: write --shard %lld/%s%s%s",
        (long long)array->min, (long long)array->max, why, (long long)first, n, which, zero);
}

static enum ko_code shard_from_array(const char *output, struct ko_shard *out, struct ko_error *err)
{
    struct array array;
    int32_t others = 0;
    enum ko_code code = read_array(&array, err);
    if (code == KO_OK) {
        code = find_others(output, array.count, &others, err);
    }
    if (code != KO_OK) {
        return code;
    }
    if (array.id < array.min || array.id > array.max) {
        return ko_fail(err, KO_E_INPUT,
                       "--shard: auto: the array is %lld-%lld and this task %lld, start it in a "
                       "task of a Slurm array or write K/N",
                       (long long)array.min, (long long)array.max, (long long)array.id);
    }
    if (array.count != array.max - array.min + 1) {
        return refuse_part(&array, others, " with gaps, as where some tasks run again", err);
    }
    if (array.min > 1) {
        return refuse_part(&array, others, " and begins neither at 0 nor at 1", err);
    }
    if (array.count == 1) {
        return refuse_part(&array, others, ", one task, as where one runs again", err);
    }
    if (array.count > KO_MOST_SHARDS) {
        return ko_fail(err, KO_E_INPUT, "--shard: auto: the array has %lld tasks, use at most %d",
                       (long long)array.count, KO_MOST_SHARDS);
    }
    if (others > 0) {
        return refuse_part(&array, others, " and beside the output lie shards of another number",
                           err);
    }
    *out = (struct ko_shard){(int32_t)(array.id - array.min + 1), (int32_t)array.count};
    return KO_OK;
}

enum ko_code ko_cli_shard(const struct ko_options *options, struct ko_shard *out,
                          struct ko_error *err)
{
    const char *text = ko_option_string(options, KO_OPT_SHARD);
    *out = (struct ko_shard){0};
    if (!text || !ko_option_given(options, KO_OPT_SHARD)) {
        return KO_OK;
    }
    return strcmp(text, "auto") == 0
               ? shard_from_array(ko_option_string(options, KO_OPT_OUTPUT), out, err)
               : ko_shard_parse(text, "--shard", out, err);
}

enum ko_code ko_cli_shard_check(const struct ko_spec *spec, struct ko_shard shard,
                                const char *evaluation, struct ko_error *err)
{
    for (size_t b = 0; shard.of > 0 && !evaluation && b < spec->n_blocks; b++) {
        if (ko_select_needs_ranks(spec->block[b].select)) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: the selection needs an evaluation, which shards share: run "
                           "'knockout evaluate' first and name its cube with --evaluation",
                           spec->block[b].select->where);
        }
    }
    return KO_OK;
}

char *ko_cli_shard_path(const char *cube, struct ko_shard shard, struct ko_error *err)
{
    const size_t n = strlen(cube);
    const bool ending = n > 3 && strcmp(cube + n - 3, ".h5") == 0;
    struct ko_text text = {0};
    if (shard.of == 0) {
        return ko_copy(cube, err);
    }
    ko_text_add_bytes(&text, cube, ending ? n - 3 : n);
    ko_text_add(&text, KO_SHARD_SUFFIX, shard.number, shard.of);
    char *path = ko_text_check(&text, err) == KO_OK ? ko_copy(ko_text_str(&text), err) : NULL;
    ko_text_free(&text);
    return path;
}
