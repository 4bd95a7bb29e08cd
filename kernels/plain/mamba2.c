/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-2's mixing in plain loops. It sums over all earlier positions as the formula says and keeps
   no state. It is slow, but easy to check. */
#include "kernels/plain/plain.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

/* A row and the rows that it may read from. */
struct path {
    int32_t i;                     /* position of the row */
    int32_t *source;               /* [i + 1] where u, B and C of each position lie */
    int32_t *projected;            /* [i + 1] where dt of each position lies */
    const struct ko_edge_set *cut; /* edges removed in this layer, or NULL */
};

static double delta(const struct ko_mamba2 *args, const struct path *path, int32_t j, int32_t head)
{
    size_t row = (size_t)path->projected[j];
    double x =
        (double)args->dt[row * (size_t)args->ld_dt + (size_t)head] + (double)args->dt_bias[head];
    double step = x > 20.0 ? x : log1p(exp(x));
    double low = (double)args->dt_min, high = (double)args->dt_max;
    return step < low ? low : step > high ? high : step;
}

/* C[i] . B[j] of the head's group */
static double score(const struct ko_mamba2 *args, const struct path *path, int32_t j, int32_t head)
{
    size_t group = (size_t)((int64_t)head * args->n_groups / args->n_heads);
    size_t first = group * (size_t)args->d_state;
    const float *c = args->c + (size_t)path->source[path->i] * (size_t)args->ld + first;
    const float *b = args->b + (size_t)path->source[j] * (size_t)args->ld + first;
    double sum = 0.0;
    for (int32_t n = 0; n < args->d_state; n++) {
        sum += (double)c[n] * (double)b[n];
    }
    return sum;
}

/* alpha[i, j, h] = (C[i] . B[j]) exp(a[h] span) delta[j, h], span = sum_{k = j+1 .. i} delta[k, h];
   0 where the edge is removed. */
static void weigh(const struct ko_mamba2 *args, const struct path *path, int32_t head, bool masked,
                  double *alpha)
{
    double span = 0.0;
    for (int32_t j = path->i; j >= 0; j--) {
        double step = delta(args, path, j, head);
        bool removed = masked && ko_edge_set_has(path->cut, path->i, j);
        alpha[j] =
            removed ? 0.0 : score(args, path, j, head) * exp((double)args->a[head] * span) * step;
        span += step;
    }
}

static void mix_head(const struct ko_mamba2 *args, const struct path *path, int32_t head,
                     bool masked, const double *alpha, float *out)
{
    for (int32_t p = 0; p < args->d_head; p++) {
        const float *u = args->u + (size_t)head * (size_t)args->d_head + (size_t)p;
        double y =
            (double)args->d[head] * (double)u[(size_t)path->source[path->i] * (size_t)args->ld];
        for (int32_t j = 0; j <= path->i; j++) {
            if (!masked || !ko_edge_set_has(path->cut, path->i, j)) {
                y += alpha[j] * (double)u[(size_t)path->source[j] * (size_t)args->ld];
            }
        }
        out[p] = (float)y;
    }
}

static void mix_row(const struct ko_rows *rows, const struct ko_mamba2 *args, int32_t row,
                    struct path *path, double *alpha)
{
    const struct ko_branch *cut = ko_plain_cut(rows, row, args->layer);
    path->cut = cut ? &rows->edges[cut->edge_set] : NULL;
    path->i = ko_plain_chain(rows, row, path->source);
    for (int32_t j = 0; j <= path->i; j++) {
        path->projected[j] = ko_rows_source(rows, path->source[j], args->layer);
        path->source[j] = ko_rows_source_after_conv(rows, path->source[j], args->layer);
    }
    float *out = args->out + (size_t)row * (size_t)args->n_heads * (size_t)args->d_head;
    for (int32_t head = 0; head < args->n_heads; head++, out += args->d_head) {
        bool masked =
            cut && ko_plain_masked(rows, cut, args->masks, args->layer, args->n_heads, head);
        weigh(args, path, head, masked, alpha);
        mix_head(args, path, head, masked, alpha, out);
    }
}

enum ko_code ko_plain_mamba2(struct ko_backend *be, const struct ko_mamba2 *args,
                             struct ko_error *err)
{
    const struct ko_rows *rows = &be->rows;
    size_t n = (size_t)rows->max_tokens;
    struct path path = {.source = ko_new(n, sizeof *path.source, err),
                        .projected = ko_new(n, sizeof *path.projected, err)};
    double *alpha = ko_new(n, sizeof *alpha, err);
    enum ko_code code = path.source && path.projected && alpha ? KO_OK : KO_E_MEMORY;
    for (int32_t r = 0; code == KO_OK && r < rows->n_active[args->layer]; r++) {
        mix_row(rows, args, r, &path, alpha);
    }
    free(path.source);
    free(path.projected);
    free(alpha);
    return code;
}
