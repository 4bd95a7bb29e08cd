/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over a row of logits, for the metrics: the maximum, the sum of exponentials, the sum for the
   KL divergence, and the count for the rank. It is compiled once for each instruction set. */
#include <float.h>

#include "kernels/cpu/isa/parts.h"
#include "kernels/cpu/isa/vector.h"

float ko_isa_max(size_t n, const float *x)
{
    float top = -INFINITY;
#pragma omp simd reduction(max : top)
    for (size_t k = 0; k < n; k++) {
        top = x[k] > top ? x[k] : top;
    }
    if (top > -FLT_MAX) {
        return top;
    }
    /* Some compilers (clang 14) begin such a reduction at -FLT_MAX, which need not be in x. */
    top = -INFINITY;
    for (size_t k = 0; k < n; k++) {
        top = x[k] > top ? x[k] : top;
    }
    return top;
}

double ko_isa_sum_exp(size_t n, const float *x, float top, float *e)
{
    double sum = 0.0;
    if (e) {
#pragma omp simd reduction(+ : sum)
        for (size_t k = 0; k < n; k++) {
            float value = ko_lane_exp(x[k] - top);
            e[k] = value;
            sum += (double)value;
        }
        return sum;
    }
#pragma omp simd reduction(+ : sum)
    for (size_t k = 0; k < n; k++) {
        sum += (double)ko_lane_exp(x[k] - top);
    }
    return sum;
}

double ko_isa_sum_difference(size_t n, const float *e, const float *clean, const float *x)
{
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (size_t k = 0; k < n; k++) {
        sum += (double)e[k] * ((double)clean[k] - (double)x[k]);
    }
    return sum;
}

int32_t ko_isa_count_above(size_t n, const float *x, float low)
{
    int32_t count = 0;
#pragma omp simd reduction(+ : count)
    for (size_t k = 0; k < n; k++) {
        count += x[k] > low ? 1 : 0;
    }
    return count;
}
