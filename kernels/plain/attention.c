/* SPDX-License-Identifier: Apache-2.0 */
/* Attention in plain loops, one row and one head at a time. Removed edges follow the formula
   directly, before or after the softmax. */
#include "kernels/plain/plain.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

struct row_keys {
    int32_t row, i;
    int32_t *source;               /* [i + 1] where each position's key and value lie */
    double *score;                 /* [i + 1] */
    const struct ko_edge_set *cut; /* edges removed in this layer, or NULL */
    bool after_softmax;
};

static double dot(const float *a, const float *b, int32_t n)
{
    double sum = 0.0;
    for (int32_t k = 0; k < n; k++) {
        sum += (double)a[k] * (double)b[k];
    }
    return sum;
}

/* Softmax weights of the head's keys into keys->score; all zero where every edge is removed. */
static void weigh(const struct ko_attention *args, const struct row_keys *keys, const float *q,
                  int32_t k_head)
{
    double top = -INFINITY, sum = 0.0;
    for (int32_t j = 0; j <= keys->i; j++) {
        bool removed = keys->cut && ko_edge_set_has(keys->cut, keys->i, j);
        const float *k = args->k + (size_t)keys->source[j] * (size_t)args->ld +
                         (size_t)k_head * (size_t)args->d_head;
        keys->score[j] = -INFINITY;
        if (keys->i - j < args->reach && (!removed || keys->after_softmax)) {
            keys->score[j] = dot(q, k, args->d_head) * (double)args->scale;
        }
        top = keys->score[j] > top ? keys->score[j] : top;
    }
    for (int32_t j = 0; j <= keys->i; j++) {
        keys->score[j] = keys->score[j] > -INFINITY ? exp(keys->score[j] - top)
                         : isnan(keys->score[j])    ? (double)NAN
                                                    : 0.0;
        sum += keys->score[j];
    }
    for (int32_t j = 0; j <= keys->i; j++) {
        bool removed = keys->cut && ko_edge_set_has(keys->cut, keys->i, j);
        keys->score[j] = removed ? 0.0 : keys->score[j] / sum;
        if (sum == 0.0) {
            keys->score[j] = 0.0;
        }
    }
}

static void mix_head(const struct ko_attention *args, const struct row_keys *keys, int32_t head,
                     int32_t query_row)
{
    size_t d_head = (size_t)args->d_head;
    int32_t k_head = (int32_t)((int64_t)head * args->n_kv_heads / args->n_heads);
    const float *q = args->q + (size_t)query_row * (size_t)args->ld + (size_t)head * d_head;
    float *out = args->out + ((size_t)keys->row * (size_t)args->n_heads + (size_t)head) * d_head;
    weigh(args, keys, q, k_head);
    for (size_t c = 0; c < d_head; c++) {
        double sum = 0.0;
        for (int32_t j = 0; j <= keys->i; j++) {
            const float *v =
                args->v + (size_t)keys->source[j] * (size_t)args->ld + (size_t)k_head * d_head;
            bool removed = keys->cut && ko_edge_set_has(keys->cut, keys->i, j);
            if (!removed && keys->i - j < args->reach) {
                sum += keys->score[j] * (double)v[c];
            }
        }
        out[c] = (float)sum;
    }
}

enum ko_code ko_plain_attention(struct ko_backend *be, const struct ko_attention *args,
                                struct ko_error *err)
{
    const struct ko_rows *rows = &be->rows;
    size_t n = (size_t)rows->max_tokens;
    struct row_keys keys = {.source = ko_new(n, sizeof *keys.source, err),
                            .score = ko_new(n, sizeof *keys.score, err)};
    enum ko_code code = keys.source && keys.score ? KO_OK : KO_E_MEMORY;
    for (int32_t r = 0; code == KO_OK && r < rows->n_active[args->layer]; r++) {
        const struct ko_branch *cut = ko_plain_cut(rows, r, args->layer);
        keys.row = r;
        keys.i = ko_plain_chain(rows, r, keys.source);
        keys.cut = cut ? &rows->edges[cut->edge_set] : NULL;
        keys.after_softmax = cut && cut->after_softmax;
        for (int32_t j = 0; j <= keys.i; j++) {
            keys.source[j] = ko_rows_source(rows, keys.source[j], args->layer);
        }
        for (int32_t head = 0; head < args->n_heads; head++) {
            mix_head(args, &keys, head, keys.source[keys.i]);
        }
    }
    free(keys.source);
    free(keys.score);
    return code;
}
