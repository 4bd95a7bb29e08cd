/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the buffers for a slab of cells and reads statuses and values into them. */
#include "src/cube/read/slab.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/read/view.h"

enum { MOST_BYTES = 8 << 20 };

static const char *name_of(const struct ko_cube_slab *slab, const char *mean, const char *heat)
{
    return slab->heat ? heat : mean;
}

/* Sets the lengths of the axes; they stay 0 where the cube has no cells of this kind. */
static enum ko_code measure_slab(struct ko_cube_slab *slab, size_t *n_values, struct ko_error *err)
{
    const struct ko_cube_view *view = slab->view;
    const char *status = name_of(slab, "status", "heat_status");
    size_t n_statuses = 0;

    if (!ko_cube_view_has(view, status)) {
        return KO_OK;
    }
    enum ko_code code =
        ko_cube_n_elements(ko_cube_find(status), &view->lengths, 2, &n_statuses, err);
    if (code == KO_OK) {
        code = ko_multiply(n_statuses, (size_t)view->axes.n_starts, n_values, status, err);
    }
    if (code != KO_OK) {
        return code;
    }
    slab->n_prompts = (int32_t)view->lengths.n[slab->heat ? KO_AXIS_HEAT_PROMPT : KO_AXIS_PROMPT];
    slab->n_sources = slab->heat ? view->axes.n_source_positions : 1;
    slab->n_sizes = view->axes.n_sizes;
    slab->n_starts = view->axes.n_starts;
    slab->n_statuses = (int64_t)n_statuses;
    return KO_OK;
}

enum ko_code ko_cube_slab_open(struct ko_cube_view *view, bool heat, struct ko_cube_slab *out,
                               struct ko_error *err)
{
    struct ko_cube_slab slab = {.view = view, .heat = heat};
    size_t n_values = 0, bytes = 0, n = 0;
    enum ko_code code = measure_slab(&slab, &n_values, err);

    if (code == KO_OK && slab.n_prompts > 0) {
        code = ko_multiply(n_values, sizeof(float) + sizeof(int32_t) + 1, &bytes, "a prompt", err);
    }
    if (code != KO_OK) {
        return code;
    }
    if (slab.n_prompts > 0) {
        const size_t fitting = bytes < MOST_BYTES ? MOST_BYTES / (bytes ? bytes : 1) : 1;
        slab.most = fitting < (size_t)slab.n_prompts ? (int32_t)fitting : slab.n_prompts;
        code = ko_multiply(n_values, (size_t)slab.most, &n, "cells of some prompts", err);
        if (code != KO_OK) {
            return code;
        }
        slab.status = ko_new((size_t)slab.n_statuses * (size_t)slab.most, 1, err);
        slab.logprob = ko_new(n, sizeof *slab.logprob, err);
        slab.rank = ko_new(n, sizeof *slab.rank, err);
        const bool marks = ko_cube_view_has(view, name_of(&slab, "vacuous", "heat_vacuous"));
        slab.vacuous = marks ? ko_new(n, 1, err) : NULL;
        if (!slab.status || !slab.logprob || !slab.rank || (marks && !slab.vacuous)) {
            code = KO_E_MEMORY;
        }
    }
    if (code == KO_OK) {
        *out = slab;
    } else {
        ko_cube_slab_close(&slab);
    }
    return code;
}

void ko_cube_slab_close(struct ko_cube_slab *slab)
{
    free(slab->status);
    free(slab->logprob);
    free(slab->rank);
    free(slab->vacuous);
    *slab = (struct ko_cube_slab){0};
}

static bool any_done(const struct ko_cube_slab *slab)
{
    const size_t n = (size_t)slab->n_statuses * (size_t)slab->n;

    return n > 0 && memchr(slab->status, KO_DONE, n) != NULL;
}

enum ko_code ko_cube_slab_read(struct ko_cube_slab *slab, int32_t model, int32_t first,
                               struct ko_error *err)
{
    const int32_t left = slab->n_prompts - first;
    struct ko_cube_rows rows = {.dataset = name_of(slab, "status", "heat_status"),
                                .model = model,
                                .first = first,
                                .n = left < slab->most ? left : slab->most};

    slab->model = model;
    slab->first = first;
    slab->n = rows.n;
    rows.n_values = slab->n_statuses * rows.n;
    enum ko_code code = ko_cube_view_rows_uint8(slab->view, &rows, slab->status, err);
    rows.n_values *= slab->n_starts;
    const bool done = code == KO_OK && any_done(slab);
    rows.dataset = name_of(slab, "logprob", "heat_logprob");
    if (code == KO_OK && done) {
        code = ko_cube_view_rows_float(slab->view, &rows, slab->logprob, err);
    }
    rows.dataset = name_of(slab, "target_rank", "heat_target_rank");
    if (code == KO_OK && done) {
        code = ko_cube_view_rows_int(slab->view, &rows, slab->rank, err);
    }
    rows.dataset = name_of(slab, "vacuous", "heat_vacuous");
    if (code == KO_OK && slab->vacuous) {
        code = ko_cube_view_rows_uint8(slab->view, &rows, slab->vacuous, err);
    }
    return code;
}
