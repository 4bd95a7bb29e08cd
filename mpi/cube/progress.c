/* SPDX-License-Identifier: Apache-2.0 */
/* Writes how far the run is into the run's row of the cube: cells, share of the work, and the time.
   `status` reads these numbers. */
#include "mpi/cube/handle.h"
#include "mpi/world/check.h"
#include "mpi/world/world.h"
#include "src/base/clock.h"
#include "src/cube/format/hdf5_check.h"

void ko_cube_set_progress(struct ko_cube *cube, double cells, double work_share)
{
    cube->has_progress = true;
    cube->cells = cells;
    cube->work_share = work_share;
}

/* One number of the run's row, from the first rank. */
static enum ko_code write_number(struct ko_cube *cube, const char *name, const double *value,
                                 struct ko_error *err)
{
    const size_t index = (size_t)(ko_cube_find(name) - ko_cube_table);
    const hsize_t one = 1;
    enum ko_code code = KO_OK;
    hid_t space = H5Dget_space(cube->dataset[index]);

    if (space < 0 ||
        (value ? H5Sselect_hyperslab(space, H5S_SELECT_SET, &cube->run_row, NULL, &one, NULL)
               : H5Sselect_none(space)) < 0) {
        code =
            ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot select in dataset '%s'", cube->path, name);
    } else {
        code = ko_cube_write(cube, index, space, value ? 1 : 0, value, err);
    }
    ko_hdf5_close(space, &code, cube->path, err);
    return code;
}

enum ko_code ko_cube_write_progress(struct ko_cube *cube, struct ko_error *err)
{
    const double now = ko_wall_clock();
    int rank = 0;
    enum ko_code code = ko_mpi_check(MPI_Comm_rank(cube->comm, &rank), "MPI_Comm_rank", err);
    const bool writes = rank == 0 && cube->has_progress;

    if (code == KO_OK) {
        code = write_number(cube, "run_cells", writes ? &cube->cells : NULL, err);
    }
    if (code == KO_OK) {
        code = write_number(cube, "run_work_share", writes ? &cube->work_share : NULL, err);
    }
    if (code == KO_OK) {
        code = write_number(cube, "run_updated", writes ? &now : NULL, err);
    }
    return code;
}
