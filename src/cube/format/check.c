/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the datasets of a cube's file and checks their type, shape, filters and storage against the
   table in datasets.c. */
#include "src/cube/format/check.h"

#include <limits.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/format/hdf5_check.h"

/* The dataset that is checked. */
struct subject {
    hid_t file, id;
    const char *path;
    const struct ko_cube_dataset *dataset;
    const struct ko_cube_lengths *lengths;
};

static const char *link_word(H5L_type_t type)
{
    return type == H5L_TYPE_SOFT       ? "a soft link"
           : type == H5L_TYPE_EXTERNAL ? "an external link"
                                       : "a link of a foreign kind";
}

static const char *kind_word(H5I_type_t kind)
{
    return kind == H5I_DATASET    ? "a dataset"
           : kind == H5I_GROUP    ? "a group"
           : kind == H5I_DATATYPE ? "a named type"
                                  : "another object";
}

static enum ko_code check_link(hid_t file, const char *path, const char *name, H5I_type_t kind,
                               struct ko_error *err)
{
    const char *what = kind == H5I_GROUP ? "group" : "dataset";
    H5L_info_t link;
    const htri_t exists = H5Lexists(file, name, H5P_DEFAULT);

    if (exists == 0) {
        return ko_fail(err, KO_E_INPUT, "%s: %s '%s' is missing", path, what, name);
    }
    if (exists < 0 || H5Lget_info(file, name, &link, H5P_DEFAULT) < 0) {
        return ko_hdf5_fail(err, KO_E_INPUT, "%s: %s '%s' cannot be found", path, what, name);
    }
    if (link.type != H5L_TYPE_HARD) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: '%s': expected a %s in the file itself, file has %s, which is not "
                       "followed",
                       path, name, what, link_word(link.type));
    }
    return KO_OK;
}

enum ko_code ko_cube_open_object(hid_t file, const char *path, const char *name, H5I_type_t kind,
                                 hid_t *id, struct ko_error *err)
{
    enum ko_code code = check_link(file, path, name, kind, err);

    if (code != KO_OK) {
        return code;
    }
    hid_t found = H5Oopen(file, name, H5P_DEFAULT);
    if (found < 0) {
        return ko_hdf5_fail(err, KO_E_INPUT, "%s: '%s' cannot be opened", path, name);
    }
    if (H5Iget_type(found) == kind) {
        *id = found;
        return KO_OK;
    }
    code = ko_fail(err, KO_E_INPUT, "%s: '%s': expected %s, file has %s", path, name,
                   kind_word(kind), kind_word(H5Iget_type(found)));
    ko_hdf5_close(found, &code, path, err);
    return code;
}

enum ko_code ko_cube_check_axis(hid_t file, const char *path, enum ko_cube_axis axis, hsize_t *n,
                                struct ko_error *err)
{
    const char *name = ko_cube_axis_name(axis);
    hsize_t found[H5S_MAX_RANK] = {0};
    hid_t id = H5I_INVALID_HID;
    const htri_t exists = H5Lexists(file, name, H5P_DEFAULT);

    *n = 0;
    if (exists == 0) {
        return KO_OK;
    }
    enum ko_code code = ko_cube_open_object(file, path, name, H5I_DATASET, &id, err);
    if (code != KO_OK) {
        return code;
    }
    hid_t space = H5Dget_space(id);
    if (space < 0) {
        code = ko_hdf5_fail(err, KO_E_INPUT, "%s: axis '%s' cannot be read", path, name);
    } else if (H5Sget_simple_extent_ndims(space) != 1 ||
               H5Sget_simple_extent_dims(space, found, NULL) != 1 || found[0] == 0 ||
               found[0] > INT_MAX) {
        code =
            ko_fail(err, KO_E_INPUT,
                    "%s: axis '%s' does not have one dimension of 1 to %d, so this is not a cube "
                    "of knockout",
                    path, name, INT_MAX);
    } else {
        *n = found[0];
    }
    ko_hdf5_close(space, &code, path, err);
    ko_hdf5_close(id, &code, path, err);
    return code;
}

/* ----------------------------------------------------------------------------------------------
   type */

void ko_cube_type_text(hid_t type, struct ko_text *out)
{
    static const char *const word[] = {"",        "",           "a time",   "",
                                       "bits",    "opaque",     "compound", "a reference",
                                       "an enum", "a sequence", "an array"};
    const H5T_class_t class = H5Tget_class(type);
    const size_t bytes = H5Tget_size(type);

    if (class == H5T_STRING && H5Tis_variable_str(type) > 0) {
        ko_text_add(out, "variable-length string");
    } else if (class == H5T_STRING) {
        ko_text_add(out, "string of %zu bytes", bytes);
    } else if (class == H5T_INTEGER || class == H5T_FLOAT) {
        ko_text_add(out, "%s%s%zu", H5Tget_order(type) == H5T_ORDER_BE ? "big-endian " : "",
                    class == H5T_FLOAT                  ? "float"
                    : H5Tget_sign(type) == H5T_SGN_NONE ? "uint"
                                                        : "int",
                    8 * bytes);
    } else if (class >= 0 && (size_t) class < sizeof word / sizeof *word) {
        ko_text_add(out, "%s", word[class]);
    } else {
        ko_text_add(out, "no type");
    }
}

/* Whether the file's type is the table's. Other programs may pad character arrays differently. */
static bool same_type(hid_t file_type, enum ko_cube_type type)
{
    hid_t wanted = ko_cube_new_type(type);
    enum ko_code code = KO_OK;
    bool same = false;

    if (wanted >= 0) {
        if (type == KO_TYPE_CHAR) {
            same = H5Tget_class(file_type) == H5T_STRING && H5Tis_variable_str(file_type) == 0 &&
                   H5Tget_size(file_type) == 1;
        } else if (type == KO_TYPE_STRING) {
            same = H5Tget_class(file_type) == H5T_STRING && H5Tis_variable_str(file_type) > 0;
        } else {
            same = H5Tequal(file_type, wanted) > 0;
        }
    }
    ko_hdf5_close(wanted, &code, "", NULL);
    return same && code == KO_OK;
}

static enum ko_code check_type(const struct subject *subject, struct ko_error *err)
{
    static const char *const word[] = {"float32", "float64", "int32",
                                       "uint8",   "char",    "variable-length string"};
    const struct ko_cube_dataset *dataset = subject->dataset;
    struct ko_text found = {0};
    enum ko_code code = KO_OK;
    hid_t type = H5Dget_type(subject->id);

    if (type < 0) {
        code = ko_hdf5_fail(err, KO_E_INPUT, "%s: dataset '%s' has no type", subject->path,
                            dataset->name);
    } else if (!same_type(type, dataset->type)) {
        ko_cube_type_text(type, &found);
        code = ko_fail(err, KO_E_INPUT, "%s: dataset '%s': expected %s, file has %s", subject->path,
                       dataset->name, word[dataset->type], ko_text_str(&found));
    }
    ko_text_free(&found);
    ko_hdf5_close(type, &code, subject->path, err);
    return code;
}

/* ----------------------------------------------------------------------------------------------
   shape */

static void shape_text(struct ko_text *text, const hsize_t *n, int n_axes)
{
    ko_text_add(text, "[");
    for (int i = 0; i < n_axes; i++) {
        ko_text_add(text, "%s%llu", i ? "," : "", (unsigned long long)n[i]);
    }
    ko_text_add(text, "]");
}

static enum ko_code check_shape(const struct subject *subject, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = subject->dataset;
    hsize_t found[H5S_MAX_RANK] = {0}, wanted[KO_CUBE_MAX_AXES] = {0};
    int n_axes = ko_cube_n_axes(dataset), n_found = -1;
    enum ko_code code = KO_OK;
    hid_t space = H5Dget_space(subject->id);

    if (space >= 0) {
        n_found = H5Sget_simple_extent_dims(space, found, NULL);
    }
    if (n_found < 0) {
        code = ko_hdf5_fail(err, KO_E_INPUT, "%s: dataset '%s' has no shape", subject->path,
                            dataset->name);
    }
    ko_hdf5_close(space, &code, subject->path, err);
    if (code != KO_OK) {
        return code;
    }
    for (int i = 0; i < n_axes; i++) {
        wanted[i] = subject->lengths->n[dataset->axis[i]];
    }
    if (n_found == n_axes && memcmp(found, wanted, (size_t)n_axes * sizeof *found) == 0) {
        return KO_OK;
    }
    struct ko_text text = {0};
    shape_text(&text, wanted, n_axes);
    ko_text_add(&text, ", file has ");
    shape_text(&text, found, n_found);
    code = ko_fail(err, KO_E_INPUT, "%s: dataset '%s': expected %s", subject->path, dataset->name,
                   ko_text_str(&text));
    ko_text_free(&text);
    return code;
}

/* ----------------------------------------------------------------------------------------------
   where the values are */

/* Allows the filters that HDF5 itself contains and a compressed copy uses, and the checksum.
   Plug-ins are never loaded. */
static enum ko_code check_filters(const struct subject *subject, hid_t creation,
                                  struct ko_error *err)
{
    const int n = H5Pget_nfilters(creation);

    for (int i = 0; i < n; i++) {
        unsigned flags = 0, configuration = 0;
        size_t n_values = 0;
        const H5Z_filter_t filter =
            H5Pget_filter2(creation, (unsigned)i, &flags, &n_values, NULL, 0, NULL, &configuration);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
            filter != H5Z_FILTER_FLETCHER32) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: dataset '%s': expected no filter but shuffle, deflate and "
                           "fletcher32, file has filter %d",
                           subject->path, subject->dataset->name, (int)filter);
        }
    }
    return n >= 0 ? KO_OK
                  : ko_hdf5_fail(err, KO_E_INPUT, "%s: dataset '%s': filters cannot be read",
                                 subject->path, subject->dataset->name);
}

static enum ko_code too_large(const struct subject *subject, unsigned long long wanted,
                              unsigned long long found, struct ko_error *err)
{
    return ko_fail(err, KO_E_INPUT,
                   "%s: dataset '%s': expected %llu bytes of values, file has %llu", subject->path,
                   subject->dataset->name, wanted, found);
}

static enum ko_code check_chunks(const struct subject *subject, hid_t creation, size_t bytes,
                                 struct ko_error *err)
{
    const int n_axes = ko_cube_n_axes(subject->dataset);
    hsize_t chunk[H5S_MAX_RANK] = {0};
    size_t chunk_bytes = ko_cube_type_bytes(subject->dataset->type);
    enum ko_code code = check_filters(subject, creation, err);

    if (code != KO_OK) {
        return code;
    }
    if (H5Pget_chunk(creation, H5S_MAX_RANK, chunk) != n_axes) {
        return ko_hdf5_fail(err, KO_E_INPUT, "%s: dataset '%s': chunks of another rank",
                            subject->path, subject->dataset->name);
    }
    for (int i = 0; i < n_axes; i++) {
        if (chunk[i] == 0 || chunk[i] > KO_CUBE_MAX_CHUNK_BYTES / chunk_bytes) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: dataset '%s': expected chunks of at most %d bytes, file has larger "
                           "ones",
                           subject->path, subject->dataset->name, KO_CUBE_MAX_CHUNK_BYTES);
        } else {
            chunk_bytes *= (size_t)chunk[i];
        }
    }
    const hsize_t stored = H5Dget_storage_size(subject->id);
    if (bytes / KO_CUBE_MAX_RATIO > stored) {
        return too_large(subject, bytes, (unsigned long long)stored, err);
    }
    return KO_OK;
}

/* A scale that only holds a length has no values. All others are allocated from the start. */
static enum ko_code check_contiguous(const struct subject *subject, size_t bytes,
                                     struct ko_error *err)
{
    const haddr_t begin = H5Dget_offset(subject->id);
    hsize_t file_bytes = 0;

    if (subject->dataset->field == KO_FIELD_LENGTH) {
        return KO_OK;
    }
    (void)H5Eclear2(H5E_DEFAULT);
    if (begin == HADDR_UNDEF) {
        return too_large(subject, bytes, 0, err);
    }
    enum ko_code code = KO_OK;
    hid_t file = H5Iget_file_id(subject->id);
    if (file < 0 || H5Fget_filesize(file, &file_bytes) < 0) {
        code = ko_hdf5_fail(err, KO_E_INPUT, "%s: has no size", subject->path);
    }
    ko_hdf5_close_file(file, &code, subject->path, err);
    if (code != KO_OK) {
        return code;
    }
    if (begin > file_bytes || bytes > file_bytes - begin) {
        return too_large(subject, bytes, begin > file_bytes ? 0 : file_bytes - begin, err);
    }
    return KO_OK;
}

static enum ko_code check_storage(const struct subject *subject, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = subject->dataset;
    /* In the file a string is a length and a reference into a heap. */
    const size_t each = dataset->type == KO_TYPE_STRING ? 16 : ko_cube_type_bytes(dataset->type);
    size_t bytes = 0;
    hid_t creation = H5Dget_create_plist(subject->id);
    const H5D_layout_t layout = creation < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(creation);
    enum ko_code code = ko_cube_n_elements(dataset, subject->lengths, 0, &bytes, err);

    if (code == KO_OK) {
        code = ko_multiply(bytes, each, &bytes, dataset->name, err);
    }
    if (code != KO_OK) {
        code = ko_fail_in(err, "%s", subject->path);
    } else if (layout == H5D_VIRTUAL || (layout >= 0 && H5Pget_external_count(creation) != 0)) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: dataset '%s': expected values in the file itself, file has %s, which "
                       "is not followed",
                       subject->path, dataset->name,
                       layout == H5D_VIRTUAL ? "a virtual dataset" : "external storage");
    } else if (layout == H5D_CHUNKED) {
        code = check_chunks(subject, creation, bytes, err);
    } else if (layout == H5D_CONTIGUOUS) {
        code = check_contiguous(subject, bytes, err);
    } else if (layout < 0) {
        code = ko_hdf5_fail(err, KO_E_INPUT, "%s: dataset '%s' has no layout", subject->path,
                            dataset->name);
    } else {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: dataset '%s': expected a contiguous or chunked layout, file has a "
                       "compact one",
                       subject->path, dataset->name);
    }
    ko_hdf5_close(creation, &code, subject->path, err);
    return code;
}

enum ko_code ko_cube_open_dataset(hid_t file, const char *path,
                                  const struct ko_cube_dataset *dataset,
                                  const struct ko_cube_lengths *lengths, hid_t *id,
                                  struct ko_error *err)
{
    struct subject subject = {
        .file = file, .id = H5I_INVALID_HID, .path = path, .dataset = dataset, .lengths = lengths};
    enum ko_code code =
        ko_cube_open_object(file, path, dataset->name, H5I_DATASET, &subject.id, err);

    if (code != KO_OK) {
        return code;
    }
    code = check_type(&subject, err);
    if (code == KO_OK) {
        code = check_shape(&subject, err);
    }
    if (code == KO_OK) {
        code = check_storage(&subject, err);
    }
    if (code == KO_OK) {
        *id = subject.id;
    } else {
        ko_hdf5_close(subject.id, &code, path, err);
    }
    return code;
}

/* Without this check a dataset whose axis is missing would count as one that the cube never had. */
static enum ko_code check_absent(hid_t file, const char *path,
                                 const struct ko_cube_dataset *dataset,
                                 const struct ko_cube_lengths *lengths, struct ko_error *err)
{
    const htri_t exists = H5Lexists(file, dataset->name, H5P_DEFAULT);

    if (exists < 0) {
        return ko_hdf5_fail(err, KO_E_INPUT, "%s: dataset '%s' cannot be found", path,
                            dataset->name);
    }
    if (exists == 0) {
        return KO_OK;
    }
    for (int i = 0; i < ko_cube_n_axes(dataset); i++) {
        if (lengths->n[dataset->axis[i]] == 0) {
            return ko_fail(err, KO_E_INPUT, "%s: dataset '%s': its axis '%s' is missing", path,
                           dataset->name, ko_cube_axis_name(dataset->axis[i]));
        }
    }
    return ko_fail(err, KO_E_INPUT,
                   "%s: dataset '%s': expected none in a cube of this kind, file "
                   "has one",
                   path, dataset->name);
}

enum ko_code ko_cube_check_datasets(hid_t file, const char *path,
                                    const struct ko_cube_lengths *lengths, struct ko_error *err)
{
    const hsize_t *n = lengths->n;
    enum ko_code code = KO_OK;

    if (n[KO_AXIS_HASH_LENGTH] != 0 && n[KO_AXIS_HASH_LENGTH] != KO_CUBE_HASH_LENGTH) {
        return ko_fail(err, KO_E_INPUT, "%s: axis 'hash_length': expected %d, file has %llu", path,
                       KO_CUBE_HASH_LENGTH, (unsigned long long)n[KO_AXIS_HASH_LENGTH]);
    }
    if (!lengths->outline && (n[KO_AXIS_RUN] == 0 || n[KO_AXIS_RUN] > KO_CUBE_RUNS)) {
        return ko_fail(err, KO_E_INPUT, "%s: axis 'run': expected 1 to %d, file has %llu", path,
                       KO_CUBE_RUNS, (unsigned long long)n[KO_AXIS_RUN]);
    }
    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        hid_t id = H5I_INVALID_HID;
        if (!ko_cube_present(&ko_cube_table[i], lengths)) {
            code = check_absent(file, path, &ko_cube_table[i], lengths, err);
            continue;
        }
        code = ko_cube_open_dataset(file, path, &ko_cube_table[i], lengths, &id, err);
        ko_hdf5_close(id, &code, path, err);
    }
    return code;
}
