/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a cube for reading: asks the guard, opens the file, checks the format and reads axes and
   labels. */
#include "src/cube/read/view.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/content.h"
#include "src/base/memory.h"
#include "src/cube/format/check.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/read/guard.h"

static bool has_dataset(hid_t file, const char *name)
{
    return H5Lexists(file, name, H5P_DEFAULT) > 0;
}

/* Reads the lengths of the axes from their scales; 0 for an absent axis. */
static enum ko_code read_lengths(struct ko_cube_view *view, struct ko_error *err)
{
    for (int axis = KO_AXIS_NONE + 1; axis < KO_CUBE_N_AXES; axis++) {
        const enum ko_code code = ko_cube_check_axis(
            view->file, view->path, (enum ko_cube_axis)axis, &view->lengths.n[axis], err);
        if (code != KO_OK) {
            return code;
        }
    }
    if (view->lengths.n[KO_AXIS_MODEL] == 0 || view->lengths.n[KO_AXIS_EVAL_PROMPT] == 0) {
        return ko_fail(err, KO_E_INPUT, "%s: has no axis '%s', so it is not a cube of knockout",
                       view->path, view->lengths.n[KO_AXIS_MODEL] ? "eval_prompt" : "model");
    }
    return KO_OK;
}

static enum ko_code check_format(struct ko_cube_view *view, struct ko_error *err)
{
    const char *format = ko_cube_view_attribute(view, "cube_format");
    const char *kind = ko_cube_view_attribute(view, "kind");
    const char *score = ko_cube_view_attribute(view, "score");
    int64_t number = 0;

    if (!format) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: has no attribute cube_format, give a cube that knockout wrote",
                       view->path);
    }
    if (ko_parse_int(format, 1, INT64_MAX, &number, view->path, NULL) != KO_OK) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: cube_format is '%s', expected a whole number from 1 on, give a "
                       "cube that knockout wrote",
                       view->path, format);
    }
    if (number > KO_CUBE_FORMAT) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: cube_format %s is newer than %d, which this program knows, use a newer "
                       "knockout",
                       view->path, format, KO_CUBE_FORMAT);
    }
    if (!kind || (strcmp(kind, "sweep") != 0 && strcmp(kind, "evaluation") != 0)) {
        return ko_fail(err, KO_E_INPUT, "%s: attribute kind is '%s', expected sweep or evaluation",
                       view->path, kind ? kind : "");
    }
    view->lengths.evaluation = strcmp(kind, "evaluation") == 0;
    view->lengths.foils = has_dataset(view->file, "eval_prompt_foil");
    view->lengths.several = has_dataset(view->file, "eval_prompt_targets");
    view->lengths.reused =
        has_dataset(view->file, "reused") || has_dataset(view->file, "heat_reused");
    view->lengths.vacuous =
        has_dataset(view->file, "vacuous") || has_dataset(view->file, "heat_vacuous");
    view->lengths.over = has_dataset(view->file, "counted_layer");
    view->lengths.styled = has_dataset(view->file, "window_layer");
    view->lengths.appended = score && strcmp(score, ko_score_words[KO_SCORE_FIRST_TEXT]) == 0;
    view->lengths.shard = ko_cube_view_attribute(view, "shard") != NULL;
    return KO_OK;
}

static enum ko_code open_file(struct ko_cube_view *view, bool locking, struct ko_error *err)
{
    static const char signature[8] = {'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
    char found[sizeof signature] = {0};
    enum ko_code code = KO_OK;
    struct stat info;
    /* O_NONBLOCK: opening a pipe would wait for a writer. */
    int file = open(view->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (file < 0 || fstat(file, &info) != 0) {
        code = ko_fail(err, KO_E_INPUT, "%s: cannot be read: %s", view->path, strerror(errno));
        if (file >= 0) {
            (void)close(file);
        }
        return code;
    }
    ssize_t n = S_ISREG(info.st_mode) ? read(file, found, sizeof found) : 0;
    (void)close(file);
    code = ko_content_check_file(view->path, view->path, err);
    if (code != KO_OK) {
        return code;
    }
    if (n != sizeof found || memcmp(found, signature, sizeof found) != 0) {
        return ko_fail(err, KO_E_INPUT, "%s: is not an HDF5 file, give a cube that knockout wrote",
                       view->path);
    }
    hid_t access = ko_hdf5_access(locking, view->path, err);
    if (access < 0) {
        return err->code;
    }
    /* Without HDF5's sieve buffer, every read sees what a run has written since. */
    if (H5Pset_sieve_buf_size(access, 0) >= 0) {
        view->file = H5Fopen(view->path, H5F_ACC_RDONLY, access);
    }
    if (view->file < 0) {
        code = ko_hdf5_fail(err, KO_E_INPUT, "%s: cannot be opened", view->path);
    }
    ko_hdf5_close(access, &code, view->path, err);
    return code;
}

static enum ko_code read_label_axes(struct ko_cube_view *view, struct ko_error *err)
{
    struct ko_cube_axes *axes = &view->axes;
    struct {
        const char *name;
        struct ko_strings *list;
    } wanted[] = {
        {"model", &axes->model},
        {"prompt", &axes->prompt},
        {"heat_prompt", &axes->heat_prompt},
        {"eval_prompt", &axes->eval_prompt},
        {"route", &axes->route},
        {"heat_route", &axes->heat_route},
        {"feature_class", &axes->feature_class},
        {"architecture", &axes->architecture},
        {"fingerprint", &axes->fingerprint},
        {"tokenizer_fingerprint", &axes->tokenizer_fingerprint},
        {"checkpoint_path", &axes->checkpoint_path},
    };
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted && code == KO_OK; i++) {
        if (ko_cube_view_has(view, wanted[i].name)) {
            code = ko_cube_view_read_strings(view, wanted[i].name, wanted[i].list, err);
        }
    }
    return code;
}

/* Reads a whole dataset of one axis. *out stays NULL where the axis is empty. */
static enum ko_code read_numbers(const struct ko_cube_view *view, const char *name, int32_t **out,
                                 struct ko_error *err)
{
    hsize_t n = view->lengths.n[ko_cube_find(name)->axis[0]];

    if (n == 0) {
        return KO_OK;
    }
    *out = ko_new((size_t)n, sizeof **out, err);
    return *out ? ko_cube_view_transfer(view, name, 0, n, H5T_NATIVE_INT32, *out, err)
                : KO_E_MEMORY;
}

static enum ko_code read_axes(struct ko_cube_view *view, struct ko_error *err)
{
    struct ko_cube_axes *axes = &view->axes;
    enum ko_code code = read_label_axes(view, err);

    axes->n_sizes = (int32_t)view->lengths.n[KO_AXIS_WINDOW_SIZE];
    axes->n_starts = (int32_t)view->lengths.n[KO_AXIS_WINDOW_START];
    axes->n_positions = (int32_t)view->lengths.n[KO_AXIS_POSITION];
    axes->n_answer_tokens = (int32_t)view->lengths.n[KO_AXIS_ANSWER_TOKEN];
    axes->several = view->lengths.several;
    axes->n_options = (int32_t)view->lengths.n[KO_AXIS_OPTION];
    axes->n_blocks = (int32_t)view->lengths.n[KO_AXIS_SWEEP_BLOCK];
    axes->n_source_positions = (int32_t)view->lengths.n[KO_AXIS_SOURCE_POSITION];
    if (code == KO_OK) {
        code = read_numbers(view, "window_size", &axes->window_size, err);
    }
    if (code == KO_OK) {
        code = read_numbers(view, "window_start", &axes->window_start, err);
    }
    if (code == KO_OK) {
        code = read_numbers(view, "n_layers", &axes->n_layers, err);
    }
    return code == KO_OK ? ko_cube_view_read_layers(view, err) : code;
}

enum ko_code ko_cube_view_read_content(struct ko_cube_view *view, struct ko_error *err)
{
    enum ko_code code = read_lengths(view, err);

    if (code == KO_OK) {
        code = ko_cube_check_datasets(view->file, view->path, &view->lengths, err);
    }
    if (code == KO_OK) {
        code = ko_cube_check_strings(view, err);
    }
    if (code == KO_OK) {
        code = ko_cube_check_values(view, err);
    }
    return code == KO_OK ? read_axes(view, err) : code;
}

static enum ko_code open_view(const char *path, bool locking, struct ko_cube_view **out,
                              struct ko_error *err)
{
    enum ko_code code = ko_cube_guard_ask(path, err);

    if (code != KO_OK) {
        return code;
    }
    struct ko_cube_view *view = ko_new(1, sizeof *view, err);
    if (!view) {
        return KO_E_MEMORY;
    }
    ko_hdf5_quiet();
    view->file = H5I_INVALID_HID;
    view->path = ko_copy(path, err);
    if (!view->path) {
        code = KO_E_MEMORY;
    }
    if (code == KO_OK) {
        code = open_file(view, locking, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_attributes(view, err);
    }
    if (code == KO_OK) {
        code = check_format(view, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_content(view, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_spec(view, err);
    }
    if (code == KO_OK) {
        *out = view;
    } else {
        ko_cube_view_close(view);
    }
    return code;
}

enum ko_code ko_cube_view_open(const char *path, struct ko_cube_view **out, struct ko_error *err)
{
    return open_view(path, true, out, err);
}

enum ko_code ko_cube_view_look(const char *path, struct ko_cube_view **out, struct ko_error *err)
{
    return open_view(path, false, out, err);
}

void ko_cube_view_close(struct ko_cube_view *view)
{
    enum ko_code code = KO_OK;

    if (!view) {
        return;
    }
    struct ko_cube_axes *axes = &view->axes;
    struct ko_strings *lists[] = {&axes->model,           &axes->prompt,
                                  &axes->heat_prompt,     &axes->eval_prompt,
                                  &axes->route,           &axes->heat_route,
                                  &axes->feature_class,   &axes->architecture,
                                  &axes->fingerprint,     &axes->tokenizer_fingerprint,
                                  &axes->checkpoint_path, &view->attribute_name,
                                  &view->attribute_value};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        ko_strings_free(lists[i]);
    }
    free(axes->window_size);
    free(axes->window_start);
    free(axes->n_layers);
    free(axes->mixers);
    free(axes->counted);
    free(axes->window_layer);
    free(axes->depth);
    if (view->lengths.outline) {
        ko_hdf5_close(view->file, &code, view->path ? view->path : "", NULL);
    } else {
        ko_hdf5_close_file(view->file, &code, view->path ? view->path : "", NULL);
    }
    free(view->path);
    free(view);
}

bool ko_cube_view_is_evaluation(const struct ko_cube_view *view)
{
    return view->lengths.evaluation;
}

const struct ko_cube_axes *ko_cube_view_axes(const struct ko_cube_view *view)
{
    return &view->axes;
}

const char *ko_cube_view_attribute(const struct ko_cube_view *view, const char *name)
{
    ptrdiff_t index = ko_strings_find(&view->attribute_name, name);

    return index < 0 ? NULL : view->attribute_value.item[index];
}

bool ko_cube_view_has(const struct ko_cube_view *view, const char *dataset)
{
    const struct ko_cube_dataset *found = ko_cube_find(dataset);

    return found && ko_cube_present(found, &view->lengths);
}
