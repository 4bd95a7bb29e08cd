/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-2's mixing in plain loops. It sums over all earlier positions, as the formula says, and
   keeps no state. It is slow, but easy to check. */
#include "kernels/plain/plain.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

/* delta[row, head] = clamp(softplus(dt[row, head] + dt_bias[head])) */
static double time_step(const struct ko_mamba2 *args, int32_t row, int32_t head)
{
    double x = (double)args->dt[ko_at(row, args->ld_dt, head)] + (double)args->dt_bias[head];
    double step = x > 20.0 ? x : log1p(exp(x));
    double low = (double)args->dt_min, high = (double)args->dt_max;
    return step < low ? low : step > high ? high : step;
}

/* C[i] . B[j] of the head's group */
static double score_key(const struct ko_mamba2 *args, const struct ko_plain_path *path, int32_t j,
                        int32_t head)
{
    int32_t group = (int32_t)((int64_t)head * args->n_groups / args->n_heads);
    const float *c = args->c + ko_at(path->row[path->i], args->ld, group * args->d_state);
    const float *b = args->b + ko_at(path->row[j], args->ld, group * args->d_state);
    double sum = 0.0;
    for (int32_t n = 0; n < args->d_state; n++) {
        sum += (double)c[n] * (double)b[n];
    }
    return sum;
}

/* alpha[j] = (C[i] . B[j]) exp(a[head] span) delta[j, head], where span is sum_{k = j+1 .. i}
   delta[k, head]. projected: the rows that hold dt. */
static void weigh_keys(const struct ko_mamba2 *args, const struct ko_plain_path *path,
                       const struct ko_plain_path *projected, int32_t head, double *alpha)
{
    double a = (double)args->a[head], span = 0.0;
    for (int32_t j = path->i; j >= 0; j--) {
        double delta = time_step(args, projected->row[j], head);
        alpha[j] = score_key(args, path, j, head) * exp(a * span) * delta;
        span += delta;
    }
}

/* out[row, head, p] = d[head] u[i, head, p] + sum_{j <= i} alpha[j] u[j, head, p], without the
   removed edges where masked. */
static void mix_head(const struct ko_mamba2 *args, const struct ko_plain_path *path, int32_t row,
                     int32_t head, bool masked, const double *alpha)
{
    for (int32_t p = 0; p < args->d_head; p++) {
        int32_t column = head * args->d_head + p;
        double y =
            (double)args->d[head] * (double)args->u[ko_at(path->row[path->i], args->ld, column)];
        for (int32_t j = 0; j <= path->i; j++) {
            if (!masked || !ko_plain_removes(path, j)) {
                y += alpha[j] * (double)args->u[ko_at(path->row[j], args->ld, column)];
            }
        }
        args->out[ko_at3(row, args->n_heads, head, args->d_head, p)] = (float)y;
    }
}

/* out [n_active, n_heads, d_head] from u [rows, n_heads, d_head], B and C [rows, n_groups,
   d_state], dt [rows, n_heads] */
enum ko_code ko_plain_mamba2(struct ko_backend *be, const struct ko_mamba2 *args,
                             struct ko_error *err)
{
    const struct ko_rows *rows = &be->rows;
    int32_t stage = args->stage;
    size_t n = (size_t)rows->max_tokens;
    struct ko_plain_path path = {.row = ko_new(n, sizeof *path.row, err)};
    struct ko_plain_path projected = {.row = ko_new(n, sizeof *path.row, err)};
    double *alpha = ko_new(n, sizeof *alpha, err);
    enum ko_code code = path.row && projected.row && alpha ? KO_OK : KO_E_MEMORY;
    for (int32_t r = 0; code == KO_OK && r < rows->n_active[stage]; r++) {
        ko_plain_walk(rows, r, stage, KO_MIXER_SSM, ko_rows_source_after_conv, &path);
        ko_plain_walk(rows, r, stage, KO_MIXER_SSM, ko_rows_source, &projected);
        for (int32_t head = 0; head < args->n_heads; head++) {
            bool masked = ko_plain_masked(rows, path.cut, args->masks, stage, args->n_heads, head);
            weigh_keys(args, &path, &projected, head, alpha);
            mix_head(args, &path, r, head, masked, alpha);
        }
    }
    free(path.row);
    free(projected.row);
    free(alpha);
    return code;
}
