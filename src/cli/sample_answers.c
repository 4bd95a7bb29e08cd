/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what drawn cells have beside their metrics, a prompt's cells at a time: the tokens of whole
   answers, the sum of several right answers, and options. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cli/sample.h"

/* A dataset whose numbers, `each` of them a cell, are float or int32. */
struct series {
    const char *name[2]; /* of mean routes and of heat routes */
    int64_t each;
    bool whole; /* int32 */
};

enum { NUMBER = 4 }; /* bytes */
_Static_assert(sizeof(float) == NUMBER && sizeof(int32_t) == NUMBER, "bytes of a number");

/* The cells of a prompt on the routes of a kind. */
static int64_t cells_of_prompt(const struct ko_cube_axes *axes, bool heat)
{
    const size_t n_routes = heat ? axes->heat_route.n : axes->route.n;
    const int64_t n_sources = heat ? axes->n_source_positions : 1;
    return (int64_t)n_routes * (int64_t)axes->feature_class.n * n_sources * axes->n_sizes *
           axes->n_starts;
}

/* The cell's number among those of its prompt. */
static int64_t number_of(const struct ko_cube_axes *axes, const struct ko_sampled *cell)
{
    const int64_t n_sources = cell->heat ? axes->n_source_positions : 1;
    int64_t at = (int64_t)cell->route * (int64_t)axes->feature_class.n + cell->class;
    at = at * n_sources + cell->source_position;
    return (at * axes->n_sizes + cell->size) * axes->n_starts + cell->start;
}

static enum ko_code read_prompt(struct ko_cube_view *view, const struct series *series,
                                const struct ko_sampled *cell, size_t n_values, void *values,
                                struct ko_error *err)
{
    const struct ko_cube_rows rows = {.dataset = series->name[cell->heat],
                                      .model = cell->model,
                                      .first = cell->prompt,
                                      .n = 1,
                                      .n_values = (int64_t)n_values};
    return series->whole ? ko_cube_view_rows_int(view, &rows, values, err)
                         : ko_cube_view_rows_float(view, &rows, values, err);
}

/* Fills in the cells of one kind of routes. Cells of a prompt follow one another. */
static enum ko_code read_kind(struct ko_cube_view *view, const struct series *series, bool heat,
                              const struct ko_sampled *cell, int64_t n, unsigned char *out,
                              struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    const struct ko_sampled *last = NULL;
    const size_t bytes = (size_t)series->each * NUMBER;
    size_t n_values = 0;
    enum ko_code code = ko_multiply((size_t)cells_of_prompt(axes, heat), (size_t)series->each,
                                    &n_values, series->name[heat], err);
    if (code != KO_OK || n_values == 0) {
        return code;
    }
    unsigned char *values = ko_new(n_values, NUMBER, err);
    code = values ? KO_OK : KO_E_MEMORY;
    for (int64_t k = 0; code == KO_OK && k < n; k++) {
        if (cell[k].heat != heat) {
            continue;
        }
        if (!last || last->model != cell[k].model || last->prompt != cell[k].prompt) {
            code = read_prompt(view, series, &cell[k], n_values, values, err);
        }
        last = &cell[k];
        memcpy(out + (size_t)k * bytes, values + (size_t)number_of(axes, last) * bytes, bytes);
    }
    free(values);
    return code;
}

/* *out [n, each]: free(); NULL where `each` is 0. */
static enum ko_code read_series(struct ko_cube_view *view, const struct series *series,
                                const struct ko_sampled *cell, int64_t n, void **out,
                                struct ko_error *err)
{
    *out = NULL;
    if (series->each == 0) {
        return KO_OK;
    }
    *out = ko_new((size_t)(n * series->each), NUMBER, err);
    enum ko_code code = *out ? read_kind(view, series, false, cell, n, *out, err) : KO_E_MEMORY;
    return code == KO_OK ? read_kind(view, series, true, cell, n, *out, err) : code;
}

enum ko_code ko_sample_answers(struct ko_cube_view *view, const struct ko_sampled *cell, int64_t n,
                               struct ko_answer_metrics **out, struct ko_error *err)
{
    const int64_t each = ko_cube_view_axes(view)->n_answer_tokens, n_tokens = n * each;
    const struct series logprobs = {{"answer_logprob", "heat_answer_logprob"}, each, false};
    const struct series ranks = {{"answer_rank", "heat_answer_rank"}, each, true};
    void *logprob = NULL, *rank = NULL;
    *out = NULL;
    enum ko_code code = read_series(view, &logprobs, cell, n, &logprob, err);
    if (code == KO_OK) {
        code = read_series(view, &ranks, cell, n, &rank, err);
    }
    if (code == KO_OK && n_tokens > 0) {
        *out = ko_new((size_t)n_tokens, sizeof **out, err);
        code = *out ? KO_OK : KO_E_MEMORY;
    }
    for (int64_t i = 0; code == KO_OK && i < n_tokens; i++) {
        (*out)[i] = (struct ko_answer_metrics){((float *)logprob)[i], ((int32_t *)rank)[i]};
    }
    free(logprob);
    free(rank);
    return code;
}

enum ko_code ko_sample_choices(struct ko_cube_view *view, const struct ko_sampled *cell, int64_t n,
                               float **sum, float **option, struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    const struct series sums = {{"sum_logprob", "heat_sum_logprob"}, axes->several ? 1 : 0, false};
    const struct series options = {
        {"option_logprob", "heat_option_logprob"}, axes->n_options, false};
    void *numbers = NULL;
    enum ko_code code = read_series(view, &sums, cell, n, &numbers, err);
    *sum = numbers;
    if (code == KO_OK) {
        code = read_series(view, &options, cell, n, &numbers, err);
        *option = numbers;
    }
    return code;
}
