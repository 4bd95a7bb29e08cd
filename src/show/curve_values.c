/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the cells of one model for a metric: all at once, or curve by curve. */
#include "src/show/curve_values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/forward/record.h"

/* The slice that is read; NULL: all cells. */
static const struct ko_cube_slice *slice_read(const struct ko_curve_values *values)
{
    return values->whole ? NULL : &values->slice;
}

static int64_t count_values(const struct ko_curve_values *values)
{
    return ko_cube_part_n_values(values->part, slice_read(values));
}

/* Reads one dataset's values of the cells; *out has n of them, free() it. */
static enum ko_code read_other(const struct ko_curve_values *values, const char *name, double **out,
                               struct ko_error *err)
{
    double *read = ko_new((size_t)count_values(values), sizeof *read, err);
    if (!read) {
        return KO_E_MEMORY;
    }
    const enum ko_code code =
        ko_cube_part_doubles(values->part, name, values->model, slice_read(values), read, err);
    if (code == KO_OK) {
        *out = read;
    } else {
        free(read);
    }
    return code;
}

/* Subtracts the foil's log-probability from the target's. */
static enum ko_code subtract_foils(struct ko_curve_values *values, struct ko_error *err)
{
    double *foil = NULL;
    const enum ko_code code = read_other(values, "foil_logprob", &foil, err);
    for (int64_t k = 0; code == KO_OK && k < count_values(values); k++) {
        values->value[k] -= foil[k];
    }
    free(foil);
    return code;
}

/* Of whole answers, the largest rank of any token: the answer is first where all its tokens are. The
   ranks of some prompts are in memory at a time. */
static enum ko_code rank_answers(struct ko_curve_values *values, struct ko_error *err)
{
    enum { AT_ONCE = 1 << 22 }; /* ranks, or those of one prompt */
    const struct ko_cube_part *part = values->part;
    const int64_t n = part->axes->n_answer_tokens;
    const int64_t of_prompt = part->n_prompts > 0 ? count_values(values) / part->n_prompts * n : 0;
    const int64_t fit = of_prompt > 0 ? AT_ONCE / of_prompt : 0;
    const int32_t n_prompts = fit < 1 ? 1 : fit < part->n_prompts ? (int32_t)fit : part->n_prompts;
    int32_t *rank = ko_new((size_t)(of_prompt * n_prompts), sizeof *rank, err);
    enum ko_code code = rank ? KO_OK : KO_E_MEMORY;
    for (int32_t p = 0; code == KO_OK && p < part->n_prompts; p += n_prompts) {
        const int32_t left = part->n_prompts - p, some = left < n_prompts ? left : n_prompts;
        const struct ko_cube_rows rows = {.dataset =
                                              part->heat ? "heat_answer_rank" : "answer_rank",
                                          .model = values->model,
                                          .first = p,
                                          .n = some,
                                          .n_values = some * of_prompt,
                                          .slice = slice_read(values)};
        code = ko_cube_view_rows_int(part->view, &rows, rank, err);
        for (int64_t k = 0; code == KO_OK && k < rows.n_values; k++) {
            double *worst = &values->value[(p * of_prompt + k) / n];
            *worst = *worst >= 1 ? fmax(*worst, rank[k]) : *worst;
        }
    }
    free(rank);
    return code;
}

/* Of several right answers or options, the rank is 1 where a right one is given. */
static enum ko_code rank_choices(struct ko_curve_values *values, struct ko_error *err)
{
    double *correct = NULL;
    const enum ko_code code = read_other(values, "correct", &correct, err);
    for (int64_t k = 0; code == KO_OK && k < count_values(values); k++) {
        if (values->value[k] >= 1) {
            struct ko_choice_metrics choice = ko_no_choice_metrics;
            choice.correct = (int32_t)correct[k];
            values->value[k] = ko_choice_rank(&choice, (int32_t)values->value[k]);
        }
    }
    free(correct);
    return code;
}

static enum ko_code read_cells(struct ko_curve_values *values, struct ko_error *err)
{
    const struct ko_cube_part *part = values->part;
    const enum ko_curve_metric metric = values->metric;
    enum ko_code code = ko_cube_part_doubles(part, ko_curve_metric_dataset(metric), values->model,
                                             slice_read(values), values->value, err);
    if (code == KO_OK && metric == KO_CURVE_HIT && part->axes->several) {
        code = rank_choices(values, err);
    } else if (code == KO_OK && metric == KO_CURVE_HIT && part->axes->n_answer_tokens > 0) {
        code = rank_answers(values, err);
    }
    if (code == KO_OK && ko_curve_metric_has_foil(metric)) {
        code = subtract_foils(values, err);
    }
    if (code == KO_OK && values->vacuous) {
        code = ko_cube_part_vacuous(part, values->model, slice_read(values), values->vacuous, err);
    }
    return code;
}

static bool is_loaded(const struct ko_curve_values *values, const struct ko_cube_slice *slice)
{
    return values->loaded && (values->whole || memcmp(slice, &values->slice, sizeof *slice) == 0);
}

enum ko_code ko_curve_values_load(struct ko_curve_values *values, const struct ko_cube_slice *slice,
                                  struct ko_error *err)
{
    const bool loaded = is_loaded(values, slice);
    values->slice = *slice;
    if (loaded) {
        return KO_OK;
    }
    const enum ko_code code = read_cells(values, err);
    values->loaded = code == KO_OK;
    return code;
}

/* The clean runs' numbers by the metric's formula, without those of their foils. */
static enum ko_code read_clean(struct ko_curve_values *values, struct ko_error *err)
{
    const struct ko_cube_part *part = values->part;
    const enum ko_curve_metric metric = values->metric;
    double *foil = NULL;
    if (!ko_curve_metric_uses_clean(metric)) {
        return KO_OK;
    }
    enum ko_code code = ko_cube_part_clean(part, ko_curve_metric_dataset(metric), values->model,
                                           &values->clean, err);
    if (code == KO_OK && ko_curve_metric_has_foil(metric)) {
        code = ko_cube_part_clean(part, "foil_logprob", values->model, &foil, err);
    }
    for (int32_t p = 0; code == KO_OK && foil && p < part->n_prompts; p++) {
        values->clean[p] -= foil[p];
    }
    free(foil);
    return code;
}

static enum ko_code make_room(struct ko_curve_values *values, bool marks, struct ko_error *err)
{
    const struct ko_cube_part *part = values->part;
    const size_t n = (size_t)count_values(values);
    marks = marks && ko_cube_view_has(part->view, part->heat ? "heat_vacuous" : "vacuous");
    values->value = ko_new(n, sizeof *values->value, err);
    values->vacuous = marks ? ko_new(n, 1, err) : NULL;
    return values->value && (values->vacuous || !marks) ? KO_OK : KO_E_MEMORY;
}

enum ko_code ko_curve_values_open(const struct ko_cube_part *part, int32_t model,
                                  enum ko_curve_metric metric, bool marks,
                                  struct ko_curve_values *out, struct ko_error *err)
{
    struct ko_curve_values values = {.part = part,
                                     .metric = metric,
                                     .model = model,
                                     .whole = part->n_values <= part->most_values};
    enum ko_code code = KO_OK;
    if (ko_curve_metric_has_foil(metric) &&
        !ko_cube_view_has(part->view, part->heat ? "heat_foil_logprob" : "foil_logprob")) {
        code = ko_fail(err, KO_E_INPUT,
                       "--metric: the cube has no foils, give the prompts of its file a `foil`");
    }
    if (code == KO_OK) {
        code = ko_cube_part_statuses(part, model, &values.status, err);
    }
    if (code == KO_OK) {
        code = read_clean(&values, err);
    }
    if (code == KO_OK) {
        code = make_room(&values, marks, err);
    }
    if (code == KO_OK) {
        *out = values;
    } else {
        ko_curve_values_close(&values);
    }
    return code;
}

void ko_curve_values_close(struct ko_curve_values *values)
{
    free(values->status);
    free(values->clean);
    free(values->value);
    free(values->vacuous);
    *values = (struct ko_curve_values){0};
}
