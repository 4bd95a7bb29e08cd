/* SPDX-License-Identifier: Apache-2.0 */
/* Works out the planned window starts of every cell from the spec and the selection in the cube,
   and finds cells that are flagged done and have no value. */
#include "src/cube/read/planned.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/read/view.h"
#include "src/spec/spec.h"

/* One block of the spec on the cube's axes; all arrays are 0/1. */
struct block {
    uint8_t *route[2]; /* mean, heat */
    uint8_t *class;
    uint8_t *size;  /* [n_models, n_sizes] */
    uint8_t *start; /* [n_starts] */
};

struct ko_cube_planned {
    const struct ko_cube_axes *axes; /* borrowed */
    struct block *block;             /* [n_blocks] */
    int32_t n_blocks;
    uint8_t *selected;   /* [n_blocks, n_models, n_eval_prompts] */
    uint8_t *of_whole;   /* the same of the whole sweep, in a shard; NULL: not read */
    int32_t *eval_of[2]; /* [prompts of the kind] where each lies on eval_prompt */
    /* The last request: prompts that the same blocks select have the same starts. */
    bool has_last, last_heat;
    int32_t last_model;
    uint8_t *last_blocks, *blocks; /* [n_blocks] */
    uint8_t *planned;
    int32_t *count;
};

static const struct ko_strings *routes_of(const struct ko_cube_axes *axes, bool heat)
{
    return heat ? &axes->heat_route : &axes->route;
}

/* ----------------------------------------------------------------------------------------------
   opening */

static void mark_labels(uint8_t *to, const struct ko_strings *axis, const struct ko_strings *labels)
{
    for (size_t i = 0; i < labels->n; i++) {
        const ptrdiff_t at = ko_strings_find(axis, labels->item[i]);
        if (at >= 0) {
            to[at] = 1;
        }
    }
}

/* Marks the classes that a label of the spec stands for: head:each for every head on the axis. A
   model that lacks one of them has no cells of it. */
static void mark_classes(uint8_t *to, const struct ko_strings *axis,
                         const struct ko_strings *labels)
{
    struct ko_feature_class wanted, class;
    mark_labels(to, axis, labels);
    for (size_t i = 0; i < labels->n; i++) {
        if (ko_feature_class_parse(labels->item[i], &wanted, NULL) != KO_OK ||
            !ko_feature_class_is_head(&wanted) || wanted.head != KO_HEAD_EACH) {
            continue;
        }
        for (size_t c = 0; c < axis->n; c++) {
            if (ko_feature_class_parse(axis->item[c], &class, NULL) == KO_OK &&
                class.kind == wanted.kind && class.replacement == wanted.replacement &&
                class.donor_seed == wanted.donor_seed) {
                to[c] = 1;
            }
        }
    }
}

static void mark_sizes(const struct ko_cube_axes *axes, const struct ko_spec *spec,
                       const struct ko_spec_block *from, uint8_t *to)
{
    for (size_t i = 0; i < from->n_models; i++) {
        const ptrdiff_t m = ko_strings_find(&axes->model, spec->model[from->model[i]].name);
        const int32_t n_layers = m >= 0 ? ko_cube_n_counted(axes, (int32_t)m) : 0;
        for (size_t k = 0; m >= 0 && k < from->n_sizes; k++) {
            const int32_t layers = ko_size_layers(&from->size[k], n_layers);
            for (int32_t s = 0; s < axes->n_sizes; s++) {
                if (axes->window_size[s] == layers && layers <= n_layers) {
                    to[m * axes->n_sizes + s] = 1;
                }
            }
        }
    }
}

static enum ko_code take_block(const struct ko_cube_axes *axes, const struct ko_spec *spec,
                               const struct ko_spec_block *from, struct block *to,
                               struct ko_error *err)
{
    for (int heat = 0; heat < 2; heat++) {
        to->route[heat] = ko_new(routes_of(axes, heat)->n, 1, err);
    }
    to->class = ko_new(axes->feature_class.n, 1, err);
    to->size = ko_new(axes->model.n * (size_t)axes->n_sizes, 1, err);
    to->start = ko_new((size_t)axes->n_starts, 1, err);
    if (!to->route[0] || !to->route[1] || !to->class || !to->size || !to->start) {
        return KO_E_MEMORY;
    }
    for (int heat = 0; heat < 2; heat++) {
        mark_labels(to->route[heat], routes_of(axes, heat), &from->routes);
    }
    mark_classes(to->class, &axes->feature_class, &from->features);
    mark_sizes(axes, spec, from, to->size);
    for (int32_t s = 0; s < axes->n_starts; s++) {
        to->start[s] = ko_spec_starts_at(from, axes->window_start[s]);
    }
    return KO_OK;
}

static enum ko_code take_spec(struct ko_cube_planned *planned, const struct ko_cube_view *view,
                              struct ko_error *err)
{
    const char *text = ko_cube_view_attribute(view, "spec");
    struct ko_spec *spec = NULL;

    if (!text) {
        return ko_fail(err, KO_E_INPUT, "%s: has no spec, so its planned cells are unknown",
                       view->path);
    }
    enum ko_code code = ko_spec_parse(text, "its spec", &spec, err);
    if (code != KO_OK) {
        return ko_fail_in(err, "%s", view->path);
    }
    if (view->axes.n_blocks > 0 && spec->n_blocks != (size_t)view->axes.n_blocks) {
        code = ko_fail(err, KO_E_INPUT, "%s: its spec has %zu blocks and its selection %d",
                       view->path, spec->n_blocks, view->axes.n_blocks);
    }
    if (code == KO_OK) {
        planned->block = ko_new(spec->n_blocks, sizeof *planned->block, err);
        code = planned->block ? KO_OK : KO_E_MEMORY;
    }
    for (size_t b = 0; b < spec->n_blocks && code == KO_OK; b++) {
        planned->n_blocks = (int32_t)b + 1;
        code = take_block(&view->axes, spec, &spec->block[b], &planned->block[b], err);
    }
    ko_spec_free(spec);
    return code;
}

/* Without a selection, only the statuses tell which prompts are planned. */
static enum ko_code take_selection(struct ko_cube_planned *planned, struct ko_cube_view *view,
                                   struct ko_error *err)
{
    const size_t n_each = view->axes.model.n * view->axes.eval_prompt.n;
    static const char *const index[] = {"prompt_eval_index", "heat_prompt_eval_index"};
    size_t n = 0;
    enum ko_code code = ko_multiply((size_t)planned->n_blocks, n_each, &n, "selection", err);

    if (code == KO_OK) {
        planned->selected = ko_new(n, 1, err);
        code = planned->selected ? KO_OK : KO_E_MEMORY;
    }
    if (code == KO_OK && ko_cube_view_has(view, "selected")) {
        code = ko_cube_view_selected(view, planned->selected, err);
    } else if (code == KO_OK) {
        memset(planned->selected, 1, n);
    }
    for (int heat = 0; heat < 2 && code == KO_OK; heat++) {
        const hsize_t n_prompts = view->lengths.n[heat ? KO_AXIS_HEAT_PROMPT : KO_AXIS_PROMPT];
        if (n_prompts == 0) {
            continue;
        }
        planned->eval_of[heat] = ko_new((size_t)n_prompts, sizeof(int32_t), err);
        code = planned->eval_of[heat]
                   ? ko_cube_view_transfer(view, index[heat], 0, n_prompts, H5T_NATIVE_INT32,
                                           planned->eval_of[heat], err)
                   : KO_E_MEMORY;
    }
    return code;
}

static enum ko_code make_room(struct ko_cube_planned *planned, struct ko_error *err)
{
    const struct ko_cube_axes *axes = planned->axes;
    const size_t n_routes = axes->route.n > axes->heat_route.n ? axes->route.n : axes->heat_route.n;
    size_t n = 0, n_all = 0;
    enum ko_code code = ko_multiply(n_routes, axes->feature_class.n * (size_t)axes->n_sizes, &n,
                                    "routes x classes x sizes", err);

    if (code == KO_OK) {
        code = ko_multiply(n, (size_t)axes->n_starts, &n_all, "cells of a prompt", err);
    }
    if (code != KO_OK) {
        return code;
    }
    planned->last_blocks = ko_new((size_t)planned->n_blocks, 1, err);
    planned->blocks = ko_new((size_t)planned->n_blocks, 1, err);
    planned->planned = ko_new(n_all, 1, err);
    planned->count = ko_new(n, sizeof *planned->count, err);
    return planned->last_blocks && planned->blocks && planned->planned && planned->count
               ? KO_OK
               : KO_E_MEMORY;
}

enum ko_code ko_cube_planned_open(struct ko_cube_view *view, struct ko_cube_planned **out,
                                  struct ko_error *err)
{
    struct ko_cube_planned *planned = ko_new(1, sizeof *planned, err);

    if (!planned) {
        return KO_E_MEMORY;
    }
    planned->axes = &view->axes;
    enum ko_code code = take_spec(planned, view, err);
    if (code == KO_OK) {
        code = take_selection(planned, view, err);
    }
    if (code == KO_OK) {
        code = make_room(planned, err);
    }
    if (code == KO_OK) {
        *out = planned;
    } else {
        ko_cube_planned_close(planned);
    }
    return code;
}

void ko_cube_planned_close(struct ko_cube_planned *planned)
{
    if (!planned) {
        return;
    }
    for (int32_t b = 0; b < planned->n_blocks; b++) {
        free(planned->block[b].route[0]);
        free(planned->block[b].route[1]);
        free(planned->block[b].class);
        free(planned->block[b].size);
        free(planned->block[b].start);
    }
    free(planned->block);
    free(planned->selected);
    free(planned->of_whole);
    free(planned->eval_of[0]);
    free(planned->eval_of[1]);
    free(planned->last_blocks);
    free(planned->blocks);
    free(planned->planned);
    free(planned->count);
    free(planned);
}

/* ----------------------------------------------------------------------------------------------
   asking */

/* Adds the starts of one block that fit into the model. */
static void add_starts(const struct ko_cube_axes *axes, const struct block *block, int32_t model,
                       int32_t size, uint8_t *planned)
{
    for (int32_t s = 0; s < axes->n_starts; s++) {
        if (block->start[s] &&
            ko_cube_window(axes, model, axes->window_size[size], axes->window_start[s]).end > 0) {
            planned[s] = 1;
        }
    }
}

static void fill_planned(struct ko_cube_planned *planned, bool heat, int32_t model)
{
    const struct ko_cube_axes *axes = planned->axes;
    const size_t n_routes = routes_of(axes, heat)->n, n_classes = axes->feature_class.n;
    const size_t n_starts = (size_t)axes->n_starts;
    size_t row = 0;

    for (size_t r = 0; r < n_routes; r++) {
        for (size_t f = 0; f < n_classes; f++) {
            for (int32_t k = 0; k < axes->n_sizes; k++, row++) {
                uint8_t *starts = planned->planned + row * n_starts;
                memset(starts, 0, n_starts);
                for (int32_t b = 0; b < planned->n_blocks; b++) {
                    const struct block *block = &planned->block[b];
                    if (planned->blocks[b] && block->route[heat][r] && block->class[f] &&
                        block->size[model * axes->n_sizes + k]) {
                        add_starts(axes, block, model, k, starts);
                    }
                }
                planned->count[row] = 0;
                for (size_t s = 0; s < n_starts; s++) {
                    planned->count[row] += starts[s];
                }
            }
        }
    }
}

struct ko_cube_starts ko_cube_planned_starts(struct ko_cube_planned *planned, bool heat,
                                             int32_t model, int32_t prompt)
{
    const size_t n_eval = planned->axes->eval_prompt.n;
    const size_t n_blocks = (size_t)planned->n_blocks;
    const size_t at = (size_t)planned->eval_of[heat][prompt];

    for (size_t b = 0; b < n_blocks; b++) {
        planned->blocks[b] =
            planned->selected[(b * planned->axes->model.n + (size_t)model) * n_eval + at];
    }
    if (!planned->has_last || planned->last_heat != heat || planned->last_model != model ||
        memcmp(planned->blocks, planned->last_blocks, n_blocks) != 0) {
        fill_planned(planned, heat, model);
        memcpy(planned->last_blocks, planned->blocks, n_blocks);
        planned->has_last = true;
        planned->last_heat = heat;
        planned->last_model = model;
    }
    return (struct ko_cube_starts){planned->planned, planned->count};
}

/* Takes the rows of the shard's models from those of all. */
static enum ko_code take_models(struct ko_cube_planned *planned, const struct ko_cube_view *whole,
                                const uint8_t *selected, struct ko_error *err)
{
    const struct ko_strings *models = &planned->axes->model, *all = &whole->axes.model;
    const size_t n_eval = planned->axes->eval_prompt.n;

    for (size_t m = 0; m < models->n; m++) {
        const ptrdiff_t at = ko_strings_find(all, models->item[m]);
        if (at < 0) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: its whole sweep has no model '%s', compute it again", whole->path,
                           models->item[m]);
        }
        for (size_t b = 0; b < (size_t)planned->n_blocks; b++) {
            memcpy(planned->of_whole + (b * models->n + m) * n_eval,
                   selected + (b * all->n + (size_t)at) * n_eval, n_eval);
        }
    }
    return KO_OK;
}

static enum ko_code read_whole(struct ko_cube_planned *planned, struct ko_cube_view *whole,
                               struct ko_error *err)
{
    const size_t n_blocks = (size_t)planned->n_blocks, n_eval = planned->axes->eval_prompt.n;
    if (!ko_cube_view_has(whole, "selected") || (size_t)whole->axes.n_blocks != n_blocks ||
        whole->axes.eval_prompt.n != n_eval) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: lacks the selection of its whole sweep, compute it again", whole->path);
    }
    uint8_t *selected = ko_new(n_blocks * whole->axes.model.n * n_eval, 1, err);
    planned->of_whole = ko_new(n_blocks * planned->axes->model.n * n_eval, 1, err);
    enum ko_code code = selected && planned->of_whole ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = ko_cube_view_selected(whole, selected, err);
    }
    if (code == KO_OK) {
        code = take_models(planned, whole, selected, err);
    }
    free(selected);
    return code;
}

enum ko_code ko_cube_planned_read_whole(struct ko_cube_planned *planned, struct ko_cube_view *view,
                                        struct ko_error *err)
{
    struct ko_cube_view *whole = NULL;

    if (!ko_cube_view_attribute(view, "shard")) {
        return KO_OK;
    }
    enum ko_code code = ko_cube_view_open_outline(view, &whole, err);
    if (code == KO_OK) {
        code = read_whole(planned, whole, err);
    }
    ko_cube_view_close(whole);
    return code;
}

/* Whether the block has a window that fits into the model. */
static bool has_window(const struct ko_cube_axes *axes, const struct block *block, int32_t model)
{
    for (int32_t k = 0; k < axes->n_sizes; k++) {
        const int32_t size = axes->window_size[k];
        for (int32_t s = 0; block->size[model * axes->n_sizes + k] && s < axes->n_starts; s++) {
            if (block->start[s] &&
                ko_cube_window(axes, model, size, axes->window_start[s]).end > 0) {
                return true;
            }
        }
    }
    return false;
}

void ko_cube_planned_prompts(const struct ko_cube_planned *planned, bool heat, size_t route,
                             int32_t model, const uint8_t *classes, uint8_t *marks)
{
    const struct ko_cube_axes *axes = planned->axes;
    const size_t n_eval = axes->eval_prompt.n, n_models = axes->model.n;
    const uint8_t *all = planned->of_whole ? planned->of_whole : planned->selected;

    memset(marks, 0, n_eval);
    for (size_t b = 0; b < (size_t)planned->n_blocks; b++) {
        const struct block *block = &planned->block[b];
        const uint8_t *selected = all + (b * n_models + (size_t)model) * n_eval;
        bool has = false;
        for (size_t c = 0; c < axes->feature_class.n; c++) {
            has = has || (block->class[c] && classes[c]);
        }
        has = has && block->route[heat][route] && has_window(axes, block, model);
        for (size_t p = 0; has && p < n_eval; p++) {
            marks[p] |= selected[p];
        }
    }
}

int64_t ko_cube_planned_place(const struct ko_cube_slab *slab, int64_t k)
{
    const int64_t inner = (int64_t)slab->n_sources * slab->n_sizes;

    return k / inner * slab->n_sizes + k % slab->n_sizes;
}

/* ----------------------------------------------------------------------------------------------
   done cells without a value */

int64_t ko_cube_slab_valueless(const struct ko_cube_slab *slab, int32_t p,
                               const struct ko_cube_starts *starts)
{
    int64_t n = 0;

    for (int64_t k = 0; k < slab->n_statuses; k++) {
        const int64_t at = p * slab->n_statuses + k;
        if (slab->status[at] != KO_DONE) {
            continue;
        }
        const uint8_t *planned = starts->planned + ko_cube_planned_place(slab, k) * slab->n_starts;
        for (int32_t s = 0; s < slab->n_starts; s++) {
            n += planned[s] && ko_cube_slab_lacks(slab, at * slab->n_starts + s);
        }
    }
    return n;
}

/* Adds the valueless cells of one prompt of the slab. */
static void add_prompt(const struct ko_cube_slab *slab, int32_t p,
                       const struct ko_cube_starts *starts, struct ko_cube_valueless *out)
{
    const int64_t n = ko_cube_slab_valueless(slab, p, starts);

    if (n > 0 && out->n == 0) {
        out->model = slab->model;
        out->prompt = slab->first + p;
        out->heat = slab->heat;
    }
    out->n += n;
}

static enum ko_code look_at_part(struct ko_cube_view *view, bool heat, const uint8_t *shown,
                                 struct ko_cube_planned *planned, struct ko_cube_valueless *out,
                                 struct ko_error *err)
{
    struct ko_cube_slab slab = {0};
    enum ko_code code = ko_cube_slab_open(view, heat, &slab, err);

    for (int32_t m = 0; code == KO_OK && m < (int32_t)view->axes.model.n; m++) {
        for (int32_t p = 0; code == KO_OK && p < slab.n_prompts && (!shown || shown[m]);
             p += slab.n) {
            code = ko_cube_slab_read(&slab, m, p, err);
            for (int32_t i = 0; code == KO_OK && i < slab.n; i++) {
                const struct ko_cube_starts starts =
                    ko_cube_planned_starts(planned, heat, m, p + i);
                add_prompt(&slab, i, &starts, out);
            }
        }
    }
    ko_cube_slab_close(&slab);
    return code;
}

enum ko_code ko_cube_find_valueless(struct ko_cube_view *view, const uint8_t *shown,
                                    struct ko_cube_valueless *out, struct ko_error *err)
{
    struct ko_cube_planned *planned = NULL;
    struct ko_cube_valueless found = {0};
    enum ko_code code = ko_cube_planned_open(view, &planned, err);

    for (int heat = 0; heat < 2 && code == KO_OK; heat++) {
        code = look_at_part(view, heat, shown, planned, &found, err);
    }
    ko_cube_planned_close(planned);
    if (code == KO_OK) {
        *out = found;
    }
    return code;
}
