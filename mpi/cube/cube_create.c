#define _GNU_SOURCE /* memfd_create, fallocate */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mpi/cube/cube_fill.h"
#include "mpi/cube/hdf5_check.h"
#include "src/base/file.h"
#include "src/base/memory.h"

static enum ko_code write_title(const struct ko_cube_new *cube, struct ko_error *err)
{
    const struct ko_plan *plan = cube->content->plan;
    char title[160];

    if (cube->lengths.evaluation)
        (void)snprintf(title, sizeof title, "Clean runs: %d models, %d prompts", plan->n_models,
                       plan->n_facts);
    else
        (void)snprintf(
            title, sizeof title,
            "Attention knockout: %d models, %d prompts, %d routes; heatmaps: %d prompts, "
            "%d routes",
            plan->n_models, plan->n_prompts, plan->n_plain_routes, plan->n_heat_prompts,
            plan->n_heat_routes);
    return ko_cube_text_attribute(cube->file, cube->path, "title", title, err);
}

static enum ko_code write_format(const struct ko_cube_new *cube, struct ko_error *err)
{
    const int32_t format = KO_CUBE_FORMAT;
    enum ko_code code = KO_OK;
    hid_t space = H5Screate(H5S_SCALAR), id = H5I_INVALID_HID;

    if (space >= 0)
        id = H5Acreate2(cube->file, "cube_format", H5T_NATIVE_INT32, space, H5P_DEFAULT,
                        H5P_DEFAULT);
    if (id < 0 || H5Awrite(id, H5T_NATIVE_INT32, &format) < 0)
        code =
            ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot write attribute 'cube_format'", cube->path);
    ko_hdf5_close(id, &code, cube->path, err);
    ko_hdf5_close(space, &code, cube->path, err);
    return code;
}

static enum ko_code write_root_attributes(const struct ko_cube_new *cube, struct ko_error *err)
{
    const struct ko_cube_content *content = cube->content;
    char hash[33];
    enum ko_code code = ko_plan_hash(content->plan, hash, err);

    if (code == KO_OK)
        code = write_title(cube, err);
    if (code == KO_OK)
        code =
            ko_cube_text_attribute(cube->file, cube->path, "Conventions", "knockout-cube-1.0", err);
    if (code == KO_OK)
        code = write_format(cube, err);
    if (code == KO_OK)
        code = ko_cube_text_attribute(cube->file, cube->path, "kind",
                                      cube->lengths.evaluation ? "evaluation" : "sweep", err);
    if (code == KO_OK)
        code = ko_cube_text_attribute(cube->file, cube->path, "plan_hash", hash, err);
    for (size_t i = 0; i < content->n_attributes && code == KO_OK; i++) {
        const char *value = content->attribute[i].value;
        if (value == cube->spec)
            value = KO_CUBE_SPEC_ELSEWHERE;
        code =
            ko_cube_text_attribute(cube->file, cube->path, content->attribute[i].name, value, err);
    }
    return code;
}

static enum ko_code write_datasets(struct ko_cube_new *cube, struct ko_error *err)
{
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++)
        if (ko_cube_present(&ko_cube_table[i], &cube->lengths))
            code = ko_cube_define(cube, i, err);
    if (code == KO_OK)
        code = ko_cube_attach_scales(cube, err);
    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        if (cube->dataset[i] < 0)
            continue;
        if (dataset->type == KO_TYPE_STRING || dataset->field == KO_FIELD_LABEL)
            code = ko_cube_fill_strings(cube, i, err);
        else if (dataset->type != KO_TYPE_CHAR)
            code = ko_cube_fill_numbers(cube, i, err);
    }
    if (code == KO_OK)
        code = ko_cube_fill_statuses(cube, err);
    return code;
}

void ko_cube_go_on_in_memory(hid_t file)
{
    void *handle = NULL;
    int memory = memfd_create("cube", MFD_CLOEXEC);

    if (memory >= 0 && file >= 0 && H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) >= 0 && handle)
        (void)dup2(memory, *(int *)handle);
    if (memory >= 0)
        (void)close(memory);
    (void)H5Eclear2(H5E_DEFAULT);
}

/* Closes the datasets and the file. *code is what became of them so far. */
static void close_cube(const struct ko_cube_new *cube, enum ko_code *code, struct ko_error *err)
{
    if (*code == KO_OK && H5Fflush(cube->file, H5F_SCOPE_GLOBAL) < 0)
        *code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot bring the file to disk", cube->path);
    if (*code != KO_OK)
        ko_cube_go_on_in_memory(cube->file);
    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++)
        ko_hdf5_close(cube->dataset[i], code, cube->path, err);
    ko_hdf5_close_file(cube->file, code, cube->path, err);
}

/* `temporary` exists and is empty. */
static enum ko_code write_file(struct ko_cube_new *cube, const char *temporary,
                               struct ko_error *err)
{
    enum ko_code code = KO_OK;
    const unsigned order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
    hid_t access = ko_hdf5_access(true, cube->path, err);
    hid_t creation = H5Pcreate(H5P_FILE_CREATE);

    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++)
        cube->dataset[i] = H5I_INVALID_HID;
    cube->file = H5I_INVALID_HID;
    if (access < 0)
        code = err->code;
    else if (creation >= 0 && H5Pset_obj_track_times(creation, false) >= 0 &&
             H5Pset_link_creation_order(creation, order) >= 0 &&
             H5Pset_attr_creation_order(creation, order) >= 0)
        cube->file = H5Fcreate(temporary, H5F_ACC_TRUNC, creation, access);
    if (code == KO_OK && cube->file < 0)
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot create the file", cube->path);
    if (code == KO_OK)
        code = write_root_attributes(cube, err);
    if (code == KO_OK)
        code = write_datasets(cube, err);
    close_cube(cube, &code, err);
    ko_hdf5_close(creation, &code, cube->path, err);
    ko_hdf5_close(access, &code, cube->path, err);
    return code;
}

static enum ko_code system_fail(struct ko_error *err, const char *path, const char *what)
{
    int number = errno;
    bool disk = number == ENOSPC || number == EDQUOT || number == EIO;

    return ko_fail(err, disk ? KO_E_FAILED : KO_E_INPUT, "%s: %s: %s", path, what,
                   strerror(number));
}

/* Bytes that the file will have, or somewhat more. Strings lie in heaps of their own, beside what
 * refers to them. */
static size_t estimate(const struct ko_cube_new *cube)
{
    const size_t per_dataset = 4096, per_string = 64;
    size_t total = 0, n = 0;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        const struct ko_cube_dataset *dataset = &ko_cube_table[i];
        if (dataset->field == KO_FIELD_LENGTH || !ko_cube_present(dataset, &cube->lengths) ||
            ko_cube_n_elements(dataset, &cube->lengths, 0, &n, NULL) != KO_OK)
            continue;
        total +=
            per_dataset +
            n * (dataset->type == KO_TYPE_STRING ? per_string : ko_cube_type_bytes(dataset->type));
    }
    for (size_t i = 0; i < cube->content->n_attributes; i++)
        total += strlen(cube->content->attribute[i].value);
    return total;
}

/* Whether the disk has room, asked before HDF5 writes: it survives no full disk. File systems that
 * cannot tell are believed. */
static enum ko_code check_room(const struct ko_cube_new *cube, int file, struct ko_error *err)
{
    char size[32];

    if (fallocate(file, 0, 0, (off_t)estimate(cube)) != 0 &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return ko_fail(err, KO_E_FAILED, "%s: cannot be created with %s: %s", cube->path,
                       ko_bytes_human((double)estimate(cube), size), strerror(errno));
    return ftruncate(file, 0) == 0
               ? KO_OK
               : system_fail(err, cube->path, "cannot be created in its folder");
}

/* An empty file of our own beside the path, on a disk with room for the cube. *name: free(). */
static enum ko_code new_temporary(const struct ko_cube_new *cube, char **name, struct ko_error *err)
{
    struct ko_text text = {0};
    enum ko_code code;
    int file = -1;

    for (int attempt = 0; file < 0 && attempt < 100; attempt++) {
        ko_text_free(&text);
        ko_text_add(&text, "%s.new-%ld-%d", cube->path, (long)getpid(), attempt);
        code = ko_text_check(&text, err);
        if (code != KO_OK)
            goto done;
        file = open(text.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file < 0 && errno != EEXIST)
            break;
    }
    if (file < 0) {
        code = system_fail(err, cube->path, "cannot be created in its folder");
        goto done;
    }
    code = check_room(cube, file, err);
    (void)close(file);
    if (code == KO_OK) {
        *name = text.data;
        return KO_OK;
    }
    (void)unlink(text.data);
done:
    ko_text_free(&text);
    return code;
}

static enum ko_code sync_path(const char *path, const char *named, struct ko_error *err)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    enum ko_code code = KO_OK;

    /* Some file systems cannot sync a folder: they say EINVAL. */
    if (file < 0 || (fsync(file) != 0 && errno != EINVAL))
        code = system_fail(err, named, "cannot be brought to disk");
    if (file >= 0)
        (void)close(file);
    return code;
}

static enum ko_code check_content(const char *path, const struct ko_cube_content *content,
                                  struct ko_cube_new *cube, struct ko_error *err)
{
    for (size_t i = 0; i < content->n_attributes; i++) {
        const struct ko_cube_attribute *attribute = &content->attribute[i];
        size_t n = strlen(attribute->value);
        if (!ko_utf8_valid(attribute->value, n))
            return ko_fail(err, KO_E_INPUT, "%s: attribute '%s' is not valid UTF-8", path,
                           attribute->name);
        if (n > KO_CUBE_MAX_ATTRIBUTE && strcmp(attribute->name, "spec") == 0) {
            cube->spec = attribute->value;
            cube->lengths.n[KO_AXIS_SPEC_BYTE] = n;
        }
    }
    return KO_OK;
}

enum ko_code ko_cube_create(const char *path, const struct ko_cube_content *content,
                            struct ko_error *err)
{
    struct ko_cube_new cube = {.path = path, .content = content};
    char *temporary = NULL, *folder = NULL;
    enum ko_code code;

    ko_hdf5_quiet();
    ko_cube_lengths_of_plan(content->plan, &cube.lengths);
    cube.lengths.n[KO_AXIS_LABEL_LENGTH] = ko_cube_label_length(content->plan, &cube.lengths);
    code = check_content(path, content, &cube, err);
    if (code == KO_OK)
        code = new_temporary(&cube, &temporary, err);
    if (code != KO_OK)
        return code;
    code = write_file(&cube, temporary, err);
    if (code == KO_OK)
        code = sync_path(temporary, path, err);
    if (code == KO_OK && rename(temporary, path) != 0)
        code = system_fail(err, path, "cannot be renamed into place");
    if (code != KO_OK) {
        (void)unlink(temporary);
        goto done;
    }
    folder = ko_path_folder(path, err);
    code = folder ? sync_path(folder, path, err) : err->code;
done:
    free(temporary);
    free(folder);
    return code;
}
