/* SPDX-License-Identifier: Apache-2.0 */
/* Files of shards for the tests of merging: three finished shards of one sweep in a folder, and the
   whole cube as one job would leave it. */
#ifndef TESTS_UNIT_CUBE_SHARD_SET_H
#define TESTS_UNIT_CUBE_SHARD_SET_H

#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cube/create/create.h"
#include "src/cube/format/datasets.h"
#include "src/cube/merge/merge.h"
#include "src/cube/read/read.h"
#include "src/cube/run/run_table.h"
#include "src/tree/shard.h"
#include "tests/support/folder.h"
#include "tests/support/small_plan.h"

enum { SHARDS = 3, FACTS = 5 };

static struct ko_error err;

static const float logprob[10] = {-1, -2, -3, -4, -5, -6, -7, -8, NAN, -10};
static const int32_t target_rank[10] = {1, 2, 3, 4, 5, 6, 7, 8, -1, 10};
static const int32_t top1_id[10] = {11, 12, 13, 14, 15, 16, 17, 18, -1, 20};
static const struct ko_cube_attribute attributes[] = {
    {"spec", small_plan_spec}, {"backend", "cpu"}, {"precision", "float32"}, {"device", "one"}};

/* Budgets so small that there are several batches a model. */
static inline struct ko_plan *whole_plan(void)
{
    struct ko_plan *plan = small_plan_sweep(true);

    plan->model[0].row_budget = 40;
    plan->model[1].row_budget = 30;
    return plan;
}

/* The rows of the part's models of one of the arrays above. */
static inline void pick(const struct ko_plan *part, struct ko_cube_evaluation *evaluation,
                        float *part_logprob, int32_t *part_rank, int32_t *part_top1)
{
    for (int32_t m = 0; m < part->n_models; m++) {
        const size_t from = (size_t)part->shard.model[m] * FACTS, to = (size_t)m * FACTS;
        memcpy(part_logprob + to, logprob + from, FACTS * sizeof *logprob);
        memcpy(part_rank + to, target_rank + from, FACTS * sizeof *target_rank);
        memcpy(part_top1 + to, top1_id + from, FACTS * sizeof *top1_id);
    }
    *evaluation = (struct ko_cube_evaluation){part_logprob, part_rank, part_top1, NULL, NULL, NULL};
}

static inline void create_shard(const char *path, const struct ko_plan *whole, int32_t number,
                                int32_t of)
{
    const struct ko_cube_evaluation all = {logprob, target_rank, top1_id, NULL, NULL, NULL};
    const struct ko_cube_content outline = {.plan = whole, .evaluation = &all};
    struct ko_cube_evaluation evaluation;
    struct ko_plan *part = NULL;
    float part_logprob[10];
    int32_t part_rank[10], part_top1[10];

    if (ko_shard_take(whole, (struct ko_shard){number, of}, &part, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    pick(part, &evaluation, part_logprob, part_rank, part_top1);
    const struct ko_cube_content content = {.plan = part,
                                            .attribute = attributes,
                                            .n_attributes = 4,
                                            .evaluation = &evaluation,
                                            .whole = &outline};
    if (ko_cube_create(path, &content, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    ko_plan_free(part);
}

static inline hid_t open_file(const char *path)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);

    assert_true(file >= 0);
    return file;
}

/* The whole dataset as int32, uint8 or float; its elements in *n. free(). */
static inline void *read_all(hid_t file, const char *name, hid_t type, size_t *n)
{
    hid_t id = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(id);

    assert_true(space >= 0);
    *n = (size_t)H5Sget_simple_extent_npoints(space);
    void *out = calloc(*n, 8);
    assert_non_null(out);
    assert_true(H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0);
    H5Sclose(space);
    H5Dclose(id);
    return out;
}

static inline void write_all(hid_t file, const char *name, hid_t type, const void *values)
{
    hid_t id = H5Dopen2(file, name, H5P_DEFAULT);

    assert_true(H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(id);
}

/* Where each index of a shard's axis lies on the whole axis; the identity in a whole cube. */
static inline void places(hid_t file, const char *index, int32_t place[16])
{
    size_t n;

    for (int i = 0; i < 16; i++) {
        place[i] = i;
    }
    if (H5Lexists(file, index, H5P_DEFAULT) <= 0) {
        return;
    }
    int32_t *read = read_all(file, index, H5T_NATIVE_INT32, &n);
    assert_true(n <= 16);
    memcpy(place, read, n * sizeof *read);
    free(read);
}

/* Finishes the pairs of one prompt axis that have planned cells: every value is a number that tells
   dataset, model, prompt and place. */
static inline void finish_part(hid_t file, const char *prefix, const char *prompt_axis)
{
    static const char *const results[] = {"logprob", "kl", "target_rank"};
    char name[64];
    int32_t model_at[16], prompt_at[16];
    size_t n_models, n_prompts, n_statuses, n;

    (void)snprintf(name, sizeof name, "%sstatus", prefix);
    if (H5Lexists(file, name, H5P_DEFAULT) <= 0) {
        return;
    }
    uint8_t *status = read_all(file, name, H5T_NATIVE_UINT8, &n_statuses);
    places(file, "model_whole_index", model_at);
    (void)snprintf(name, sizeof name, "%s_whole_index", prompt_axis);
    places(file, name, prompt_at);
    free(read_all(file, "n_layers", H5T_NATIVE_INT32, &n_models));
    (void)snprintf(name, sizeof name, "%s_eval_index", prompt_axis);
    free(read_all(file, name, H5T_NATIVE_INT32, &n_prompts));
    const size_t block = n_statuses / (n_models * n_prompts);
    for (size_t k = 0; k < 4; k++) {
        (void)snprintf(name, sizeof name, "%s%s", prefix, k < 3 ? results[k] : "clean_logprob");
        float *value = read_all(file, name, H5T_NATIVE_FLOAT, &n);
        const size_t width = n / (n_models * n_prompts);
        for (size_t pair = 0; pair < n_models * n_prompts; pair++) {
            bool planned = false;
            for (size_t i = 0; i < block; i++) {
                planned = planned || status[pair * block + i] != KO_NOT_PLANNED;
            }
            for (size_t i = 0; planned && i < width; i++) {
                value[pair * width + i] =
                    (float)(100000 * (int)k + 10000 * model_at[pair / n_prompts] +
                            1000 * prompt_at[pair % n_prompts] + (int)i);
            }
        }
        write_all(file, name, H5T_NATIVE_FLOAT, value);
        free(value);
    }
    for (size_t i = 0; i < n_statuses; i++) {
        status[i] = status[i] == KO_PENDING ? KO_DONE : status[i];
    }
    (void)snprintf(name, sizeof name, "%sstatus", prefix);
    write_all(file, name, H5T_NATIVE_UINT8, status);
    free(status);
}

/* What a run would have written. */
static inline void finish(const char *path, const char *hash)
{
    const struct ko_cube_run run = {.ranks = 3, .host = "node-7", .log = "level=info one\n"};
    hid_t file = open_file(path), type = ko_cube_new_type(KO_TYPE_CHAR);
    size_t n_models;
    char hashes[64];

    free(read_all(file, "n_layers", H5T_NATIVE_INT32, &n_models));
    for (size_t m = 0; m < n_models; m++) {
        memcpy(hashes + 32 * m, hash, 32);
    }
    write_all(file, "content_hash", type, hashes);
    finish_part(file, "", "prompt");
    finish_part(file, "heat_", "heat_prompt");
    H5Tclose(type);
    H5Fclose(file);
    assert_int_equal(ko_cube_log_run(path, &run, &err), KO_OK);
}

static const char *const one_hash = "0123456789abcdef0123456789abcdef";
static const char *const other_hash = "fedcba9876543210fedcba9876543210";

struct set {
    char *folder, *whole, *merged;
    struct ko_strings shard;
};

static inline struct set make_set(void)
{
    const struct ko_cube_evaluation evaluation = {logprob, target_rank, top1_id, NULL, NULL, NULL};
    struct set set = {.folder = test_folder_make()};
    struct ko_plan *whole = whole_plan();
    const struct ko_cube_content content = {
        .plan = whole, .attribute = attributes, .n_attributes = 4, .evaluation = &evaluation};

    set.whole = test_folder_path(set.folder, "whole.h5");
    set.merged = test_folder_path(set.folder, "merged.h5");
    assert_int_equal(ko_cube_create(set.whole, &content, &err), KO_OK);
    finish(set.whole, one_hash);
    for (int32_t k = 1; k <= SHARDS; k++) {
        char name[64];
        (void)snprintf(name, sizeof name, "cube.shard-%04d-of-%04d.h5", k, SHARDS);
        char *path = test_folder_path(set.folder, name);
        create_shard(path, whole, k, SHARDS);
        finish(path, one_hash);
        assert_int_equal(ko_strings_add(&set.shard, path, &err), KO_OK);
        free(path);
    }
    ko_plan_free(whole);
    return set;
}

static inline void free_set(struct set *set)
{
    ko_strings_free(&set->shard);
    free(set->whole);
    free(set->merged);
    test_folder_remove(set->folder);
}

/* ------------------------------------------------------------------------------------- changes */

static inline void set_text(hid_t object, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);

    H5Tset_size(type, strlen(text));
    assert_true(H5Adelete(object, name) >= 0);
    hid_t id = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(id, type, text) >= 0);
    H5Aclose(id);
    H5Sclose(space);
    H5Tclose(type);
}

/* Sets the first element of a dataset of numbers that is `from` to `to`. */
static inline void set_number(hid_t file, const char *name, int32_t from, int32_t to)
{
    size_t n, i = 0;
    int32_t *values = read_all(file, name, H5T_NATIVE_INT32, &n);

    while (i < n && values[i] != from) {
        i++;
    }
    assert_true(i < n);
    values[i] = to;
    write_all(file, name, H5T_NATIVE_INT32, values);
    free(values);
}

#endif
