/* SPDX-License-Identifier: Apache-2.0 */
/* Copies text and number attributes from one HDF5 object to another. Attributes that only describe
   the axes are left out, because the copy gets its own. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/merge/copy_attributes.h"

enum { MAX_BYTES = 1 << 20 };

struct copy {
    hid_t to;
    const char *path; /* of the source, for errors */
    int n;            /* copied */
    enum ko_code code;
    struct ko_error *err;
};

/* Whether the attribute belongs to HDF5's dimension scales: the copy gets its own. */
static bool of_an_axis(const char *name)
{
    static const char *const names[] = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST",
                                        "DIMENSION_LABELS"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Numbers and text of a bounded size. */
static enum ko_code copy_value(struct copy *copy, hid_t from, hid_t type, hid_t space,
                               const char *name)
{
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    const size_t each = H5Tget_size(type);
    const H5T_class_t class = H5Tget_class(type);
    enum ko_code code = KO_OK;
    hid_t id = H5I_INVALID_HID, creation = H5I_INVALID_HID;

    if (n <= 0 || each == 0 || (size_t)n > MAX_BYTES / each ||
        (class != H5T_INTEGER && class != H5T_FLOAT && class != H5T_STRING) ||
        (n > 1 && H5Tis_variable_str(type) > 0)) {
        return ko_fail(copy->err, KO_E_INPUT,
                       "%s: attribute '%s' is of a kind that no cube has, remove it", copy->path,
                       name);
    }
    char *value = ko_new((size_t)n, each, copy->err);
    if (!value) {
        return KO_E_MEMORY;
    }
    creation = H5Pcreate(H5P_ATTRIBUTE_CREATE);
    if (creation >= 0 && H5Pset_char_encoding(creation, H5T_CSET_UTF8) >= 0 &&
        H5Aread(from, type, value) >= 0) {
        id = H5Acreate2(copy->to, name, type, space, creation, H5P_DEFAULT);
    }
    if (id < 0 || H5Awrite(id, type, value) < 0 ||
        (H5Tis_variable_str(type) > 0 && H5Dvlen_reclaim(type, space, H5P_DEFAULT, value) < 0)) {
        code = ko_hdf5_fail(copy->err, KO_E_FAILED, "%s: cannot copy attribute '%s'", copy->path,
                            name);
    }
    ko_hdf5_close(id, &code, copy->path, copy->err);
    ko_hdf5_close(creation, &code, copy->path, copy->err);
    free(value);
    return code;
}

static herr_t copy_one(hid_t from, const char *name, const H5A_info_t *info, void *context)
{
    struct copy *copy = context;
    (void)info;

    if (of_an_axis(name)) {
        return 0;
    }
    hid_t id = H5Aopen(from, name, H5P_DEFAULT);
    hid_t type = id >= 0 ? H5Aget_type(id) : id, space = id >= 0 ? H5Aget_space(id) : id;
    if (type < 0 || space < 0) {
        copy->code =
            ko_hdf5_fail(copy->err, KO_E_INPUT, "%s: cannot read attribute '%s'", copy->path, name);
    } else {
        copy->code = copy_value(copy, id, type, space, name);
    }
    ko_hdf5_close(space, &copy->code, copy->path, copy->err);
    ko_hdf5_close(type, &copy->code, copy->path, copy->err);
    ko_hdf5_close(id, &copy->code, copy->path, copy->err);
    copy->n += copy->code == KO_OK;
    return copy->code == KO_OK ? 0 : -1;
}

enum ko_code ko_cube_copy_attributes(hid_t from, hid_t to, const char *path, struct ko_error *err)
{
    struct copy copy = {.to = to, .path = path, .err = err};

    /* In the order of their creation, where the file stores it. */
    if (H5Aiterate2(from, H5_INDEX_CRT_ORDER, H5_ITER_INC, NULL, copy_one, &copy) >= 0 ||
        copy.code != KO_OK) {
        return copy.code;
    }
    (void)H5Eclear2(H5E_DEFAULT);
    if (copy.n == 0 && H5Aiterate2(from, H5_INDEX_NAME, H5_ITER_INC, NULL, copy_one, &copy) >= 0) {
        return KO_OK;
    }
    if (copy.code == KO_OK) {
        copy.code = ko_hdf5_fail(err, KO_E_INPUT, "%s: cannot read the attributes", path);
    }
    return copy.code;
}
