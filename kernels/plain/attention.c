/* SPDX-License-Identifier: Apache-2.0 */
/* Attention in plain loops, one row and one head at a time. Edges are removed as the formula says,
   before or after the softmax. */
#include "kernels/plain/plain.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

static double dot_product(const float *a, const float *b, int32_t n)
{
    double sum = 0.0;
    for (int32_t k = 0; k < n; k++) {
        sum += (double)a[k] * (double)b[k];
    }
    return sum;
}

/* scale q . k, capped */
static double score_key(const struct ko_attention *args, const float *q, const float *k)
{
    double score = dot_product(q, k, args->d_head) * (double)args->scale;
    return args->cap > 0.0F ? (double)args->cap * tanh(score / (double)args->cap) : score;
}

/* weight [i + 1]: the softmax over the keys of the path, for the row's query of this head. All
   weights are 0 where every edge is removed. */
static void weigh_keys(const struct ko_attention *args, const struct ko_plain_path *path,
                       int32_t head, int32_t kv_head, double *weight)
{
    int32_t i = path->i;
    const float *q = args->q + ko_at(path->row[i], args->ld, head * args->stride);
    bool after_softmax = path->cut && path->cut->after_softmax;
    double top = args->sinks ? (double)args->sinks[head] : -INFINITY;
    /* scores; -inf where position i does not see position j */
    for (int32_t j = 0; j <= i; j++) {
        const float *k = args->k + ko_at(path->row[j], args->ld, kv_head * args->stride);
        bool seen = i - j < args->reach && (after_softmax || !ko_plain_removes(path, j));
        weight[j] = seen ? score_key(args, q, k) : -INFINITY;
        top = weight[j] > top ? weight[j] : top;
    }
    /* exponentials, and their sum with the sink's; NaN stays NaN */
    double sum = args->sinks ? exp((double)args->sinks[head] - top) : 0.0;
    for (int32_t j = 0; j <= i; j++) {
        weight[j] = weight[j] > -INFINITY ? exp(weight[j] - top)
                    : isnan(weight[j])    ? (double)NAN
                                          : 0.0;
        sum += weight[j];
    }
    /* the removed edges have a weight here if they are removed after the softmax */
    for (int32_t j = 0; j <= i; j++) {
        weight[j] = ko_plain_removes(path, j) || sum == 0.0 ? 0.0 : weight[j] / sum;
    }
}

/* out[row, head, c] = sum_j weight[j] v[j, kv_head, c]. Removed edges are left out, so that their
   values need not be finite. */
static void mix_head(const struct ko_attention *args, const struct ko_plain_path *path, int32_t row,
                     int32_t head, double *weight)
{
    int32_t i = path->i, d = args->d_value;
    int32_t kv_head = (int32_t)((int64_t)head * args->n_kv_heads / args->n_heads);
    weigh_keys(args, path, head, kv_head, weight);
    for (int32_t c = 0; c < d; c++) {
        double sum = 0.0;
        for (int32_t j = 0; j <= i; j++) {
            if (i - j < args->reach && !ko_plain_removes(path, j)) {
                float v = args->v[ko_at(path->row[j], args->ld_v, kv_head * args->stride_v + c)];
                sum += weight[j] * (double)v;
            }
        }
        args->out[ko_at3(row, args->n_heads, head, d, c)] = (float)sum;
    }
}

/* out [n_active, n_heads, d_value] from q [rows, n_heads, d_head] and k [rows, n_kv_heads, d_head],
   each with ld between rows and stride between heads, and v [rows, n_kv_heads, d_value] with ld_v
   and stride_v */
enum ko_code ko_plain_attention(struct ko_backend *be, const struct ko_attention *args,
                                struct ko_error *err)
{
    const struct ko_rows *rows = &be->rows;
    size_t n = (size_t)rows->max_tokens;
    struct ko_plain_path path = {.row = ko_new(n, sizeof *path.row, err)};
    double *weight = ko_new(n, sizeof *weight, err);
    enum ko_code code = path.row && weight ? KO_OK : KO_E_MEMORY;
    for (int32_t r = 0; code == KO_OK && r < rows->n_active[args->stage]; r++) {
        ko_plain_walk(rows, r, args->stage, KO_MIXER_ATTENTION, ko_rows_source, &path);
        struct ko_plain_path whole = path; /* of the heads that keep their edges */
        whole.cut = NULL;
        whole.removed = NULL;
        for (int32_t head = 0; head < args->n_heads; head++) {
            const bool cut = path.cut && ko_branch_cuts_head(path.cut, head);
            mix_head(args, cut ? &path : &whole, r, head, weight);
        }
    }
    free(path.row);
    free(weight);
    return code;
}
