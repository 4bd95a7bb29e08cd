/* A cube that is open for collective raw writes. */
#ifndef KO_MPI_CUBE_CUBE_HANDLE_H
#define KO_MPI_CUBE_CUBE_HANDLE_H

#include <hdf5.h>
#include <mpi.h>
#include <stdbool.h>

#include "mpi/cube/cube.h"
#include "mpi/cube/cube_datasets.h"

struct ko_cube {
    char *path;                 /* owned */
    const struct ko_plan *plan; /* borrowed */
    MPI_Comm comm;              /* borrowed */
    struct ko_cube_lengths lengths;
    int32_t *of_fact[KO_CUBE_N_AXES]; /* prompt axes: [n_facts] index or -1; owned; NULL for other
                                         axes */
    hid_t file, transfer;
    hid_t dataset[KO_CUBE_N_DATASETS]; /* those that commits write; negative: others */
    bool checked;                      /* that writes are collective */
};

/* Whether commits write the dataset. */
bool ko_cube_committed(const struct ko_cube_dataset *dataset,
                       const struct ko_cube_lengths *lengths);

/* Collective: writes the elements of `memory` (n of them, contiguous) to the selection of `space`
   of a dataset of the table; n may be 0 and `space` then selects nothing. */
KO_MUST_CHECK enum ko_code ko_cube_write(struct ko_cube *cube, size_t index, hid_t space, size_t n,
                                         const void *memory, struct ko_error *err);

#endif
