/* SPDX-License-Identifier: Apache-2.0 */
/* Copies the results of one shard into the new cube, several prompts at a time. A cell that is
   flagged done and has no value becomes pending. */
#include "src/cube/merge/merge_copy.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/cube/format/check.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/read/planned.h"
#include "src/cube/read/slab.h"

/* Reads a hyperslab of an open dataset into `read`, or writes it from `written`: the other is NULL.
   Whether it worked. */
static bool transfer_hyperslab(hid_t id, const struct ko_cube_dataset *dataset,
                               const hsize_t *first, const hsize_t *count, void *read,
                               const void *written)
{
    enum ko_code code = KO_OK;
    hsize_t n = 1;
    herr_t done = -1;

    for (int i = 0; i < ko_cube_n_axes(dataset); i++) {
        n *= count[i];
    }
    hid_t type = ko_cube_new_type(dataset->type);
    hid_t space = H5Dget_space(id), memory = H5Screate_simple(1, &n, NULL);
    if (type >= 0 && space >= 0 && memory >= 0 &&
        H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, count, NULL) >= 0) {
        done = written ? H5Dwrite(id, type, memory, space, H5P_DEFAULT, written)
                       : H5Dread(id, type, memory, space, H5P_DEFAULT, read);
    }
    ko_hdf5_close(memory, &code, "", NULL);
    ko_hdf5_close(space, &code, "", NULL);
    ko_hdf5_close(type, &code, "", NULL);
    return done >= 0 && code == KO_OK;
}

enum ko_code ko_merge_write(const struct ko_cube_new *to, size_t index, const hsize_t *first,
                            const hsize_t *count, const void *values, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[index];

    if (!transfer_hyperslab(to->dataset[index], dataset, first, count, NULL, values)) {
        return ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot write dataset '%s'", to->path,
                            dataset->name);
    }
    return KO_OK;
}

/* Other code reads strings of the cube as UTF-8 without a check. */
static enum ko_code check_values(const struct ko_cube_view *from,
                                 const struct ko_cube_dataset *dataset, const void *values,
                                 size_t n, struct ko_error *err)
{
    char *const *item = values;

    for (size_t i = 0; dataset->type == KO_TYPE_STRING && i < n; i++) {
        if (item[i] && !ko_utf8_valid(item[i], strlen(item[i]))) {
            return ko_fail(err, KO_E_INPUT, "%s: dataset '%s' is not valid UTF-8", from->path,
                           dataset->name);
        }
    }
    return KO_OK;
}

enum ko_code ko_merge_copy_dataset(const struct ko_cube_view *from, struct ko_cube_new *to,
                                   size_t index, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[index];
    hsize_t first[KO_CUBE_MAX_AXES] = {0}, count[KO_CUBE_MAX_AXES] = {0};
    const hsize_t n_rows = from->lengths.n[dataset->axis[0]];
    size_t row = 0, bytes = 0;
    enum ko_code code = ko_cube_n_elements(dataset, &from->lengths, 1, &row, err);

    if (code == KO_OK) {
        code = ko_multiply(row, ko_cube_type_bytes(dataset->type), &bytes, dataset->name, err);
    }
    if (code != KO_OK) {
        return code;
    }
    hsize_t most = bytes < KO_MERGE_SLAB_BYTES ? KO_MERGE_SLAB_BYTES / bytes : 1;
    most = most < n_rows ? most : n_rows;
    for (int i = 1; i < ko_cube_n_axes(dataset); i++) {
        count[i] = from->lengths.n[dataset->axis[i]];
    }
    void *values = ko_new((size_t)most, bytes, err);
    if (!values) {
        return KO_E_MEMORY;
    }
    for (; first[0] < n_rows && code == KO_OK; first[0] += count[0]) {
        count[0] = n_rows - first[0] < most ? n_rows - first[0] : most;
        code = ko_cube_view_read_stored(from, dataset->name, first[0], count[0], values, err);
        if (code == KO_OK) {
            code = check_values(from, dataset, values, (size_t)count[0] * row, err);
        }
        if (code == KO_OK) {
            code = ko_merge_write(to, index, first, count, values, err);
        }
        ko_cube_free_values(dataset->type, values, (size_t)most * row);
    }
    free(values);
    return code;
}

/* ------------------------------------------------------------------------------------- results */

/* The open datasets of one part of a shard, and buffers for a slab. */
struct source {
    const struct ko_cube_shard *shard;
    struct ko_cube_new *to;
    hid_t dataset[KO_CUBE_N_DATASETS]; /* negative: of another part, or absent */
    size_t n_each[KO_CUBE_N_DATASETS]; /* elements of a pair */
    size_t status;                     /* index of the status dataset */
    size_t most;                       /* pairs of a slab */
    /* indices of the datasets that tell whether a cell has a value */
    size_t logprob, rank;
    uint8_t *statuses;               /* [most, statuses of a pair]; owned */
    uint8_t *lacks;                  /* [most, cells of a pair] the value is missing; owned */
    void *values;                    /* buffer for any other dataset; owned */
    struct ko_cube_planned *planned; /* of the shard; borrowed */
};

static void close_source(struct source *source)
{
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        ko_hdf5_close(source->dataset[i], &code, "", NULL);
    }
    free(source->statuses);
    free(source->lacks);
    free(source->values);
}

/* Cells, clean runs and statuses along the part's prompt axis: all that commits write there. */
static bool is_of_part(const struct ko_cube_dataset *dataset, const struct ko_merge_part *part)
{
    return dataset->field <= KO_FIELD_STATUS && dataset->axis[0] == KO_AXIS_MODEL &&
           dataset->axis[1] == part->axis;
}

static enum ko_code open_source(const struct ko_merge_part *part, struct source *source,
                                struct ko_error *err)
{
    const struct ko_cube_view *view = source->shard->view;
    size_t largest = 1, bytes = 0, n = 0;
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        source->dataset[i] = H5I_INVALID_HID;
    }
    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        if (!is_of_part(dataset, part) || !ko_cube_present(dataset, &view->lengths)) {
            continue;
        }
        code = ko_cube_open_dataset(view->file, view->path, dataset, &view->lengths,
                                    &source->dataset[i], err);
        if (code == KO_OK) {
            code = ko_cube_n_elements(dataset, &view->lengths, 2, &source->n_each[i], err);
        }
        if (code == KO_OK) {
            code = ko_multiply(source->n_each[i], ko_cube_type_bytes(dataset->type), &bytes,
                               dataset->name, err);
        }
        largest = bytes > largest ? bytes : largest;
    }
    if (code != KO_OK) {
        return code;
    }
    source->status = (size_t)(ko_cube_find(part->status) - ko_cube_table);
    source->logprob = (size_t)(ko_cube_find(part->logprob) - ko_cube_table);
    source->rank = (size_t)(ko_cube_find(part->rank) - ko_cube_table);
    source->most = largest < KO_MERGE_SLAB_BYTES ? KO_MERGE_SLAB_BYTES / largest : 1;
    code = ko_multiply(source->most, source->n_each[source->status], &n, "a slab", err);
    if (code != KO_OK) {
        return code;
    }
    source->statuses = ko_new(n, 1, err);
    code = ko_multiply(source->most, source->n_each[source->logprob], &n, "a slab", err);
    if (code != KO_OK) {
        return code;
    }
    source->lacks = ko_new(n, 1, err);
    source->values = ko_new(source->most, largest, err);
    return source->statuses && source->lacks && source->values ? KO_OK : KO_E_MEMORY;
}

/* n pairs of one model that follow one another both in the shard and in the whole cube. */
struct slab {
    hsize_t model, prompt, to_model, to_prompt, n;
};

static enum ko_code read_slab(const struct source *source, size_t index, const struct slab *slab,
                              void *values, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[index];
    const struct ko_cube_view *view = source->shard->view;
    const hsize_t first[KO_CUBE_MAX_AXES] = {slab->model, slab->prompt};
    hsize_t count[KO_CUBE_MAX_AXES] = {1, slab->n};

    for (int i = 2; i < ko_cube_n_axes(dataset); i++) {
        count[i] = view->lengths.n[dataset->axis[i]];
    }
    if (!transfer_hyperslab(source->dataset[index], dataset, first, count, values, NULL)) {
        return ko_hdf5_fail(err, KO_E_INPUT, "%s: cannot read dataset '%s'", view->path,
                            dataset->name);
    }
    return KO_OK;
}

static enum ko_code write_slab(const struct source *source, size_t index, const struct slab *slab,
                               const void *values, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[index];
    const hsize_t first[KO_CUBE_MAX_AXES] = {slab->to_model, slab->to_prompt};
    hsize_t count[KO_CUBE_MAX_AXES] = {1, slab->n};

    for (int i = 2; i < ko_cube_n_axes(dataset); i++) {
        count[i] = source->to->lengths.n[dataset->axis[i]];
    }
    return ko_merge_write(source->to, index, first, count, values, err);
}

/* Marks the cells of a slab that lack a value, by one of the two datasets. */
static void note_missing(const struct source *source, size_t index, size_t n_cells)
{
    const float *logprob = source->values;
    const int32_t *rank = source->values;

    for (size_t i = 0; i < n_cells && index == source->logprob; i++) {
        source->lacks[i] |= !ko_cell_has_value(logprob[i], 1);
    }
    for (size_t i = 0; i < n_cells && index == source->rank; i++) {
        source->lacks[i] |= !ko_cell_has_value(0, rank[i]);
    }
}

/* A cell that the shard marks as vacuous has no value and lacks none. */
static enum ko_code excuse_vacuous(const struct source *source, const struct ko_merge_part *part,
                                   const struct slab *slab, struct ko_error *err)
{
    const struct ko_cube_rows rows = {.dataset = part->vacuous,
                                      .model = (int32_t)slab->model,
                                      .first = (int32_t)slab->prompt,
                                      .n = (int32_t)slab->n,
                                      .n_values =
                                          (int64_t)(slab->n * source->n_each[source->logprob])};
    const uint8_t *vacuous = source->values;

    if (!ko_cube_view_has(source->shard->view, part->vacuous)) {
        return KO_OK;
    }
    const enum ko_code code =
        ko_cube_view_rows_uint8(source->shard->view, &rows, source->values, err);
    for (int64_t i = 0; i < rows.n_values && code == KO_OK; i++) {
        source->lacks[i] &= vacuous[i] != 1;
    }
    return code;
}

/* A cell that is flagged done without a value becomes pending in the new cube. */
static void withdraw_flags(const struct source *source, bool heat, const struct slab *slab)
{
    const struct ko_cube_axes *axes = &source->shard->view->axes;
    const struct ko_cube_slab shape = {.n_sources = heat ? axes->n_source_positions : 1,
                                       .n_sizes = axes->n_sizes};
    const size_t n_statuses = source->n_each[source->status], n_starts = (size_t)axes->n_starts;

    for (size_t p = 0; p < slab->n; p++) {
        const struct ko_cube_starts starts = ko_cube_planned_starts(
            source->planned, heat, (int32_t)slab->model, (int32_t)(slab->prompt + p));
        for (size_t k = 0; k < n_statuses; k++) {
            uint8_t *status = &source->statuses[p * n_statuses + k];
            const uint8_t *lacks = source->lacks + (p * n_statuses + k) * n_starts;
            const uint8_t *planned =
                starts.planned + (size_t)ko_cube_planned_place(&shape, (int64_t)k) * n_starts;
            for (size_t s = 0; s < n_starts && *status == KO_DONE; s++) {
                if (planned[s] && lacks[s]) {
                    *status = KO_PENDING;
                }
            }
        }
    }
}

/* Statuses are read before values, because the shard may still be computed, and written after
   them. */
static enum ko_code copy_slab(const struct source *source, const struct ko_merge_part *part,
                              const struct slab *slab, struct ko_error *err)
{
    const size_t n_cells = (size_t)slab->n * source->n_each[source->logprob];
    enum ko_code code = read_slab(source, source->status, slab, source->statuses, err);

    memset(source->lacks, 0, n_cells);
    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        if (source->dataset[i] < 0 || i == source->status) {
            continue;
        }
        code = read_slab(source, i, slab, source->values, err);
        if (code == KO_OK) {
            note_missing(source, i, n_cells);
            code = write_slab(source, i, slab, source->values, err);
        }
    }
    if (code == KO_OK) {
        code = excuse_vacuous(source, part, slab, err);
    }
    if (code != KO_OK) {
        return code;
    }
    withdraw_flags(source, part->axis == KO_AXIS_HEAT_PROMPT, slab);
    return write_slab(source, source->status, slab, source->statuses, err);
}

static enum ko_code copy_model(const struct source *source, const struct ko_merge_part *part,
                               const int32_t *owner, int32_t file, size_t model,
                               struct ko_error *err)
{
    const int32_t *prompt = source->shard->index[part->axis];
    const size_t n = (size_t)source->shard->view->lengths.n[part->axis];
    const int32_t to_model = source->shard->index[KO_AXIS_MODEL][model];
    const int32_t *row = owner + (size_t)to_model * (size_t)source->to->lengths.n[part->axis];
    enum ko_code code = KO_OK;

    for (size_t p = 0, length; p < n && code == KO_OK; p += length) {
        for (length = 0; p + length < n && length < source->most &&
                         row[prompt[p + length]] == file &&
                         (size_t)prompt[p + length] == (size_t)prompt[p] + length;) {
            length++;
        }
        if (length == 0) {
            length = 1;
            continue;
        }
        const struct slab slab = {model, p, (hsize_t)to_model, (hsize_t)prompt[p], length};
        code = copy_slab(source, part, &slab, err);
    }
    return code;
}

enum ko_code ko_merge_copy_results(const struct ko_merge_set *set,
                                   const struct ko_cube_shard *shard, int32_t file,
                                   struct ko_cube_new *to, struct ko_error *err)
{
    struct ko_cube_planned *planned = NULL;
    enum ko_code code = ko_cube_planned_open(shard->view, &planned, err);

    for (size_t k = 0; k < KO_MERGE_PARTS && code == KO_OK; k++) {
        const struct ko_merge_part *part = &ko_merge_part[k];
        struct source source = {.shard = shard, .to = to, .planned = planned};
        if (!shard->index[part->axis] ||
            !ko_cube_present(ko_cube_find(part->status), &shard->view->lengths)) {
            continue;
        }
        code = open_source(part, &source, err);
        for (size_t m = 0; m < shard->view->axes.model.n && code == KO_OK; m++) {
            code = copy_model(&source, part, set->owner[k], file, m, err);
        }
        close_source(&source);
    }
    ko_cube_planned_close(planned);
    return code;
}
