/* SPDX-License-Identifier: Apache-2.0 */
/* A float32 as the sum of two bfloat16 numbers, for host and device. The high part is the number
   rounded to nearest (ties to even), the low part is the rest, rounded the same way. Together they
   hold about 16 bits of the significand: |x - (high + low)| is at most 2^-17 |x|, or 2^-134 where
   the rest is subnormal. Near the end of the range, from 0x1.fdp127 on, numbers are cut where
   rounding could overflow, and the bound is 2^-16 |x|. The parts of a finite number are finite, and
   so is their sum. */
#ifndef KO_KERNELS_SPLIT_H
#define KO_KERNELS_SPLIT_H

#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define KO_INLINE static __host__ __device__ __forceinline__
#else
#define KO_INLINE static inline
#endif

/* The bits of two bfloat16 numbers. */
struct ko_split {
    uint16_t high, low;
};

KO_INLINE float ko_bfloat16_value(uint16_t number)
{
    const uint32_t bits = (uint32_t)number << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The nearest bfloat16, ties to even. A finite number that would become infinite loses its low bits
   instead (from 0x1.ffp127 on). NaN stays NaN. */
KO_INLINE uint16_t ko_bfloat16_near(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint16_t cut = (uint16_t)(bits >> 16);
    if ((bits & 0x7F800000U) == 0x7F800000U) {
        return bits & 0x7FFFFFU ? (uint16_t)(cut | 0x40U) : cut;
    }
    const uint16_t near = (uint16_t)((bits + 0x7FFFU + (cut & 1U)) >> 16);
    return (near & 0x7F80U) == 0x7F80U ? cut : near;
}

/* The low part of a number that is not finite is 0. */
KO_INLINE struct ko_split ko_split_of(float x)
{
    struct ko_split s;
    s.high = ko_bfloat16_near(x);
    s.low = 0;
    if ((s.high & 0x7F80U) == 0x7F80U) {
        return s;
    }
    const float rest = x - ko_bfloat16_value(s.high);
    if ((s.high & 0x7FFFU) == 0x7F7FU) { /* the largest, to which a rounded rest may be too much */
        uint32_t bits;
        memcpy(&bits, &rest, sizeof bits);
        s.low = (uint16_t)(bits >> 16);
    } else {
        s.low = ko_bfloat16_near(rest);
    }
    return s;
}

#undef KO_INLINE

#endif
