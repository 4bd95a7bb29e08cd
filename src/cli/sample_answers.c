/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the tokens of the whole answers of drawn cells, a prompt's cells at a time. */
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/cli/sample.h"

/* The cells of one prompt, on the axes of its kind of routes. */
struct block {
    bool heat;
    int64_t n_values; /* cells of a prompt */
    float *logprob;   /* [n_values, n_answer_tokens] */
    int32_t *rank;    /* likewise */
};

static struct block block_of(const struct ko_cube_axes *axes, bool heat)
{
    const size_t n_routes = heat ? axes->heat_route.n : axes->route.n;
    const int64_t n_sources = heat ? axes->n_source_positions : 1;
    return (struct block){.heat = heat,
                          .n_values = (int64_t)n_routes * (int64_t)axes->feature_class.n *
                                      n_sources * axes->n_sizes * axes->n_starts};
}

/* The cell's number among those of its prompt. */
static int64_t number_of(const struct ko_cube_axes *axes, const struct ko_sampled *cell)
{
    const int64_t n_sources = cell->heat ? axes->n_source_positions : 1;
    int64_t at = (int64_t)cell->route * (int64_t)axes->feature_class.n + cell->class;
    at = at * n_sources + cell->source_position;
    return (at * axes->n_sizes + cell->size) * axes->n_starts + cell->start;
}

static enum ko_code read_prompt(struct ko_cube_view *view, const struct ko_sampled *cell,
                                const struct block *block, struct ko_error *err)
{
    struct ko_cube_rows rows = {.dataset = cell->heat ? "heat_answer_logprob" : "answer_logprob",
                                .model = cell->model,
                                .first = cell->prompt,
                                .n = 1,
                                .n_values =
                                    block->n_values * ko_cube_view_axes(view)->n_answer_tokens};
    enum ko_code code = ko_cube_view_rows_float(view, &rows, block->logprob, err);
    rows.dataset = cell->heat ? "heat_answer_rank" : "answer_rank";
    return code == KO_OK ? ko_cube_view_rows_int(view, &rows, block->rank, err) : code;
}

/* Fills in the cells of one kind of routes. Cells of a prompt follow one another. */
static enum ko_code read_kind(struct ko_cube_view *view, bool heat, const struct ko_sampled *cell,
                              int64_t n, struct ko_answer_metrics *out, struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    struct block block = block_of(axes, heat);
    const struct ko_sampled *last = NULL;
    const int64_t each = axes->n_answer_tokens;
    size_t n_tokens = 0;
    enum ko_code code =
        ko_multiply((size_t)block.n_values, (size_t)each, &n_tokens, "tokens of answers", err);
    if (code != KO_OK || n_tokens == 0) {
        return code;
    }
    block.logprob = ko_new(n_tokens, sizeof *block.logprob, err);
    block.rank = ko_new(n_tokens, sizeof *block.rank, err);
    code = block.logprob && block.rank ? KO_OK : KO_E_MEMORY;
    for (int64_t k = 0; code == KO_OK && k < n; k++) {
        if (cell[k].heat != heat) {
            continue;
        }
        if (!last || last->model != cell[k].model || last->prompt != cell[k].prompt) {
            code = read_prompt(view, &cell[k], &block, err);
        }
        last = &cell[k];
        const int64_t from = number_of(axes, last) * each;
        for (int64_t i = 0; code == KO_OK && i < each; i++) {
            out[k * each + i] =
                (struct ko_answer_metrics){block.logprob[from + i], block.rank[from + i]};
        }
    }
    free(block.logprob);
    free(block.rank);
    return code;
}

enum ko_code ko_sample_answers(struct ko_cube_view *view, const struct ko_sampled *cell, int64_t n,
                               struct ko_answer_metrics **out, struct ko_error *err)
{
    const int32_t each = ko_cube_view_axes(view)->n_answer_tokens;
    *out = NULL;
    if (each == 0) {
        return KO_OK;
    }
    *out = ko_new((size_t)(n * each), sizeof **out, err);
    enum ko_code code = *out ? read_kind(view, false, cell, n, *out, err) : KO_E_MEMORY;
    return code == KO_OK ? read_kind(view, true, cell, n, *out, err) : code;
}
