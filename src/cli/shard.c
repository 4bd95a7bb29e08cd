#include "src/cli/shard.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"

/* A variable that Slurm sets in every task of an array. */
static enum ko_code read_variable(const char *name, int64_t *out, struct ko_error *err)
{
    const char *text = getenv(name);
    if (!text)
        return ko_fail(err, KO_E_INPUT,
                       "--shard: auto: %s is not set, start it in a task of a Slurm array or "
                       "write K/N",
                       name);
    return ko_parse_int(text, 0, INT32_MAX, out, name, err);
}

static enum ko_code from_array(struct ko_shard *out, struct ko_error *err)
{
    static const char *const name[] = {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN",
                                       "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT"};
    int64_t value[4] = {0};
    enum ko_code code = KO_OK;
    for (size_t k = 0; code == KO_OK && k < 4; k++)
        code = read_variable(name[k], &value[k], err);
    if (code != KO_OK)
        return code;
    const int64_t id = value[0], min = value[1], max = value[2], count = value[3];
    if (count != max - min + 1 || id < min || id > max)
        return ko_fail(err, KO_E_INPUT,
                       "--shard: auto: the array has %lld tasks from %lld to %lld and this is "
                       "%lld, use --array=1-N with step 1 or write K/N",
                       (long long)count, (long long)min, (long long)max, (long long)id);
    if (count > KO_MOST_SHARDS)
        return ko_fail(err, KO_E_INPUT, "--shard: auto: the array has %lld tasks, use at most %d",
                       (long long)count, KO_MOST_SHARDS);
    *out = (struct ko_shard){(int32_t)(id - min + 1), (int32_t)count};
    return KO_OK;
}

enum ko_code ko_cli_shard(const struct ko_options *options, struct ko_shard *out,
                          struct ko_error *err)
{
    const char *text = ko_option_string(options, KO_OPT_SHARD);
    *out = (struct ko_shard){0};
    if (!text || !ko_option_given(options, KO_OPT_SHARD))
        return KO_OK;
    return strcmp(text, "auto") == 0 ? from_array(out, err)
                                     : ko_shard_parse(text, "--shard", out, err);
}

enum ko_code ko_cli_shard_check(const struct ko_spec *spec, struct ko_shard shard,
                                const char *evaluation, struct ko_error *err)
{
    for (size_t b = 0; shard.of > 0 && !evaluation && b < spec->n_blocks; b++)
        if (ko_select_needs_ranks(spec->block[b].select))
            return ko_fail(err, KO_E_INPUT,
                           "%s: the selection needs an evaluation, which shards share: run "
                           "'knockout evaluate' first and name its cube with --evaluation",
                           spec->block[b].select->where);
    return KO_OK;
}

char *ko_cli_shard_path(const char *cube, struct ko_shard shard, struct ko_error *err)
{
    const size_t n = strlen(cube);
    const bool ending = n > 3 && strcmp(cube + n - 3, ".h5") == 0;
    struct ko_text text = {0};
    if (shard.of == 0)
        return ko_copy(cube, err);
    ko_text_add_bytes(&text, cube, ending ? n - 3 : n);
    ko_text_add(&text, KO_SHARD_SUFFIX, shard.number, shard.of);
    char *path = ko_text_check(&text, err) == KO_OK ? ko_copy(ko_text_str(&text), err) : NULL;
    ko_text_free(&text);
    return path;
}
