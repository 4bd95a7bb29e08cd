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

enum ko_code ko_plain_embed(struct ko_backend *be, const struct ko_matrix *tokens,
                            const struct ko_matrix *positions, float *x, struct ko_error *err)
{
    (void)err;
    const struct ko_rows *rows = &be->rows;
    const float *token = tokens->data, *position = positions ? positions->data : NULL;
    size_t width = (size_t)tokens->n_in;
    for (int32_t r = 0; r < rows->n_trunk_rows; r++) {
        const float *from = token + (size_t)rows->token[r] * width;
        float *to = x + (size_t)r * width;
        for (size_t c = 0; c < width; c++) {
            to[c] = from[c];
            if (position) {
                to[c] += position[(size_t)rows->position[r] * width + c];
            }
        }
    }
    return KO_OK;
}

enum ko_code ko_plain_branch_rows(struct ko_backend *be, float *x, int32_t d, int32_t first,
                                  int32_t n, struct ko_error *err)
{
    (void)err;
    size_t width = (size_t)d;
    for (int32_t r = first; r < first + n; r++) {
        memcpy(x + (size_t)r * width, x + (size_t)be->rows.parent_row[r] * width,
               width * sizeof *x);
    }
    return KO_OK;
}

enum ko_code ko_plain_gather(struct ko_backend *be, const float *from, int32_t ld_from,
                             const int32_t *index, int32_t n, int32_t d, float *to, int32_t ld_to,
                             struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t k = 0; k < n; k++) {
        memcpy(to + (size_t)k * (size_t)ld_to, from + (size_t)index[k] * (size_t)ld_from,
               (size_t)d * sizeof *to);
    }
    return KO_OK;
}
