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

/* e^r - 1, where x = n log(2) + r, log(2) in two parts (Cody & Waite) so that the first product is
   exact without a fused multiply-add; the polynomial's error is 3.1e-9. *exponent: n, in the bits
   of a float's exponent. */
KO_LANE float ko_lane_exp_rest(float x, uint32_t *exponent)
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
    *exponent = ko_lane_bits(shifted) << 23;
    return p * (r * r) + r;
}

/* e^x. n is added to the exponent as an integer, so that 2^128 never appears. */
KO_LANE float ko_lane_exp(float x)
{
    uint32_t exponent = 0;
    float p = ko_lane_exp_rest(x, &exponent) + 1.0F;
    float y = ko_lane_float(ko_lane_bits(p) + exponent);
    y = x < -0x1.5d589ep6F ? 0.0F : y;
    y = x > 0x1.62e42ep6F ? INFINITY : y;
    return x != x ? x : y;
}

/* tanh(x) = -e / (2 + e) with e = exp(-2 |x|) - 1, which has no cancellation near 0, and x's sign.
   At 20 tanh is already 1. */
KO_LANE float ko_lane_tanh(float x)
{
    float y = -2.0F * fabsf(x);
    y = y < -40.0F ? -40.0F : y;
    uint32_t exponent = 0;
    float rest = ko_lane_exp_rest(y, &exponent);
    float power = ko_lane_float(ko_lane_bits(1.0F) + exponent);
    float e = power * rest + (power - 1.0F);
    return copysignf(e / (2.0F + e), x);
}

/* Phi(x), the normal distribution: 0.5 erfc(t) = exp(-t^2) s p(s) for t = |x| / sqrt(2) and
   s = 1 / (1 + t / 2), and 1 minus this for x > 0. The polynomial in s - 1/2 has a relative error
   of 1.7e-8 for t below 9.4; beyond it the exponential is 0. */
KO_LANE float ko_lane_normal(float x)
{
    float s = 1.0F / (1.0F + 0x1.6a09e6p-2F * fabsf(x));
    float u = s - 0.5F;
    float p = 0x1.d095eap-8F;
    p = p * u - 0x1.1ceadcp-5F;
    p = p * u + 0x1.7bcffp-6F;
    p = p * u + 0x1.905bdp-5F;
    p = p * u - 0x1.a5d8bep-5F;
    p = p * u - 0x1.6059f2p-4F;
    p = p * u + 0x1.2a7ca6p-4F;
    p = p * u + 0x1.1e2ddap-2F;
    p = p * u + 0x1.5fd38ep-2F;
    p = p * u + 0x1.058672p-2F;
    float beyond = ko_lane_exp(-0.5F * x * x) * (s * p);
    return x < 0.0F ? beyond : 1.0F - beyond;
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
