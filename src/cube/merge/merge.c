/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the merged cube: its attributes, its outline and then each shard's results. Whether the
   shards fit together is checked before, in merge_set.c and merge_claim.c. */
#include "src/cube/merge/merge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/merge/copy.h"
#include "src/cube/merge/merge_copy.h"
#include "src/cube/merge/merge_runs.h"
#include "src/cube/merge/merge_set.h"

/* Whether the attribute is copied from the first shard; the others are written anew. */
static bool is_taken(const char *name)
{
    static const char *const own[] = {"title", "Conventions", "cube_format",     "plan_hash",
                                      "kind",  "shard",       KO_CUBE_INCOMPLETE};

    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (strcmp(name, own[i]) == 0) {
            return false;
        }
    }
    return true;
}

static enum ko_code write_attributes(struct ko_cube_new *cube, const struct ko_cube_shard *first,
                                     struct ko_error *err)
{
    const struct ko_cube_view *view = first->view;
    const char *title = ko_cube_view_attribute(first->whole, "title");
    enum ko_code code =
        ko_cube_text_attribute(cube->file, cube->path, "title", title ? title : "", err);

    if (code == KO_OK) {
        code = ko_cube_write_format(cube, err);
    }
    if (code == KO_OK) {
        code = ko_cube_text_attribute(cube->file, cube->path, "plan_hash", first->plan_hash, err);
    }
    for (size_t i = 0; i < view->attribute_name.n && code == KO_OK; i++) {
        const char *name = view->attribute_name.item[i], *value = view->attribute_value.item[i];
        if (strcmp(name, "spec") == 0 && view->lengths.n[KO_AXIS_SPEC_BYTE] > 0) {
            value = KO_CUBE_SPEC_ELSEWHERE;
        }
        if (is_taken(name)) {
            code = ko_cube_text_attribute(cube->file, cube->path, name, value, err);
        }
    }
    return code;
}

/* Copies everything but results and runs. */
static enum ko_code write_outline(struct ko_cube_new *cube, const struct ko_cube_shard *first,
                                  struct ko_error *err)
{
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        if (cube->dataset[i] < 0 || dataset->field == KO_FIELD_LENGTH) {
            continue;
        }
        if (ko_cube_present(dataset, &first->whole->lengths)) {
            code = ko_merge_copy_dataset(first->whole, cube, i, err);
        } else if (dataset->field == KO_FIELD_SPEC) {
            code = ko_merge_copy_dataset(first->view, cube, i, err);
        }
    }
    return code;
}

static enum ko_code write_hashes(struct ko_cube_new *cube, const struct ko_merge_set *set,
                                 struct ko_error *err)
{
    const size_t index = (size_t)(ko_cube_find("content_hash") - ko_cube_table);
    enum ko_code code = KO_OK;

    for (hsize_t m = 0; m < cube->lengths.n[KO_AXIS_MODEL] && code == KO_OK; m++) {
        const hsize_t first[2] = {m, 0}, count[2] = {1, KO_CUBE_HASH_LENGTH};
        if (set->content_hash[m][0] != '\0') {
            code = ko_merge_write(cube, index, first, count, set->content_hash[m], err);
        }
    }
    return code;
}

/* Copies a shard's means of components for the models that have none yet. The means of all shards are
   of the whole sweep's prompts. */
static enum ko_code write_means(struct ko_cube_new *cube, const struct ko_cube_shard *shard,
                                uint8_t *written, struct ko_error *err)
{
    const size_t index = (size_t)(ko_cube_find("component_mean") - ko_cube_table);
    const size_t n = (size_t)shard->view->lengths.n[KO_AXIS_MEAN_VALUE];
    float *means = ko_new(n, sizeof *means, err);
    enum ko_code code = means ? KO_OK : KO_E_MEMORY;

    for (hsize_t m = 0; code == KO_OK && n > 0 && m < shard->view->lengths.n[KO_AXIS_MODEL]; m++) {
        const hsize_t model = (hsize_t)shard->index[KO_AXIS_MODEL][m];
        const hsize_t first[2] = {model, 0}, count[2] = {1, n};
        bool any = false;
        if (written[model]) {
            continue;
        }
        code = ko_cube_view_means(shard->view, (int32_t)m, n, means, err);
        for (size_t k = 0; k < n; k++) {
            any = any || !isnan(means[k]);
        }
        if (code == KO_OK && any) {
            code = ko_merge_write(cube, index, first, count, means, err);
            written[model] = 1;
        }
    }
    free(means);
    return code;
}

static enum ko_code write_shards(struct ko_cube_new *cube, const struct ko_merge_set *set,
                                 struct ko_error *err)
{
    struct ko_merge_runs runs = {0};
    uint8_t *written = ko_new((size_t)cube->lengths.n[KO_AXIS_MODEL], 1, err); /* means */
    enum ko_code code = written ? KO_OK : KO_E_MEMORY;

    for (int32_t number = 0; number < set->first.shard.of && code == KO_OK; number++) {
        const int32_t file = set->file_of[number];
        struct ko_cube_shard shard = {0};
        if (file < 0) {
            continue;
        }
        code = ko_cube_shard_open(set->path->item[file], &shard, err);
        if (code == KO_OK && (strcmp(shard.plan_hash, set->first.plan_hash) != 0 ||
                              memcmp(shard.whole->lengths.n, set->first.whole->lengths.n,
                                     sizeof shard.whole->lengths.n) != 0)) {
            code = ko_fail(err, KO_E_FAILED, "%s: was replaced during the merge, merge again",
                           shard.view->path);
        }
        if (code == KO_OK) {
            code = ko_merge_copy_results(set, &shard, file, cube, err);
        }
        if (code == KO_OK) {
            code = write_means(cube, &shard, written, err);
        }
        if (code == KO_OK) {
            code = ko_merge_runs_add(&runs, shard.view, cube, err);
        }
        ko_cube_shard_close(&shard);
    }
    free(written);
    return code;
}

static enum ko_code write_cube(struct ko_cube_new *cube, void *context, struct ko_error *err)
{
    const struct ko_merge_set *set = context;
    enum ko_code code = write_attributes(cube, &set->first, err);

    if (code == KO_OK) {
        code = ko_cube_define_all(cube, err);
    }
    if (code == KO_OK) {
        code = write_outline(cube, &set->first, err);
    }
    if (code == KO_OK) {
        code = write_hashes(cube, set, err);
    }
    return code == KO_OK ? write_shards(cube, set, err) : code;
}

static enum ko_code refuse_pending(const char *path, const struct ko_cube_merged *merged,
                                   struct ko_error *err)
{
    return ko_fail(err, KO_E_INPUT,
                   "%s: %.1500s, compute the rest with run --shard K/N --resume, or leave it "
                   "pending with --partial",
                   path, ko_text_str(&merged->missing));
}

static enum ko_code say_missing(const struct ko_merge_set *set, struct ko_cube_merged *merged,
                                struct ko_error *err)
{
    if (merged->pending == 0) {
        return KO_OK;
    }
    ko_merge_set_missing(set, &merged->missing);
    if (merged->missing.n == 0) {
        ko_text_add(&merged->missing, "%lld prompts and heatmaps are in no shard",
                    (long long)merged->pending);
    }
    return ko_text_check(&merged->missing, err);
}

enum ko_code ko_cube_merge(const char *path, const struct ko_strings *shards, bool partial,
                           const struct ko_cube_placing *placing, struct ko_cube_merged *out,
                           struct ko_error *err)
{
    struct ko_cube_content content = {0};
    struct ko_cube_new cube = {.path = path, .content = &content, .placing = placing};
    struct ko_cube_merged merged = {0};
    struct ko_merge_set set;

    ko_hdf5_quiet();
    enum ko_code code = ko_merge_set_open(shards, &set, &merged, err);
    if (code == KO_OK) {
        code = say_missing(&set, &merged, err);
    }
    if (code == KO_OK && merged.pending > 0 && !partial) {
        code = refuse_pending(path, &merged, err);
    }
    if (code == KO_OK) {
        cube.lengths = set.first.whole->lengths;
        cube.lengths.outline = false;
        cube.lengths.reused = set.reused;
        cube.lengths.n[KO_AXIS_HASH_LENGTH] = KO_CUBE_HASH_LENGTH;
        cube.lengths.n[KO_AXIS_RUN] = KO_CUBE_RUNS;
        cube.lengths.n[KO_AXIS_RUN_LOG_BYTE] = KO_CUBE_LOG_BYTES;
        cube.lengths.n[KO_AXIS_SPEC_BYTE] = set.first.view->lengths.n[KO_AXIS_SPEC_BYTE];
        code = ko_cube_write_file(&cube, write_cube, &set, err);
    }
    ko_merge_set_close(&set);
    if (code == KO_OK) {
        *out = merged;
    } else {
        ko_cube_merged_free(&merged);
    }
    return code;
}
