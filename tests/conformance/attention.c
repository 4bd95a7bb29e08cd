/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/attention.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/at.h"

/* A power of two, so that it rounds nothing. */
static const float SCALE = 0.25F;

int32_t value_width(const struct heads *heads)
{
    return heads->d_value > 0 ? heads->d_value : heads->d_head;
}

struct layout layout_of(const struct heads *heads)
{
    const int32_t d = heads->d_head, stride = (heads->by_head ? 3 * d : d) + heads->gap;
    const int32_t k = heads->by_head ? d : heads->n * stride;
    const int32_t v = heads->by_head ? 2 * d : (heads->n + heads->n_kv) * stride;
    const int32_t n = heads->by_head ? heads->n : heads->n + 2 * heads->n_kv;
    const int32_t width = n * stride + 1, stride_v = heads->d_value + 3;
    if (heads->d_value > 0) { /* each head's value follows three other numbers */
        return (struct layout){stride, k, width, 3, stride_v, heads->n_kv * stride_v + 2};
    }
    return (struct layout){stride, k, width, v, stride, width};
}

float *values_of(const struct inputs *x)
{
    return x->heads.d_value > 0 ? x->apart : x->qkv;
}

struct inputs make_inputs(const struct ko_rows *rows, const struct heads *heads, float range)
{
    const struct layout at = layout_of(heads);
    const size_t n = (size_t)rows->n_rows;
    return (struct inputs){*heads, random_floats(9, n * (size_t)at.width, -range, range),
                           random_floats(11, n * (size_t)at.ld_v, -range, range),
                           random_floats(10, (size_t)heads->n, -2.0F * range, 2.0F * range)};
}

void free_inputs(struct inputs *x)
{
    free(x->qkv);
    free(x->apart);
    free(x->sinks);
}

float *attend_rows(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                   const void *inputs)
{
    const struct inputs *x = inputs;
    const struct heads *heads = &x->heads;
    struct memory m = {.b = b};
    const struct layout at = layout_of(heads);
    const int32_t n_projected = rows->n_projected[layer];
    size_t n = (size_t)(rows->n_active[layer] * heads->n * value_width(heads));
    const float *qkv = memory_rows(&m, rows, x->qkv, (size_t)at.width, n_projected), *v = qkv;
    if (heads->d_value > 0) {
        v = memory_rows(&m, rows, x->apart, (size_t)at.ld_v, n_projected);
    }
    const struct ko_attention args = {
        .stage = layer,
        .n_heads = heads->n,
        .n_kv_heads = heads->n_kv,
        .d_head = heads->d_head,
        .d_value = value_width(heads),
        .reach = heads->reach,
        .scale = SCALE,
        .cap = heads->cap,
        .sinks = heads->sinks ? memory_floats(&m, x->sinks, (size_t)heads->n) : NULL,
        .q = qkv,
        .k = qkv + at.k,
        .ld = at.width,
        .stride = at.stride,
        .v = v + at.v,
        .ld_v = at.ld_v,
        .stride_v = at.stride_v,
        .out = memory_nan(&m, n)};
    RUN(b, set_rows, rows);
    RUN(b, attention, &args);
    return memory_result(&m, args.out, n);
}

/* The score of q and k [d_head], capped. */
static double score_of(const struct heads *heads, const float *q, const float *k)
{
    double score = 0.0, cap = (double)heads->cap;
    for (int32_t c = 0; c < heads->d_head; c++) {
        score += (double)q[c] * (double)k[c];
    }
    score *= (double)SCALE;
    return cap > 0.0 ? cap * tanh(score / cap) : score;
}

/* One row: for each head scores, -inf where there is no edge, softmax with the sink, and zeros where
   weights are zeroed afterwards. */
static void attend_row(const struct ko_rows *rows, int32_t row, int32_t layer, const void *inputs,
                       double *out)
{
    const struct inputs *x = inputs;
    const struct layout at = layout_of(&x->heads);
    int32_t d = value_width(&x->heads), ld = at.width, b = rows->branch[row];
    int32_t path[WAVE_LONGEST], i = wave_path(rows, row, layer, ko_rows_source, path);
    bool after = b >= 0 && rows->branches[b].after_softmax;
    int32_t only = b >= 0 ? rows->branches[b].only_head : 0;
    for (int32_t head = 0; head < x->heads.n; head++, out += d) {
        int32_t kv_head = head / (x->heads.n / x->heads.n_kv);
        int32_t key = at.k + kv_head * at.stride, value = at.v + kv_head * at.stride_v;
        const float *q = x->qkv + ko_at(path[i], ld, head * at.stride);
        double weight[WAVE_LONGEST] = {0.0},
               sum = x->heads.sinks ? exp((double)x->sinks[head]) : 0.0;
        for (int32_t j = 0; j <= i; j++) {
            bool removed = wave_removed(rows, row, layer, KO_MIXER_ATTENTION, i, j) &&
                           (only == 0 || only == head + 1);
            weight[j] = exp(score_of(&x->heads, q, x->qkv + ko_at(path[j], ld, key)));
            weight[j] = (removed && !after) || i - j >= x->heads.reach ? 0.0 : weight[j];
            sum += weight[j];
            weight[j] = removed ? -weight[j] : weight[j];
        }
        for (int32_t c = 0; c < d; c++) {
            out[c] = 0.0;
            for (int32_t j = 0; j <= i; j++) {
                if (weight[j] > 0.0) {
                    out[c] +=
                        weight[j] / sum * (double)values_of(x)[ko_at(path[j], at.ld_v, value + c)];
                }
            }
        }
    }
}

/* Seen of plain 5e-8; of the others 1.5e-6 with up to 64 numbers a head, and 3.7e-6 with up to 192,
   whose scores reach 20 here. */
struct mixing mixing_of(const char *name, const struct ko_rows *rows, const struct inputs *x)
{
    return (struct mixing){name,
                           x,
                           rows->n_active,
                           (size_t)(x->heads.n * value_width(&x->heads)),
                           attend_rows,
                           attend_row,
                           {1e-7, x->heads.d_head > 64 ? 6e-6 : 2e-6},
                           ko_rows_source,
                           x->heads.reach};
}

void check_wave(const struct backends *all, const char *name, const struct ko_rows *rows,
                const struct heads *heads, struct spread spread[2])
{
    struct inputs x = make_inputs(rows, heads, 2.0F);
    const struct mixing mixing = mixing_of(name, rows, &x);
    check_mixing(all, rows, &mixing, spread, NULL);
    free_inputs(&x);
}
