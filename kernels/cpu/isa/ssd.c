/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-2's mixing of one row: the time steps, the weight of every key, and the weighted sum of the
   inputs. Like every file of this folder, it is compiled once for each instruction set. */
#include "kernels/cpu/isa/parts.h"
#include "kernels/cpu/isa/vector.h"

/* Sixteen features. These are explicit vectors, because compilers tend to jam the loops over keys
   and features in a way that they do not vectorise. */
enum { WIDTH = 16, SEVERAL = 4 };
typedef float lanes __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

void ko_isa_time_step(size_t n, const float *x, const float *bias, float low, float high, float *y)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        y[k] = x[k] + bias[k];
    }
    ko_isa_softplus(n, y);
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        float step = y[k] < low ? low : y[k];
        y[k] = step > high ? high : step;
    }
}

/* weight[j, h] and span[h] += delta[j, h] of one key, for the heads [first, end) of a group. */
static void weigh_key(const struct ko_ssd *args, size_t j, size_t first, size_t end, float score)
{
    const float *delta = args->delta[j], *a = args->a;
    float *span = args->span, *weight = args->weight + j * (size_t)args->n_heads;
#pragma omp simd
    for (size_t h = first; h < end; h++) {
        weight[h] = score * ko_lane_exp(a[h] * span[h]) * delta[h];
        span[h] += delta[h];
    }
}

/* [n_keys] 1: the edge to the key is removed for this head; NULL: no edge is. Such keys are
   skipped, since a weight of 0 would not hide a NaN. */
KO_LANE const uint8_t *removed_of(const struct ko_ssd *args, size_t head)
{
    return args->removed && (!args->mask || args->mask[head]) ? args->removed : NULL;
}

/* out[p] = d u[i, p] + sum_j weight[j] u[j, p] for n vectors of one head's features, n <= SEVERAL a
   constant. */
KO_LANE void mix(const struct ko_ssd *args, size_t head, size_t feature, size_t n)
{
    const size_t n_keys = (size_t)args->n_keys, n_heads = (size_t)args->n_heads;
    const size_t at = head * (size_t)args->d_head + feature;
    const float *u = args->u + at, *weight = args->weight + head;
    const uint8_t *removed = removed_of(args, head);
    const lanes *own = (const void *)(u + (size_t)args->key_row[n_keys - 1] * args->ld);
    lanes sum[SEVERAL], *out = (void *)(args->out + at);
    for (size_t v = 0; v < n; v++) {
        sum[v] = args->d[head] * own[v];
    }
    for (size_t j = 0; j < n_keys; j++) {
        if (removed && removed[j]) {
            continue;
        }
        const lanes *from = (const void *)(u + (size_t)args->key_row[j] * args->ld);
        for (size_t v = 0; v < n; v++) {
            sum[v] += weight[j * n_heads] * from[v];
        }
    }
    for (size_t v = 0; v < n; v++) {
        out[v] = sum[v];
    }
}

static void mix_one(const struct ko_ssd *args, size_t head, size_t feature)
{
    const size_t n_keys = (size_t)args->n_keys, n_heads = (size_t)args->n_heads;
    const size_t at = head * (size_t)args->d_head + feature;
    const float *u = args->u + at, *weight = args->weight + head;
    const uint8_t *removed = removed_of(args, head);
    float sum = args->d[head] * u[(size_t)args->key_row[n_keys - 1] * args->ld];
    for (size_t j = 0; j < n_keys; j++) {
        if (!removed || !removed[j]) {
            sum += weight[j * n_heads] * u[(size_t)args->key_row[j] * args->ld];
        }
    }
    args->out[at] = sum;
}

static void mix_head(const struct ko_ssd *args, size_t head)
{
    size_t feature = 0, d_head = (size_t)args->d_head;
    for (; feature + (size_t)SEVERAL * WIDTH <= d_head; feature += (size_t)SEVERAL * WIDTH) {
        mix(args, head, feature, SEVERAL);
    }
    for (; feature + WIDTH <= d_head; feature += WIDTH) {
        mix(args, head, feature, 1);
    }
    for (; feature < d_head; feature++) {
        mix_one(args, head, feature);
    }
}

void ko_isa_ssd(const struct ko_ssd *args)
{
    size_t n_heads = (size_t)args->n_heads, n_groups = (size_t)args->n_groups;
    size_t d_state = (size_t)args->d_state;
    const float *c = args->c + (size_t)args->key_row[args->n_keys - 1] * args->ld;
    memset(args->span, 0, n_heads * sizeof *args->span);
    for (size_t j = (size_t)args->n_keys; j-- > 0;) {
        const float *b = args->b + (size_t)args->key_row[j] * args->ld;
        for (size_t g = 0; g < n_groups; g++) {
            /* head h has the group h n_groups / n_heads, rounded down */
            size_t first = (g * n_heads + n_groups - 1) / n_groups;
            size_t end = ((g + 1) * n_heads + n_groups - 1) / n_groups;
            weigh_key(args, j, first, end, ko_lane_dot(d_state, c + g * d_state, b + g * d_state));
        }
    }
    for (size_t head = 0; head < n_heads; head++) {
        mix_head(args, head);
    }
}
