/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a cube on all ranks for commits, and closes it. Refuses cubes with chunked datasets, like
   compressed copies. */
#include <stdlib.h>

#include "mpi/cube/handle.h"
#include "mpi/world/agree.h"
#include "src/base/memory.h"
#include "src/cube/format/check.h"
#include "src/cube/format/fact_index.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/run/run_table.h"

bool ko_cube_committed(const struct ko_cube_dataset *dataset, const struct ko_cube_lengths *lengths)
{
    if (!ko_cube_present(dataset, lengths)) {
        return false;
    }
    if (dataset->field == KO_FIELD_CONTENT_HASH || dataset->field == KO_FIELD_COMPONENT_MEAN ||
        dataset->field == KO_FIELD_RUN_UPDATED || dataset->field == KO_FIELD_RUN_CELLS ||
        dataset->field == KO_FIELD_RUN_SHARE) {
        return true;
    }
    if (dataset->field == KO_FIELD_REASON) {
        return !lengths->evaluation;
    }
    return dataset->field <= KO_FIELD_STATUS &&
           (lengths->evaluation || !ko_cube_has_axis(dataset, KO_AXIS_EVAL_PROMPT));
}

static void free_cube(struct ko_cube *cube)
{
    if (!cube) {
        return;
    }
    for (size_t i = 0; i < KO_CUBE_N_AXES; i++) {
        free(cube->of_fact[i]);
    }
    free(cube->path);
    free(cube);
}

static enum ko_code new_cube(const char *path, const struct ko_plan *plan, MPI_Comm comm,
                             struct ko_cube **out, struct ko_error *err)
{
    static const enum ko_cube_axis axis[] = {KO_AXIS_PROMPT, KO_AXIS_HEAT_PROMPT,
                                             KO_AXIS_EVAL_PROMPT};
    struct ko_cube *cube = ko_new(1, sizeof *cube, err);
    enum ko_code code = KO_OK;

    if (!cube) {
        return KO_E_MEMORY;
    }
    cube->plan = plan;
    cube->comm = comm;
    cube->file = cube->transfer = H5I_INVALID_HID;
    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        cube->dataset[i] = H5I_INVALID_HID;
    }
    ko_cube_lengths_of_plan(plan, &cube->lengths);
    cube->path = ko_copy(path, err);
    if (!cube->path) {
        code = KO_E_MEMORY;
    }
    for (size_t i = 0; i < 3 && code == KO_OK; i++) {
        if (cube->lengths.n[axis[i]]) {
            code = ko_cube_fact_index(plan, axis[i], &cube->of_fact[axis[i]], err);
        }
    }
    if (code == KO_OK) {
        *out = cube;
    } else {
        free_cube(cube);
    }
    return code;
}

static enum ko_code open_file(struct ko_cube *cube, struct ko_error *err)
{
    hid_t access = ko_hdf5_access(true, cube->path, err);
    enum ko_code code = access < 0 ? err->code : KO_OK;

    if (code == KO_OK && H5Pset_fapl_mpio(access, cube->comm, MPI_INFO_NULL) < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot be opened by several ranks", cube->path);
    }
    if (code == KO_OK) {
        cube->file = H5Fopen(cube->path, H5F_ACC_RDWR, access);
        if (cube->file < 0) {
            code = ko_hdf5_fail(err, KO_E_INPUT, "%s: cannot be opened for writing", cube->path);
        }
    }
    ko_hdf5_close(access, &code, cube->path, err);
    return code;
}

/* Refuses chunks: a kill while they are rewritten would leave unreadable ones. */
static enum ko_code check_layout(const struct ko_cube *cube, size_t index, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    hid_t creation = H5Dget_create_plist(cube->dataset[index]);

    if (creation < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot read the layout of dataset '%s'",
                            cube->path, ko_cube_table[index].name);
    } else if (H5Pget_layout(creation) != H5D_CONTIGUOUS) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: dataset '%s' is in chunks, as in a compressed copy, which no run can "
                       "continue, take the cube that it was made from",
                       cube->path, ko_cube_table[index].name);
    }
    ko_hdf5_close(creation, &code, cube->path, err);
    return code;
}

static enum ko_code open_datasets(struct ko_cube *cube, struct ko_error *err)
{
    enum ko_code code = KO_OK;

    cube->lengths.reused = H5Lexists(cube->file, "reused", H5P_DEFAULT) > 0 ||
                           H5Lexists(cube->file, "heat_reused", H5P_DEFAULT) > 0;
    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        if (!ko_cube_committed(&ko_cube_table[i], &cube->lengths)) {
            continue;
        }
        code = ko_cube_open_dataset(cube->file, cube->path, &ko_cube_table[i], &cube->lengths,
                                    &cube->dataset[i], err);
        if (code == KO_OK) {
            code = check_layout(cube, i, err);
        }
    }
    if (code != KO_OK) {
        return code;
    }
    cube->transfer = H5Pcreate(H5P_DATASET_XFER);
    if (cube->transfer < 0 || H5Pset_dxpl_mpio(cube->transfer, H5FD_MPIO_COLLECTIVE) < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot ask for collective writes", cube->path);
    }
    return code == KO_OK ? ko_cube_run_row(cube->file, cube->path, &cube->run_row, err) : code;
}

static enum ko_code close_all(struct ko_cube *cube, struct ko_error *err)
{
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        ko_hdf5_close(cube->dataset[i], &code, cube->path, err);
    }
    ko_hdf5_close(cube->transfer, &code, cube->path, err);
    ko_hdf5_close_file(cube->file, &code, cube->path, err);
    return code;
}

enum ko_code ko_cube_open(const char *path, const struct ko_plan *plan, MPI_Comm comm,
                          struct ko_cube **out, struct ko_error *err)
{
    struct ko_cube *cube = NULL;
    enum ko_code code;

    ko_hdf5_quiet();
    code = ko_agree(comm, new_cube(path, plan, comm, &cube, err), err);
    if (code != KO_OK || !cube) { /* NULL only with an error */
        free_cube(cube);
        return code;
    }
    code = ko_agree(comm, open_file(cube, err), err);
    if (code == KO_OK) {
        code = ko_agree(comm, open_datasets(cube, err), err);
    }
    if (code == KO_OK) {
        *out = cube;
        return KO_OK;
    }
    struct ko_error ignored;
    (void)close_all(cube, &ignored);
    free_cube(cube);
    return code;
}

enum ko_code ko_cube_close(struct ko_cube *cube, struct ko_error *err)
{
    if (!cube) {
        return KO_OK;
    }
    enum ko_code code = close_all(cube, err);
    code = ko_agree(cube->comm, code, err);
    free_cube(cube);
    return code;
}
