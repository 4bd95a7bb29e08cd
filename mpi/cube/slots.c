/* SPDX-License-Identifier: Apache-2.0 */
/* Selects the places of records in a dataset. */
#include "mpi/cube/slots.h"

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
