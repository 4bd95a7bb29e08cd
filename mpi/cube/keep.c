/* SPDX-License-Identifier: Apache-2.0 */
/* Protects cells that were taken from an earlier cube. Before a commit writes, it reads what the
   cube has and puts the taken values back into the buffer. */
#include "mpi/cube/keep.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/format/hdf5_check.h"

enum ko_code ko_cube_keep_open(struct ko_cube *cube, size_t bytes, struct ko_cube_keep *out,
                               struct ko_error *err)
{
    *out = (struct ko_cube_keep){.cube = cube, .axis = KO_AXIS_NONE};
    out->mark = ko_new(bytes, 1, err);
    out->stored = ko_new(bytes, 1, err);
    return out->mark && out->stored ? KO_OK : KO_E_MEMORY;
}

void ko_cube_keep_close(struct ko_cube_keep *keep)
{
    free(keep->mark);
    free(keep->stored);
    *keep = (struct ko_cube_keep){0};
}

static bool of_heatmaps(const struct ko_cube_dataset *dataset)
{
    return dataset->axis[1] == KO_AXIS_HEAT_PROMPT;
}

/* Cells of a prompt in the mean or heat part. */
static size_t n_cells(const struct ko_plan *plan, bool heat)
{
    const int64_t mean = ko_plan_n_mean_values(plan);
    return (size_t)(heat ? ko_plan_n_values(plan) - mean : mean);
}

/* Reads the marks of the slots along the dataset's prompt axis, unless keep has them already. */
static enum ko_code read_marks(struct ko_cube_keep *keep, const struct ko_cube_write_out *out,
                               struct ko_error *err)
{
    struct ko_cube *cube = keep->cube;
    const struct ko_cube_dataset *dataset = &ko_cube_table[out->index];
    const struct ko_cube_dataset *marks =
        ko_cube_find(of_heatmaps(dataset) ? "heat_reused" : "reused");
    const size_t index = (size_t)(marks - ko_cube_table);
    const size_t n = (size_t)out->n * n_cells(cube->plan, of_heatmaps(dataset));
    enum ko_code code = KO_OK;

    if (keep->axis == dataset->axis[1]) {
        return KO_OK;
    }
    hid_t space = H5Dget_space(cube->dataset[index]);
    if (space < 0 || !ko_cube_slots_select(cube, out->slot, out->n, marks, space)) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot select in dataset '%s'", cube->path,
                            marks->name);
    } else {
        code = ko_cube_read(cube, index, space, n, keep->mark, err);
    }
    ko_hdf5_close(space, &code, cube->path, err);
    if (code == KO_OK) {
        keep->axis = dataset->axis[1];
    }
    return code;
}

/* Whether the cube has a value in the element. */
static bool is_there(const struct ko_cube_dataset *dataset, const void *stored, size_t i)
{
    switch (dataset->type) {
    case KO_TYPE_FLOAT:
        return !isnan(((const float *)stored)[i]);
    case KO_TYPE_INT:
        return ((const int32_t *)stored)[i] >= 0;
    default:
        return true;
    }
}

static void keep_element(const struct ko_cube_dataset *dataset, const void *stored, size_t i,
                         void *buffer)
{
    const size_t bytes = ko_cube_type_bytes(dataset->type);
    memcpy((char *)buffer + i * bytes, (const char *)stored + i * bytes, bytes);
}

static bool is_whole(const struct ko_record *record)
{
    return !memchr(record->status, KO_PENDING, (size_t)record->n_statuses);
}

/* Whether every planned start of the size is marked as taken or vacuous. */
static bool all_marked(const struct ko_plan *plan, const struct ko_record *record,
                       const int32_t cell[4], const uint8_t *mark)
{
    for (int32_t s = 0; s < plan->n_starts; s++) {
        const int64_t slot = ko_plan_value_slot(plan, cell[0], cell[1], cell[2], cell[3], s);
        if (ko_plan_has(plan, record->model, record->fact, cell[0], cell[1], cell[3], s) &&
            !ko_record_is_vacuous(record, slot) && mark[s] != 1) {
            return false;
        }
    }
    return true;
}

/* A record that failed as a whole keeps sizes whose cells were all taken. */
static void keep_statuses(const struct ko_plan *plan, const struct ko_record *record, bool heat,
                          const uint8_t *mark, uint8_t *status)
{
    const int64_t from = heat ? ko_plan_n_mean_statuses(plan) : 0;
    const int32_t n_sources = heat ? plan->n_source_positions : 1;
    int32_t cell[4];

    if (record->failure == KO_NOT_FAILED) {
        return;
    }
    for (cell[0] = 0; cell[0] < plan->n_routes; cell[0]++) {
        for (cell[1] = 0; cell[1] < plan->n_classes && plan->route[cell[0]].heat == heat;
             cell[1]++) {
            for (cell[2] = 0; cell[2] < n_sources; cell[2]++) {
                for (cell[3] = 0; cell[3] < plan->n_sizes; cell[3]++) {
                    const int64_t at =
                        ko_plan_status_slot(plan, cell[0], cell[1], cell[2], cell[3]) - from;
                    if (status[at] == KO_CELL_FAILED &&
                        all_marked(plan, record, cell, mark + at * plan->n_starts)) {
                        status[at] = KO_DONE;
                    }
                }
            }
        }
    }
}

/* For a record that was computed: keeps the marked cells, and a clean run that is there. */
static void keep_marked(const struct ko_cube_keep *keep, const struct ko_cube_write_out *out,
                        int32_t k)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[out->index];
    const struct ko_plan *plan = keep->cube->plan;
    const size_t n = n_cells(plan, of_heatmaps(dataset)), first = (size_t)k * out->block;
    const uint8_t *mark = keep->mark + (size_t)k * n;

    if (dataset->field == KO_FIELD_STATUS) {
        keep_statuses(plan, out->slot[k].record, of_heatmaps(dataset), mark,
                      (uint8_t *)out->buffer + first);
    }
    const bool cells = ko_cube_is_of_cells(dataset);
    const bool clean = !cells && memchr(mark, 1, n);
    const size_t each = cells ? out->block / n : 1; /* tokens of an answer */
    for (size_t i = 0; dataset->field < KO_FIELD_REUSED && i < out->block; i++) {
        if ((clean || (cells && mark[i / each] == 1)) &&
            is_there(dataset, keep->stored, first + i)) {
            keep_element(dataset, keep->stored, first + i, out->buffer);
        }
    }
}

/* Whether the clean run of a record with cells of an earlier cube is to be written. */
static bool brings_clean(const struct ko_cube_keep *keep, const struct ko_cube_write_out *out,
                         int32_t k)
{
    const struct ko_plan *plan = keep->cube->plan;
    const struct ko_record *record = out->slot[k].record;
    const bool heat = of_heatmaps(&ko_cube_table[out->index]);
    const size_t n = n_cells(plan, heat);
    const uint8_t *taken = record->taken + (heat ? ko_plan_n_mean_values(plan) : 0);

    return isfinite(record->clean.logprob) && !memchr(keep->mark + (size_t)k * n, 1, n) &&
           (memchr(taken, 1, n) != NULL || is_whole(record));
}

/* For a record with cells of an earlier cube: keeps every element that the record lacks. */
static void keep_rest(const struct ko_cube_keep *keep, const struct ko_cube_write_out *out,
                      int32_t k)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[out->index];
    const struct ko_record *record = out->slot[k].record;
    const size_t first = (size_t)k * out->block;
    const uint8_t *taken =
        record->taken + (of_heatmaps(dataset) ? ko_plan_n_mean_values(keep->cube->plan) : 0);
    const uint8_t *status = out->buffer;
    const bool cells = ko_cube_is_of_cells(dataset);
    /* tokens of an answer; statuses are fewer than cells */
    const size_t n = n_cells(keep->cube->plan, of_heatmaps(dataset));
    const size_t each = cells && out->block > n ? out->block / n : 1;
    const bool clean = !cells && dataset->field != KO_FIELD_REASON && brings_clean(keep, out, k);

    for (size_t i = 0; i < out->block; i++) {
        bool brought = clean;
        if (dataset->field == KO_FIELD_REASON) {
            brought = is_whole(record);
        } else if (dataset->field == KO_FIELD_STATUS) {
            brought = status[first + i] != KO_PENDING;
        } else if (cells) {
            brought = taken[i / each] == 1;
        }
        if (!brought) {
            keep_element(dataset, keep->stored, first + i, out->buffer);
        }
    }
}

enum ko_code ko_cube_keep(struct ko_cube_keep *keep, const struct ko_cube_write_out *out,
                          struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[out->index];
    enum ko_code code = KO_OK;

    if (dataset->axis[1] != KO_AXIS_EVAL_PROMPT) {
        code = read_marks(keep, out, err);
    }
    if (code == KO_OK) {
        code = ko_cube_read(keep->cube, out->index, out->space, out->block * (size_t)out->n,
                            keep->stored, err);
    }
    for (int32_t k = 0; k < out->n && code == KO_OK; k++) {
        if (out->slot[k].record->taken) {
            keep_rest(keep, out, k);
        } else if (dataset->axis[1] != KO_AXIS_EVAL_PROMPT) {
            keep_marked(keep, out, k);
        }
    }
    return code;
}
