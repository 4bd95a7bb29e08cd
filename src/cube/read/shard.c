/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a shard's file with the outline of the whole cube in it, and checks that the shard's axes
   are parts of the outline's. */
#include "src/cube/read/shard.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/format/check.h"
#include "src/cube/format/hdf5_check.h"

enum ko_code ko_cube_view_open_outline(const struct ko_cube_view *shard, struct ko_cube_view **out,
                                       struct ko_error *err)
{
    struct ko_cube_view *view = ko_new(1, sizeof *view, err);
    enum ko_code code = KO_OK;

    if (!view) {
        return KO_E_MEMORY;
    }
    view->lengths = (struct ko_cube_lengths){.foils = shard->lengths.foils,
                                             .several = shard->lengths.several,
                                             .appended = shard->lengths.appended,
                                             .outline = true};
    view->file = H5I_INVALID_HID;
    view->path = ko_copy(shard->path, err);
    if (!view->path) {
        code = KO_E_MEMORY;
    }
    if (code == KO_OK && H5Lexists(shard->file, KO_CUBE_WHOLE, H5P_DEFAULT) == 0) {
        code = ko_fail(err, KO_E_INPUT, "%s: has no group '%s', compute the shard again",
                       shard->path, KO_CUBE_WHOLE);
    }
    if (code == KO_OK) {
        code = ko_cube_open_object(shard->file, shard->path, KO_CUBE_WHOLE, H5I_GROUP, &view->file,
                                   err);
    }
    if (code == KO_OK) {
        view->lengths.vacuous = H5Lexists(view->file, "vacuous", H5P_DEFAULT) > 0 ||
                                H5Lexists(view->file, "heat_vacuous", H5P_DEFAULT) > 0;
        view->lengths.over = H5Lexists(view->file, "counted_layer", H5P_DEFAULT) > 0;
        view->lengths.styled = H5Lexists(view->file, "window_layer", H5P_DEFAULT) > 0;
        code = ko_cube_view_read_attributes(view, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_content(view, err);
    }
    if (code == KO_OK) {
        *out = view;
    } else {
        ko_cube_view_close(view);
    }
    return code;
}

static const struct ko_strings *labels_of(const struct ko_cube_view *view, enum ko_cube_axis axis)
{
    const struct ko_cube_axes *axes = &view->axes;

    switch (axis) {
    case KO_AXIS_MODEL:
        return &axes->model;
    case KO_AXIS_PROMPT:
        return &axes->prompt;
    case KO_AXIS_HEAT_PROMPT:
        return &axes->heat_prompt;
    case KO_AXIS_EVAL_PROMPT:
        return &axes->eval_prompt;
    case KO_AXIS_ROUTE:
        return &axes->route;
    case KO_AXIS_HEAT_ROUTE:
        return &axes->heat_route;
    default:
        return &axes->feature_class;
    }
}

static enum ko_code wrong_axis(const struct ko_cube_shard *shard, const char *axis,
                               struct ko_error *err)
{
    return ko_fail(err, KO_E_INPUT,
                   "%s: axis '%s' does not lie on that of the group '%s', compute the shard again",
                   shard->view->path, axis, KO_CUBE_WHOLE);
}

/* Reads where the shard's part of an axis lies on the whole axis: indices ascend, labels agree. */
static enum ko_code read_index(struct ko_cube_shard *shard, enum ko_cube_axis axis,
                               const char *dataset, struct ko_error *err)
{
    const struct ko_strings *part = labels_of(shard->view, axis),
                            *all = labels_of(shard->whole, axis);
    enum ko_code code = KO_OK;

    if (part->n == 0) {
        return KO_OK;
    }
    int32_t *index = shard->index[axis] = ko_new(part->n, sizeof *index, err);
    if (!index) {
        return KO_E_MEMORY;
    }
    code = ko_cube_view_transfer(shard->view, dataset, 0, (hsize_t)part->n, H5T_NATIVE_INT32, index,
                                 err);
    for (size_t i = 0; i < part->n && code == KO_OK; i++) {
        if (index[i] < 0 || (size_t)index[i] >= all->n || (i > 0 && index[i] <= index[i - 1]) ||
            strcmp(part->item[i], all->item[index[i]]) != 0) {
            code = wrong_axis(shard, ko_cube_axis_name(axis), err);
        }
    }
    return code;
}

static enum ko_code same_labels(const struct ko_cube_shard *shard, enum ko_cube_axis axis,
                                struct ko_error *err)
{
    const struct ko_strings *here = labels_of(shard->view, axis),
                            *there = labels_of(shard->whole, axis);

    if (here->n != there->n) {
        return wrong_axis(shard, ko_cube_axis_name(axis), err);
    }
    for (size_t i = 0; i < here->n; i++) {
        if (strcmp(here->item[i], there->item[i]) != 0) {
            return wrong_axis(shard, ko_cube_axis_name(axis), err);
        }
    }
    return KO_OK;
}

static bool same_layers(const int32_t *here, int32_t n_here, const int32_t *there, int32_t n_there)
{
    return n_here == n_there &&
           (n_here == 0 || memcmp(here, there, (size_t)n_here * sizeof *here) == 0);
}

/* Checks the axes that a shard has whole. */
static enum ko_code check_axes(const struct ko_cube_shard *shard, struct ko_error *err)
{
    static const enum ko_cube_axis axis[] = {KO_AXIS_EVAL_PROMPT, KO_AXIS_ROUTE, KO_AXIS_HEAT_ROUTE,
                                             KO_AXIS_FEATURE_CLASS};
    static const enum ko_cube_axis plain[] = {KO_AXIS_POSITION, KO_AXIS_SOURCE_POSITION};
    const struct ko_cube_axes *here = &shard->view->axes, *there = &shard->whole->axes;
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < sizeof axis / sizeof *axis && code == KO_OK; i++) {
        code = same_labels(shard, axis[i], err);
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain && code == KO_OK; i++) {
        if (shard->view->lengths.n[plain[i]] != shard->whole->lengths.n[plain[i]]) {
            code = wrong_axis(shard, ko_cube_axis_name(plain[i]), err);
        }
    }
    if (code == KO_OK &&
        !same_layers(here->window_size, here->n_sizes, there->window_size, there->n_sizes)) {
        code = wrong_axis(shard, "window_size", err);
    }
    if (code == KO_OK &&
        !same_layers(here->window_start, here->n_starts, there->window_start, there->n_starts)) {
        code = wrong_axis(shard, "window_start", err);
    }
    return code;
}

static enum ko_code read_identity(struct ko_cube_shard *shard, struct ko_error *err)
{
    const char *path = shard->view->path;
    const char *text = ko_cube_view_attribute(shard->view, "shard");
    enum ko_code code;

    if (ko_cube_view_is_evaluation(shard->view) || !text) {
        return ko_fail(err, KO_E_INPUT, "%s: is not a shard, give files that run --shard wrote",
                       path);
    }
    code = ko_shard_parse(text, path, &shard->shard, err);
    if (code == KO_E_MEMORY) {
        return code;
    }
    if (code != KO_OK) {
        return ko_fail(err, KO_E_INPUT, "%s: attribute shard is '%.100s', expected K/N", path,
                       text);
    }
    shard->plan_hash = ko_cube_view_attribute(shard->view, "plan_hash");
    if (!shard->plan_hash || strlen(shard->plan_hash) != KO_CUBE_HASH_LENGTH) {
        return ko_fail(err, KO_E_INPUT, "%s: attribute plan_hash does not have %d digits", path,
                       KO_CUBE_HASH_LENGTH);
    }
    return KO_OK;
}

enum ko_code ko_cube_shard_open(const char *path, struct ko_cube_shard *out, struct ko_error *err)
{
    struct ko_cube_shard shard = {0};
    enum ko_code code = ko_cube_view_open(path, &shard.view, err);

    if (code == KO_OK) {
        code = read_identity(&shard, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_open_outline(shard.view, &shard.whole, err);
    }
    if (code == KO_OK) {
        code = read_index(&shard, KO_AXIS_MODEL, "model_whole_index", err);
    }
    if (code == KO_OK) {
        code = read_index(&shard, KO_AXIS_PROMPT, "prompt_whole_index", err);
    }
    if (code == KO_OK) {
        code = read_index(&shard, KO_AXIS_HEAT_PROMPT, "heat_prompt_whole_index", err);
    }
    if (code == KO_OK) {
        code = check_axes(&shard, err);
    }
    if (code == KO_OK) {
        *out = shard;
    } else {
        ko_cube_shard_close(&shard);
    }
    return code;
}

void ko_cube_shard_close(struct ko_cube_shard *shard)
{
    for (size_t i = 0; i < KO_CUBE_N_AXES; i++) {
        free(shard->index[i]);
    }
    ko_cube_view_close(shard->whole);
    ko_cube_view_close(shard->view);
    *shard = (struct ko_cube_shard){0};
}
