/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the cube's datasets, and small functions that read it: which datasets a cube has,
   how long their axes are, and their HDF5 types. */
#include "src/cube/format/datasets.h"

#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/cube/format/hdf5_check.h"

const struct ko_cube_dataset ko_cube_table[KO_CUBE_N_DATASETS] = {
#define LIST(...)                                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define X(name, TYPE, axes, FIELD, when, units, long_name)                                         \
    {name, KO_TYPE_##TYPE, LIST axes, KO_FIELD_##FIELD, when, units, long_name},
    KO_CUBE_DATASETS(X)
#undef X
#undef LIST
};

const struct ko_cube_dataset *ko_cube_find(const char *name)
{
    for (size_t i = 0; i < KO_CUBE_N_DATASETS; i++) {
        if (strcmp(ko_cube_table[i].name, name) == 0) {
            return &ko_cube_table[i];
        }
    }
    return NULL;
}

const char *ko_cube_axis_name(enum ko_cube_axis axis)
{
    static const char *const name[KO_CUBE_N_AXES] = {"",
#define X(ID, text) text,
                                                     KO_CUBE_AXES(X)
#undef X
    };

    return name[axis];
}

int ko_cube_n_axes(const struct ko_cube_dataset *dataset)
{
    int n = 0;

    while (n < KO_CUBE_MAX_AXES && dataset->axis[n] != KO_AXIS_NONE) {
        n++;
    }
    return n;
}

bool ko_cube_has_axis(const struct ko_cube_dataset *dataset, enum ko_cube_axis axis)
{
    for (int i = 0; i < ko_cube_n_axes(dataset); i++) {
        if (dataset->axis[i] == axis) {
            return true;
        }
    }
    return false;
}

bool ko_cube_is_result(const struct ko_cube_dataset *dataset)
{
    return dataset->field < KO_FIELD_STATUS && !ko_cube_has_axis(dataset, KO_AXIS_EVAL_PROMPT);
}

bool ko_cube_is_of_cells(const struct ko_cube_dataset *dataset)
{
    return dataset->axis[2] == KO_AXIS_ROUTE || dataset->axis[2] == KO_AXIS_HEAT_ROUTE;
}

bool ko_cube_is_scale(const struct ko_cube_dataset *dataset)
{
    return strcmp(dataset->name, ko_cube_axis_name(dataset->axis[0])) == 0;
}

void ko_cube_lengths_of_plan(const struct ko_plan *plan, struct ko_cube_lengths *lengths)
{
    bool sweep = plan->kind == KO_PLAN_SWEEP;
    int32_t positions = plan->n_positions, layers = 0;

    if (sweep && positions < plan->n_source_positions) {
        positions = plan->n_source_positions;
    }
    for (int32_t m = 0; m < plan->n_models; m++) {
        layers = plan->model[m].n_layers > layers ? plan->model[m].n_layers : layers;
    }
    *lengths = (struct ko_cube_lengths){.evaluation = !sweep,
                                        .foils = plan->has_foils,
                                        .several = plan->n_choices > 0,
                                        .appended = plan->score == KO_SCORE_FIRST_TEXT,
                                        .vacuous = ko_plan_mixes_vacuous(plan),
                                        .over = plan->over != KO_OVER_LAYERS,
                                        .styled = plan->style != KO_STYLE_WHOLE,
                                        .shard = plan->shard.of > 0};
    hsize_t *n = lengths->n;
    n[KO_AXIS_MODEL] = (hsize_t)plan->n_models;
    n[KO_AXIS_EVAL_PROMPT] = (hsize_t)plan->n_facts;
    n[KO_AXIS_POSITION] = (hsize_t)positions;
    n[KO_AXIS_ANSWER_TOKEN] = (hsize_t)plan->n_answer_tokens;
    n[KO_AXIS_OPTION] = (hsize_t)plan->n_options;
    n[KO_AXIS_HASH_LENGTH] = KO_CUBE_HASH_LENGTH;
    n[KO_AXIS_RUN] = KO_CUBE_RUNS;
    n[KO_AXIS_RUN_LOG_BYTE] = KO_CUBE_LOG_BYTES;
    if (!sweep) {
        return;
    }
    n[KO_AXIS_SWEEP_BLOCK] = (hsize_t)plan->n_blocks;
    n[KO_AXIS_PROMPT] = (hsize_t)plan->n_prompts;
    n[KO_AXIS_HEAT_PROMPT] = (hsize_t)plan->n_heat_prompts;
    n[KO_AXIS_ROUTE] = (hsize_t)plan->n_mean_routes;
    n[KO_AXIS_HEAT_ROUTE] = (hsize_t)plan->n_heat_routes;
    n[KO_AXIS_FEATURE_CLASS] = (hsize_t)plan->n_classes;
    n[KO_AXIS_WINDOW_SIZE] = (hsize_t)plan->n_sizes;
    n[KO_AXIS_WINDOW_START] = (hsize_t)plan->n_starts;
    n[KO_AXIS_SOURCE_POSITION] = (hsize_t)plan->n_source_positions;
    n[KO_AXIS_LAYER] = (hsize_t)layers;
    n[KO_AXIS_MEAN_VALUE] = (hsize_t)ko_plan_most_mean_values(plan);
}

void ko_cube_lengths_of_outline(const struct ko_plan *whole, struct ko_cube_lengths *lengths)
{
    ko_cube_lengths_of_plan(whole, lengths);
    lengths->outline = true;
    lengths->n[KO_AXIS_RUN] = lengths->n[KO_AXIS_RUN_LOG_BYTE] = 0;
}

bool ko_cube_present(const struct ko_cube_dataset *dataset, const struct ko_cube_lengths *lengths)
{
    for (int i = 0; i < ko_cube_n_axes(dataset); i++) {
        if (lengths->n[dataset->axis[i]] == 0) {
            return false;
        }
    }
    if (lengths->outline && ko_cube_is_result(dataset)) {
        return false;
    }
    return !((dataset->when & KO_WHEN_SHARD) && !lengths->shard) &&
           !((dataset->when & KO_WHEN_FOILS) && !lengths->foils) &&
           !((dataset->when & KO_WHEN_SEVERAL) && !lengths->several) &&
           !((dataset->when & KO_WHEN_OPTIONS) && lengths->n[KO_AXIS_OPTION] == 0) &&
           !((dataset->when & KO_WHEN_REUSED) && !lengths->reused) &&
           !((dataset->when & KO_WHEN_APPENDED) && !lengths->appended) &&
           !((dataset->when & KO_WHEN_VACUOUS) && !lengths->vacuous) &&
           !((dataset->when & KO_WHEN_OVER) && !lengths->over) &&
           !((dataset->when & KO_WHEN_STYLED) && !lengths->styled) &&
           !((dataset->when & KO_WHEN_SWEEP) && lengths->evaluation) &&
           !((dataset->when & KO_WHEN_EVALUATION) && !lengths->evaluation);
}

enum ko_code ko_cube_n_elements(const struct ko_cube_dataset *dataset,
                                const struct ko_cube_lengths *lengths, int first, size_t *n,
                                struct ko_error *err)
{
    enum ko_code code = KO_OK;

    *n = 1;
    for (int i = first; i < ko_cube_n_axes(dataset) && code == KO_OK; i++) {
        code = ko_multiply(*n, (size_t)lengths->n[dataset->axis[i]], n, dataset->name, err);
    }
    return code;
}

static hid_t base_type(enum ko_cube_type type)
{
    switch (type) {
    case KO_TYPE_FLOAT:
        return H5T_NATIVE_FLOAT;
    case KO_TYPE_DOUBLE:
        return H5T_NATIVE_DOUBLE;
    case KO_TYPE_INT:
        return H5T_NATIVE_INT32;
    case KO_TYPE_UINT8:
        return H5T_NATIVE_UINT8;
    default:
        return H5T_C_S1;
    }
}

hid_t ko_cube_new_type(enum ko_cube_type type)
{
    enum ko_code code = KO_OK;
    hid_t id = H5Tcopy(base_type(type));

    if (id < 0) {
        return id;
    }
    if (type == KO_TYPE_CHAR && H5Tset_strpad(id, H5T_STR_NULLPAD) < 0) {
        code = KO_E_FAILED;
    }
    if (type == KO_TYPE_STRING &&
        (H5Tset_size(id, H5T_VARIABLE) < 0 || H5Tset_cset(id, H5T_CSET_UTF8) < 0)) {
        code = KO_E_FAILED;
    }
    if (code == KO_OK) {
        return id;
    }
    ko_hdf5_close(id, &code, "", NULL);
    return H5I_INVALID_HID;
}

void ko_cube_free_values(enum ko_cube_type type, void *values, size_t n)
{
    char **item = values;

    for (size_t i = 0; type == KO_TYPE_STRING && i < n; i++) {
        if (item[i]) {
            (void)H5free_memory(item[i]);
            item[i] = NULL;
        }
    }
}

size_t ko_cube_type_bytes(enum ko_cube_type type)
{
    switch (type) {
    case KO_TYPE_FLOAT:
        return sizeof(float);
    case KO_TYPE_DOUBLE:
        return sizeof(double);
    case KO_TYPE_INT:
        return sizeof(int32_t);
    case KO_TYPE_STRING:
        return sizeof(char *);
    default:
        return 1;
    }
}
