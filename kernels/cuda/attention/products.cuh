/* SPDX-License-Identifier: Apache-2.0 */
/* The two products of an attention tile, scores = q k^T and context += p v, as a warp of 32 lanes
   computes them for 16 queries and KEYS keys. There are three kinds, for the four precisions:

   - ko_ffma: float32 arithmetic.
   - ko_mma<1>: tensor cores on operands rounded to tf32 (tf32, and bfloat16, whose own rounding is
     coarser).
   - ko_mma<3>: operands split in two tf32 parts, high x high + high x low + low x high, which keeps
     21 bits (bf16x3). Ootomo & Yokota 2022 describe the split.

   A kind says where its numbers lie. A lane holds ROWS queries. Of each it holds the scores of every
   ROW_LANES-th group of keys, and the dimensions dim(lane, m) of the context. Tiles in shared memory
   are row-major; rows of queries and keys are D + K_PAD floats apart, rows of values D + V_PAD, so
   that a warp's loads fall on different banks. */
#ifndef KO_KERNELS_CUDA_ATTENTION_PRODUCTS_CUH
#define KO_KERNELS_CUDA_ATTENTION_PRODUCTS_CUH

#include <stdint.h>

#include "kernels/cuda/device.cuh"

enum { ATTEND_QUERIES = 16 }; /* of a warp */

/* context += p v for one key after the other, of the groups of eight keys whose bit is set in
   `groups`; EVERY: all are. With CHECKED, a value is read only where its bit of kept [ROWS, words]
   is set, so that a value that is not finite stays out of the rows that do not see it. */
template <class KIND, int D, int KEYS, bool EVERY, bool CHECKED>
static __device__ __forceinline__ void
add_values_by_key(const float (&p)[KIND::ROWS][KEYS / KIND::ROW_LANES], const float *v,
                  uint32_t groups, const uint32_t (&kept)[KIND::ROWS][KEYS / 32],
                  float (&context)[KIND::ROWS][D / KIND::ROW_LANES])
{
    const int lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int e = 0; e < KEYS / KIND::ROW_LANES; e++) {
        if (!EVERY && !(groups >> (KIND::key_of(0, e) / 8) & 1U)) {
            continue;
        }
#pragma unroll 4
        for (int owner = 0; owner < KIND::ROW_LANES; owner++) {
            const int key = KIND::key_of(owner, e);
            const float *value = v + key * (D + KIND::V_PAD);
            float weight[KIND::ROWS];
            bool reads[KIND::ROWS];
#pragma unroll
            for (int r = 0; r < KIND::ROWS; r++) {
                weight[r] = __shfl_sync(0xFFFFFFFFU, p[r][e], owner, KIND::ROW_LANES);
                reads[r] = !CHECKED || (kept[r][KIND::key_of(0, e) / 32] >> (key % 32) & 1U) != 0U;
            }
#pragma unroll
            for (int m = 0; m < D / KIND::ROW_LANES; m += 4) {
                const float4 x = *(const float4 *)(value + KIND::dim_of(lane, m));
#pragma unroll
                for (int r = 0; r < KIND::ROWS; r++) {
                    if (reads[r]) {
                        context[r][m] = fmaf(weight[r], x.x, context[r][m]);
                        context[r][m + 1] = fmaf(weight[r], x.y, context[r][m + 1]);
                        context[r][m + 2] = fmaf(weight[r], x.z, context[r][m + 2]);
                        context[r][m + 3] = fmaf(weight[r], x.w, context[r][m + 3]);
                    }
                }
            }
        }
    }
}

/* Lanes 8 g .. 8 g + 7 hold the queries 4 g .. 4 g + 3, and lane l of them the keys 8 e + l. */
struct ko_ffma {
    enum { ROWS = 4, ROW_LANES = 8, K_PAD = 4, V_PAD = 4 };

    static __device__ __forceinline__ int row_of(int lane, int r)
    {
        return lane / 8 * 4 + r;
    }
    static __device__ __forceinline__ int key_of(int lane, int e)
    {
        return e * 8 + lane % 8;
    }
    static __device__ __forceinline__ int dim_of(int lane, int m)
    {
        return m / 4 * 32 + lane % 8 * 4 + m % 4;
    }
    static __device__ __forceinline__ float exponential(float x)
    {
        return expf(x);
    }

    /* Of the groups of eight keys whose bit is set in `groups`; EVERY: all are. Sums of 32 products are
       added, so that rounding does not grow with D. */
    template <int D, int KEYS, bool EVERY>
    static __device__ __forceinline__ void scores(const float *q, const float *k, uint32_t groups,
                                                  float (&s)[ROWS][KEYS / ROW_LANES])
    {
        const int lane = (int)threadIdx.x % 32;
#pragma unroll
        for (int e = 0; e < KEYS / ROW_LANES; e++) {
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                s[r][e] = 0.0F;
            }
        }
#pragma unroll 1
        for (int block = 0; block < D; block += 32) {
            float part[ROWS][KEYS / ROW_LANES] = {};
#pragma unroll 2
            for (int c = block; c < block + 32; c += 4) {
                float4 query[ROWS];
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    query[r] = *(const float4 *)(q + row_of(lane, r) * (D + K_PAD) + c);
                }
#pragma unroll
                for (int e = 0; e < KEYS / ROW_LANES; e++) {
                    if (!EVERY && !(groups >> e & 1U)) {
                        continue;
                    }
                    const float4 key = *(const float4 *)(k + key_of(lane, e) * (D + K_PAD) + c);
#pragma unroll
                    for (int r = 0; r < ROWS; r++) {
                        part[r][e] = fmaf(query[r].x, key.x, part[r][e]);
                        part[r][e] = fmaf(query[r].y, key.y, part[r][e]);
                        part[r][e] = fmaf(query[r].z, key.z, part[r][e]);
                        part[r][e] = fmaf(query[r].w, key.w, part[r][e]);
                    }
                }
            }
#pragma unroll
            for (int e = 0; e < KEYS / ROW_LANES; e++) {
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    s[r][e] += part[r][e];
                }
            }
        }
    }

    template <int D, int KEYS, bool EVERY>
    static __device__ __forceinline__ void add_values(const float (&p)[ROWS][KEYS / ROW_LANES],
                                                      const float *v, uint32_t groups,
                                                      float (&context)[ROWS][D / ROW_LANES])
    {
        const uint32_t unread[ROWS][KEYS / 32] = {};
        add_values_by_key<ko_ffma, D, KEYS, EVERY, false>(p, v, groups, unread, context);
    }
};

/* Two parts of a number. `low` is 0 where only one part is used. */
struct two_parts {
    uint32_t high, low;
};

/* The instruction mma.m16n8k8 of tf32. In the PTX manual's terms lane l = 4 g + t holds rows g and
   g + 8 of the first operand and of the result. Any order of the summed index gives the same sum, so
   the numbers are taken in the order in which a float4 of shared memory has them:

   - scores: in each 16 dimensions, lane t has 4 t .. 4 t + 3, for two instructions;
   - context: in each 8 keys, lane t has the keys 2 t and 2 t + 1, whose weights it already holds as
     results of the scores; and of each 32 dimensions column g stands for 4 g + n in instruction n. */
template <int PRODUCTS> struct ko_mma {
    enum { ROWS = 2, ROW_LANES = 4, K_PAD = 16, V_PAD = 4 };

    static __device__ __forceinline__ int row_of(int lane, int r)
    {
        return lane / 4 + 8 * r;
    }
    static __device__ __forceinline__ int key_of(int lane, int e)
    {
        return e / 2 * 8 + lane % 4 * 2 + e % 2;
    }
    static __device__ __forceinline__ int dim_of(int lane, int m)
    {
        return m / 8 * 32 + lane % 4 * 8 + m % 8;
    }
    static __device__ __forceinline__ float exponential(float x)
    {
        return PRODUCTS == 1 ? __expf(x) : expf(x);
    }

    static __device__ __forceinline__ uint32_t rounded(float x)
    {
        uint32_t bits;
        asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
        return bits;
    }

    static __device__ __forceinline__ struct two_parts parts_of(float x)
    {
        struct two_parts parts = {rounded(x), 0U};
        if (PRODUCTS == 3) {
            parts.low = rounded(x - __uint_as_float(parts.high));
        }
        return parts;
    }

    static __device__ __forceinline__ void multiply_once(const uint32_t (&a)[4], uint32_t b0,
                                                         uint32_t b1, float (&c)[4])
    {
        asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
            "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }

    /* The smaller products first. */
    static __device__ __forceinline__ void multiply(const struct two_parts (&a)[4],
                                                    struct two_parts b0, struct two_parts b1,
                                                    float (&c)[4])
    {
        const uint32_t high[4] = {a[0].high, a[1].high, a[2].high, a[3].high};
        if (PRODUCTS == 3) {
            const uint32_t low[4] = {a[0].low, a[1].low, a[2].low, a[3].low};
            multiply_once(low, b0.high, b1.high, c);
            multiply_once(high, b0.low, b1.low, c);
        }
        multiply_once(high, b0.high, b1.high, c);
    }

    template <int D, int KEYS, bool EVERY>
    static __device__ __forceinline__ void scores(const float *q, const float *k, uint32_t groups,
                                                  float (&s)[ROWS][KEYS / ROW_LANES])
    {
        const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
        float c[KEYS / 8][4];
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
            c[n][0] = c[n][1] = c[n][2] = c[n][3] = 0.0F;
        }
#pragma unroll(PRODUCTS == 1 ? 2 : 1)
        for (int first = 0; first < D; first += 16) {
            const float4 upper = *(const float4 *)(q + g * (D + K_PAD) + first + 4 * t);
            const float4 lower = *(const float4 *)(q + (g + 8) * (D + K_PAD) + first + 4 * t);
            const struct two_parts a[4] = {parts_of(upper.x), parts_of(lower.x), parts_of(upper.y),
                                           parts_of(lower.y)};
            const struct two_parts b[4] = {parts_of(upper.z), parts_of(lower.z), parts_of(upper.w),
                                           parts_of(lower.w)};
            float4 key[KEYS / 8];
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++) {
                key[n] = *(const float4 *)(k + (8 * n + g) * (D + K_PAD) + first + 4 * t);
            }
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++) {
                if (EVERY || (groups >> n & 1U)) {
                    multiply(a, parts_of(key[n].x), parts_of(key[n].y), c[n]);
                }
            }
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++) {
                if (EVERY || (groups >> n & 1U)) {
                    multiply(b, parts_of(key[n].z), parts_of(key[n].w), c[n]);
                }
            }
        }
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
            s[0][2 * n] = c[n][0];
            s[0][2 * n + 1] = c[n][1];
            s[1][2 * n] = c[n][2];
            s[1][2 * n + 1] = c[n][3];
        }
    }

    template <int D, int KEYS, bool EVERY>
    static __device__ __forceinline__ void add_values(const float (&p)[ROWS][KEYS / ROW_LANES],
                                                      const float *v, uint32_t groups,
                                                      float (&context)[ROWS][D / ROW_LANES])
    {
        const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
            if (!EVERY && !(groups >> n & 1U)) {
                continue;
            }
            const struct two_parts a[4] = {parts_of(p[0][2 * n]), parts_of(p[1][2 * n]),
                                           parts_of(p[0][2 * n + 1]), parts_of(p[1][2 * n + 1])};
            const float *value = v + (8 * n + 2 * t) * (D + V_PAD) + 4 * g;
#pragma unroll
            for (int first = 0; first < D; first += 32) {
                const float4 even = *(const float4 *)(value + first);
                const float4 odd = *(const float4 *)(value + D + V_PAD + first);
                const float x[4] = {even.x, even.y, even.z, even.w};
                const float y[4] = {odd.x, odd.y, odd.z, odd.w};
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    /* Column 2 t is dimension 8 t + i of these 32, and column 2 t + 1 is four more. */
                    float *upper = context[0] + first / 4 + i, *lower = context[1] + first / 4 + i;
                    float c[4] = {upper[0], upper[4], lower[0], lower[4]};
                    multiply(a, parts_of(x[i]), parts_of(y[i]), c);
                    upper[0] = c[0];
                    upper[4] = c[1];
                    lower[0] = c[2];
                    lower[4] = c[3];
                }
            }
        }
    }
};

#endif
