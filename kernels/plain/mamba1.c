/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-1's mixing in plain loops. It sums over all earlier positions, as the formula says, and
   keeps no state. It is slow, but easy to check. */
#include "kernels/plain/plain.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

/* alpha[i, j, ch] = sum_n C[i, n] exp(A[ch, n] span) B[j, n] delta[j, ch], where span is
   sum_{k = j+1 .. i} delta[k, ch]. */
static double weight_of(const struct ko_mamba1 *args, const struct ko_plain_path *path, int32_t j,
                        int32_t ch, double span)
{
    const float *b = args->b + ko_at(path->row[j], args->ld_bc, 0);
    const float *c = args->c + ko_at(path->row[path->i], args->ld_bc, 0);
    double sum = 0.0;
    for (int32_t n = 0; n < args->d_state; n++) {
        double a = (double)args->a[ko_at(n, args->d_inner, ch)];
        sum += (double)c[n] * exp(a * span) * (double)b[n];
    }
    return sum * (double)args->delta[ko_at(path->row[j], args->d_inner, ch)];
}

/* y[i, ch] = sum_{j <= i} alpha[i, j, ch] u[j, ch], without the removed edges where masked. */
static double mix_channel(const struct ko_mamba1 *args, const struct ko_plain_path *path,
                          int32_t ch, bool masked)
{
    double y = 0.0, span = 0.0;
    for (int32_t j = path->i; j >= 0; j--) {
        size_t at = ko_at(path->row[j], args->d_inner, ch);
        if (!masked || !ko_plain_removes(path, j)) {
            y += weight_of(args, path, j, ch, span) * (double)args->u[at];
        }
        span += (double)args->delta[at];
    }
    return y;
}

/* out[row, ch] = (y[i, ch] + D[ch] u[i, ch]) silu(z[i, ch]) */
static void mix_row(const struct ko_rows *rows, const struct ko_mamba1 *args, int32_t row,
                    struct ko_plain_path *path)
{
    int32_t stage = args->stage, d_inner = args->d_inner;
    int32_t projected = ko_rows_source(rows, row, stage);
    ko_plain_walk(rows, row, stage, KO_MIXER_SSM, ko_rows_source_after_conv, path);
    for (int32_t ch = 0; ch < d_inner; ch++) {
        bool masked = ko_plain_masked(rows, path->cut, args->masks, stage, d_inner, ch);
        double u = (double)args->u[ko_at(path->row[path->i], d_inner, ch)];
        double z = (double)args->z[ko_at(projected, args->ld_z, ch)];
        double y = mix_channel(args, path, ch, masked) + (double)args->d[ch] * u;
        args->out[ko_at(row, d_inner, ch)] = (float)(y * ko_plain_silu(z));
    }
}

/* out [n_active, d_inner] from u and delta [rows, d_inner], B and C [rows, d_state], z [rows,
   d_inner] */
enum ko_code ko_plain_mamba1(struct ko_backend *be, const struct ko_mamba1 *args,
                             struct ko_error *err)
{
    const struct ko_rows *rows = &be->rows;
    struct ko_plain_path path = {.row = ko_new((size_t)rows->max_tokens, sizeof *path.row, err)};
    if (!path.row) {
        return KO_E_MEMORY;
    }
    for (int32_t r = 0; r < rows->n_active[args->stage]; r++) {
        mix_row(rows, args, r, &path);
    }
    free(path.row);
    return KO_OK;
}
