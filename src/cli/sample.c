/* SPDX-License-Identifier: Apache-2.0 */
/* Draws done cells of a cube at random and reads their values. Each dataset is read at most once
   per model. */
#include "src/cli/sample.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/cube/read/planned.h"
#include "src/plan/plan.h"
#include "src/prompts/draw.h"

/* The datasets of one kind of routes and the extents of a model's part: [a prompt, a route, a
   class, a position, a size]. */
struct part {
    const char *status, *logprob, *prob, *kl, *foil, *rank, *top1, *vacuous;
    bool heat;
    int32_t n_prompts, n_routes, n_classes, n_positions, n_sizes, n_starts;
};

static int64_t part_size(const struct part *part)
{
    return (int64_t)part->n_prompts * part->n_routes * part->n_classes * part->n_positions *
           part->n_sizes;
}

static struct part describe_part(const struct ko_cube_axes *axes, bool heat)
{
    return (struct part){.status = heat ? "heat_status" : "status",
                         .logprob = heat ? "heat_logprob" : "logprob",
                         .prob = heat ? "heat_prob" : "prob",
                         .kl = heat ? "heat_kl" : "kl",
                         .foil = heat ? "heat_foil_logprob" : "foil_logprob",
                         .rank = heat ? "heat_target_rank" : "target_rank",
                         .top1 = heat ? "heat_top1_id" : "top1_id",
                         .vacuous = heat ? "heat_vacuous" : "vacuous",
                         .heat = heat,
                         .n_prompts = (int32_t)(heat ? &axes->heat_prompt : &axes->prompt)->n,
                         .n_routes = (int32_t)(heat ? &axes->heat_route : &axes->route)->n,
                         .n_classes = (int32_t)axes->feature_class.n,
                         .n_positions = heat ? axes->n_source_positions : 1,
                         .n_sizes = axes->n_sizes,
                         .n_starts = axes->n_starts};
}

/* The status entries to draw from, and then those that were drawn. */
struct entries {
    int64_t *code; /* ((model * 2 + heat) << 40) + entry */
    size_t n, capacity;
};
enum { ENTRY_BITS = 40, KO_SAMPLE_STARTS = 4096 };

static enum ko_code add_done(struct ko_cube_view *view, int32_t model, const struct part *part,
                             struct entries *all, struct ko_error *err)
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

/* The values of one model and kind of routes, in the layout of struct part with the starts last. */
struct values {
    double *logprob, *prob, *kl;
    double *foil; /* NULL: the cube has no foils */
    int32_t *rank, *top1;
    uint8_t *vacuous; /* NULL: the cube does not mark vacuous cells */
};

static void free_values(struct values *v)
{
    free(v->logprob);
    free(v->prob);
    free(v->kl);
    free(v->foil);
    free(v->rank);
    free(v->top1);
    free(v->vacuous);
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
    const bool marks = ko_cube_view_has(view, part->vacuous);
    v->vacuous = marks ? ko_new((size_t)n, 1, err) : NULL;
    if (!v->logprob || !v->prob || !v->kl || !v->rank || !v->top1 || (foils && !v->foil) ||
        (marks && !v->vacuous)) {
        return KO_E_MEMORY;
    }
    const struct {
        const char *name;
        double *to;
    } reals[] = {{part->logprob, v->logprob},
                 {part->prob, v->prob},
                 {part->kl, v->kl},
                 {part->foil, v->foil}};
    enum ko_code code = KO_OK;
    for (size_t k = 0; code == KO_OK && k < sizeof reals / sizeof reals[0]; k++) {
        code = reals[k].to
                   ? ko_cube_view_read_double(view, reals[k].name, model, reals[k].to, n, err)
                   : KO_OK;
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_int(view, part->rank, model, v->rank, n, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_int(view, part->top1, model, v->top1, n, err);
    }
    if (code == KO_OK && marks) {
        code = ko_cube_view_read_uint8(view, part->vacuous, model, v->vacuous, n, err);
    }
    return code;
}

/* One of the planned starts of the entry that are not vacuous. vacuous: of the entry's cells, or
   NULL. */
static int32_t choose_start(const uint8_t *planned, const uint8_t *vacuous, int32_t n_starts,
                            uint64_t seed, int64_t entry)
{
    int64_t start[KO_SAMPLE_STARTS], n = 0;
    for (int32_t s = n_starts - 1; s >= 0 && n < KO_SAMPLE_STARTS; s--) {
        if (planned[s] && !(vacuous && vacuous[s] == 1)) {
            start[n++] = s;
        }
    }
    if (n == 0) {
        return 0;
    }
    ko_draw(start, (size_t)n, 1, seed, (uint64_t)entry);
    return (int32_t)start[0];
}

/* What the cells are read from. */
struct sampler {
    struct ko_cube_view *view;
    struct ko_cube_planned *planned;
    uint64_t seed;
    struct part part[2]; /* mean routes, heat routes */
};

static void take_cell(const struct sampler *sampler, const struct part *part,
                      const struct values *v, int64_t entry, struct ko_sampled *out)
{
    int64_t rest = entry;
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
        ko_cube_planned_starts(sampler->planned, part->heat, out->model, out->prompt);
    out->start = choose_start(starts.planned + place * part->n_starts,
                              v->vacuous ? v->vacuous + entry * part->n_starts : NULL,
                              part->n_starts, sampler->seed, entry);
    const int64_t at = entry * part->n_starts + out->start;
    out->logprob = v->logprob[at];
    out->prob = v->prob[at];
    out->kl = v->kl[at];
    out->foil_logprob = v->foil ? v->foil[at] : (double)NAN;
    out->target_rank = v->rank[at];
    out->top1_id = v->top1[at];
}

/* Fills in the drawn cells of one model and kind, whose values are read once. */
static enum ko_code take_cells(const struct sampler *sampler, int32_t model, bool heat,
                               const struct entries *drawn, struct ko_sampled *out,
                               struct ko_error *err)
{
    const struct part *part = &sampler->part[heat];
    const int64_t tag = (int64_t)model * 2 + heat;
    struct values values = {0};
    enum ko_code code = KO_OK;
    for (size_t k = 0; code == KO_OK && k < drawn->n; k++) {
        if (drawn->code[k] >> ENTRY_BITS != tag) {
            continue;
        }
        if (!values.logprob) {
            code = read_values(sampler->view, model, part, &values, err);
        }
        if (code == KO_OK) {
            out[k] = (struct ko_sampled){.model = model, .heat = heat};
            take_cell(sampler, part, &values, drawn->code[k] & (((int64_t)1 << ENTRY_BITS) - 1),
                      &out[k]);
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

/* Draws n of the done entries of these models, sorted by model, kind and place. */
static enum ko_code draw_entries(const struct sampler *sampler, const struct ko_sampling *sampling,
                                 struct entries *drawn, struct ko_error *err)
{
    const struct ko_strings *names = &ko_cube_view_axes(sampler->view)->model;
    enum ko_code code = KO_OK;
    for (size_t m = 0; m < names->n; m++) {
        if (sampling->models->n > 0 && ko_strings_find(sampling->models, names->item[m]) < 0) {
            continue;
        }
        for (int h = 0; code == KO_OK && h < 2; h++) {
            code = add_done(sampler->view, (int32_t)m, &sampler->part[h], drawn, err);
        }
    }
    if (code == KO_OK && drawn->n == 0) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: no cell of these models is done, compute some with run --resume",
                       sampling->path);
    }
    if (code != KO_OK) {
        return code;
    }
    const size_t n = (size_t)sampling->n < drawn->n ? (size_t)sampling->n : drawn->n;
    ko_draw(drawn->code, drawn->n, n, sampling->seed, 0);
    drawn->n = n;
    qsort(drawn->code, n, sizeof *drawn->code, compare_codes);
    return KO_OK;
}

enum ko_code ko_sample_cells(struct ko_cube_view *view, const struct ko_sampling *sampling,
                             struct ko_sampled **out, int64_t *n_out, struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    struct sampler sampler = {.view = view,
                              .seed = sampling->seed,
                              .part = {describe_part(axes, false), describe_part(axes, true)}};
    struct entries drawn = {0};
    struct ko_sampled *cells = NULL;
    enum ko_code code = ko_cube_planned_open(view, &sampler.planned, err);
    if (code == KO_OK) {
        code = draw_entries(&sampler, sampling, &drawn, err);
    }
    if (code == KO_OK) {
        cells = ko_new(drawn.n, sizeof *cells, err);
        code = cells ? KO_OK : KO_E_MEMORY;
    }
    for (size_t m = 0; code == KO_OK && m < axes->model.n; m++) {
        for (int h = 0; code == KO_OK && h < 2; h++) {
            code = take_cells(&sampler, (int32_t)m, h != 0, &drawn, cells, err);
        }
    }
    free(drawn.code);
    ko_cube_planned_close(sampler.planned);
    if (code != KO_OK) {
        free(cells);
        return code;
    }
    *out = cells;
    *n_out = (int64_t)drawn.n;
    return KO_OK;
}
