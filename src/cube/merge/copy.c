/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a compressed copy of a cube, chunk by chunk. The statuses are read first, because a run
   may be writing the cube at the same time. */
#include "src/cube/merge/copy.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/new_file.h"
#include "src/cube/create/fill.h"
#include "src/cube/format/check.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/merge/copy_attributes.h"
#include "src/cube/read/view.h"
#include "src/plan/plan.h"

enum {
    SMALL_BYTES = 4096, /* smaller datasets are not chunked */
    LEVEL = 4           /* of deflate: higher levels cost time and gain little */
};

struct copy {
    const struct ko_cube_view *from;
    struct ko_cube_new to; /* its file is the root or a group of it */
    hid_t root;
    size_t chunk_bytes;
    bool pending; /* some copied cell is pending */
};

/* A dataset that is copied, one chunk at a time. */
struct part {
    const struct ko_cube_dataset *dataset;
    int n_axes;
    hsize_t shape[KO_CUBE_MAX_AXES], chunk[KO_CUBE_MAX_AXES];
    size_t n; /* elements of a chunk */
    hid_t type, from, to;
    void *buffer;
};

/* Sets the chunk: as many whole trailing axes as fit, then a part of one axis, then single
   indices. */
static enum ko_code cut_chunks(const struct copy *copy, struct part *part, struct ko_error *err)
{
    const size_t each = ko_cube_type_bytes(part->dataset->type);
    const size_t most = copy->chunk_bytes < each ? 1 : copy->chunk_bytes / each;
    size_t total = 0;
    const enum ko_code code = ko_cube_n_elements(part->dataset, &copy->to.lengths, 0, &total, err);

    part->n = 1;
    for (int i = part->n_axes - 1; i >= 0; i--) {
        const hsize_t room = most / part->n;
        part->shape[i] = copy->to.lengths.n[part->dataset->axis[i]];
        const hsize_t chunk = part->shape[i] < room ? part->shape[i] : room;
        part->chunk[i] = chunk > 0 ? chunk : 1;
        part->n *= (size_t)part->chunk[i];
    }
    return code;
}

/* Strings of variable length lie in heaps, which filters do not compress. */
static bool worth_a_chunk(const struct copy *copy, const struct part *part)
{
    const size_t small = copy->chunk_bytes < SMALL_BYTES ? copy->chunk_bytes : SMALL_BYTES;
    size_t n = 1;

    for (int i = 0; i < part->n_axes; i++) {
        n *= (size_t)part->shape[i]; /* its overflow was checked before */
    }
    return part->dataset->type != KO_TYPE_STRING && part->dataset->field != KO_FIELD_LENGTH &&
           n * ko_cube_type_bytes(part->dataset->type) > small;
}

static hid_t create_dataset(struct copy *copy, const struct part *part)
{
    hid_t space = H5Screate_simple(part->n_axes, part->shape, NULL), id = H5I_INVALID_HID;
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    enum ko_code code = KO_OK;
    bool good =
        space >= 0 && creation >= 0 && ko_cube_set_creation(creation, part->dataset, part->type);

    if (good && worth_a_chunk(copy, part)) {
        good = H5Pset_chunk(creation, part->n_axes, part->chunk) >= 0 &&
               H5Pset_alloc_time(creation, H5D_ALLOC_TIME_INCR) >= 0 &&
               H5Pset_shuffle(creation) >= 0 && H5Pset_deflate(creation, LEVEL) >= 0;
    }
    if (good) {
        id = H5Dcreate2(copy->to.file, part->dataset->name, part->type, space, H5P_DEFAULT,
                        creation, H5P_DEFAULT);
    }
    ko_hdf5_close(creation, &code, copy->to.path, NULL);
    ko_hdf5_close(space, &code, copy->to.path, NULL);
    return id;
}

/* Copies the chunk that begins at `first`. *n: its values; except for strings they stay in the
   buffer. */
static bool copy_chunk(const struct part *part, const hsize_t *first, hid_t space, hsize_t *n)
{
    hsize_t count[KO_CUBE_MAX_AXES];
    enum ko_code code = KO_OK;

    *n = 1;
    for (int i = 0; i < part->n_axes; i++) {
        const hsize_t left = part->shape[i] - first[i];
        count[i] = left < part->chunk[i] ? left : part->chunk[i];
        *n *= count[i];
    }
    hid_t memory = H5Screate_simple(1, n, NULL);
    bool good = memory >= 0 &&
                H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, count, NULL) >= 0 &&
                H5Dread(part->from, part->type, memory, space, H5P_DEFAULT, part->buffer) >= 0;
    if (good) {
        good = H5Dwrite(part->to, part->type, memory, space, H5P_DEFAULT, part->buffer) >= 0;
        if (part->dataset->type == KO_TYPE_STRING) {
            good = H5Dvlen_reclaim(part->type, memory, H5P_DEFAULT, part->buffer) >= 0 && good;
        }
    }
    ko_hdf5_close(memory, &code, "", NULL);
    return good && code == KO_OK;
}

static enum ko_code copy_values(struct copy *copy, struct part *part, struct ko_error *err)
{
    hsize_t first[KO_CUBE_MAX_AXES] = {0}, n = 0;
    enum ko_code code = KO_OK;
    bool more = true;
    hid_t space = H5Dget_space(part->to);

    part->buffer = ko_new(part->n, ko_cube_type_bytes(part->dataset->type), err);
    if (!part->buffer) {
        code = KO_E_MEMORY;
    } else if (space < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot copy dataset '%s'", copy->to.path,
                            part->dataset->name);
    }
    while (code == KO_OK && more) {
        if (!copy_chunk(part, first, space, &n)) {
            code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot copy dataset '%s'", copy->to.path,
                                part->dataset->name);
        } else if (part->dataset->field == KO_FIELD_STATUS && !copy->to.lengths.outline) {
            copy->pending = copy->pending || memchr(part->buffer, KO_PENDING, (size_t)n) != NULL;
        }
        more = false;
        for (int i = part->n_axes - 1; i >= 0 && !more; i--) {
            first[i] += part->chunk[i];
            more = first[i] < part->shape[i];
            if (!more) {
                first[i] = 0;
            }
        }
    }
    ko_hdf5_close(space, &code, copy->to.path, err);
    free(part->buffer);
    return code;
}

/* Opens a dataset and creates its copy, without values. */
static enum ko_code open_part(struct copy *copy, size_t index, struct part *part,
                              struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[index];

    *part = (struct part){.dataset = dataset,
                          .n_axes = ko_cube_n_axes(dataset),
                          .from = H5I_INVALID_HID,
                          .type = ko_cube_new_type(dataset->type)};
    enum ko_code code = ko_cube_open_dataset(copy->from->file, copy->from->path, dataset,
                                             &copy->from->lengths, &part->from, err);
    if (code == KO_OK) {
        code = cut_chunks(copy, part, err);
    }
    if (code == KO_OK) {
        copy->to.dataset[index] = part->to =
            part->type < 0 ? part->type : create_dataset(copy, part);
        if (part->to < 0) {
            code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot create dataset '%s'", copy->to.path,
                                dataset->name);
        }
    }
    return code == KO_OK ? ko_cube_copy_attributes(part->from, part->to, copy->from->path, err)
                         : code;
}

/* Whether the dataset says that other values are complete: statuses, and run_ranks, which says that
   a run has ended. A run that is still writing writes these last. */
static bool is_flag(const struct part *part)
{
    return part->dataset->field == KO_FIELD_STATUS || part->dataset->field == KO_FIELD_RUN_RANKS;
}

static enum ko_code copy_all_values(struct copy *copy, struct part *part, struct ko_error *err)
{
    enum ko_code code = KO_OK;

    for (int flags = 1; flags >= 0; flags--) {
        for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
            if (copy->to.dataset[i] >= 0 && ko_cube_table[i].field != KO_FIELD_LENGTH &&
                is_flag(&part[i]) == (flags == 1)) {
                code = copy_values(copy, &part[i], err);
            }
        }
    }
    return code;
}

static hid_t create_file(const char *path, struct ko_error *err)
{
    const unsigned order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
    enum ko_code code = KO_OK;
    hid_t file = H5I_INVALID_HID;
    hid_t access = ko_hdf5_access(true, path, err), creation = H5Pcreate(H5P_FILE_CREATE);

    if (access >= 0 && creation >= 0 && H5Pset_obj_track_times(creation, false) >= 0 &&
        H5Pset_link_creation_order(creation, order) >= 0 &&
        H5Pset_attr_creation_order(creation, order) >= 0) {
        file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    }
    if (file < 0) {
        (void)ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot create the file", path);
    }
    ko_hdf5_close(creation, &code, path, err);
    ko_hdf5_close(access, &code, path, err);
    return file;
}

/* Copies attributes, datasets and axes of one group into another, and closes the new datasets. */
static enum ko_code copy_group(struct copy *copy, struct ko_error *err)
{
    const char *path = copy->to.path;
    struct part *part = ko_new(KO_CUBE_N_DATASETS, sizeof *part, err);
    enum ko_code code =
        part ? ko_cube_copy_attributes(copy->from->file, copy->to.file, copy->from->path, err)
             : KO_E_MEMORY;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        copy->to.dataset[i] = H5I_INVALID_HID;
        if (part) {
            part[i].from = part[i].type = H5I_INVALID_HID;
        }
    }
    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        if (ko_cube_present(&ko_cube_table[i], &copy->from->lengths)) {
            code = open_part(copy, i, &part[i], err);
        }
    }
    if (code == KO_OK) {
        code = copy_all_values(copy, part, err);
    }
    if (code == KO_OK) {
        code = ko_cube_attach_scales(&copy->to, err);
    }
    if (code == KO_OK && H5Fflush(copy->to.file, H5F_SCOPE_GLOBAL) < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot flush the file to disk", path);
    }
    if (code != KO_OK) {
        ko_cube_go_on_in_memory(copy->root);
    }
    for (size_t i = 0; i < KO_CUBE_N_DATASETS && part; i++) {
        ko_hdf5_close(part[i].from, &code, path, err);
        ko_hdf5_close(part[i].type, &code, path, err);
        ko_hdf5_close(copy->to.dataset[i], &code, path, err);
    }
    free(part);
    return code;
}

/* Copies the group that a merge of the shard's file needs. */
static enum ko_code copy_outline(const struct copy *shard, struct ko_error *err)
{
    struct ko_cube_view *view = NULL;
    enum ko_code code = ko_cube_view_open_outline(shard->from, &view, err);

    if (code != KO_OK) {
        return code;
    }
    struct copy copy = {.from = view,
                        .to = {.path = shard->to.path, .lengths = view->lengths},
                        .root = shard->root,
                        .chunk_bytes = shard->chunk_bytes};
    copy.to.file = ko_cube_create_outline(shard->root);
    if (copy.to.file < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot create group '%s'", copy.to.path,
                            KO_CUBE_WHOLE);
    } else {
        code = copy_group(&copy, err);
    }
    ko_hdf5_close(copy.to.file, &code, copy.to.path, err);
    ko_cube_view_close(view);
    return code;
}

/* Marks the copy of an incomplete cube: no run can complete the copy. */
static enum ko_code mark_incomplete(const struct copy *copy, struct ko_error *err)
{
    if (!copy->pending || H5Aexists(copy->root, KO_CUBE_INCOMPLETE) > 0) {
        return KO_OK;
    }
    return ko_cube_text_attribute(copy->root, copy->to.path, KO_CUBE_INCOMPLETE,
                                  "a copy that was made while cells of the cube were pending", err);
}

static enum ko_code write_copy(struct copy *copy, const char *temporary, struct ko_error *err)
{
    copy->to.file = copy->root = create_file(temporary, err);
    if (copy->root < 0) {
        return err->code;
    }
    enum ko_code code = copy_group(copy, err);
    if (code == KO_OK && copy->from->lengths.shard) {
        code = copy_outline(copy, err);
    }
    if (code == KO_OK) {
        code = mark_incomplete(copy, err);
    }
    ko_hdf5_close_file(copy->root, &code, copy->to.path, err);
    return code;
}

enum ko_code ko_cube_compress(const struct ko_cube_view *view, size_t chunk_bytes, const char *path,
                              bool *incomplete, struct ko_error *err)
{
    struct copy copy = {
        .from = view, .to = {.path = path, .lengths = view->lengths}, .chunk_bytes = chunk_bytes};
    struct ko_new_file file = {0};

    ko_hdf5_quiet();
    enum ko_code code = ko_new_file_open(path, &file, err);
    if (code == KO_OK) {
        code = write_copy(&copy, file.temporary, err);
    }
    if (code == KO_OK) {
        *incomplete = copy.pending;
        return ko_new_file_place(&file, err);
    }
    ko_new_file_drop(&file);
    return code;
}
