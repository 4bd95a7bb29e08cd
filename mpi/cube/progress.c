/* SPDX-License-Identifier: Apache-2.0 */
/* Writes how far the run is into the run's row of the cube: cells, share of the work, and the time.
   `status` reads these numbers. */
#include "mpi/cube/handle.h"
#include "mpi/world/check.h"
#include "src/base/clock.h"

void ko_cube_set_progress(struct ko_cube *cube, double cells, double work_share)
{
    cube->has_progress = true;
    cube->cells = cells;
    cube->work_share = work_share;
}

enum ko_code ko_cube_write_progress(struct ko_cube *cube, struct ko_error *err)
{
    const double now = ko_wall_clock();
    const struct {
        const char *name;
        const double *value;
    } number[] = {
        {"run_cells", &cube->cells}, {"run_work_share", &cube->work_share}, {"run_updated", &now}};
    int rank = 0;
    enum ko_code code = ko_mpi_check(MPI_Comm_rank(cube->comm, &rank), "MPI_Comm_rank", err);

    if (rank != 0 || !cube->has_progress) {
        return code;
    }
    for (size_t k = 0; code == KO_OK && k < sizeof number / sizeof *number; k++) {
        const struct ko_cube_place place = {number[k].name, cube->run_row};
        code = ko_cube_write_row_alone(cube, &place, 1, number[k].value, err);
    }
    return code;
}
