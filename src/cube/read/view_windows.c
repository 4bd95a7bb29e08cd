/* SPDX-License-Identifier: Apache-2.0 */
/* The windows of a cube: their style, and which layers each has. */
#include <math.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/read/view.h"

/* Cubes without the attribute have whole windows. The outline of a shard never has it, so its style
   is only known to be another one where it has the layers. */
static enum ko_code read_style(struct ko_cube_view *view, struct ko_error *err)
{
    const char *word = ko_cube_view_attribute(view, "windows_style");
    size_t style = KO_STYLE_WHOLE;

    while (word && style < KO_N_STYLES && strcmp(word, ko_style_words[style]) != 0) {
        style++;
    }
    if (view->lengths.outline) {
        style = view->lengths.styled ? KO_STYLE_LISTED : KO_STYLE_WHOLE;
    }
    if (style == KO_N_STYLES || view->lengths.styled != (style != KO_STYLE_WHOLE)) {
        return ko_fail(err, KO_E_INPUT, "%s: attribute windows_style is '%s', expected %s",
                       view->path, word ? word : "",
                       view->lengths.styled
                           ? "another style than whole, because the cube has a dataset "
                             "'window_layer'"
                           : "whole, because the cube has no dataset 'window_layer'");
    }
    view->axes.style = (enum ko_style)style;
    return KO_OK;
}

enum ko_code ko_cube_view_read_windows(struct ko_cube_view *view, struct ko_error *err)
{
    struct ko_cube_axes *axes = &view->axes;
    size_t n = 0, n_layers = 0;
    enum ko_code code = read_style(view, err);

    if (code != KO_OK || !view->lengths.styled) {
        return code;
    }
    code = ko_multiply((size_t)axes->n_sizes, (size_t)axes->n_starts, &n, "windows", err);
    if (code == KO_OK) {
        code = ko_multiply(axes->model.n, n, &n, "windows of all models", err);
    }
    if (code == KO_OK) {
        code = ko_multiply(n, (size_t)axes->n_layer_axis, &n_layers, "layers of windows", err);
    }
    if (code != KO_OK) {
        return code;
    }
    axes->window_layer = ko_new(n_layers, 1, err);
    axes->depth = ko_new(n, sizeof *axes->depth, err);
    if (!axes->window_layer || !axes->depth) {
        return KO_E_MEMORY;
    }
    code = ko_cube_view_transfer(view, "window_layer", 0, axes->model.n, H5T_NATIVE_UINT8,
                                 axes->window_layer, err);
    return code == KO_OK ? ko_cube_view_transfer(view, "depth", 0, axes->model.n, H5T_NATIVE_DOUBLE,
                                                 axes->depth, err)
                         : code;
}

/* The number of a styled window in the arrays of all models; -1: the cube has no such window. */
static int64_t find_window(const struct ko_cube_axes *axes, int32_t model, int32_t size,
                           int32_t start)
{
    int32_t i = 0, k = 0;

    while (i < axes->n_sizes && axes->window_size[i] != size) {
        i++;
    }
    while (k < axes->n_starts && axes->window_start[k] != start) {
        k++;
    }
    return i < axes->n_sizes && k < axes->n_starts
               ? ((int64_t)model * axes->n_sizes + i) * axes->n_starts + k
               : -1;
}

/* The layers [n_layer_axis] of a styled window; NULL: the cube has no such window. */
static const uint8_t *find_layers(const struct ko_cube_axes *axes, int32_t model, int32_t size,
                                  int32_t start)
{
    const int64_t window = find_window(axes, model, size, start);

    return window < 0 ? NULL : axes->window_layer + window * axes->n_layer_axis;
}

static struct ko_layer_range whole_window(const struct ko_cube_axes *axes, int32_t model,
                                          int32_t size, int32_t start)
{
    const int32_t *counted =
        axes->counted ? axes->counted + (size_t)model * (size_t)axes->n_layer_axis : NULL;

    if (size < 1 || start > ko_cube_n_counted(axes, model) - size) {
        return (struct ko_layer_range){0, 0};
    }
    const int32_t last = start + size - 1;
    return counted ? (struct ko_layer_range){counted[start], counted[last] + 1}
                   : (struct ko_layer_range){start, last + 1};
}

struct ko_layer_range ko_cube_window(const struct ko_cube_axes *axes, int32_t model, int32_t size,
                                     int32_t start)
{
    struct ko_layer_range range = {0, 0};

    if (axes->style == KO_STYLE_WHOLE) {
        return whole_window(axes, model, size, start);
    }
    const uint8_t *layers = find_layers(axes, model, size, start);
    for (int32_t l = 0; layers && l < axes->n_layers[model]; l++) {
        if (layers[l]) {
            range.begin = range.end == 0 ? l : range.begin;
            range.end = l + 1;
        }
    }
    return range;
}

bool ko_cube_window_has(const struct ko_cube_axes *axes, int32_t model, int32_t size, int32_t start,
                        int32_t layer)
{
    const struct ko_layer_range range = ko_cube_window(axes, model, size, start);

    if (layer < range.begin || layer >= range.end) {
        return false;
    }
    return axes->style == KO_STYLE_WHOLE || find_layers(axes, model, size, start)[layer];
}

double ko_cube_depth(const struct ko_cube_axes *axes, int32_t model, int32_t size, int32_t start)
{
    const struct ko_layer_range range = ko_cube_window(axes, model, size, start);

    if (range.begin == range.end) {
        return NAN;
    }
    return axes->style == KO_STYLE_WHOLE ? ko_layers_depth(axes->n_layers[model], range)
                                         : axes->depth[find_window(axes, model, size, start)];
}
