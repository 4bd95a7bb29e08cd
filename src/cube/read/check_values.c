/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the numbers in a cube that later code uses as indices, lengths or codes: each must lie in
   the range of its field. */
#include <limits.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/cube/format/check.h"
#include "src/cube/read/view.h"
#include "src/forward/record.h"

enum { SLAB_BYTES = 8 << 20 };

/* Where the upper limit of a field comes from. */
enum bound { FIXED, LENGTH_OF_POSITIONS, LENGTH_OF_EVAL_PROMPTS, LENGTH_OF_LAYERS };

/* The numbers of a field lie between low and high. Where high is the length of an axis, it is
   excluded unless `past`. */
static const struct range {
    enum ko_cube_field field;
    int64_t low;
    enum bound bound;
    int64_t high; /* FIXED */
    bool past;    /* the length itself is allowed: the number is an end */
} ranges[] = {
    {KO_FIELD_INDEX, 0, FIXED, INT32_MAX, true}, /* and each equals its place */
    {KO_FIELD_WINDOW, 0, FIXED, KO_CUBE_MAX_LAYERS, true},
    {KO_FIELD_N_LAYERS, 1, FIXED, KO_CUBE_MAX_LAYERS, true},
    {KO_FIELD_MIXERS, 0, FIXED, KO_MIXER_EVERY, true},
    {KO_FIELD_COUNTED, -1, LENGTH_OF_LAYERS, 0, false}, /* and each row ascends */
    {KO_FIELD_EVAL_INDEX, 0, LENGTH_OF_EVAL_PROMPTS, 0, false},
    {KO_FIELD_WHOLE_INDEX, 0, FIXED, INT32_MAX, true},
    {KO_FIELD_SELECTED, 0, FIXED, 1, true},
    {KO_FIELD_WINDOW_LAYER, 0, FIXED, 1, true},
    {KO_FIELD_REUSED, 0, FIXED, 1, true},
    {KO_FIELD_STATUS, KO_NOT_PLANNED, FIXED, KO_CELL_FAILED, true},
    {KO_FIELD_REASON, 0, FIXED, UINT8_MAX, true}, /* and the code is known */
    {KO_FIELD_N_TOKENS, -1, LENGTH_OF_POSITIONS, 0, true},
    {KO_FIELD_N_APPENDED, -1, LENGTH_OF_POSITIONS, 0, false},
    {KO_FIELD_SUBJECT_BEGIN, -1, LENGTH_OF_POSITIONS, 0, true},
    {KO_FIELD_SUBJECT_END, -1, LENGTH_OF_POSITIONS, 0, true},
    {KO_FIELD_TARGET_ID, -1, FIXED, INT32_MAX, true},
    {KO_FIELD_ANSWER_ID, -1, FIXED, INT32_MAX, true},
    {KO_FIELD_FOIL_ID, -1, FIXED, INT32_MAX, true},
    {KO_FIELD_TOKEN_ID, -1, FIXED, INT32_MAX, true},
    {KO_FIELD_TARGET_RANK, -1, FIXED, INT32_MAX, true},
    {KO_FIELD_TOP1_ID, -1, FIXED, INT32_MAX, true},
    {KO_FIELD_ANSWER_RANK, -1, FIXED, INT32_MAX, true},
    {KO_FIELD_OPTION_RANK, -1, FIXED, INT32_MAX, true},
    {KO_FIELD_CORRECT, -1, FIXED, 1, true},
};

static const struct range *range_of(const struct ko_cube_dataset *dataset)
{
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (ranges[i].field == dataset->field) {
            return &ranges[i];
        }
    }
    return NULL;
}

/* Ranks and first tokens of cells are results: any number can be printed, and there are too many to
   check at every opening. */
static bool is_looked_at(const struct ko_cube_dataset *dataset)
{
    const bool of_cells = ko_cube_has_axis(dataset, KO_AXIS_WINDOW_START);

    return range_of(dataset) && !(of_cells && dataset->field < KO_FIELD_STATUS);
}

static int64_t greatest_value(const struct range *range, const struct ko_cube_dataset *dataset,
                              const struct ko_cube_lengths *lengths)
{
    static const enum ko_cube_axis axes[] = {[LENGTH_OF_POSITIONS] = KO_AXIS_POSITION,
                                             [LENGTH_OF_EVAL_PROMPTS] = KO_AXIS_EVAL_PROMPT,
                                             [LENGTH_OF_LAYERS] = KO_AXIS_LAYER};
    const enum ko_cube_axis axis = axes[range->bound];

    /* A clean run of an evaluation is never vacuous or failed. */
    if (dataset->field == KO_FIELD_STATUS && ko_cube_has_axis(dataset, KO_AXIS_EVAL_PROMPT)) {
        return KO_DONE;
    }
    if (range->bound == FIXED) {
        return range->high;
    }
    return (int64_t)lengths->n[axis] - !range->past;
}

/* Windows of another style than `whole` may have no size. */
static int64_t least_value(const struct range *range, const struct ko_cube_dataset *dataset,
                           const struct ko_cube_lengths *lengths)
{
    const bool size = dataset->field == KO_FIELD_WINDOW && dataset->axis[0] == KO_AXIS_WINDOW_SIZE;

    return size && !lengths->styled ? 1 : range->low;
}

static bool is_known_reason(int64_t value)
{
    static const int known[] = {
#define X(name, number, sentence) number,
        KO_REASONS(X) KO_FAILURES(X)
#undef X
    };

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i] == value) {
            return true;
        }
    }
    return false;
}

/* Some rows of a dataset in memory. */
struct slab {
    const struct ko_cube_view *view;
    const struct ko_cube_dataset *dataset;
    void *values;
    size_t first, n; /* elements */
};

static enum ko_code check_slab(const struct slab *slab, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = slab->dataset;
    const struct range *range = range_of(dataset);
    int64_t low = least_value(range, dataset, &slab->view->lengths);
    int64_t high = greatest_value(range, dataset, &slab->view->lengths);
    const uint8_t *byte = slab->values;
    const int32_t *whole = slab->values;

    for (size_t i = 0; i < slab->n; i++) {
        const int64_t value = dataset->type == KO_TYPE_UINT8 ? byte[i] : whole[i];
        if (dataset->field == KO_FIELD_INDEX) {
            low = high = (int64_t)(slab->first + i);
        }
        if (value < low || value > high) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: dataset '%s': value %zu: expected %lld to %lld, file has %lld",
                           slab->view->path, dataset->name, slab->first + i, (long long)low,
                           (long long)high, (long long)value);
        }
        if (dataset->field == KO_FIELD_REASON && !is_known_reason(value)) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: dataset '%s': value %zu: expected a reason that this program "
                           "knows, file has %lld",
                           slab->view->path, dataset->name, slab->first + i, (long long)value);
        }
    }
    return KO_OK;
}

static enum ko_code check_dataset(const struct ko_cube_view *view,
                                  const struct ko_cube_dataset *dataset, struct ko_error *err)
{
    const size_t each = ko_cube_type_bytes(dataset->type);
    const hsize_t n_rows = view->lengths.n[dataset->axis[0]];
    struct slab slab = {.view = view, .dataset = dataset};
    size_t row = 0, bytes = 0;
    enum ko_code code = ko_cube_n_elements(dataset, &view->lengths, 1, &row, err);

    if (code == KO_OK) {
        code = ko_multiply(row, each, &bytes, dataset->name, err);
    }
    if (code != KO_OK) {
        return code;
    }
    hsize_t most = bytes < SLAB_BYTES ? SLAB_BYTES / bytes : 1;
    most = most < n_rows ? most : n_rows;
    slab.values = ko_new((size_t)most, bytes, err);
    if (!slab.values) {
        return KO_E_MEMORY;
    }
    for (hsize_t first = 0, n; first < n_rows && code == KO_OK; first += n) {
        n = n_rows - first < most ? n_rows - first : most;
        slab.first = (size_t)first * row;
        slab.n = (size_t)n * row;
        code = ko_cube_view_transfer(
            view, dataset->name, first, n,
            dataset->type == KO_TYPE_UINT8 ? H5T_NATIVE_UINT8 : H5T_NATIVE_INT32, slab.values, err);
        if (code == KO_OK) {
            code = check_slab(&slab, err);
        }
    }
    free(slab.values);
    return code;
}

enum ko_code ko_cube_check_values(const struct ko_cube_view *view, struct ko_error *err)
{
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        if (ko_cube_present(&ko_cube_table[i], &view->lengths) && is_looked_at(&ko_cube_table[i])) {
            code = check_dataset(view, &ko_cube_table[i], err);
        }
    }
    return code;
}
