/* SPDX-License-Identifier: Apache-2.0 */
/* Creates one dataset of a new cube, still without values, with its attributes (units, flag
   meanings, fill value). */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "src/base/text.h"
#include "src/cube/create/fill.h"
#include "src/cube/format/hdf5_check.h"
#include "src/forward/record.h"

enum ko_code ko_cube_text_attribute(hid_t object, const char *path, const char *name,
                                    const char *text, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR), id = H5I_INVALID_HID;
    size_t n = strlen(text);

    if (n > KO_CUBE_MAX_ATTRIBUTE) {
        code =
            ko_fail(err, KO_E_INPUT, "%s: attribute '%s' has %zu bytes, at most %d can be stored",
                    path, name, n, KO_CUBE_MAX_ATTRIBUTE);
    } else if (type >= 0 && space >= 0 && H5Tset_size(type, n ? n : 1) >= 0 &&
               H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0) {
        id = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    }
    if (code == KO_OK && (id < 0 || H5Awrite(id, type, text) < 0)) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot write attribute '%s'", path, name);
    }
    ko_hdf5_close(id, &code, path, err);
    ko_hdf5_close(space, &code, path, err);
    ko_hdf5_close(type, &code, path, err);
    return code;
}

/* netCDF expects an array of one element for _FillValue, not a scalar. */
static enum ko_code list_attribute(hid_t object, const char *path, const char *name, hid_t type,
                                   const void *values, hsize_t n, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    hid_t space = H5Screate_simple(1, &n, NULL), id = H5I_INVALID_HID;

    if (space >= 0) {
        id = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    }
    if (id < 0 || H5Awrite(id, type, values) < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot write attribute '%s'", path, name);
    }
    ko_hdf5_close(id, &code, path, err);
    ko_hdf5_close(space, &code, path, err);
    return code;
}

/* A sentence as one word: "answer_merges_with_prompt". */
static void add_meaning(struct ko_text *text, const char *sentence)
{
    if (text->n) {
        ko_text_add(text, " ");
    }
    for (const char *c = sentence; *c; c++) {
        if (isalnum((unsigned char)*c)) {
            ko_text_add_bytes(text, c, 1);
        } else if (*c == ' ') {
            ko_text_add(text, "_");
        }
    }
}

static enum ko_code flag_attributes(hid_t object, const char *path,
                                    const struct ko_cube_dataset *dataset, struct ko_error *err)
{
    static const enum ko_reason reasons[] = {
#define X(name, number, sentence) name,
        KO_REASONS(X)
#undef X
    };
    static const char *const cell[] = {"not planned", "pending", "done", "vacuous", "failed"};
    static const char *const selected[] = {"not selected", "selected"};
    static const char *const reused[] = {"not taken", "taken"};
    static const char *const vacuous[] = {"as its status says", "vacuous"};
    static const char *const clean_run[] = {"not runnable", "pending", "done"};
    static const enum ko_failure failures[] = {
#define X(name, number, sentence) name,
        KO_FAILURES(X)
#undef X
    };
    enum {
        N_REASONS = sizeof reasons / sizeof *reasons,
        N_FAILURES = sizeof failures / sizeof *failures
    };
    uint8_t values[N_REASONS + N_FAILURES];
    const bool mixers = dataset->field == KO_FIELD_MIXERS;
    struct ko_text meanings = {0};
    hsize_t n = 0;

    if (mixers) {
        for (; n < KO_N_MIXERS; n++) {
            values[n] = (uint8_t)(1 << n);
            add_meaning(&meanings, ko_mixer_words[n]);
        }
    } else if (dataset->field == KO_FIELD_REASON) {
        for (; n < N_REASONS; n++) {
            values[n] = (uint8_t)reasons[n];
            add_meaning(&meanings, ko_reason_sentence(reasons[n]));
        }
        for (; n < N_REASONS + N_FAILURES; n++) {
            values[n] = (uint8_t)failures[n - N_REASONS];
            add_meaning(&meanings, ko_failure_sentence(failures[n - N_REASONS]));
        }
    } else {
        bool evaluation = ko_cube_has_axis(dataset, KO_AXIS_EVAL_PROMPT);
        bool selection = dataset->field == KO_FIELD_SELECTED;
        bool origin = dataset->field == KO_FIELD_REUSED;
        bool exception = dataset->field == KO_FIELD_VACUOUS;
        const char *const *words = selection    ? selected
                                   : origin     ? reused
                                   : exception  ? vacuous
                                   : evaluation ? clean_run
                                                : cell;
        size_t n_words = selection || origin || exception ? 2 : evaluation ? 3 : 5;
        for (; n < n_words; n++) {
            values[n] = (uint8_t)n;
            add_meaning(&meanings, words[n]);
        }
    }
    enum ko_code code = ko_text_check(&meanings, err);
    if (code == KO_OK) {
        code = list_attribute(object, path, mixers ? "flag_masks" : "flag_values", H5T_NATIVE_UINT8,
                              values, n, err);
    }
    if (code == KO_OK) {
        code = ko_cube_text_attribute(object, path, "flag_meanings", ko_text_str(&meanings), err);
    }
    ko_text_free(&meanings);
    return code;
}

static enum ko_code write_attributes(hid_t id, const char *path,
                                     const struct ko_cube_dataset *dataset, struct ko_error *err)
{
    const float nan32 = NAN;
    const double nan64 = (double)NAN;
    enum ko_code code = ko_cube_text_attribute(id, path, "long_name", dataset->long_name, err);

    if (code == KO_OK && dataset->units) {
        code = ko_cube_text_attribute(id, path, "units", dataset->units, err);
    }
    /* Integers get no _FillValue: xarray would convert them to float64. */
    if (code == KO_OK && dataset->type == KO_TYPE_FLOAT) {
        code = list_attribute(id, path, "_FillValue", H5T_NATIVE_FLOAT, &nan32, 1, err);
    }
    if (code == KO_OK && dataset->type == KO_TYPE_DOUBLE) {
        code = list_attribute(id, path, "_FillValue", H5T_NATIVE_DOUBLE, &nan64, 1, err);
    }
    /* With _Encoding, netCDF's readers join the characters of the last axis to strings. */
    if (code == KO_OK && dataset->type == KO_TYPE_CHAR) {
        code = ko_cube_text_attribute(id, path, "_Encoding", "utf-8", err);
    }
    if (code == KO_OK &&
        (dataset->field == KO_FIELD_STATUS || dataset->field == KO_FIELD_REASON ||
         dataset->field == KO_FIELD_SELECTED || dataset->field == KO_FIELD_REUSED ||
         dataset->field == KO_FIELD_VACUOUS || dataset->field == KO_FIELD_MIXERS)) {
        code = flag_attributes(id, path, dataset, err);
    }
    return code;
}

bool ko_cube_set_creation(hid_t creation, const struct ko_cube_dataset *dataset, hid_t type)
{
    const float nan32 = NAN;
    const double nan64 = (double)NAN;
    const int32_t none = -1;
    const uint8_t zero = 0;
    const void *fill = &zero;

    if (dataset->type == KO_TYPE_FLOAT) {
        fill = &nan32;
    } else if (dataset->type == KO_TYPE_DOUBLE) {
        fill = &nan64;
    } else if (dataset->type == KO_TYPE_INT) {
        fill = &none;
    }
    return H5Pset_layout(creation, H5D_CONTIGUOUS) >= 0 &&
           H5Pset_alloc_time(creation, dataset->field == KO_FIELD_LENGTH
                                           ? H5D_ALLOC_TIME_LATE
                                           : H5D_ALLOC_TIME_EARLY) >= 0 &&
           H5Pset_obj_track_times(creation, false) >= 0 &&
           H5Pset_attr_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) >=
               0 &&
           (dataset->type == KO_TYPE_STRING || H5Pset_fill_value(creation, type, fill) >= 0);
}

enum ko_code ko_cube_define(struct ko_cube_new *cube, size_t index, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[index];
    hsize_t shape[KO_CUBE_MAX_AXES];
    int n_axes = ko_cube_n_axes(dataset);
    enum ko_code code = KO_OK;

    for (int i = 0; i < n_axes; i++) {
        shape[i] = cube->lengths.n[dataset->axis[i]];
    }
    hid_t type = ko_cube_new_type(dataset->type), id = H5I_INVALID_HID;
    hid_t space = H5Screate_simple(n_axes, shape, NULL);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (type >= 0 && space >= 0 && creation >= 0 && ko_cube_set_creation(creation, dataset, type)) {
        id = H5Dcreate2(cube->file, dataset->name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    }
    if (id < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot create dataset '%s'", cube->path,
                            dataset->name);
    } else {
        code = write_attributes(id, cube->path, dataset, err);
    }
    cube->dataset[index] = id;
    ko_hdf5_close(creation, &code, cube->path, err);
    ko_hdf5_close(space, &code, cube->path, err);
    ko_hdf5_close(type, &code, cube->path, err);
    return code;
}
