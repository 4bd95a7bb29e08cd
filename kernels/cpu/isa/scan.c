/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of Mamba-1's scan over one block of channels: decay, new state, output and gate. Like
   every file of this folder, it is compiled once for each instruction set. */
#include "kernels/cpu/isa/parts.h"
#include "kernels/cpu/isa/vector.h"

#define LOG2_E 0x1.715476p0F

void ko_isa_scan_prepare(int32_t n, int32_t d_state, const float *a, size_t ld_a, float *a2)
{
    for (int32_t s = 0; s < d_state; s++) {
        const float *from = a + (size_t)s * ld_a;
        float *to = a2 + (size_t)s * KO_SCAN_BLOCK;
#pragma omp simd
        for (int32_t k = 0; k < n; k++) {
            to[k] = from[k] * LOG2_E;
        }
    }
}

KO_LANE void decay_of(int32_t n, int32_t d_state, const float *a2, const float *delta, float *decay)
{
    for (int32_t s = 0; s < d_state; s++) {
        const float *from = a2 + (size_t)s * KO_SCAN_BLOCK;
        float *to = decay + (size_t)s * KO_SCAN_BLOCK;
#pragma omp simd
        for (int32_t k = 0; k < n; k++) {
            to[k] = ko_lane_exp2_negative(delta[k] * from[k]);
        }
    }
}

/* factor is the decay itself, or a2, whose decay is computed here. to NULL: the new state is not
   kept. */
KO_LANE void advance(int32_t n, const struct ko_scan_row *row, const float *factor,
                     const float *delta, float *to)
{
    const float *input = row->input;
    float y[KO_SCAN_BLOCK] __attribute__((aligned(64)));
    memset(y, 0, sizeof y);
    for (int32_t s = 0; s < row->d_state; s++) {
        const size_t at = (size_t)s * KO_SCAN_BLOCK;
        const float *from = row->from + at, *f = factor + at;
        const float b = row->b[s], c = row->c[s];
#pragma omp simd
        for (int32_t k = 0; k < n; k++) {
            float decay = delta ? ko_lane_exp2_negative(delta[k] * f[k]) : f[k];
            float state = decay * from[k] + b * input[k];
            y[k] += c * state;
            if (to) {
                to[at + (size_t)k] = state;
            }
        }
    }
    memcpy(row->y, y, (size_t)n * sizeof *y);
}

/* A constant number of channels lets the compiler unroll. */
void ko_isa_scan_decay(int32_t n, int32_t d_state, const float *a2, const float *delta,
                       float *decay)
{
    if (n == KO_SCAN_BLOCK) {
        decay_of(KO_SCAN_BLOCK, d_state, a2, delta, decay);
    } else {
        decay_of(n, d_state, a2, delta, decay);
    }
}

void ko_isa_scan_advance(const struct ko_scan_row *row, const float *decay)
{
    if (row->n != KO_SCAN_BLOCK) {
        advance(row->n, row, decay, NULL, row->to);
    } else if (row->to) {
        advance(KO_SCAN_BLOCK, row, decay, NULL, row->to);
    } else {
        advance(KO_SCAN_BLOCK, row, decay, NULL, NULL);
    }
}

void ko_isa_scan_step(const struct ko_scan_row *row, const float *a2, const float *delta)
{
    if (row->n != KO_SCAN_BLOCK) {
        advance(row->n, row, a2, delta, row->to);
    } else if (row->to) {
        advance(KO_SCAN_BLOCK, row, a2, delta, row->to);
    } else {
        advance(KO_SCAN_BLOCK, row, a2, delta, NULL);
    }
}

void ko_isa_scan_out(size_t n, const float *y, const float *u, const float *d, const float *gate,
                     float *out)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        out[k] = (y[k] + d[k] * u[k]) * gate[k];
    }
}
