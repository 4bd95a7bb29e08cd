/* SPDX-License-Identifier: Apache-2.0 */
/* One row of the gated delta rule over a block of columns of one head's state, and the norm of its
   keys. Like every file of this folder, it is compiled once for each instruction set. */
#include "kernels/cpu/isa/parts.h"
#include "kernels/cpu/isa/vector.h"

/* The columns of one register. These are explicit vectors, so that the sums over the keys stay in
   registers. */
#if defined(__AVX512F__)
enum { WIDTH = 16 };
#elif defined(__AVX__)
enum { WIDTH = 8 };
#else
enum { WIDTH = 4 };
#endif
enum { SEVERAL = 4 };
typedef float lanes __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

void ko_isa_unit(size_t n, const float *x, float eps, float scale, float *y)
{
    float factor = scale / sqrtf(ko_lane_dot(n, x, x) + eps);
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        y[k] = x[k] * factor;
    }
}

/* n vectors of columns from `column` on, n <= SEVERAL a constant. to NULL: the new state is not
   kept. */
KO_LANE void advance(const struct ko_delta_row *row, size_t column, size_t n, float *to)
{
    const size_t d_key = (size_t)row->d_key;
    lanes sum[SEVERAL], y[SEVERAL];
    for (size_t v = 0; v < n; v++) {
        sum[v] = y[v] = (lanes){0.0F};
    }
    for (size_t s = 0; s < d_key; s++) {
        const lanes *from = (const void *)(row->from + s * KO_DELTA_BLOCK + column);
        const float k = row->k[s], decay = row->decay[s];
        for (size_t v = 0; v < n; v++) {
            sum[v] += k * (decay * from[v]);
        }
    }
    const lanes *value = row->v ? (const void *)(row->v + column) : NULL;
    for (size_t v = 0; v < n; v++) {
        sum[v] = -sum[v];
        if (value) {
            sum[v] += value[v];
        }
        sum[v] *= row->beta;
    }
    for (size_t s = 0; s < d_key; s++) {
        const lanes *from = (const void *)(row->from + s * KO_DELTA_BLOCK + column);
        const float k = row->k[s], q = row->q[s], decay = row->decay[s];
        for (size_t v = 0; v < n; v++) {
            const lanes state = decay * from[v] + k * sum[v];
            y[v] += q * state;
            if (to) {
                ((lanes *)(void *)(to + s * KO_DELTA_BLOCK + column))[v] = state;
            }
        }
    }
    for (size_t v = 0; v < n; v++) {
        ((lanes *)(void *)(row->y + column))[v] = y[v];
    }
}

KO_LANE void advance_all(const struct ko_delta_row *row, float *to)
{
    size_t column = 0, n = (size_t)row->n;
    for (; column + (size_t)SEVERAL * WIDTH <= n; column += (size_t)SEVERAL * WIDTH) {
        advance(row, column, SEVERAL, to);
    }
    for (; column < n; column += WIDTH) {
        advance(row, column, 1, to);
    }
}

void ko_isa_delta(const struct ko_delta_row *row)
{
    if (row->to) {
        advance_all(row, row->to);
    } else {
        advance_all(row, NULL);
    }
}
