/* SPDX-License-Identifier: Apache-2.0 */
/* The gated delta rule in plain loops. It weighs all earlier positions, as the formula says, and
   keeps no state. It is slow, but easy to check. */
#include "kernels/plain/plain.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

/* 1 / sqrt(sum x^2 + 1e-6) */
static double inverse_norm(const float *x, int32_t n)
{
    double sum = 1e-6;
    for (int32_t k = 0; k < n; k++) {
        sum += (double)x[k] * (double)x[k];
    }
    return 1.0 / sqrt(sum);
}

static int32_t key_column(const struct ko_deltanet *args, int32_t head)
{
    return (int32_t)((int64_t)head * args->n_key_heads / args->n_heads) * args->d_key;
}

/* exp(a[head] softplus(dt + dt_bias)) of key channel n of the head */
static double decay_of(const struct ko_deltanet *args, int32_t row, int32_t head, int32_t n)
{
    int32_t at = args->per_channel ? head * args->d_key + n : head;
    double x = (double)args->dt[ko_at(row, args->ld_dt, at)] + (double)args->dt_bias[at];
    return exp((double)args->a[head] * (x > 20.0 ? x : log1p(exp(x))));
}

static double beta_of(const struct ko_deltanet *args, int32_t row, int32_t head)
{
    return 1.0 / (1.0 + exp(-(double)args->beta[ko_at(row, args->ld_beta, head)]));
}

/* weight[j] = beta_j k_j . x, where x is [prod_{s = j+1 .. i} D_s (I - beta_s k_s k_s^T)] q_i, with
   the product in increasing s and D_s the decay. x [d_key] starts as q_i and takes one more factor
   for each j. projected: the rows that hold dt and beta. */
static void weigh_keys(const struct ko_deltanet *args, const struct ko_plain_path *path,
                       const struct ko_plain_path *projected, int32_t head, double *x,
                       double *weight)
{
    int32_t column = key_column(args, head), d_key = args->d_key;
    const float *q = args->q + ko_at(path->row[path->i], args->ld, column);
    double scale = inverse_norm(q, d_key) / sqrt((double)d_key);
    for (int32_t n = 0; n < d_key; n++) {
        x[n] = (double)q[n] * scale;
    }
    for (int32_t j = path->i; j >= 0; j--) {
        const float *k = args->k + ko_at(path->row[j], args->ld, column);
        double norm = inverse_norm(k, d_key), sum = 0.0, decay = 1.0;
        for (int32_t n = 0; n < d_key; n++) {
            sum += (double)k[n] * norm * x[n];
        }
        weight[j] = beta_of(args, projected->row[j], head) * sum;
        for (int32_t n = 0; n < d_key; n++) {
            if (n == 0 || args->per_channel) {
                decay = decay_of(args, projected->row[j], head, n);
            }
            x[n] = decay * (x[n] - weight[j] * (double)k[n] * norm);
        }
    }
}

/* out[row, head, p] = sum_{j <= i} weight[j] v[j, head, p], without the removed edges where masked.
 */
static void mix_head(const struct ko_deltanet *args, const struct ko_plain_path *path, int32_t row,
                     int32_t head, bool masked, const double *weight)
{
    for (int32_t p = 0; p < args->d_value; p++) {
        int32_t column = head * args->d_value + p;
        double sum = 0.0;
        for (int32_t j = 0; j <= path->i; j++) {
            if (!masked || !ko_plain_removes(path, j)) {
                sum += weight[j] * (double)args->v[ko_at(path->row[j], args->ld, column)];
            }
        }
        args->out[ko_at3(row, args->n_heads, head, args->d_value, p)] = (float)sum;
    }
}

/* out [n_active, n_heads, d_value] from q, k [rows, n_key_heads, d_key], v [rows, n_heads,
   d_value], dt [rows, n_heads] or [rows, n_heads, d_key], beta [rows, n_heads] */
enum ko_code ko_plain_deltanet(struct ko_backend *be, const struct ko_deltanet *args,
                               struct ko_error *err)
{
    const struct ko_rows *rows = &be->rows;
    int32_t stage = args->stage;
    size_t n = (size_t)rows->max_tokens;
    struct ko_plain_path path = {.row = ko_new(n, sizeof *path.row, err)};
    struct ko_plain_path projected = {.row = ko_new(n, sizeof *path.row, err)};
    double *weight = ko_new(n, sizeof *weight, err);
    double *x = ko_new((size_t)args->d_key, sizeof *x, err);
    enum ko_code code = path.row && projected.row && weight && x ? KO_OK : KO_E_MEMORY;
    for (int32_t r = 0; code == KO_OK && r < rows->n_active[stage]; r++) {
        ko_plain_walk(rows, r, stage, KO_MIXER_SSM, ko_rows_source_after_conv, &path);
        ko_plain_walk(rows, r, stage, KO_MIXER_SSM, ko_rows_source, &projected);
        for (int32_t head = 0; head < args->n_heads; head++) {
            bool masked = ko_plain_masked(rows, path.cut, args->masks, stage, args->n_heads, head);
            weigh_keys(args, &path, &projected, head, x, weight);
            mix_head(args, &path, r, head, masked, weight);
        }
    }
    free(path.row);
    free(projected.row);
    free(weight);
    free(x);
    return code;
}
