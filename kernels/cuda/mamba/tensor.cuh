/* SPDX-License-Identifier: Apache-2.0 */
/* Products of tiles in shared memory on tensor cores. Factors are rounded to tf32, sums are float32. */
#ifndef KO_KERNELS_CUDA_MAMBA_TENSOR_CUH
#define KO_KERNELS_CUDA_MAMBA_TENSOR_CUH

#include <mma.h>

/* A warp's ROWS x COLUMNS fragments of 16 x 16 sums. All lanes call all functions. */
template <int ROWS, int COLUMNS> struct tensor_sums {
    enum { SIDE = 16, DEPTH = 8 };
    nvcuda::wmma::fragment<nvcuda::wmma::accumulator, SIDE, SIDE, DEPTH, float> of[ROWS][COLUMNS];

    __device__ __forceinline__ void clear()
    {
#pragma unroll
        for (int f = 0; f < ROWS * COLUMNS; f++) {
            nvcuda::wmma::fill_fragment(of[f / COLUMNS][f % COLUMNS], 0.0F);
        }
    }

    __device__ __forceinline__ void scale(float by)
    {
#pragma unroll
        for (int f = 0; f < ROWS * COLUMNS; f++) {
#pragma unroll
            for (int e = 0; e < of[0][0].num_elements; e++) {
                of[f / COLUMNS][f % COLUMNS].x[e] *= by;
            }
        }
    }

    /* Adds sum_k a[k * ld_a + row] b[k * ld_b + column] over TERMS terms. Both addresses are multiples
       of 32 bytes, also for k a multiple of DEPTH; both distances are multiples of 4. */
    template <int TERMS>
    __device__ __forceinline__ void add(const float *a, int ld_a, const float *b, int ld_b)
    {
#pragma unroll
        for (int k = 0; k < TERMS; k += DEPTH) {
            nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, SIDE, SIDE, DEPTH,
                                   nvcuda::wmma::precision::tf32, nvcuda::wmma::col_major>
                left[ROWS];
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                nvcuda::wmma::load_matrix_sync(left[r], a + k * ld_a + r * SIDE, (unsigned)ld_a);
#pragma unroll
                for (int e = 0; e < left[r].num_elements; e++) {
                    left[r].x[e] = nvcuda::wmma::__float_to_tf32(left[r].x[e]);
                }
            }
#pragma unroll
            for (int c = 0; c < COLUMNS; c++) {
                nvcuda::wmma::fragment<nvcuda::wmma::matrix_b, SIDE, SIDE, DEPTH,
                                       nvcuda::wmma::precision::tf32, nvcuda::wmma::row_major>
                    right;
                nvcuda::wmma::load_matrix_sync(right, b + k * ld_b + c * SIDE, (unsigned)ld_b);
#pragma unroll
                for (int e = 0; e < right.num_elements; e++) {
                    right.x[e] = nvcuda::wmma::__float_to_tf32(right.x[e]);
                }
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    nvcuda::wmma::mma_sync(of[r][c], left[r], right, of[r][c]);
                }
            }
        }
    }

    /* to[row * ld + column]. */
    __device__ __forceinline__ void store(float *to, int ld) const
    {
#pragma unroll
        for (int f = 0; f < ROWS * COLUMNS; f++) {
            nvcuda::wmma::store_matrix_sync(to + f / COLUMNS * SIDE * ld + f % COLUMNS * SIDE,
                                            of[f / COLUMNS][f % COLUMNS], (unsigned)ld,
                                            nvcuda::wmma::mem_row_major);
        }
    }
};

#endif
