/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that a file which --overwrite would replace is a cube, and not one of a newer format. */
#include <hdf5.h>

#include "src/cube/format/datasets.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/read/guard.h"
#include "src/cube/read/read.h"

/* The number in the attribute cube_format; 0 where it is not a number. */
static long long read_format(hid_t file)
{
    enum ko_code code = KO_OK;
    long long number = 0;
    hid_t id = H5Aopen(file, "cube_format", H5P_DEFAULT);
    hid_t type = id >= 0 ? H5Aget_type(id) : id, space = id >= 0 ? H5Aget_space(id) : id;

    if (type < 0 || space < 0 || H5Tget_class(type) != H5T_INTEGER ||
        H5Sget_simple_extent_npoints(space) != 1 || H5Aread(id, H5T_NATIVE_LLONG, &number) < 0) {
        number = 0;
    }
    ko_hdf5_close(space, &code, "", NULL);
    ko_hdf5_close(type, &code, "", NULL);
    ko_hdf5_close(id, &code, "", NULL);
    return number;
}

enum ko_code ko_cube_check_replaced(const char *path, struct ko_error *err)
{
    enum ko_code code = KO_OK;

    ko_hdf5_quiet();
    if (!ko_cube_guard_comes_back(path)) {
        return KO_OK;
    }
    hid_t access = ko_hdf5_access(false, path, err);
    if (access < 0) {
        return err->code;
    }
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    const htri_t exists = file >= 0 ? H5Aexists(file, "cube_format") : -1;
    if (exists == 0) {
        code =
            ko_fail(err, KO_E_INPUT, "%s: is not a cube, --overwrite replaces nothing else", path);
    } else if (exists > 0 && read_format(file) > KO_CUBE_FORMAT) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: cube_format %lld is newer than %d, which this program knows, remove it "
                       "or use a newer knockout",
                       path, read_format(file), KO_CUBE_FORMAT);
    }
    (void)H5Eclear2(H5E_DEFAULT);
    ko_hdf5_close_file(file, &code, path, err);
    ko_hdf5_close(access, &code, path, err);
    return code;
}
