/* SPDX-License-Identifier: Apache-2.0 */
/* Copies the matrices of a wave's prompts into the rows of their trunks. */
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
    given->source = (struct ko_given_source){put_rows, given};
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
    return &given->source;
}
