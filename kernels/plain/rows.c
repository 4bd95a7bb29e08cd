/* SPDX-License-Identifier: Apache-2.0 */
/* Makes and moves rows in plain loops. It also holds what the other plain files ask about a row:
   which rows came before it, and whether edges are removed from it. */
#include "kernels/plain/plain.h"

#include <string.h>

int32_t ko_plain_chain(const struct ko_rows *rows, int32_t row, int32_t *chain)
{
    int32_t position = rows->position[row];
    for (int32_t at = row, i = position; i >= 0; i--, at = rows->previous[at]) {
        chain[i] = at;
    }
    return position;
}

const struct ko_branch *ko_plain_cut(const struct ko_rows *rows, int32_t row, int32_t layer)
{
    int32_t b = rows->branch[row];
    if (b < 0 || !ko_branch_in_window(&rows->branches[b], layer)) {
        return NULL;
    }
    return &rows->branches[b];
}

bool ko_plain_masked(const struct ko_rows *rows, const struct ko_branch *branch,
                     const uint8_t *masks, int32_t layer, int32_t n_features, int32_t feature)
{
    if (branch->mask < 0) {
        return true;
    }
    size_t row = (size_t)branch->mask * (size_t)rows->n_layers + (size_t)layer;
    return masks[row * (size_t)n_features + (size_t)feature] != 0;
}

enum ko_code ko_plain_embed(struct ko_backend *be, const struct ko_embed *args,
                            struct ko_error *err)
{
    (void)err;
    const struct ko_rows *rows = &be->rows;
    const float *token = args->tokens.data, *position = args->positions.data;
    size_t width = (size_t)args->tokens.n_in;
    for (int32_t r = 0; r < rows->n_trunk_rows; r++) {
        const float *from = token + (size_t)rows->token[r] * width;
        float *to = args->x + (size_t)r * width;
        for (size_t c = 0; c < width; c++) {
            to[c] = from[c];
            if (position) {
                to[c] += position[(size_t)rows->position[r] * width + c];
            }
        }
    }
    return KO_OK;
}

enum ko_code ko_plain_branch_rows(struct ko_backend *be, const struct ko_branch_rows *args,
                                  struct ko_error *err)
{
    (void)err;
    size_t width = (size_t)args->d;
    for (int32_t r = args->first; r < args->first + args->n; r++) {
        memcpy(args->x + (size_t)r * width, args->x + (size_t)be->rows.parent_row[r] * width,
               width * sizeof *args->x);
    }
    return KO_OK;
}

enum ko_code ko_plain_gather(struct ko_backend *be, const struct ko_gather *args,
                             struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t k = 0; k < args->n; k++) {
        memcpy(args->to + (size_t)k * (size_t)args->ld_to,
               args->from + (size_t)args->index[k] * (size_t)args->ld_from,
               (size_t)args->d * sizeof *args->to);
    }
    return KO_OK;
}
