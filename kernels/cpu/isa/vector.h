/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of one lane, for use inside loops under `omp simd`. */
#ifndef KO_KERNELS_CPU_ISA_VECTOR_H
#define KO_KERNELS_CPU_ISA_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KO_LANE static inline __attribute__((always_inline))

KO_LANE uint32_t ko_lane_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

KO_LANE float ko_lane_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Added to a float of magnitude below 2^22 this leaves the nearest integer in the low bits; their
   shift by 23 places drops the constant's own bits. */
#define KO_LANE_ROUND 0x1.8p23F

/* 2^x for x <= 0; 0 below -126 (where results would be subnormal). The polynomial's relative error
   is 2.0e-9. */
KO_LANE float ko_lane_exp2_negative(float x)
{
    float shifted = x + KO_LANE_ROUND;
    float r = x - (shifted - KO_LANE_ROUND);
    float p = 0x1.41fbbcp-13F;
    p = p * r + 0x1.5f3e54p-10F;
    p = p * r + 0x1.3b2d4cp-7F;
    p = p * r + 0x1.c6aee8p-5F;
    p = p * r + 0x1.ebfbdcp-3F;
    p = p * r + 0x1.62e430p-1F;
    p = p * r + 1.0F;
    float y = ko_lane_float(ko_lane_bits(p) + (ko_lane_bits(shifted) << 23));
    return x < -126.0F ? 0.0F : y;
}

/* e^x: x = n log(2) + r, log(2) in two parts (Cody & Waite) so that the first product is exact
   without a fused multiply-add; the polynomial's relative error is 3.1e-9. n is added to p's
   exponent as an integer, so that 2^128 never appears. */
KO_LANE float ko_lane_exp(float x)
{
    float shifted = x * 0x1.715476p0F + KO_LANE_ROUND;
    float n = shifted - KO_LANE_ROUND;
    float r = x - n * 0x1.63p-1F;
    r = r - n * -0x1.bd0106p-13F;
    float p = 0x1.6a244cp-10F;
    p = p * r + 0x1.1239d4p-7F;
    p = p * r + 0x1.5558f2p-5F;
    p = p * r + 0x1.555492p-3F;
    p = p * r + 0x1.fffffcp-2F;
    p = p * (r * r) + r;
    p = p + 1.0F;
    float y = ko_lane_float(ko_lane_bits(p) + (ko_lane_bits(shifted) << 23));
    y = x < -0x1.5d589ep6F ? 0.0F : y;
    y = x > 0x1.62e42ep6F ? INFINITY : y;
    return x != x ? x : y;
}

/* log(1 + e) for 0 <= e <= 1 as 2 atanh(e / (2 + e)); the polynomial's relative error is 1.2e-10.
 */
KO_LANE float ko_lane_log1p_unit(float e)
{
    float s = e / (2.0F + e);
    float z = s * s;
    float p = 0x1.f1aee2p-3F;
    p = p * z + 0x1.b6d6a4p-3F;
    p = p * z + 0x1.250972p-2F;
    p = p * z + 0x1.9996a8p-2F;
    p = p * z + 0x1.555558p-1F;
    return s * (p * z) + 2.0F * s;
}

/* sum_k a[k] b[k] in 64 partial sums that are then added pairwise: enough of them to keep the
   multiply-adds of any instruction set busy. */
KO_LANE float ko_lane_dot(size_t n, const float *a, const float *b)
{
    enum { PARTS = 64 };
    float sum[PARTS] __attribute__((aligned(64))) = {0.0F};
    size_t first = 0;
    for (; first + PARTS <= n; first += PARTS) {
#pragma omp simd
        for (size_t k = 0; k < PARTS; k++) {
            sum[k] += a[first + k] * b[first + k];
        }
    }
#pragma omp simd
    for (size_t k = 0; k < n - first; k++) {
        sum[k] += a[first + k] * b[first + k];
    }
    for (size_t half = PARTS / 2; half > 0; half /= 2) {
#pragma omp simd
        for (size_t k = 0; k < half; k++) {
            sum[k] += sum[k + half];
        }
    }
    return sum[0];
}

#endif
