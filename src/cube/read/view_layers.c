/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of a cube's models: which mixers they have, and which of them windows count. */
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/read/view.h"

static const int32_t *counted_of(const struct ko_cube_axes *axes, int32_t model)
{
    return axes->counted + (size_t)model * (size_t)axes->n_layer_axis;
}

/* Counted layers ascend up to the first -1, and the model has each of them. */
static enum ko_code check_counted(const struct ko_cube_view *view, int32_t model,
                                  struct ko_error *err)
{
    const int32_t *counted = counted_of(&view->axes, model);
    int32_t least = 0;

    for (int32_t k = 0; k < view->axes.n_layer_axis; k++) {
        if (counted[k] < 0) {
            least = INT32_MAX;
        } else if (counted[k] < least || counted[k] >= view->axes.n_layers[model]) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: dataset 'counted_layer': expected the layers of %s in ascending "
                           "order, then -1, file has %d at place %d",
                           view->path, view->axes.model.item[model], counted[k], k);
        } else {
            least = counted[k] + 1;
        }
    }
    return KO_OK;
}

static enum ko_code read_counted(struct ko_cube_view *view, size_t n, struct ko_error *err)
{
    struct ko_cube_axes *axes = &view->axes;

    axes->counted = ko_new(n, sizeof *axes->counted, err);
    enum ko_code code = axes->counted
                            ? ko_cube_view_transfer(view, "counted_layer", 0, axes->model.n,
                                                    H5T_NATIVE_INT32, axes->counted, err)
                            : KO_E_MEMORY;
    for (size_t m = 0; code == KO_OK && m < axes->model.n; m++) {
        code = check_counted(view, (int32_t)m, err);
    }
    return code;
}

/* Cubes without the attribute count every layer. The outline of a shard never has it. */
static enum ko_code read_over(struct ko_cube_view *view, struct ko_error *err)
{
    const char *word = ko_cube_view_attribute(view, "windows_over");
    size_t over = KO_OVER_LAYERS;

    while (word && over < KO_N_OVERS && strcmp(word, ko_over_words[over]) != 0) {
        over++;
    }
    if (over == KO_N_OVERS ||
        (!view->lengths.outline && view->lengths.over != (over != KO_OVER_LAYERS))) {
        return ko_fail(err, KO_E_INPUT, "%s: attribute windows_over is '%s', expected %s",
                       view->path, word ? word : "",
                       view->lengths.over ? "mixers, attention or ssm, because the cube has a "
                                            "dataset 'counted_layer'"
                                          : "layers, because the cube has no dataset "
                                            "'counted_layer'");
    }
    view->axes.over = (enum ko_over)over;
    return KO_OK;
}

enum ko_code ko_cube_view_read_layers(struct ko_cube_view *view, struct ko_error *err)
{
    struct ko_cube_axes *axes = &view->axes;
    size_t n = 0;
    enum ko_code code = read_over(view, err);

    axes->n_layer_axis = (int32_t)view->lengths.n[KO_AXIS_LAYER];
    if (code == KO_OK) {
        code =
            ko_multiply(axes->model.n, (size_t)axes->n_layer_axis, &n, "layers of all models", err);
    }
    for (size_t m = 0; code == KO_OK && n > 0 && m < axes->model.n; m++) {
        if (axes->n_layers[m] > axes->n_layer_axis) {
            code = ko_fail(err, KO_E_INPUT,
                           "%s: dataset 'n_layers': expected at most %d layers, the length of the "
                           "axis 'layer', file has %d",
                           view->path, axes->n_layer_axis, axes->n_layers[m]);
        }
    }
    if (code == KO_OK && ko_cube_view_has(view, "layer_mixers")) {
        axes->mixers = ko_new(n, 1, err);
        code = axes->mixers ? ko_cube_view_transfer(view, "layer_mixers", 0, axes->model.n,
                                                    H5T_NATIVE_UINT8, axes->mixers, err)
                            : KO_E_MEMORY;
    }
    if (code == KO_OK && ko_cube_view_has(view, "counted_layer")) {
        code = read_counted(view, n, err);
    }
    return code == KO_OK ? ko_cube_view_read_windows(view, err) : code;
}

int32_t ko_cube_n_counted(const struct ko_cube_axes *axes, int32_t model)
{
    int32_t n = 0;

    if (!axes->counted) {
        return axes->n_layers[model];
    }
    while (n < axes->n_layer_axis && counted_of(axes, model)[n] >= 0) {
        n++;
    }
    return n;
}
