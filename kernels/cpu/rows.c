/* SPDX-License-Identifier: Apache-2.0 */
/* Makes and moves rows on the CPU: embeds tokens, copies a parent's row to its branches, and
   gathers rows by index. */
#include <string.h>

#include "kernels/cpu/cpu.h"

enum ko_code ko_cpu_embed(struct ko_backend *be, const struct ko_embed *args, struct ko_error *err)
{
    (void)err;
    const struct ko_rows *rows = &be->rows;
    const float *token = args->tokens.data, *position = args->positions.data;
    size_t width = (size_t)args->tokens.n_in;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < rows->n_trunk_rows; r++) {
        float *to = args->x + (size_t)r * width;
        memcpy(to, token + (size_t)rows->token[r] * width, width * sizeof *to);
        if (position) {
            be->isa->add_scaled(width, 1.0F, position + (size_t)rows->position[r] * width, to);
        }
    }
    return KO_OK;
}

enum ko_code ko_cpu_branch_rows(struct ko_backend *be, const struct ko_branch_rows *args,
                                struct ko_error *err)
{
    (void)err;
    size_t width = (size_t)args->d;
    float *x = args->x;
    const int32_t *parent = be->rows.parent_row;
    /* A parent left in an earlier layer: its rows lie before `first`. */
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = args->first; r < args->first + args->n; r++) {
        memcpy(x + (size_t)r * width, x + (size_t)parent[r] * width, width * sizeof *x);
    }
    return KO_OK;
}

enum ko_code ko_cpu_gather(struct ko_backend *be, const struct ko_gather *args,
                           struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t k = 0; k < args->n; k++) {
        memcpy(args->to + (size_t)k * (size_t)args->ld_to,
               args->from + (size_t)args->index[k] * (size_t)args->ld_from,
               (size_t)args->d * sizeof *args->to);
    }
    return KO_OK;
}
