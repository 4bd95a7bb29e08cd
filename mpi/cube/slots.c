/* SPDX-License-Identifier: Apache-2.0 */
/* Selects the places of records in a dataset, and reads what the cube has there. Commits and keep.c
   both need this. */
#include "mpi/cube/slots.h"

#include "src/cube/format/hdf5_check.h"

/* Contiguous prompts of a model are one block. Blocks are added in ascending order: HDF5 1.10 is
   slow otherwise. */
bool ko_cube_slots_select(const struct ko_cube *cube, const struct ko_cube_slot *slot, int32_t n,
                          const struct ko_cube_dataset *dataset, hid_t space)
{
    hsize_t first[KO_CUBE_MAX_AXES] = {0}, count[KO_CUBE_MAX_AXES] = {0};
    bool good = H5Sselect_none(space) >= 0;

    for (int k = 2; k < ko_cube_n_axes(dataset); k++) {
        count[k] = cube->lengths.n[dataset->axis[k]];
    }
    for (int32_t i = 0, length; i < n && good; i += length) {
        const struct ko_cube_slot *at = &slot[i];
        for (length = 1; i + length < n && at[length].record->model == at->record->model &&
                         at[length].prompt == at->prompt + length;) {
            length++;
        }
        first[0] = (hsize_t)at->record->model;
        first[1] = (hsize_t)at->prompt;
        count[0] = 1;
        count[1] = (hsize_t)length;
        good = H5Sselect_hyperslab(space, i == 0 ? H5S_SELECT_SET : H5S_SELECT_OR, first, NULL,
                                   count, NULL) >= 0;
    }
    return good;
}

enum ko_code ko_cube_read(struct ko_cube *cube, size_t index, hid_t space, size_t n, void *memory,
                          struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[index];
    char nothing = 0;
    hsize_t length = n ? n : 1;
    enum ko_code code = KO_OK;
    hid_t type = ko_cube_new_type(dataset->type), flat = H5Screate_simple(1, &length, NULL);

    if (type < 0 || flat < 0 || (n == 0 && H5Sselect_none(flat) < 0) ||
        H5Dread(cube->dataset[index], type, flat, space, cube->transfer, n ? memory : &nothing) <
            0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot read dataset '%s'", cube->path,
                            dataset->name);
    }
    ko_hdf5_close(flat, &code, cube->path, err);
    ko_hdf5_close(type, &code, cube->path, err);
    return code;
}
