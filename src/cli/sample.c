/* SPDX-License-Identifier: Apache-2.0 */
/* Draws cells of a cube at random, from those that are done, and reads their values. Each dataset
   is read once per model, however many cells are drawn from it. */
#include "src/cli/sample.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/cube/read/planned.h"
#include "src/plan/plan.h"
#include "src/prompts/token_set.h"

/* The datasets of one kind of routes and the extents of a model's part: [a prompt, a route, a
   class, a position, a size]. */
struct part {
    const char *status, *logprob, *prob, *kl, *foil, *rank, *top1;
    bool heat;
    int32_t n_prompts, n_routes, n_classes, n_positions, n_sizes, n_starts;
};

static int64_t part_size(const struct part *part)
{
    return (int64_t)part->n_prompts * part->n_routes * part->n_classes * part->n_positions *
           part->n_sizes;
}

static void describe_parts(const struct ko_cube_axes *axes, struct part part[2])
{
    const int32_t n_classes = (int32_t)axes->feature_class.n;
    part[0] = (struct part){"status",
                            "logprob",
                            "prob",
                            "kl",
                            "foil_logprob",
                            "target_rank",
                            "top1_id",
                            false,
                            (int32_t)axes->prompt.n,
                            (int32_t)axes->route.n,
                            n_classes,
                            1,
                            axes->n_sizes,
                            axes->n_starts};
    part[1] = (struct part){"heat_status",
                            "heat_logprob",
                            "heat_prob",
                            "heat_kl",
                            "heat_foil_logprob",
                            "heat_target_rank",
                            "heat_top1_id",
                            true,
                            (int32_t)axes->heat_prompt.n,
                            (int32_t)axes->heat_route.n,
                            n_classes,
                            axes->n_source_positions,
                            axes->n_sizes,
                            axes->n_starts};
}

/* Where a drawn status entry lies. */
struct candidates {
    int64_t *code; /* ((model * 2 + heat) << 40) + entry */
    size_t n, capacity;
};
enum { ENTRY_BITS = 40, KO_SAMPLE_STARTS = 4096 };

static enum ko_code add_done(struct ko_cube_view *view, int32_t model, const struct part *part,
                             struct candidates *all, struct ko_error *err)
{
    const int64_t n = part_size(part);
    if (n == 0) {
        return KO_OK;
    }
    uint8_t *status = ko_new((size_t)n, 1, err);
    enum ko_code code = status ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = ko_cube_view_read_uint8(view, part->status, model, status, n, err);
    }
    for (int64_t k = 0; code == KO_OK && k < n; k++) {
        if (status[k] != KO_DONE) {
            continue;
        }
        int64_t *grown = ko_grow(all->code, &all->capacity, all->n + 1, sizeof *grown, err);
        if (!grown) {
            code = KO_E_MEMORY;
            break;
        }
        all->code = grown;
        all->code[all->n++] = ((int64_t)(model * 2 + part->heat) << ENTRY_BITS) + k;
    }
    free(status);
    return code;
}

/* The values of one model and kind of routes. */
struct values {
    double *logprob, *prob, *kl;
    double *foil; /* NULL: the cube has no foils */
    int32_t *rank, *top1;
};

static void free_values(struct values *v)
{
    free(v->logprob);
    free(v->prob);
    free(v->kl);
    free(v->foil);
    free(v->rank);
    free(v->top1);
}

static enum ko_code read_values(struct ko_cube_view *view, int32_t model, const struct part *part,
                                struct values *v, struct ko_error *err)
{
    const int64_t n = part_size(part) * part->n_starts;
    v->logprob = ko_new((size_t)n, sizeof *v->logprob, err);
    v->prob = ko_new((size_t)n, sizeof *v->prob, err);
    v->kl = ko_new((size_t)n, sizeof *v->kl, err);
    v->rank = ko_new((size_t)n, sizeof *v->rank, err);
    v->top1 = ko_new((size_t)n, sizeof *v->top1, err);
    const bool foils = ko_cube_view_has(view, part->foil);
    v->foil = foils ? ko_new((size_t)n, sizeof *v->foil, err) : NULL;
    if (!v->logprob || !v->prob || !v->kl || !v->rank || !v->top1 || (foils && !v->foil)) {
        return KO_E_MEMORY;
    }
    enum ko_code code = ko_cube_view_read_double(view, part->logprob, model, v->logprob, n, err);
    if (code == KO_OK) {
        code = ko_cube_view_read_double(view, part->prob, model, v->prob, n, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_double(view, part->kl, model, v->kl, n, err);
    }
    if (code == KO_OK && foils) {
        code = ko_cube_view_read_double(view, part->foil, model, v->foil, n, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_int(view, part->rank, model, v->rank, n, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_int(view, part->top1, model, v->top1, n, err);
    }
    return code;
}

/* One of the planned starts of the entry. */
static int32_t choose_start(const uint8_t *planned, int32_t n_starts, uint64_t seed, int64_t entry)
{
    int64_t start[KO_SAMPLE_STARTS], n = 0;
    for (int32_t s = n_starts - 1; s >= 0 && n < KO_SAMPLE_STARTS; s--) {
        if (planned[s]) {
            start[n++] = s;
        }
    }
    if (n == 0) {
        return 0;
    }
    ko_draw(start, (size_t)n, 1, seed, (uint64_t)entry);
    return (int32_t)start[0];
}

static void take_cell(struct ko_cube_planned *planned, const struct part *part,
                      const struct values *v, int32_t model, int64_t entry, uint64_t seed,
                      struct ko_sampled *out)
{
    int64_t rest = entry;
    *out = (struct ko_sampled){.model = model, .heat = part->heat};
    out->size = (int32_t)(rest % part->n_sizes);
    rest /= part->n_sizes;
    out->source_position = (int32_t)(rest % part->n_positions);
    rest /= part->n_positions;
    out->class = (int32_t)(rest % part->n_classes);
    rest /= part->n_classes;
    out->route = (int32_t)(rest % part->n_routes);
    out->prompt = (int32_t)(rest / part->n_routes);
    const int64_t place =
        ((int64_t)out->route * part->n_classes + out->class) * part->n_sizes + out->size;
    const struct ko_cube_starts starts =
        ko_cube_planned_starts(planned, part->heat, model, out->prompt);
    out->start = choose_start(starts.planned + place * part->n_starts, part->n_starts, seed, entry);
    const int64_t at = entry * part->n_starts + out->start;
    out->logprob = v->logprob[at];
    out->prob = v->prob[at];
    out->kl = v->kl[at];
    out->foil_logprob = v->foil ? v->foil[at] : (double)NAN;
    out->target_rank = v->rank[at];
    out->top1_id = v->top1[at];
}

/* Reads the values of one model and kind once, and fills in the drawn cells that lie there. */
static enum ko_code take_cells(struct ko_cube_view *view, int32_t model, const struct part *part,
                               const struct candidates *drawn, struct ko_cube_planned *planned,
                               uint64_t seed, struct ko_sampled *out, struct ko_error *err)
{
    const int64_t tag = (int64_t)model * 2 + part->heat;
    const int64_t entries = ((int64_t)1 << ENTRY_BITS) - 1;
    struct values values = {0};
    enum ko_code code = KO_OK;
    bool read = false;
    for (size_t k = 0; code == KO_OK && k < drawn->n; k++) {
        if (drawn->code[k] >> ENTRY_BITS != tag) {
            continue;
        }
        if (!read) {
            code = read_values(view, model, part, &values, err);
        }
        read = true;
        if (code == KO_OK) {
            take_cell(planned, part, &values, model, drawn->code[k] & entries, seed, &out[k]);
        }
    }
    free_values(&values);
    return code;
}

static int compare_codes(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

enum ko_code ko_sample_cells(struct ko_cube_view *view, const struct ko_strings *models, int64_t n,
                             uint64_t seed, struct ko_sampled **out, int64_t *n_out,
                             struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    struct part part[2];
    struct candidates all = {0};
    struct ko_sampled *cells = NULL;
    struct ko_cube_planned *planned = NULL;
    enum ko_code code = ko_cube_planned_open(view, &planned, err);
    describe_parts(axes, part);
    for (size_t m = 0; code == KO_OK && m < axes->model.n; m++) {
        if (models->n > 0 && ko_strings_find(models, axes->model.item[m]) < 0) {
            continue;
        }
        for (int h = 0; code == KO_OK && h < 2; h++) {
            code = add_done(view, (int32_t)m, &part[h], &all, err);
        }
    }
    if (code == KO_OK && all.n == 0) {
        code = ko_fail(err, KO_E_INPUT,
                       "no cell of these models is done, there is nothing to recompute");
    } else if (code == KO_OK) {
        const size_t k = (size_t)n < all.n ? (size_t)n : all.n;
        ko_draw(all.code, all.n, k, seed, 0);
        all.n = k;
        qsort(all.code, k, sizeof *all.code, compare_codes);
        cells = ko_new(k, sizeof *cells, err);
        code = cells ? KO_OK : KO_E_MEMORY;
    }
    for (size_t m = 0; code == KO_OK && m < axes->model.n; m++) {
        for (int h = 0; code == KO_OK && h < 2; h++) {
            code = take_cells(view, (int32_t)m, &part[h], &all, planned, seed, cells, err);
        }
    }
    free(all.code);
    ko_cube_planned_close(planned);
    if (code != KO_OK) {
        free(cells);
        return code;
    }
    *out = cells;
    *n_out = (int64_t)all.n;
    return KO_OK;
}
