/* SPDX-License-Identifier: Apache-2.0 */
/* Reads every string and attribute of a cube and keeps nothing. The guard's reader process calls
   it, to find files that crash HDF5. */
#include "src/cube/format/check.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/read/view.h"

/* Reads the strings of all datasets, which HDF5 keeps in heaps. */
static enum ko_code read_strings(struct ko_cube_view *view, struct ko_error *err)
{
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        struct ko_strings list = {0};
        if (ko_cube_table[i].type == KO_TYPE_STRING &&
            ko_cube_view_has(view, ko_cube_table[i].name)) {
            code = ko_cube_view_read_strings(view, ko_cube_table[i].name, &list, err);
        }
        ko_strings_free(&list);
    }
    return code;
}

/* Reads a text attribute of variable length. Other programs may have added it, and a copy of the
   cube includes it. */
static herr_t read_attribute(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    enum ko_code code = KO_OK;
    hid_t id = H5Aopen(object, name, H5P_DEFAULT);
    hid_t type = id >= 0 ? H5Aget_type(id) : id, space = id >= 0 ? H5Aget_space(id) : id;
    char *text = NULL;

    (void)info;
    (void)context;
    if (type >= 0 && space >= 0 && H5Tis_variable_str(type) > 0 &&
        H5Sget_simple_extent_npoints(space) == 1 && H5Aread(id, type, &text) >= 0 && text) {
        (void)H5free_memory(text);
    }
    (void)H5Eclear2(H5E_DEFAULT);
    ko_hdf5_close(space, &code, "", NULL);
    ko_hdf5_close(type, &code, "", NULL);
    ko_hdf5_close(id, &code, "", NULL);
    return 0;
}

/* Bad attributes are no error here: the function that needs one reports it. */
static enum ko_code read_attributes(const struct ko_cube_view *view, struct ko_error *err)
{
    enum ko_code code = KO_OK;

    (void)H5Aiterate2(view->file, H5_INDEX_NAME, H5_ITER_INC, NULL, read_attribute, NULL);
    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        hid_t id = H5I_INVALID_HID;
        if (!ko_cube_present(&ko_cube_table[i], &view->lengths)) {
            continue;
        }
        code = ko_cube_open_dataset(view->file, view->path, &ko_cube_table[i], &view->lengths, &id,
                                    err);
        if (code == KO_OK) {
            (void)H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_INC, NULL, read_attribute, NULL);
        }
        (void)H5Eclear2(H5E_DEFAULT);
        ko_hdf5_close(id, &code, view->path, err);
    }
    return code;
}

enum ko_code ko_cube_view_read_all(const char *path, struct ko_error *err)
{
    struct ko_cube_view *view = NULL, *whole = NULL;
    enum ko_code code = ko_cube_view_look(path, &view, err);

    if (code == KO_OK) {
        code = read_strings(view, err);
    }
    if (code == KO_OK) {
        code = read_attributes(view, err);
    }
    if (code == KO_OK && view->lengths.shard &&
        H5Lexists(view->file, KO_CUBE_WHOLE, H5P_DEFAULT) > 0) {
        code = ko_cube_view_open_outline(view, &whole, err);
        if (code == KO_OK) {
            code = read_strings(whole, err);
        }
    }
    ko_cube_view_close(whole);
    ko_cube_view_close(view);
    return code;
}
