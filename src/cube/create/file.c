/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the file of a new cube: checks the space on the disk, writes under a temporary name and
   renames at the end. Also closes the file safely after a failed write. */
#define _GNU_SOURCE /* memfd_create, fallocate */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/base/memory.h"
#include "src/base/new_file.h"
#include "src/cube/create/fill.h"
#include "src/cube/format/hdf5_check.h"

void ko_cube_go_on_in_memory(hid_t file)
{
    void *handle = NULL;
    int memory = memfd_create("cube", MFD_CLOEXEC);

    if (memory >= 0 && file >= 0 && H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) >= 0 && handle) {
        (void)dup2(memory, *(int *)handle);
    }
    if (memory >= 0) {
        (void)close(memory);
    }
    (void)H5Eclear2(H5E_DEFAULT);
}

/* Closes the datasets and the file. *code: the result so far. */
static void close_cube(const struct ko_cube_new *cube, enum ko_code *code, struct ko_error *err)
{
    if (*code == KO_OK && H5Fflush(cube->file, H5F_SCOPE_GLOBAL) < 0) {
        *code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot flush the file to disk", cube->path);
    }
    if (*code != KO_OK) {
        ko_cube_go_on_in_memory(cube->file);
    }
    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        ko_hdf5_close(cube->dataset[i], code, cube->path, err);
    }
    ko_hdf5_close_file(cube->file, code, cube->path, err);
}

/* `temporary` exists and is empty. */
static enum ko_code write_file(struct ko_cube_new *cube, const char *temporary,
                               ko_cube_writer *write, void *context, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    const unsigned order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
    hid_t access = ko_hdf5_access(true, cube->path, err);
    hid_t creation = H5Pcreate(H5P_FILE_CREATE);

    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        cube->dataset[i] = H5I_INVALID_HID;
    }
    cube->file = H5I_INVALID_HID;
    if (access < 0) {
        code = err->code;
    } else if (creation >= 0 && H5Pset_obj_track_times(creation, false) >= 0 &&
               H5Pset_link_creation_order(creation, order) >= 0 &&
               H5Pset_attr_creation_order(creation, order) >= 0) {
        cube->file = H5Fcreate(temporary, H5F_ACC_TRUNC, creation, access);
    }
    if (code == KO_OK && cube->file < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot create the file", cube->path);
    }
    if (code == KO_OK) {
        code = write(cube, context, err);
    }
    close_cube(cube, &code, err);
    ko_hdf5_close(creation, &code, cube->path, err);
    ko_hdf5_close(access, &code, cube->path, err);
    return code;
}

/* Strings lie in heaps; the dataset holds references to them. */
static size_t dataset_bytes(const struct ko_cube_lengths *lengths)
{
    const size_t per_dataset = 4096, per_string = 64;
    size_t total = 0, n = 0;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        if (dataset->field == KO_FIELD_LENGTH || !ko_cube_present(dataset, lengths) ||
            ko_cube_n_elements(dataset, lengths, 0, &n, NULL) != KO_OK) {
            continue;
        }
        total +=
            per_dataset +
            n * (dataset->type == KO_TYPE_STRING ? per_string : ko_cube_type_bytes(dataset->type));
    }
    return total;
}

/* An upper estimate of the file's size in bytes. */
static size_t estimate_bytes(const struct ko_cube_new *cube)
{
    const struct ko_cube_content *content = cube->content;
    size_t total = dataset_bytes(&cube->lengths);

    if (content->whole) {
        struct ko_cube_lengths outline;
        ko_cube_lengths_of_outline(content->whole->plan, &outline);
        total += dataset_bytes(&outline);
    }
    for (size_t i = 0; i < content->n_attributes; i++) {
        total += strlen(content->attribute[i].value);
    }
    return total;
}

/* Checks for space before HDF5 writes, because HDF5 cannot handle a full disk. A file system that
   cannot tell passes. */
static enum ko_code check_room(const struct ko_cube_new *cube, const char *temporary,
                               struct ko_error *err)
{
    enum ko_code code = KO_OK;
    char size[32];
    const int file = open(temporary, O_WRONLY | O_CLOEXEC);

    if (file >= 0 && fallocate(file, 0, 0, (off_t)estimate_bytes(cube)) != 0 &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
        code = ko_fail(err, KO_E_FAILED, "%s: cannot be created with %s: %s", cube->path,
                       ko_bytes_human((double)estimate_bytes(cube), size), strerror(errno));
    } else if (file < 0 || ftruncate(file, 0) != 0) {
        code = ko_fail(err, KO_E_INPUT, "%s: cannot be created in its folder: %s", cube->path,
                       strerror(errno));
    }
    if (file >= 0) {
        (void)close(file);
    }
    return code;
}

enum ko_code ko_cube_write_file(struct ko_cube_new *cube, ko_cube_writer *write, void *context,
                                struct ko_error *err)
{
    struct ko_new_file file = {0};
    enum ko_code code = ko_new_file_open(cube->path, &file, err);

    if (code == KO_OK) {
        code = check_room(cube, file.temporary, err);
    }
    if (code == KO_OK) {
        code = write_file(cube, file.temporary, write, context, err);
    }
    if (code == KO_OK && cube->placing) {
        file.consent = cube->placing->consent;
        file.keeps = cube->placing->keeps;
    }
    if (code == KO_OK) {
        return ko_new_file_place(&file, err);
    }
    ko_new_file_drop(&file);
    return code;
}
