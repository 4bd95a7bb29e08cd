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
    int32_t d = token ? args->tokens.n_in : args->positions.n_in;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < rows->n_embedded; r++) {
        float *to = args->x + ko_at(r, d, 0);
        int32_t place = args->first_position + rows->position[r];
        if (!token) {
            memcpy(to, position + ko_at(place, d, 0), (size_t)d * sizeof *to);
            continue;
        }
        memcpy(to, token + ko_at(rows->token[r], d, 0), (size_t)d * sizeof *to);
        if (args->scale != 1.0F) {
            be->isa->scale_cap((size_t)d, args->scale, 0.0F, to);
        }
        if (position) {
            be->isa->add_scaled((size_t)d, 1.0F, position + ko_at(place, d, 0), to);
        }
    }
    return KO_OK;
}

enum ko_code ko_cpu_branch_rows(struct ko_backend *be, const struct ko_branch_rows *args,
                                struct ko_error *err)
{
    (void)err;
    float *x = args->x;
    const int32_t *parent = be->rows.parent_row;
    int32_t d = args->d;
    /* A parent left in an earlier stage, so its rows lie before `first`. */
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = args->first; r < args->first + args->n; r++) {
        memcpy(x + ko_at(r, d, 0), x + ko_at(parent[r], d, 0), (size_t)d * sizeof *x);
    }
    return KO_OK;
}

enum ko_code ko_cpu_gather(struct ko_backend *be, const struct ko_gather *args,
                           struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t k = 0; k < args->n; k++) {
        memcpy(args->to + ko_at(k, args->ld_to, 0),
               args->from + ko_at(args->index[k], args->ld_from, 0),
               (size_t)args->d * sizeof *args->to);
    }
    return KO_OK;
}

enum ko_code ko_cpu_scatter(struct ko_backend *be, const struct ko_scatter *args,
                            struct ko_error *err)
{
    (void)err;
    const size_t bytes = (size_t)args->d * sizeof *args->to;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t k = 0; k < args->n; k++) {
        float *to = args->to + ko_at(args->row[k], args->ld_to, args->column[k]);
        if (args->from) {
            memcpy(to, args->from + ko_at(k, args->ld_from, 0), bytes);
        } else {
            memset(to, 0, bytes);
        }
    }
    return KO_OK;
}

enum ko_code ko_cpu_copy_heads(struct ko_backend *be, const struct ko_copy_heads *args,
                               struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < args->n; r++) {
        for (int32_t h = 0; h < args->n_heads; h++) {
            memcpy(args->to + ko_at(r, args->ld_to, h * args->stride_to),
                   args->from + ko_at(r, args->ld_from, h * args->stride_from),
                   (size_t)args->d * sizeof *args->to);
        }
    }
    return KO_OK;
}
