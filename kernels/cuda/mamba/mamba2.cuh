/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of Mamba-2 share: its work memory, and which keys a row sums over itself. */
#ifndef KO_KERNELS_CUDA_MAMBA_MAMBA2_CUH
#define KO_KERNELS_CUDA_MAMBA_MAMBA2_CUH

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/mamba/chunk.cuh"

struct mamba2_scratch {
    float *step;      /* [rows, n_heads] */
    double *step_sum; /* [rows, n_heads] along the path; double, since differences are taken */
    float *score;     /* [rows, n_groups, keys] C[i] . B[j] of the keys of a window */
    int keys;
    bool chunked;       /* long trunks are cut into chunks */
    bool tensor_cores;  /* products of chunks round their factors to tf32 */
    float *input;       /* [chunks, n_heads, d_state, d_head] what a chunk adds to the state */
    float *state;       /* the same of the state before it */
    double *chunk_step; /* [chunks, n_heads] sum of delta over its rows */
};

static __device__ __forceinline__ bool is_long(const struct ko_cuda_rows &rows,
                                               const struct mamba2_scratch &s, int prompt)
{
    return s.chunked && is_in_chunks(rows.mamba2_chunks, prompt);
}

/* The first position that a row has a score for: with chunks that of the row's chunk, or for a branch's
   row that of the chunk of t0. What was before is in the state. */
static __device__ __forceinline__ int first_key(const struct ko_cuda_rows &rows,
                                                const struct mamba2_scratch &s, int row)
{
    const int b = rows.branch[row];
    const int at = b < 0 ? rows.position[row] : branch_start(rows.branches[b]);
    return is_long(rows, s, rows.prompt[row]) ? at - at % KO_CUDA_MAMBA2_CHUNK : 0;
}

static __device__ __forceinline__ float step_of(const struct ko_mamba2 &a, int source, int head)
{
    const float dt = softplus_of(a.dt[ko_at(source, a.ld_dt, head)] + a.dt_bias[head]);
    return dt < a.dt_min ? a.dt_min : dt > a.dt_max ? a.dt_max : dt; /* NaN stays NaN */
}

static __device__ __forceinline__ int group_of(const struct ko_mamba2 &a, int head)
{
    return (int)((size_t)head * (size_t)a.n_groups / (size_t)a.n_heads);
}

/* The decay over a span of steps. */
static __device__ __forceinline__ float decay_over(const struct ko_mamba2 &a, int head, double span)
{
    return expf((float)((double)a.a[head] * span));
}

#endif
