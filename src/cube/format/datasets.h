/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the cube: every dataset with its name, type, axes and text. Creation, commits and
   reading all use it. */
#ifndef KO_CUBE_FORMAT_DATASETS_H
#define KO_CUBE_FORMAT_DATASETS_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/cube/format/dataset_list.h"
#include "src/plan/plan.h"

enum {
    KO_CUBE_FORMAT = 1,
    KO_CUBE_MAX_AXES = 8,
    KO_CUBE_HASH_LENGTH = 32,
    KO_CUBE_MIN_LABEL_LENGTH = 64, /* host names fit too */
    KO_CUBE_RUNS = 256,
    KO_CUBE_LOG_BYTES = 1 << 20,
    KO_CUBE_MAX_ATTRIBUTE = 60000 /* bytes; HDF5 stops at 64 KiB */
};

/* The value of the attribute `spec` where the spec itself is in the dataset spec_text. */
#define KO_CUBE_SPEC_ELSEWHERE "too long for an attribute: see the dataset spec_text"

/* KO_AXIS_NONE ends a dataset's list of axes. */
enum ko_cube_axis {
    KO_AXIS_NONE,
#define X(ID, name) KO_AXIS_##ID,
    KO_CUBE_AXES(X)
#undef X
        KO_CUBE_N_AXES
};

enum ko_cube_type {
    KO_TYPE_FLOAT,  /* float32, fill NaN */
    KO_TYPE_DOUBLE, /* float64, fill NaN */
    KO_TYPE_INT,    /* int32, fill -1 */
    KO_TYPE_UINT8,  /* fill 0 */
    KO_TYPE_CHAR,   /* one byte of UTF-8, fill NUL: netCDF's char */
    KO_TYPE_STRING  /* variable-length UTF-8 */
};

enum ko_cube_field {
#define X(ID) KO_FIELD_##ID,
    KO_CUBE_FIELDS(X)
#undef X
};

/* When a dataset exists. Besides, no dataset with an empty axis exists. */
enum ko_cube_when {
    KO_WHEN_ALWAYS,
    KO_WHEN_FOILS = 1,
    KO_WHEN_SWEEP = 2,
    KO_WHEN_EVALUATION = 4,
    KO_WHEN_SHARD = 8,
    KO_WHEN_REUSED = 16,
    KO_WHEN_APPENDED = 32,
    KO_WHEN_VACUOUS = 64,
    KO_WHEN_OVER = 128,
    KO_WHEN_STYLED = 256,
    KO_WHEN_SEVERAL = 512,
    KO_WHEN_OPTIONS = 1024
};

struct ko_cube_dataset {
    const char *name;
    enum ko_cube_type type;
    enum ko_cube_axis axis[KO_CUBE_MAX_AXES];
    enum ko_cube_field field; /* what it holds */
    int when;                 /* enum ko_cube_when, or-ed */
    const char *units;        /* NULL: none */
    const char *long_name;
};

enum {
#define X(name, TYPE, axes, FIELD, when, units, long_name) +1
    KO_CUBE_N_DATASETS = 0 KO_CUBE_DATASETS(X)
#undef X
};
extern const struct ko_cube_dataset ko_cube_table[KO_CUBE_N_DATASETS];

/* The dataset of that name; NULL where the table has no such name. */
const struct ko_cube_dataset *ko_cube_find(const char *name);
const char *ko_cube_axis_name(enum ko_cube_axis axis);
int ko_cube_n_axes(const struct ko_cube_dataset *dataset);
bool ko_cube_has_axis(const struct ko_cube_dataset *dataset, enum ko_cube_axis axis);
/* Whether it holds measured values of cells or of their clean runs, [model, prompt, ...]. */
bool ko_cube_is_result(const struct ko_cube_dataset *dataset);
/* Whether it holds elements of cells: [model, prompt, routes, ...]. */
bool ko_cube_is_of_cells(const struct ko_cube_dataset *dataset);
/* Whether it is the dimension scale of its only axis. */
bool ko_cube_is_scale(const struct ko_cube_dataset *dataset);

/* The lengths of the axes of one cube. */
struct ko_cube_lengths {
    hsize_t n[KO_CUBE_N_AXES];
    bool evaluation, foils;
    bool several; /* a fact has several right answers or options */
    /* the scoring rule is `first-text`: an answer's first tokens may be appended to prompts */
    bool appended;
    bool shard;  /* the file of a shard */
    bool over;   /* windows do not count every layer (`windows.over`) */
    bool styled; /* windows have another style than `whole` */
    /* the cube marks vacuous cells that share a status with others (ko_plan_mixes_vacuous) */
    bool vacuous;
    /* the cube marks cells that were taken from an earlier cube; does not follow from the plan */
    bool reused;
    /* this is the group `whole` of a shard: the whole cube without results and runs */
    bool outline;
};
/* The group of a shard's file that outlines the whole cube. */
#define KO_CUBE_WHOLE "whole"
/* Sets the lengths that follow from a plan; label_length and spec_byte stay 0. */
void ko_cube_lengths_of_plan(const struct ko_plan *plan, struct ko_cube_lengths *lengths);
/* The same for the group `whole` of a shard's file. */
void ko_cube_lengths_of_outline(const struct ko_plan *whole, struct ko_cube_lengths *lengths);
/* Whether the dataset exists in a cube of these lengths. */
bool ko_cube_present(const struct ko_cube_dataset *dataset, const struct ko_cube_lengths *lengths);
/* Multiplies the lengths of the axes from number `first` on (0: of all axes). KO_E_INPUT where the
   product is too large. */
KO_MUST_CHECK enum ko_code ko_cube_n_elements(const struct ko_cube_dataset *dataset,
                                              const struct ko_cube_lengths *lengths, int first,
                                              size_t *n, struct ko_error *err);

/* The type in the file, which is also the type in memory. The caller closes it; negative on
   failure. */
hid_t ko_cube_new_type(enum ko_cube_type type);
/* Frees the strings that H5Dread allocated in values [n] and clears them; does nothing for other
   types. */
void ko_cube_free_values(enum ko_cube_type type, void *values, size_t n);
/* Bytes of one element in memory. */
size_t ko_cube_type_bytes(enum ko_cube_type type);

#endif
