/* SPDX-License-Identifier: Apache-2.0 */
/* Decides how many prompts fit in memory at once, allocates the buffers, and reads the next group
   of prompts: statuses first, then values and clean runs. */
#include "src/show/cell_rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/base/memory.h"

enum {
    MOST_BYTES = 8 << 20 /* of values in memory, where a prompt does not have more */
};

static const char *const float_name[] = {"logprob", "prob", "kl", "foil_logprob"};
static const char *const int_name[] = {"target_rank", "top1_id"};
static const char *const place_name[] = {"n_tokens", "subject_begin", "subject_end"};

/* The dataset [heat_][clean_]NAME, NULL where the cube lacks it. */
static const char *dataset_of(const struct ko_cell_rows *rows, const char *middle, const char *name,
                              char text[64])
{
    (void)snprintf(text, 64, "%s%s%s", rows->block->heat ? "heat_" : "", middle, name);
    return ko_cube_view_has(rows->block->view, text) ? text : NULL;
}

static enum ko_code allocate(struct ko_cell_rows *rows, struct ko_error *err)
{
    const size_t n_values = (size_t)rows->n_values * (size_t)rows->most, most = (size_t)rows->most;
    char name[64];
    bool good = true;

    rows->status = ko_new((size_t)rows->n_statuses * most, 1, err);
    good = rows->status;
    for (int f = 0; f < KO_N_ROWS_FLOATS && good; f++) {
        if (dataset_of(rows, "", float_name[f], name)) {
            good = (rows->number[f] = ko_new(n_values, sizeof(float), err));
        }
        if (good && dataset_of(rows, "clean_", float_name[f], name)) {
            good = (rows->clean_number[f] = ko_new(most, sizeof(float), err));
        }
    }
    for (int f = 0; f < KO_N_ROWS_INTS && good; f++) {
        good = (rows->whole[f] = ko_new(n_values, sizeof(int32_t), err));
        good = good && (rows->clean_whole[f] = ko_new(most, sizeof(int32_t), err));
    }
    for (int f = 0; f < KO_N_ROWS_PLACES && good; f++) {
        good = (rows->place[f] = ko_new(most, sizeof(int32_t), err));
    }
    return good ? KO_OK : KO_E_MEMORY;
}

void ko_cell_rows_free(struct ko_cell_rows *rows)
{
    free(rows->status);
    for (int f = 0; f < KO_N_ROWS_FLOATS; f++) {
        free(rows->number[f]);
        free(rows->clean_number[f]);
    }
    for (int f = 0; f < KO_N_ROWS_INTS; f++) {
        free(rows->whole[f]);
        free(rows->clean_whole[f]);
    }
    for (int f = 0; f < KO_N_ROWS_PLACES; f++) {
        free(rows->place[f]);
    }
    *rows = (struct ko_cell_rows){0};
}

static enum ko_code read_part(const struct ko_cell_rows *rows, const char *middle, int64_t n_each,
                              float *const number[KO_N_ROWS_FLOATS],
                              int32_t *const whole[KO_N_ROWS_INTS], struct ko_error *err)
{
    struct ko_cube_view *view = rows->block->view;
    struct ko_cube_rows wanted = {
        .model = rows->model, .first = rows->first, .n = rows->n, .n_values = n_each * rows->n};
    char name[64];
    enum ko_code code = KO_OK;

    for (int f = 0; f < KO_N_ROWS_FLOATS && code == KO_OK; f++) {
        if (number[f]) {
            wanted.dataset = dataset_of(rows, middle, float_name[f], name);
            code = ko_cube_view_rows_float(view, &wanted, number[f], err);
        }
    }
    for (int f = 0; f < KO_N_ROWS_INTS && code == KO_OK; f++) {
        wanted.dataset = dataset_of(rows, middle, int_name[f], name);
        code = ko_cube_view_rows_int(view, &wanted, whole[f], err);
    }
    return code;
}

static enum ko_code read_places(const struct ko_cell_rows *rows, struct ko_error *err)
{
    struct ko_cube_rows wanted = {
        .model = rows->model, .first = rows->first, .n = rows->n, .n_values = rows->n};
    char name[64];
    enum ko_code code = KO_OK;

    for (int f = 0; f < KO_N_ROWS_PLACES && code == KO_OK; f++) {
        wanted.dataset = dataset_of(rows, "", place_name[f], name);
        code = ko_cube_view_rows_int(rows->block->view, &wanted, rows->place[f], err);
    }
    return code;
}

/* Statuses first: what they say of a run under way holds for the values that are read after. */
static enum ko_code read_rows(const struct ko_cell_rows *rows, struct ko_error *err)
{
    char name[64];
    const struct ko_cube_rows statuses = {.dataset = dataset_of(rows, "", "status", name),
                                          .model = rows->model,
                                          .first = rows->first,
                                          .n = rows->n,
                                          .n_values = rows->n_statuses * rows->n};
    enum ko_code code = ko_cube_view_rows_uint8(rows->block->view, &statuses, rows->status, err);
    if (code == KO_OK) {
        code = read_part(rows, "", rows->n_values, rows->number, rows->whole, err);
    }
    if (code == KO_OK) {
        code = read_part(rows, "clean_", 1, rows->clean_number, rows->clean_whole, err);
    }
    return code == KO_OK ? read_places(rows, err) : code;
}

enum ko_code ko_cell_rows_new(const struct ko_cube_block *block, int32_t model,
                              struct ko_cell_rows *out, struct ko_error *err)
{
    *out = (struct ko_cell_rows){.block = block,
                                 .model = model,
                                 .n_statuses = block->n_statuses / block->n_prompts,
                                 .n_values = block->n_values / block->n_prompts};
    const int64_t bytes =
        out->n_values * (KO_N_ROWS_FLOATS + KO_N_ROWS_INTS) * (int64_t)sizeof(float);
    const int64_t fitting = bytes > 0 ? MOST_BYTES / bytes : 1;
    out->most = (int32_t)(fitting < 1                  ? 1
                          : fitting > block->n_prompts ? block->n_prompts
                                                       : fitting);
    return allocate(out, err);
}

enum ko_code ko_cell_rows_next(struct ko_cell_rows *rows, bool *more, struct ko_error *err)
{
    const int32_t left = rows->block->n_prompts - rows->first - rows->n;
    rows->first += rows->n;
    rows->n = left < rows->most ? left : rows->most;
    *more = rows->n > 0;
    return *more ? read_rows(rows, err) : KO_OK;
}
