/* SPDX-License-Identifier: Apache-2.0 */
/* Copies the matrices of a wave's prompts into the rows of their trunks, and adds those for later
   layers to the rows of trunks and branches. */
#include "src/forward/given.h"

#include <stdlib.h>

#include "src/base/memory.h"
#include "src/prompts/matrices/embeddings.h"

struct ko_given {
    struct ko_embeddings embeddings;
    float *rows;                  /* room for the largest matrix of the model's prompts */
    const struct ko_row_set *set; /* of the wave */
    struct ko_given_source source;
};

static enum ko_code put_rows(void *self, const struct ko_pass *pass, struct ko_error *err)
{
    struct ko_given *given = self;
    const size_t width = (size_t)pass->model->shape.d_model;
    enum ko_code code = KO_OK;
    for (int32_t k = 0; code == KO_OK && k < given->set->n_given; k++) {
        const struct ko_prompt *prompt = given->set->given[k].prompt;
        float *to = pass->x + (size_t)given->set->given[k].first_row * width;
        code = ko_embeddings_read(&given->embeddings, prompt->id, prompt->hash, given->rows, err);
        if (code == KO_OK) {
            code = pass->kernels->upload(pass->be, to, given->rows,
                                         (size_t)prompt->n_embedded * width * sizeof *to, err);
        }
    }
    return code;
}

/* The rows [n, width] up to the last that is not zero: the text behind the images has nothing. */
static int32_t rows_in_use(const float *rows, int32_t n, size_t width)
{
    size_t end = (size_t)n * width;
    while (end > 0 && rows[end - 1] == 0) {
        end--;
    }
    return (int32_t)((end + width - 1) / width);
}

/* Adds rows of `from` [.., width] to n rows of x that begin with `row` and have the
   positions from `position` on. The rows of `from` behind the first n_from are zero. */
static enum ko_code add_part(const struct ko_pass *pass, const float *from, int32_t n_from,
                             int32_t row, int32_t position, int32_t n, struct ko_error *err)
{
    const int32_t width = pass->model->shape.d_model;
    const int32_t left = n_from - position;
    const struct ko_add_scaled args = {.n = n < left ? n : left,
                                       .d = width,
                                       .x = from + (ptrdiff_t)position * width,
                                       .ldx = width,
                                       .scale = 1,
                                       .y = pass->x + (ptrdiff_t)row * width,
                                       .ldy = width};
    return args.n > 0 ? pass->kernels->add_scaled(pass->be, &args, err) : KO_OK;
}

/* Adds a prompt's rows of a layer to its trunk and to its branches among the first n rows. */
static enum ko_code add_to_prompt(struct ko_given *given, const struct ko_given_rows *to,
                                  const struct ko_pass *pass, int32_t layer, int32_t n,
                                  struct ko_error *err)
{
    const struct ko_rows *rows = pass->rows;
    const struct ko_prompt *prompt = to->prompt;
    const size_t width = (size_t)pass->model->shape.d_model;
    float *from = pass->buffer[0];
    enum ko_code code =
        ko_embeddings_read_added(&given->embeddings, prompt->id, layer, given->rows, err);
    const int32_t n_from = code == KO_OK ? rows_in_use(given->rows, prompt->n_embedded, width) : 0;
    if (n_from > 0) {
        code = pass->kernels->upload(pass->be, from, given->rows,
                                     (size_t)n_from * width * sizeof *from, err);
    }
    if (code == KO_OK) {
        code = add_part(pass, from, n_from, to->first_row, 0, n_from, err);
    }
    for (int32_t k = 0; code == KO_OK && k < rows->n_branches; k++) {
        const struct ko_branch *b = &rows->branches[k];
        if (b->first_row < n && rows->trunk_first[b->prompt] == to->first_row) {
            code = add_part(pass, from, n_from, b->first_row, b->first_position, b->n_rows, err);
        }
    }
    return code;
}

static enum ko_code add_rows(void *self, const struct ko_pass *pass, int32_t layer, int32_t n,
                             struct ko_error *err)
{
    struct ko_given *given = self;
    enum ko_code code = KO_OK;
    for (int32_t k = 0; code == KO_OK && k < given->set->n_given; k++) {
        const struct ko_given_rows *to = &given->set->given[k];
        if (layer < to->prompt->n_added) {
            code = add_to_prompt(given, to, pass, layer, n, err);
        }
    }
    return code;
}

enum ko_code ko_given_open(const struct ko_plan *plan, int32_t plan_model, struct ko_given **out,
                           struct ko_error *err)
{
    int32_t most = 0;
    for (int32_t f = 0; f < plan->n_facts; f++) {
        const int32_t n = ko_plan_prompt(plan, plan_model, f)->n_embedded;
        most = n > most ? n : most;
    }
    if (most == 0) {
        return KO_OK;
    }
    struct ko_given *given = ko_new(1, sizeof *given, err);
    if (!given) {
        return KO_E_MEMORY;
    }
    given->source = (struct ko_given_source){.put = put_rows, .add = add_rows, .self = given};
    enum ko_code code = ko_embeddings_open(&plan->embeddings, &given->embeddings, err);
    code = code == KO_E_INPUT ? KO_E_FAILED : code; /* the run began with them */
    if (code == KO_OK) {
        given->rows = ko_new((size_t)most * (size_t)plan->model[plan_model].d_model,
                             sizeof *given->rows, err);
        code = given->rows ? KO_OK : KO_E_MEMORY;
    }
    if (code != KO_OK) {
        ko_given_close(given);
        return code;
    }
    *out = given;
    return KO_OK;
}

void ko_given_close(struct ko_given *given)
{
    if (given) {
        ko_embeddings_close(&given->embeddings);
        free(given->rows);
        free(given);
    }
}

const struct ko_given_source *ko_given_source(struct ko_given *given, const struct ko_row_set *set)
{
    if (!given || set->n_given == 0) {
        return NULL;
    }
    given->set = set;
    given->source.n_layers = 0;
    for (int32_t k = 0; k < set->n_given; k++) {
        const int32_t n = set->given[k].prompt->n_added;
        given->source.n_layers = n > given->source.n_layers ? n : given->source.n_layers;
    }
    return &given->source;
}
