/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <hdf5.h>
#include <hdf5_hl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cube/create/create.h"
#include "src/cube/format/datasets.h"
#include "src/cube/merge/copy.h"
#include "tests/support/folder.h"
#include "tests/support/small_plan.h"

static struct ko_error err;
static char *folder, *path, *copy;

static int make(void **state)
{
    struct ko_plan *plan = small_plan_sweep(true);
    const struct ko_cube_attribute attribute[] = {{"backend", "plain"}, {"spec", "models: [ü]"}};
    const struct ko_cube_content content = {
        .plan = plan, .attribute = attribute, .n_attributes = 2};
    (void)state;

    folder = test_folder_make();
    path = test_folder_path(folder, "cube.h5");
    copy = test_folder_path(folder, "copy.h5");
    const enum ko_code code = ko_cube_create(path, &content, &err);
    ko_plan_free(plan);
    return code == KO_OK ? 0 : -1;
}

static int clear(void **state)
{
    (void)state;
    free(path);
    free(copy);
    test_folder_remove(folder);
    return 0;
}

static enum ko_code compress(size_t chunk_bytes)
{
    struct ko_cube_view *view = NULL;
    bool incomplete = false;
    enum ko_code code = ko_cube_view_open(path, &view, &err);

    if (code == KO_OK) {
        code = ko_cube_compress(view, chunk_bytes, copy, &incomplete, &err);
    }
    ko_cube_view_close(view);
    return code;
}

static size_t n_elements(hid_t id)
{
    hid_t space = H5Dget_space(id);
    const hssize_t n = H5Sget_simple_extent_npoints(space);

    H5Sclose(space);
    assert_true(n > 0);
    return (size_t)n;
}

/* Other values in every element than a new cube's. */
static void scribble(void)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);

    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        if (dataset->field > KO_FIELD_STATUS || H5Lexists(file, dataset->name, H5P_DEFAULT) <= 0) {
            continue;
        }
        hid_t id = H5Dopen2(file, dataset->name, H5P_DEFAULT);
        const size_t n = n_elements(id) * ko_cube_type_bytes(dataset->type);
        uint8_t *bytes = malloc(n);
        assert_non_null(bytes);
        for (size_t k = 0; k < n; k++) {
            bytes[k] = (uint8_t)(k * 7 + k / 251 + i);
        }
        if (dataset->field == KO_FIELD_STATUS) { /* what no cube has is refused */
            for (size_t k = 0; k < n; k++) {
                bytes[k] %= 5;
            }
        }
        if (dataset->type == KO_TYPE_INT) {
            for (size_t k = 0; k < n; k += sizeof(int32_t)) {
                bytes[k + sizeof(int32_t) - 1] &= 0x7F;
            }
        }
        hid_t type = ko_cube_new_type(dataset->type);
        assert_true(H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) >= 0);
        H5Tclose(type);
        free(bytes);
        H5Dclose(id);
    }
    H5Fclose(file);
}

static void same_text(char **left, char **right, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        assert_string_equal(left[k] ? left[k] : "", right[k] ? right[k] : "");
        (void)H5free_memory(left[k]);
        (void)H5free_memory(right[k]);
    }
}

/* Equal values, and the named axes. Returns whether the copy is in chunks. */
static bool same_dataset(const struct ko_cube_dataset *dataset, hid_t from, hid_t to, hid_t file)
{
    const size_t n = n_elements(from), bytes = n * ko_cube_type_bytes(dataset->type);
    void *left = calloc(1, bytes), *right = calloc(1, bytes);
    hid_t type = ko_cube_new_type(dataset->type), creation = H5Dget_create_plist(to);
    const bool chunked = H5Pget_layout(creation) == H5D_CHUNKED;

    assert_true(left && right);
    assert_int_equal(n_elements(to), n);
    assert_true(H5Dread(from, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, left) >= 0);
    assert_true(H5Dread(to, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, right) >= 0);
    if (dataset->type == KO_TYPE_STRING) {
        same_text(left, right, n);
    } else if (memcmp(left, right, bytes) != 0) {
        fail_msg("dataset '%s' differs", dataset->name);
    }
    assert_true(H5Aget_num_attrs(from) >= 0);
    assert_int_equal(H5Aget_num_attrs(from), H5Aget_num_attrs(to));
    for (int k = 0; k < ko_cube_n_axes(dataset) && !ko_cube_is_scale(dataset); k++) {
        hid_t scale = H5Dopen2(file, ko_cube_axis_name(dataset->axis[k]), H5P_DEFAULT);
        assert_int_equal(H5DSis_attached(to, scale, (unsigned)k), 1);
        H5Dclose(scale);
    }
    if (chunked) {
        assert_int_equal(H5Pget_nfilters(creation), 2);
    }
    H5Pclose(creation);
    H5Tclose(type);
    free(left);
    free(right);
    return chunked;
}

static int n_root_attributes(hid_t file)
{
    hid_t root = H5Gopen2(file, "/", H5P_DEFAULT); /* before HDF5 1.12 a file has no number */
    const int n = H5Aget_num_attrs(root);

    assert_true(n > 0);
    H5Gclose(root);
    return n;
}

/* The cubes here have pending cells, so that their copies have one attribute more. */
static int compare(void)
{
    hid_t from = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t to = H5Fopen(copy, H5F_ACC_RDONLY, H5P_DEFAULT);
    int n_chunked = 0;

    assert_true(from >= 0 && to >= 0);
    assert_true(H5Aexists(to, KO_CUBE_INCOMPLETE) > 0);
    assert_int_equal(n_root_attributes(from) + 1, n_root_attributes(to));
    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        const char *name = ko_cube_table[i].name;
        const bool there = H5Lexists(from, name, H5P_DEFAULT) > 0;
        assert_int_equal(there, H5Lexists(to, name, H5P_DEFAULT) > 0);
        if (!there) {
            continue;
        }
        hid_t left = H5Dopen2(from, name, H5P_DEFAULT), right = H5Dopen2(to, name, H5P_DEFAULT);
        n_chunked += same_dataset(&ko_cube_table[i], left, right, to);
        H5Dclose(left);
        H5Dclose(right);
    }
    H5Fclose(from);
    H5Fclose(to);
    return n_chunked;
}

static void a_copy_equals_the_cube_however_small_its_chunks_are(void **state)
{
    static const size_t sizes[] = {96, 1000, KO_CUBE_CHUNK_BYTES};
    (void)state;

    scribble();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (compress(sizes[i]) != KO_OK) {
            fail_msg("%s", err.text);
        }
        assert_true(compare() > 0);
    }
}

static int n_files(void)
{
    DIR *open = opendir(folder);
    int n = 0;

    assert_non_null(open);
    for (const struct dirent *entry; (entry = readdir(open));) {
        n += entry->d_name[0] != '.';
    }
    closedir(open);
    return n;
}

static void what_no_cube_has_is_refused_and_nothing_stays_behind(void **state)
{
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t id = H5Dopen2(file, "logprob", H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(id, "odd", H5T_STD_REF_OBJ, space, H5P_DEFAULT, H5P_DEFAULT);
    (void)state;

    assert_true(attribute >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
    H5Dclose(id);
    H5Fclose(file);
    assert_int_equal(compress(KO_CUBE_CHUNK_BYTES), KO_E_INPUT);
    assert_non_null(strstr(err.text, "attribute 'odd' is of a kind that no cube has, remove it"));
    assert_int_equal(n_files(), 1);
}

static void attributes_that_others_added_are_copied(void **state)
{
    static const char *const text = "a note of ours, é";
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), space = H5Screate(H5S_SCALAR);
    hid_t type = ko_cube_new_type(KO_TYPE_STRING);
    hid_t attribute = H5Acreate2(file, "note", type, space, H5P_DEFAULT, H5P_DEFAULT);
    char *found = NULL;
    (void)state;

    assert_true(H5Awrite(attribute, type, &text) >= 0);
    H5Aclose(attribute);
    H5Fclose(file);
    if (compress(KO_CUBE_CHUNK_BYTES) != KO_OK) {
        fail_msg("%s", err.text);
    }
    (void)compare();
    file = H5Fopen(copy, H5F_ACC_RDONLY, H5P_DEFAULT);
    attribute = H5Aopen(file, "note", H5P_DEFAULT);
    assert_true(H5Aread(attribute, type, &found) >= 0);
    assert_string_equal(found, text);
    (void)H5free_memory(found);
    H5Aclose(attribute);
    H5Fclose(file);
    H5Sclose(space);
    H5Tclose(type);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_copy_equals_the_cube_however_small_its_chunks_are, make,
                                        clear),
        cmocka_unit_test_setup_teardown(what_no_cube_has_is_refused_and_nothing_stays_behind, make,
                                        clear),
        cmocka_unit_test_setup_teardown(attributes_that_others_added_are_copied, make, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
