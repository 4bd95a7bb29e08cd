/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-1's mixing in plain loops. It sums over all earlier positions as the formula says and keeps
   no state. It is slow, but easy to check. */
#include "kernels/plain/plain.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

/* A row and the rows that it may read from. */
struct path {
    int32_t i;                     /* position of the row */
    int32_t *source;               /* [i + 1] where the inputs of each position lie */
    const struct ko_edge_set *cut; /* edges removed in this layer, or NULL */
};

/* alpha[i, j, c] = sum_n C[i, n] exp(A[c, n] span) delta[j, c] B[j, n], span = sum_{k = j+1 .. i}
   delta[k, c]. */
static double alpha(const struct ko_mamba1 *args, const struct path *path, int32_t j, int32_t c,
                    double span)
{
    size_t channel = (size_t)c, width = (size_t)args->d_inner;
    const float *b = args->b + (size_t)path->source[j] * (size_t)args->ld_bc;
    const float *c_row = args->c + (size_t)path->source[path->i] * (size_t)args->ld_bc;
    double sum = 0.0;
    for (int32_t n = 0; n < args->d_state; n++) {
        sum += (double)c_row[n] * exp((double)args->a[(size_t)n * width + channel] * span) *
               (double)b[n];
    }
    return sum * (double)args->delta[(size_t)path->source[j] * width + channel];
}

static double mix_channel(const struct ko_mamba1 *args, const struct path *path, int32_t c,
                          bool masked)
{
    size_t channel = (size_t)c, width = (size_t)args->d_inner;
    double y = 0.0, span = 0.0;
    for (int32_t j = path->i; j >= 0; j--) {
        size_t at = (size_t)path->source[j] * width + channel;
        if (!masked || !ko_edge_set_has(path->cut, path->i, j)) {
            y += alpha(args, path, j, c, span) * (double)args->u[at];
        }
        span += (double)args->delta[at];
    }
    return y;
}

static void mix_row(const struct ko_rows *rows, const struct ko_mamba1 *args, int32_t row,
                    int32_t *chain)
{
    const struct ko_branch *cut = ko_plain_cut(rows, row, args->layer);
    struct path path = {.source = chain, .cut = cut ? &rows->edges[cut->edge_set] : NULL};
    path.i = ko_plain_chain(rows, row, chain);
    for (int32_t j = 0; j <= path.i; j++) {
        chain[j] = ko_rows_source_after_conv(rows, chain[j], args->layer);
    }
    size_t width = (size_t)args->d_inner;
    const float *u = args->u + (size_t)chain[path.i] * width;
    const float *z = args->z + (size_t)ko_rows_source(rows, row, args->layer) * (size_t)args->ld_z;
    for (int32_t c = 0; c < args->d_inner; c++) {
        bool masked = cut && ko_plain_masked(rows, cut, args->masks, args->layer, args->d_inner, c);
        double y = mix_channel(args, &path, c, masked) + (double)args->d[c] * (double)u[c];
        args->out[(size_t)row * width + (size_t)c] = (float)(y * ko_plain_silu((double)z[c]));
    }
}

enum ko_code ko_plain_mamba1(struct ko_backend *be, const struct ko_mamba1 *args,
                             struct ko_error *err)
{
    const struct ko_rows *rows = &be->rows;
    int32_t *chain = ko_new((size_t)rows->max_tokens, sizeof *chain, err);
    if (!chain) {
        return KO_E_MEMORY;
    }
    for (int32_t r = 0; r < rows->n_active[args->layer]; r++) {
        mix_row(rows, args, r, chain);
    }
    free(chain);
    return KO_OK;
}
