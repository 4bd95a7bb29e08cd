/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of a window, by the style of the plan's windows (`windows.style`, `windows.layers`). */
#include <math.h>

#include "src/plan/plan.h"

enum ko_code ko_plan_set_style(struct ko_plan *plan, enum ko_style style,
                               const struct ko_window_lists *lists, struct ko_error *err)
{
    struct ko_window_lists copy;
    const enum ko_code code = ko_window_lists_copy(lists, &copy, err);
    if (code != KO_OK) {
        return code;
    }
    ko_window_lists_free(&plan->lists);
    plan->lists = copy;
    plan->style = style;
    for (int32_t m = 0; m < plan->n_models; m++) {
        plan->model[m].style = style;
        plan->model[m].lists = &plan->lists;
    }
    return KO_OK;
}

static int32_t lesser_of(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* [begin, end) in counted layers: of a window, or of the layers that it leaves out. Empty: it does
   not fit. */
static struct ko_layer_range count_run(const struct ko_plan_model *model, int32_t size,
                                       int32_t start)
{
    static const struct ko_layer_range none = {0, 0};
    const int32_t n = ko_plan_n_counted(model);
    const bool sized = ko_style_has_sizes(model->style);
    if (start < 0 || start >= n || (sized && (size < 1 || size > n))) {
        return none;
    }
    switch (model->style) {
    case KO_STYLE_FROM:
        return (struct ko_layer_range){start, n};
    case KO_STYLE_UNTIL:
        return (struct ko_layer_range){0, start + 1};
    case KO_STYLE_CENTRED:
    case KO_STYLE_OUTSIDE_CENTRED: {
        const int32_t before = lesser_of(size / 2, start);
        return (struct ko_layer_range){start - before, lesser_of(start + (size + 1) / 2, n)};
    }
    default:
        return start > n - size ? none : (struct ko_layer_range){start, start + size};
    }
}

/* The same in layers. */
static struct ko_layer_range find_run(const struct ko_plan_model *model, int32_t size,
                                      int32_t start)
{
    struct ko_layer_range run = count_run(model, size, start);
    if (run.begin == run.end) {
        return run;
    }
    run.begin = model->style == KO_STYLE_UNTIL ? 0 : ko_plan_counted_layer(model, run.begin);
    run.end = model->style == KO_STYLE_FROM ? model->n_layers
                                            : ko_plan_counted_layer(model, run.end - 1) + 1;
    return run;
}

/* From the first to the last layer of a list that fits. */
static struct ko_layer_range find_listed(const struct ko_plan_model *model, int32_t start)
{
    const struct ko_window_lists *lists = model->lists;
    if (start < 0 || start >= lists->n || lists->first[start] == lists->first[start + 1]) {
        return (struct ko_layer_range){0, 0};
    }
    const int32_t last = lists->layer[lists->first[start + 1] - 1];
    return last < model->n_layers
               ? (struct ko_layer_range){lists->layer[lists->first[start]], last + 1}
               : (struct ko_layer_range){0, 0};
}

struct ko_layer_range ko_plan_window(const struct ko_plan_model *model, int32_t size, int32_t start)
{
    const int32_t n = model->n_layers;
    if (model->style == KO_STYLE_LISTED) {
        return find_listed(model, start);
    }
    const struct ko_layer_range run = find_run(model, size, start);
    if (run.begin == run.end || !ko_style_has_gaps(model->style)) {
        return run;
    }
    if (run.begin == 0 && run.end == n) {
        return (struct ko_layer_range){0, 0}; /* nothing is outside */
    }
    return (struct ko_layer_range){run.begin == 0 ? run.end : 0, run.end == n ? run.begin : n};
}

bool ko_plan_window_has(const struct ko_plan_model *model, int32_t size, int32_t start,
                        int32_t layer)
{
    if (model->style == KO_STYLE_LISTED) {
        const struct ko_window_lists *lists = model->lists;
        for (int32_t i = lists->first[start]; i < lists->first[start + 1]; i++) {
            if (lists->layer[i] == layer) {
                return true;
            }
        }
        return false;
    }
    const struct ko_layer_range run = find_run(model, size, start);
    const bool inside = layer >= run.begin && layer < run.end;
    return inside != ko_style_has_gaps(model->style);
}

double ko_layers_depth(int32_t n_layers, struct ko_layer_range layers)
{
    const int32_t last = n_layers - (layers.end - layers.begin);
    return last > 0 ? 100.0 * (double)layers.begin / (double)last : 0;
}

double ko_plan_depth(const struct ko_plan_model *model, int32_t size, int32_t start)
{
    const struct ko_layer_range layers = ko_plan_window(model, size, start);
    int32_t at = start, last = ko_plan_n_counted(model) - 1;
    if (layers.begin == layers.end) {
        return NAN;
    }
    switch (model->style) {
    case KO_STYLE_WHOLE:
        return ko_layers_depth(model->n_layers, layers);
    case KO_STYLE_OUTSIDE:
        last -= size - 1;
        break;
    case KO_STYLE_LISTED:
        at = layers.begin;
        last = model->n_layers - 1;
        break;
    default:
        break;
    }
    return last > 0 ? 100.0 * (double)at / (double)last : 0;
}
