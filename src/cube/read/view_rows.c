/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the values of some prompts of one model from a dataset of numbers, all their cells or those of
   one curve, as floats or as integers. It checks first that the request lies inside the dataset and
   fits the caller's array. */
#include "src/base/memory.h"
#include "src/cube/format/check.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/read/view.h"

/* What is read along each axis of a dataset. */
struct extent {
    hsize_t first[KO_CUBE_MAX_AXES], count[KO_CUBE_MAX_AXES];
};

/* The index of the slice on an axis; -1: all of the axis is read. */
static int32_t slice_index(const struct ko_cube_slice *slice, enum ko_cube_axis axis)
{
    switch (axis) {
    case KO_AXIS_ROUTE:
    case KO_AXIS_HEAT_ROUTE:
        return slice->route;
    case KO_AXIS_FEATURE_CLASS:
        return slice->class;
    case KO_AXIS_WINDOW_SIZE:
        return slice->size;
    default:
        return -1;
    }
}

/* Sets the extent beyond model and prompts. *n: its elements of one prompt. */
static enum ko_code set_cells(const struct ko_cube_view *view, const struct ko_cube_rows *rows,
                              const struct ko_cube_dataset *dataset, struct extent *extent,
                              size_t *n, struct ko_error *err)
{
    enum ko_code code = KO_OK;

    *n = 1;
    for (int i = 2; i < ko_cube_n_axes(dataset) && code == KO_OK; i++) {
        const hsize_t length = view->lengths.n[dataset->axis[i]];
        const int32_t index = rows->slice ? slice_index(rows->slice, dataset->axis[i]) : -1;
        if (index >= 0 && (hsize_t)index >= length) {
            return ko_fail(err, KO_E_FAILED, "%s: dataset '%s' has no index %d on axis '%s'",
                           view->path, rows->dataset, index, ko_cube_axis_name(dataset->axis[i]));
        }
        extent->first[i] = index < 0 ? 0 : (hsize_t)index;
        extent->count[i] = index < 0 ? length : 1;
        code = ko_multiply(*n, (size_t)extent->count[i], n, rows->dataset, err);
    }
    return code;
}

/* The dataset must be [model, prompts, ...] and hold numbers, the rows must lie in it, and n_values
   must be their number. */
static enum ko_code set_extent(const struct ko_cube_view *view, const struct ko_cube_rows *rows,
                               const struct ko_cube_dataset *dataset, struct extent *extent,
                               struct ko_error *err)
{
    size_t n_each = 0, n = 0;

    if (!dataset || !ko_cube_present(dataset, &view->lengths)) {
        return ko_fail(err, KO_E_INPUT, "%s: has no dataset '%s'", view->path, rows->dataset);
    }
    if (ko_cube_n_axes(dataset) < 2 || dataset->axis[0] != KO_AXIS_MODEL ||
        dataset->type == KO_TYPE_STRING || dataset->type == KO_TYPE_CHAR) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: dataset '%s' does not hold numbers for each model and prompt",
                       view->path, rows->dataset);
    }
    if (rows->model < 0 || (hsize_t)rows->model >= view->lengths.n[KO_AXIS_MODEL] ||
        rows->first < 0 || rows->n < 0 ||
        (hsize_t)rows->first + (hsize_t)rows->n > view->lengths.n[dataset->axis[1]]) {
        return ko_fail(err, KO_E_FAILED, "%s: dataset '%s' has no %d prompts from %d on",
                       view->path, rows->dataset, rows->n, rows->first);
    }
    extent->first[0] = (hsize_t)rows->model;
    extent->first[1] = (hsize_t)rows->first;
    extent->count[0] = 1;
    extent->count[1] = (hsize_t)rows->n;
    enum ko_code code = set_cells(view, rows, dataset, extent, &n_each, err);
    if (code == KO_OK) {
        code = ko_multiply(n_each, (size_t)rows->n, &n, rows->dataset, err);
    }
    if (code == KO_OK && n != (size_t)rows->n_values) {
        code =
            ko_fail(err, KO_E_FAILED, "%s: dataset '%s' has %zu values there, %lld were requested",
                    view->path, rows->dataset, n, (long long)rows->n_values);
    }
    return code;
}

static enum ko_code read_rows(const struct ko_cube_view *view, const struct ko_cube_rows *rows,
                              hid_t type, void *out, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = ko_cube_find(rows->dataset);
    struct extent extent = {0};
    hid_t id = H5I_INVALID_HID, space = H5I_INVALID_HID, memory = H5I_INVALID_HID;
    enum ko_code code = set_extent(view, rows, dataset, &extent, err);

    if (code == KO_OK) {
        code = ko_cube_open_dataset(view->file, view->path, dataset, &view->lengths, &id, err);
    }
    if (code != KO_OK) {
        return code;
    }
    const hsize_t length = (hsize_t)rows->n_values;
    space = H5Dget_space(id);
    memory = H5Screate_simple(1, &length, NULL);
    if (space < 0 || memory < 0 ||
        H5Sselect_hyperslab(space, H5S_SELECT_SET, extent.first, NULL, extent.count, NULL) < 0 ||
        H5Dread(id, type, memory, space, H5P_DEFAULT, out) < 0) {
        code = ko_hdf5_fail(err, KO_E_INPUT, "%s: cannot read dataset '%s'", view->path,
                            rows->dataset);
    }
    ko_hdf5_close(memory, &code, view->path, err);
    ko_hdf5_close(space, &code, view->path, err);
    ko_hdf5_close(id, &code, view->path, err);
    return code;
}

enum ko_code ko_cube_view_rows_double(struct ko_cube_view *view, const struct ko_cube_rows *rows,
                                      double *out, struct ko_error *err)
{
    return read_rows(view, rows, H5T_NATIVE_DOUBLE, out, err);
}

enum ko_code ko_cube_view_rows_float(struct ko_cube_view *view, const struct ko_cube_rows *rows,
                                     float *out, struct ko_error *err)
{
    return read_rows(view, rows, H5T_NATIVE_FLOAT, out, err);
}

enum ko_code ko_cube_view_rows_int(struct ko_cube_view *view, const struct ko_cube_rows *rows,
                                   int32_t *out, struct ko_error *err)
{
    return read_rows(view, rows, H5T_NATIVE_INT32, out, err);
}

enum ko_code ko_cube_view_rows_uint8(struct ko_cube_view *view, const struct ko_cube_rows *rows,
                                     uint8_t *out, struct ko_error *err)
{
    return read_rows(view, rows, H5T_NATIVE_UINT8, out, err);
}
