/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes elements of a dataset, all ranks together. */
#include <math.h>
#include <string.h>

#include "mpi/cube/handle.h"
#include "src/cube/format/hdf5_check.h"

/* One of `to` and `from` is NULL. */
struct elements {
    size_t index; /* of the dataset */
    hid_t space;
    size_t n;
    void *to;
    const void *from;
    bool alone; /* by this rank, not collective */
};

static enum ko_code transfer_elements(const struct ko_cube *cube, const struct elements *elements,
                                      struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[elements->index];
    const hid_t id = cube->dataset[elements->index], space = elements->space;
    const hsize_t length = elements->n ? elements->n : 1;
    const hid_t transfer = elements->alone ? H5P_DEFAULT : cube->transfer;
    char nothing = 0;
    enum ko_code code = KO_OK;
    herr_t done = -1;
    hid_t type = ko_cube_new_type(dataset->type), flat = H5Screate_simple(1, &length, NULL);

    if (type >= 0 && flat >= 0 && (elements->n || H5Sselect_none(flat) >= 0)) {
        done =
            elements->from
                ? H5Dwrite(id, type, flat, space, transfer, elements->n ? elements->from : &nothing)
                : H5Dread(id, type, flat, space, transfer, elements->n ? elements->to : &nothing);
    }
    if (done < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot %s dataset '%s'", cube->path,
                            elements->from ? "write" : "read", dataset->name);
    }
    ko_hdf5_close(flat, &code, cube->path, err);
    ko_hdf5_close(type, &code, cube->path, err);
    return code;
}

enum ko_code ko_cube_read(struct ko_cube *cube, size_t index, hid_t space, size_t n, void *memory,
                          struct ko_error *err)
{
    const struct elements elements = {.index = index, .space = space, .n = n, .to = memory};
    return transfer_elements(cube, &elements, err);
}

static enum ko_code check_collective(struct ko_cube *cube, struct ko_error *err)
{
    uint32_t here = 0, anywhere = 0;

    cube->checked = true;
    if (H5Pget_mpio_no_collective_cause(cube->transfer, &here, &anywhere) < 0) {
        return ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot ask whether writes are collective",
                            cube->path);
    }
    if (anywhere != H5D_MPIO_COLLECTIVE) {
        return ko_fail(err, KO_E_FAILED,
                       "%s: HDF5 does not write collectively, cause 0x%x, use an HDF5 of version "
                       "1.10 to 1.14",
                       cube->path, (unsigned)anywhere);
    }
    return KO_OK;
}

enum ko_code ko_cube_write(struct ko_cube *cube, size_t index, hid_t space, size_t n,
                           const void *memory, struct ko_error *err)
{
    const struct elements elements = {
        .index = index, .space = space, .n = n, .from = memory ? memory : ""};
    const enum ko_code code = transfer_elements(cube, &elements, err);
    return code == KO_OK && !cube->checked ? check_collective(cube, err) : code;
}

enum ko_code ko_cube_flush(const struct ko_cube *cube, struct ko_error *err)
{
    return H5Fflush(cube->file, H5F_SCOPE_GLOBAL) < 0
               ? ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot flush the file to disk", cube->path)
               : KO_OK;
}

static enum ko_code write_row(struct ko_cube *cube, const struct ko_cube_place *place, size_t n,
                              const void *memory, bool alone, struct ko_error *err)
{
    const size_t index = (size_t)(ko_cube_find(place->dataset) - ko_cube_table);
    const hsize_t first[2] = {place->row, 0}, count[2] = {1, n};
    enum ko_code code = KO_OK;
    hid_t space = H5Dget_space(cube->dataset[index]);

    if (space < 0 || (memory ? H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, count, NULL)
                             : H5Sselect_none(space)) < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot select in dataset '%s'", cube->path,
                            place->dataset);
    } else if (alone) {
        const struct elements elements = {
            .index = index, .space = space, .n = n, .from = memory, .alone = true};
        code = transfer_elements(cube, &elements, err);
    } else {
        code = ko_cube_write(cube, index, space, memory ? n : 0, memory, err);
    }
    ko_hdf5_close(space, &code, cube->path, err);
    return code;
}

enum ko_code ko_cube_write_row(struct ko_cube *cube, const struct ko_cube_place *place, size_t n,
                               const void *memory, struct ko_error *err)
{
    return write_row(cube, place, n, memory, false, err);
}

enum ko_code ko_cube_write_row_alone(struct ko_cube *cube, const struct ko_cube_place *place,
                                     size_t n, const void *memory, struct ko_error *err)
{
    return write_row(cube, place, n, memory, true, err);
}

bool ko_cube_has_reused(const struct ko_cube *cube)
{
    return cube->lengths.reused;
}

enum ko_code ko_cube_write_content_hash(struct ko_cube *cube, int32_t model, const char *hash,
                                        struct ko_error *err)
{
    if (hash && strlen(hash) != KO_CUBE_HASH_LENGTH) {
        return ko_fail(err, KO_E_FAILED, "%s: content hash '%s' does not have %d digits",
                       cube->path, hash, KO_CUBE_HASH_LENGTH);
    }
    const struct ko_cube_place place = {"content_hash", (hsize_t)model};
    const enum ko_code code = ko_cube_write_row(cube, &place, KO_CUBE_HASH_LENGTH, hash, err);
    return code == KO_OK ? ko_cube_flush(cube, err) : code;
}

static size_t count_means(const struct ko_cube *cube, int32_t model)
{
    return ko_plan_mean_values(&cube->plan->model[model], ko_plan_n_means(cube->plan));
}

enum ko_code ko_cube_read_means(struct ko_cube *cube, int32_t model, float *means, bool *stored,
                                struct ko_error *err)
{
    const size_t index = (size_t)(ko_cube_find("component_mean") - ko_cube_table);
    const size_t n = count_means(cube, model);
    const hsize_t first[2] = {(hsize_t)model, 0}, count[2] = {1, n};
    enum ko_code code = KO_OK;
    hid_t space = H5Dget_space(cube->dataset[index]);

    if (space < 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, count, NULL) < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot select in dataset 'component_mean'",
                            cube->path);
    } else {
        code = ko_cube_read(cube, index, space, n, means, err);
    }
    ko_hdf5_close(space, &code, cube->path, err);
    *stored = false;
    for (size_t k = 0; code == KO_OK && k < n; k++) {
        *stored = *stored || !isnan(means[k]);
    }
    return code;
}

enum ko_code ko_cube_write_means(struct ko_cube *cube, int32_t model, const float *means,
                                 struct ko_error *err)
{
    const struct ko_cube_place place = {"component_mean", (hsize_t)model};
    const enum ko_code code = ko_cube_write_row(cube, &place, count_means(cube, model), means, err);
    return code == KO_OK ? ko_cube_flush(cube, err) : code;
}
