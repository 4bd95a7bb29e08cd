/* SPDX-License-Identifier: Apache-2.0 */
/* The open cube, for the files of this folder. */
#ifndef KO_MPI_CUBE_HANDLE_H
#define KO_MPI_CUBE_HANDLE_H

#include <hdf5.h>
#include <mpi.h>
#include <stdbool.h>

#include "mpi/cube/cube.h"
#include "src/cube/format/datasets.h"

struct ko_cube {
    char *path;                 /* owned */
    const struct ko_plan *plan; /* borrowed */
    MPI_Comm comm;              /* borrowed */
    struct ko_cube_lengths lengths;
    int32_t *of_fact[KO_CUBE_N_AXES]; /* prompt axes: [n_facts] index or -1; owned. Other axes:
                                         NULL */
    hid_t file, transfer;
    hid_t dataset[KO_CUBE_N_DATASETS]; /* written by commits; negative for the others */
    bool checked;                      /* whether writes were found to be collective */
    hsize_t run_row;                   /* of this run in the run table */
    bool has_progress;
    double cells, work_share; /* if has_progress */
};

/* Whether commits write the dataset. */
bool ko_cube_committed(const struct ko_cube_dataset *dataset,
                       const struct ko_cube_lengths *lengths);

/* Collective: writes the elements of `memory` (n of them, contiguous) to the selection of `space`
   of a dataset of the table; n may be 0 and `space` then selects nothing. */
KO_MUST_CHECK enum ko_code ko_cube_write(struct ko_cube *cube, size_t index, hid_t space, size_t n,
                                         const void *memory, struct ko_error *err);

/* Collective: reads n elements in the same way. */
KO_MUST_CHECK enum ko_code ko_cube_read(struct ko_cube *cube, size_t index, hid_t space, size_t n,
                                        void *memory, struct ko_error *err);

/* Collective: writes n elements of one row of a dataset (n of its second axis, or 1); memory NULL
   on ranks that write nothing. */
struct ko_cube_place {
    const char *dataset;
    hsize_t row;
};
KO_MUST_CHECK enum ko_code ko_cube_write_row(struct ko_cube *cube,
                                             const struct ko_cube_place *place, size_t n,
                                             const void *memory, struct ko_error *err);
/* Local: the same, by one rank alone. */
KO_MUST_CHECK enum ko_code ko_cube_write_row_alone(struct ko_cube *cube,
                                                   const struct ko_cube_place *place, size_t n,
                                                   const void *memory, struct ko_error *err);
/* Collective. */
KO_MUST_CHECK enum ko_code ko_cube_flush(const struct ko_cube *cube, struct ko_error *err);

/* The first rank writes the progress (ko_cube_set_progress) and the time into the run's row, alone:
   a collective write costs all ranks some messages. Writes nothing if the progress was never set. */
KO_MUST_CHECK enum ko_code ko_cube_write_progress(struct ko_cube *cube, struct ko_error *err);

#endif
