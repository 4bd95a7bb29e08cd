/* SPDX-License-Identifier: Apache-2.0 */
/* Records and their places along the first two axes of a dataset, for commits. */
#ifndef KO_MPI_CUBE_SLOTS_H
#define KO_MPI_CUBE_SLOTS_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "mpi/cube/handle.h"
#include "src/forward/record.h"

struct ko_cube_slot {
    const struct ko_record *record; /* borrowed */
    int32_t prompt;                 /* index on the dataset's prompt axis */
};

/* Selects the elements of n slots in a dataset's space; n may be 0. Slots are ascending by model
   and prompt. Returns false if HDF5 fails. */
bool ko_cube_slots_select(const struct ko_cube *cube, const struct ko_cube_slot *slot, int32_t n,
                          const struct ko_cube_dataset *dataset, hid_t space);

#endif
