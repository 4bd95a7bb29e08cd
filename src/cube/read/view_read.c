/* SPDX-License-Identifier: Apache-2.0 */
/* Reads parts of an open cube into memory: rows of any dataset, the values of one model, string
   lists, the results of an evaluation, and a model's content hash. Values of clean runs that are
   not done are hidden. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/utf8.h"
#include "src/cube/format/check.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/read/view.h"

static enum ko_code find_dataset(const struct ko_cube_view *view, const char *name,
                                 const struct ko_cube_dataset **dataset, struct ko_error *err)
{
    *dataset = ko_cube_find(name);
    if (*dataset && ko_cube_present(*dataset, &view->lengths)) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_INPUT, "%s: has no dataset '%s'", view->path, name);
}

enum ko_code ko_cube_view_transfer(const struct ko_cube_view *view, const char *name, hsize_t first,
                                   hsize_t count, hid_t type, void *out, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset;
    hsize_t begin[KO_CUBE_MAX_AXES] = {first}, shape[KO_CUBE_MAX_AXES] = {count};
    hid_t id = H5I_INVALID_HID, space = H5I_INVALID_HID, memory = H5I_INVALID_HID;
    size_t n;
    enum ko_code code = find_dataset(view, name, &dataset, err);

    if (code == KO_OK) {
        code = ko_cube_n_elements(dataset, &view->lengths, 1, &n, err);
    }
    if (code == KO_OK) {
        code = ko_multiply(n, (size_t)count, &n, name, err);
    }
    if (code == KO_OK) {
        code = ko_cube_open_dataset(view->file, view->path, dataset, &view->lengths, &id, err);
    }
    if (code != KO_OK) {
        return code;
    }
    for (int i = 1; i < ko_cube_n_axes(dataset); i++) {
        shape[i] = view->lengths.n[dataset->axis[i]];
    }
    const hsize_t length = n;
    space = H5Dget_space(id);
    memory = H5Screate_simple(1, &length, NULL);
    if (space < 0 || memory < 0 ||
        H5Sselect_hyperslab(space, H5S_SELECT_SET, begin, NULL, shape, NULL) < 0 ||
        H5Dread(id, type, memory, space, H5P_DEFAULT, out) < 0) {
        code = ko_hdf5_fail(err, KO_E_INPUT, "%s: cannot read dataset '%s'", view->path, name);
    }
    ko_hdf5_close(memory, &code, view->path, err);
    ko_hdf5_close(space, &code, view->path, err);
    ko_hdf5_close(id, &code, view->path, err);
    return code;
}

enum ko_code ko_cube_view_read_stored(const struct ko_cube_view *view, const char *name,
                                      hsize_t first, hsize_t count, void *out, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset;
    enum ko_code code = find_dataset(view, name, &dataset, err);

    if (code != KO_OK) {
        return code;
    }
    hid_t type = ko_cube_new_type(dataset->type);
    code = type < 0 ? ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot make a type", view->path)
                    : ko_cube_view_transfer(view, name, first, count, type, out, err);
    ko_hdf5_close(type, &code, view->path, err);
    return code;
}

static enum ko_code read_model(const struct ko_cube_view *view, const char *name, int32_t model,
                               hid_t type, void *out, int64_t n, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset;
    size_t elements;
    enum ko_code code = find_dataset(view, name, &dataset, err);

    if (code != KO_OK) {
        return code;
    }
    if (dataset->axis[0] != KO_AXIS_MODEL || dataset->type == KO_TYPE_STRING ||
        dataset->type == KO_TYPE_CHAR) {
        return ko_fail(err, KO_E_INPUT, "%s: dataset '%s' does not hold numbers for each model",
                       view->path, name);
    }
    if (model < 0 || (hsize_t)model >= view->lengths.n[KO_AXIS_MODEL]) {
        return ko_fail(err, KO_E_INPUT, "%s: has %llu models, number %d was requested", view->path,
                       (unsigned long long)view->lengths.n[KO_AXIS_MODEL], model);
    }
    code = ko_cube_n_elements(dataset, &view->lengths, 1, &elements, err);
    if (code != KO_OK) {
        return code;
    }
    if (n < 0 || elements != (size_t)n) {
        return ko_fail(err, KO_E_FAILED,
                       "%s: dataset '%s' has %zu values per model, %lld were requested", view->path,
                       name, elements, (long long)n);
    }
    return ko_cube_view_transfer(view, name, (hsize_t)model, 1, type, out, err);
}

enum ko_code ko_cube_view_read_double(struct ko_cube_view *view, const char *dataset, int32_t model,
                                      double *out, int64_t n, struct ko_error *err)
{
    return read_model(view, dataset, model, H5T_NATIVE_DOUBLE, out, n, err);
}

enum ko_code ko_cube_view_read_int(struct ko_cube_view *view, const char *dataset, int32_t model,
                                   int32_t *out, int64_t n, struct ko_error *err)
{
    return read_model(view, dataset, model, H5T_NATIVE_INT32, out, n, err);
}

enum ko_code ko_cube_view_read_uint8(struct ko_cube_view *view, const char *dataset, int32_t model,
                                     uint8_t *out, int64_t n, struct ko_error *err)
{
    return read_model(view, dataset, model, H5T_NATIVE_UINT8, out, n, err);
}

static enum ko_code take_strings(const struct ko_cube_view *view, const char *name, char **item,
                                 size_t n, struct ko_strings *list, struct ko_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *text = item[i] ? item[i] : "";
        if (!ko_utf8_valid(text, strlen(text))) {
            return ko_fail(err, KO_E_INPUT, "%s: dataset '%s': entry %zu is not valid UTF-8",
                           view->path, name, i);
        }
        enum ko_code code = ko_strings_add(list, text, err);
        if (code != KO_OK) {
            return code;
        }
    }
    return KO_OK;
}

enum ko_code ko_cube_view_read_strings(struct ko_cube_view *view, const char *name,
                                       struct ko_strings *out, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset;
    struct ko_strings list = {0};
    size_t n;
    enum ko_code code = find_dataset(view, name, &dataset, err);

    if (code == KO_OK && dataset->type != KO_TYPE_STRING) {
        code = ko_fail(err, KO_E_INPUT, "%s: dataset '%s' does not hold strings", view->path, name);
    }
    if (code == KO_OK) {
        code = ko_cube_n_elements(dataset, &view->lengths, 0, &n, err);
    }
    if (code != KO_OK) {
        return code;
    }
    char **item = ko_new(n, sizeof *item, err);
    if (!item) {
        return KO_E_MEMORY;
    }
    code = ko_cube_view_read_stored(view, name, 0, view->lengths.n[dataset->axis[0]], item, err);
    if (code == KO_OK) {
        code = take_strings(view, name, item, n, &list, err);
    }
    ko_cube_free_values(KO_TYPE_STRING, item, n);
    free(item);
    if (code == KO_OK) {
        *out = list;
    } else {
        ko_strings_free(&list);
    }
    return code;
}

/* The clean runs of an evaluation. Statuses are read before values. */
struct clean_runs {
    size_t n; /* models x prompts */
    uint8_t *status;
    float *logprob;
    int32_t *target_rank, *top1_id;
};

static enum ko_code read_clean_runs(struct ko_cube_view *view, struct clean_runs *runs,
                                    struct ko_error *err)
{
    const hsize_t n_models = view->lengths.n[KO_AXIS_MODEL];
    enum ko_code code = ko_multiply((size_t)n_models, (size_t)view->lengths.n[KO_AXIS_EVAL_PROMPT],
                                    &runs->n, "models x prompts", err);

    if (code != KO_OK) {
        return code;
    }
    runs->status = ko_new(runs->n, 1, err);
    runs->logprob = ko_new(runs->n, sizeof *runs->logprob, err);
    runs->target_rank = ko_new(runs->n, sizeof *runs->target_rank, err);
    runs->top1_id = ko_new(runs->n, sizeof *runs->top1_id, err);
    if (!runs->status || !runs->logprob || !runs->target_rank || !runs->top1_id) {
        return KO_E_MEMORY;
    }
    const struct {
        const char *name;
        void *out;
    } wanted[] = {{"eval_status", runs->status},
                  {"eval_logprob", runs->logprob},
                  {"eval_target_rank", runs->target_rank},
                  {"eval_top1_id", runs->top1_id}};
    memset(runs->status, KO_DONE, runs->n);
    for (size_t k = 0; k < sizeof wanted / sizeof *wanted && code == KO_OK; k++) {
        if (wanted[k].out != runs->status || ko_cube_view_has(view, "eval_status")) {
            code = ko_cube_view_read_stored(view, wanted[k].name, 0, n_models, wanted[k].out, err);
        }
    }
    return code;
}

static void hide_missing(const struct clean_runs *runs)
{
    for (size_t k = 0; k < runs->n; k++) {
        if (runs->status[k] != KO_DONE || runs->top1_id[k] < 0 ||
            !ko_cell_has_value(runs->logprob[k], runs->target_rank[k])) {
            runs->logprob[k] = NAN;
            runs->target_rank[k] = runs->top1_id[k] = -1;
        }
    }
}

enum ko_code ko_cube_view_evaluation(struct ko_cube_view *view, float *logprob,
                                     int32_t *target_rank, int32_t *top1_id, uint8_t *reason,
                                     struct ko_error *err)
{
    struct clean_runs runs = {0};
    enum ko_code code = read_clean_runs(view, &runs, err);

    if (code == KO_OK && reason) {
        code = ko_cube_view_transfer(view, "reason_code", 0, view->lengths.n[KO_AXIS_MODEL],
                                     H5T_NATIVE_UINT8, reason, err);
    }
    if (code == KO_OK) {
        hide_missing(&runs);
        if (logprob) {
            memcpy(logprob, runs.logprob, runs.n * sizeof *logprob);
        }
        if (target_rank) {
            memcpy(target_rank, runs.target_rank, runs.n * sizeof *target_rank);
        }
        if (top1_id) {
            memcpy(top1_id, runs.top1_id, runs.n * sizeof *top1_id);
        }
    }
    free(runs.status);
    free(runs.logprob);
    free(runs.target_rank);
    free(runs.top1_id);
    return code;
}

enum ko_code ko_cube_view_content_hash(struct ko_cube_view *view, int32_t model, char hash[33],
                                       struct ko_error *err)
{
    memset(hash, 0, 33);
    /* One character without a terminator, as in the file. With H5T_C_S1 itself HDF5 would read 32
       terminators. */
    hid_t type = H5Tcopy(H5T_C_S1);
    enum ko_code code = KO_OK;
    if (view->lengths.n[KO_AXIS_HASH_LENGTH] != KO_CUBE_HASH_LENGTH) {
        code = ko_fail(err, KO_E_INPUT, "%s: axis 'hash_length' does not have %d digits",
                       view->path, KO_CUBE_HASH_LENGTH);
    } else if (type < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot make a type", view->path);
    }
    if (code == KO_OK) {
        code = ko_cube_view_transfer(view, "content_hash", (hsize_t)model, 1, type, hash, err);
    }
    ko_hdf5_close(type, &code, view->path, err);
    const size_t n = strlen(hash);
    if (code == KO_OK && n != 0 && (n != 32 || strspn(hash, "0123456789abcdef") != n)) {
        code =
            ko_fail(err, KO_E_INPUT, "%s: dataset 'content_hash' has an invalid hash for model %d",
                    view->path, model);
    }
    return code;
}

enum ko_code ko_cube_view_means(struct ko_cube_view *view, int32_t model, size_t n, float *out,
                                struct ko_error *err)
{
    const size_t width = (size_t)view->lengths.n[KO_AXIS_MEAN_VALUE];
    float *row = ko_new(width, sizeof *row, err);
    enum ko_code code = row ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK && (n > width || !ko_cube_view_has(view, "component_mean"))) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: dataset 'component_mean' has %zu numbers for a model, %zu are needed",
                       view->path, width, n);
    }
    if (code == KO_OK) {
        code = ko_cube_view_transfer(view, "component_mean", (hsize_t)model, 1, H5T_NATIVE_FLOAT,
                                     row, err);
    }
    if (code == KO_OK) {
        memcpy(out, row, n * sizeof *out);
    }
    free(row);
    return code;
}
