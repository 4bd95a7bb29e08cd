/* SPDX-License-Identifier: Apache-2.0 */
/* How a block of 256 threads multiplies a tile of 128 rows by 128 columns at each precision. The
   columns are two halves of 64, and a thread has the same columns in both, so that it holds both a
   gate and its up where the halves are gates and ups.

   A tile's types are those of a weight in memory (PARTS of them make a number), of a number in
   registers (`loaded` from a weight, `value` before it is stored), and of one in shared memory. */
#ifndef KO_KERNELS_CUDA_EXPERTS_TILE_CUH
#define KO_KERNELS_CUDA_EXPERTS_TILE_CUH

#include <cuda_bf16.h>

#include <stdint.h>

#include <type_traits>

#include "kernels/cuda/device.cuh"
#include "kernels/split.h"

enum { TILE_THREADS = 256, TILE_ROWS = 128, HALF = 64, MY_ROWS = 8, MY_COLUMNS = 4 };

/* Eight numbers that are loaded and stored together. */
template <typename T> struct alignas(16) eight {
    T x[8];
};

/* The products of one thread. */
struct my_tile {
    float x[2][MY_ROWS][MY_COLUMNS];
};

/* Float32 without tensor cores. Both operands lie in shared memory as [STEP, 128 + 4]. A warp has
   8 rows of each 64, and a thread 4 of them. */
struct float32_tile {
    typedef float weight, loaded, value, number;
    enum { STEP = 16, PITCH = TILE_ROWS + 4, NUMBERS = STEP * PITCH, PARTS = 1 };

    static __device__ __forceinline__ value rounded(float x)
    {
        return x;
    }

    /* Stores row[k .. k + 8). */
    static __device__ __forceinline__ void put_along(number *tile, int row, int k,
                                                     const struct eight<number> &v)
    {
#pragma unroll
        for (int n = 0; n < 8; n++) {
            tile[(k + n) * PITCH + row] = v.x[n];
        }
    }

    /* Stores number k of the rows [row, row + 8). */
    static __device__ __forceinline__ void put_across(number *tile, int row, int k,
                                                      const struct eight<number> &v)
    {
        const float4 *from = (const float4 *)v.x;
        float4 *to = (float4 *)(tile + k * PITCH + row);
        to[0] = from[0];
        to[1] = from[1];
    }

    static __device__ __forceinline__ int row_of(int i)
    {
        return (int)threadIdx.x / 16 * 4 + i % 4 + i / 4 * HALF;
    }

    static __device__ __forceinline__ int column_of(int j)
    {
        return (int)threadIdx.x % 16 * 4 + j;
    }

    /* For the first PARTS of the thread's two parts of rows. */
    template <int PARTS>
    static __device__ __forceinline__ void multiply_parts(const number *x, const number *w,
                                                          struct my_tile *mine)
    {
#pragma unroll 2
        for (int k = 0; k < STEP; k++) {
            struct eight<number> row, column;
            *(float4 *)row.x = *(const float4 *)(x + k * PITCH + row_of(0));
            *(float4 *)(row.x + 4) = *(const float4 *)(x + k * PITCH + row_of(4));
            *(float4 *)column.x = *(const float4 *)(w + k * PITCH + column_of(0));
            *(float4 *)(column.x + 4) = *(const float4 *)(w + k * PITCH + HALF + column_of(0));
#pragma unroll
            for (int i = 0; i < 4 * PARTS; i++) {
#pragma unroll
                for (int n = 0; n < 8; n++) {
                    float *to = &mine->x[n / 4][i][n % 4];
                    *to = fmaf(row.x[i], column.x[n], *to);
                }
            }
        }
    }

    /* mine += x w over one step. Rows from n_rows on may be left out. */
    static __device__ __forceinline__ void multiply(const number *x, const number *w, int n_rows,
                                                    struct my_tile *mine)
    {
        const int first = (int)threadIdx.x / 32 * 8;
        if (first + HALF < n_rows) {
            multiply_parts<2>(x, w, mine);
        } else if (first < n_rows) {
            multiply_parts<1>(x, w, mine);
        }
    }
};

/* Four words of the first operand, two of the second: a product of tensor cores, 16 rows by 8
   columns. In the PTX manual's terms mma.m16n8k8 of tf32 and mma.m16n8k16 of bfloat16, whose words
   lie in the same places. */
struct fragment {
    uint32_t row[4], column[2];
};

struct tf32_core {
    typedef float weight;
    typedef float number;
    enum { STEP = 16 };

    static __device__ __forceinline__ number rounded(float x)
    {
        uint32_t bits;
        asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
        return __uint_as_float(bits);
    }

    static __device__ __forceinline__ void multiply(const struct fragment &f, float *a, float *b,
                                                    float *c, float *d)
    {
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
                     "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(*a), "+f"(*b), "+f"(*c), "+f"(*d)
                     : "r"(f.row[0]), "r"(f.row[1]), "r"(f.row[2]), "r"(f.row[3]), "r"(f.column[0]),
                       "r"(f.column[1]));
    }
};

struct bfloat16_core {
    typedef __nv_bfloat16 weight;
    typedef __nv_bfloat16 number;
    enum { STEP = 32 };

    static __device__ __forceinline__ number rounded(float x)
    {
        return __float2bfloat16_rn(x);
    }

    static __device__ __forceinline__ number rounded(__nv_bfloat16 x)
    {
        return x;
    }

    static __device__ __forceinline__ void multiply(const struct fragment &f, float *a, float *b,
                                                    float *c, float *d)
    {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, "
                     "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(*a), "+f"(*b), "+f"(*c), "+f"(*d)
                     : "r"(f.row[0]), "r"(f.row[1]), "r"(f.row[2]), "r"(f.row[3]), "r"(f.column[0]),
                       "r"(f.column[1]));
    }
};

/* Tensor cores. Both operands lie in shared memory as [128, STEP], in rows of 16 words and 4 unused
   ones, so that the words of a fragment lie in different banks. A warp has 64 rows and 16 columns
   of each half. */
template <typename Core> struct tensor_tile {
    typedef typename Core::weight weight, loaded;
    typedef typename Core::number value, number;
    enum {
        STEP = Core::STEP,
        PITCH = STEP * 5 / 4,
        NUMBERS = TILE_ROWS * PITCH,
        WORDS = 20,
        PARTS = 1
    };

    template <typename T> static __device__ __forceinline__ number rounded(T x)
    {
        return Core::rounded(x);
    }

    static __device__ __forceinline__ void put_along(number *tile, int row, int k,
                                                     const struct eight<number> &v)
    {
        *(struct eight<number> *)(tile + row * PITCH + k) = v;
    }

    static __device__ __forceinline__ void put_across(number *tile, int row, int k,
                                                      const struct eight<number> &v)
    {
#pragma unroll
        for (int n = 0; n < 8; n++) {
            tile[(row + n) * PITCH + k] = v.x[n];
        }
    }

    static __device__ __forceinline__ int first_row()
    {
        return (int)threadIdx.x / 128 * HALF;
    }

    static __device__ __forceinline__ int first_column()
    {
        return (int)threadIdx.x / 32 % 4 * 16;
    }

    static __device__ __forceinline__ int row_of(int i)
    {
        return first_row() + i / 2 * 16 + i % 2 * 8 + (int)threadIdx.x % 32 / 4;
    }

    static __device__ __forceinline__ int column_of(int j)
    {
        return first_column() + j / 2 * 8 + (int)threadIdx.x % 4 * 2 + j % 2;
    }

    static __device__ __forceinline__ void multiply(const number *x, const number *w, int n_rows,
                                                    struct my_tile *mine)
    {
        const int group = (int)threadIdx.x % 32 / 4, place = (int)threadIdx.x % 4;
        const uint32_t *rows = (const uint32_t *)x + (first_row() + group) * WORDS + place;
        const uint32_t *columns = (const uint32_t *)w + (first_column() + group) * WORDS + place;
        struct fragment f;
#pragma unroll
        for (int k = 0; k < 16; k += 8) {
#pragma unroll
            for (int i = 0; i < MY_ROWS; i += 2) {
                if (first_row() + 8 * i >= n_rows) {
                    break;
                }
                const uint32_t *low = rows + 8 * i * WORDS + k, *high = low + 8 * WORDS;
                f.row[0] = low[0], f.row[1] = high[0], f.row[2] = low[4], f.row[3] = high[4];
#pragma unroll
                for (int n = 0; n < 4; n++) {
                    const int j = n % 2 * 2;
                    const uint32_t *at = columns + (n / 2 * HALF + 4 * j) * WORDS + k;
                    float *to = mine->x[n / 2][i], *below = mine->x[n / 2][i + 1];
                    f.column[0] = at[0], f.column[1] = at[4];
                    Core::multiply(f, &to[j], &to[j + 1], &below[j], &below[j + 1]);
                }
            }
        }
    }
};

/* bf16x3 by tensor cores. A row in shared memory has the high parts of 16 numbers, then their low
   parts. N_PARTS: of a weight; one where the matrices are exactly bfloat16. */
template <int N_PARTS> struct split_tile : tensor_tile<bfloat16_core> {
    typedef float value;
    typedef typename std::conditional<N_PARTS == 1, __nv_bfloat16, float>::type loaded;
    enum { STEP = 16, PARTS = N_PARTS, LOW_WORD = 8 };

    static __device__ __forceinline__ value rounded(float x)
    {
        return x;
    }

    static __device__ __forceinline__ value rounded(__nv_bfloat16 x)
    {
        return to_float(x);
    }

    static __device__ __forceinline__ void put_along(number *tile, int row, int k,
                                                     const struct eight<value> &v)
    {
        struct eight<number> high, low;
#pragma unroll
        for (int n = 0; n < 8; n++) {
            const struct ko_split s = ko_split_of(v.x[n]);
            high.x[n] = __ushort_as_bfloat16(s.high);
            low.x[n] = __ushort_as_bfloat16(s.low);
        }
        *(struct eight<number> *)(tile + row * PITCH + k) = high;
        *(struct eight<number> *)(tile + row * PITCH + STEP + k) = low;
    }

    static __device__ __forceinline__ void put_across(number *tile, int row, int k,
                                                      const struct eight<value> &v)
    {
#pragma unroll
        for (int n = 0; n < 8; n++) {
            const struct ko_split s = ko_split_of(v.x[n]);
            tile[(row + n) * PITCH + k] = __ushort_as_bfloat16(s.high);
            tile[(row + n) * PITCH + STEP + k] = __ushort_as_bfloat16(s.low);
        }
    }

    static __device__ __forceinline__ void load_rows(const uint32_t *low, struct fragment *f)
    {
        const uint32_t *high = low + 8 * WORDS;
        f->row[0] = low[0], f->row[1] = high[0], f->row[2] = low[4], f->row[3] = high[4];
    }

    /* The small products come first. */
    static __device__ __forceinline__ void multiply(const number *x, const number *w, int n_rows,
                                                    struct my_tile *mine)
    {
        const int group = (int)threadIdx.x % 32 / 4, place = (int)threadIdx.x % 4;
        const uint32_t *rows = (const uint32_t *)x + (first_row() + group) * WORDS + place;
        const uint32_t *columns = (const uint32_t *)w + (first_column() + group) * WORDS + place;
        struct fragment high, low;
#pragma unroll
        for (int i = 0; i < MY_ROWS; i += 2) {
            if (first_row() + 8 * i >= n_rows) {
                break;
            }
            load_rows(rows + 8 * i * WORDS, &high);
            load_rows(rows + 8 * i * WORDS + LOW_WORD, &low);
#pragma unroll
            for (int n = 0; n < 4; n++) {
                const int j = n % 2 * 2;
                const uint32_t *at = columns + (n / 2 * HALF + 4 * j) * WORDS;
                float *to = mine->x[n / 2][i], *below = mine->x[n / 2][i + 1];
                low.column[0] = at[0], low.column[1] = at[4];
                bfloat16_core::multiply(low, &to[j], &to[j + 1], &below[j], &below[j + 1]);
                if (PARTS == 2) {
                    high.column[0] = at[LOW_WORD], high.column[1] = at[LOW_WORD + 4];
                    bfloat16_core::multiply(high, &to[j], &to[j + 1], &below[j], &below[j + 1]);
                }
                high.column[0] = at[0], high.column[1] = at[4];
                bfloat16_core::multiply(high, &to[j], &to[j + 1], &below[j], &below[j + 1]);
            }
        }
    }
};

#endif
