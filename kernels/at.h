/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets into row-major arrays, in elements: x[ko_at(r, ld, c)] is element [r, c] of x [rows, ld].
   Sizes and indices alternate, in the order of the dimensions. */
#ifndef KO_KERNELS_AT_H
#define KO_KERNELS_AT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define KO_INLINE static __host__ __device__ __forceinline__
#else
#define KO_INLINE static inline
#endif

/* Of [i, j] in an array [.., n_j]. */
KO_INLINE size_t ko_at(int32_t i, int32_t n_j, int32_t j)
{
    return (size_t)i * (size_t)n_j + (size_t)j;
}

/* Of [i, j, k] in an array [.., n_j, n_k]. */
KO_INLINE size_t ko_at3(int32_t i, int32_t n_j, int32_t j, int32_t n_k, int32_t k)
{
    return ((size_t)i * (size_t)n_j + (size_t)j) * (size_t)n_k + (size_t)k;
}

#undef KO_INLINE

#endif
