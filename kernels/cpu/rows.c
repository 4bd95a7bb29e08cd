#include <string.h>

#include "kernels/cpu/cpu.h"

enum ko_code ko_cpu_embed(struct ko_backend *be, const struct ko_matrix *tokens,
                          const struct ko_matrix *positions, float *x, struct ko_error *err)
{
    (void)err;
    const struct ko_rows *rows = &be->rows;
    const float *token = tokens->data, *position = positions ? positions->data : NULL;
    size_t width = (size_t)tokens->n_in;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < rows->n_trunk_rows; r++) {
        float *to = x + (size_t)r * width;
        memcpy(to, token + (size_t)rows->token[r] * width, width * sizeof *to);
        if (position) {
            be->isa->add_scaled(width, 1.0F, position + (size_t)rows->position[r] * width, to);
        }
    }
    return KO_OK;
}

enum ko_code ko_cpu_branch_rows(struct ko_backend *be, float *x, int32_t d, int32_t first,
                                int32_t n, struct ko_error *err)
{
    (void)err;
    size_t width = (size_t)d;
    const int32_t *parent = be->rows.parent_row;
    /* A parent left in an earlier layer: its rows lie before `first`. */
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = first; r < first + n; r++) {
        memcpy(x + (size_t)r * width, x + (size_t)parent[r] * width, width * sizeof *x);
    }
    return KO_OK;
}

enum ko_code ko_cpu_gather(struct ko_backend *be, const float *from, int32_t ld_from,
                           const int32_t *index, int32_t n, int32_t d, float *to, int32_t ld_to,
                           struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t k = 0; k < n; k++) {
        memcpy(to + (size_t)k * (size_t)ld_to, from + (size_t)index[k] * (size_t)ld_from,
               (size_t)d * sizeof *to);
    }
    return KO_OK;
}
