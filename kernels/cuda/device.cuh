/* SPDX-License-Identifier: Apache-2.0 */
/* Device functions that the kernels share: the rows that a row reads, removed edges, the branches of
   an item, activations, sums over a block, and rows of float4s. Nothing here knows the backend. */
#ifndef KO_KERNELS_CUDA_DEVICE_CUH
#define KO_KERNELS_CUDA_DEVICE_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/at.h"
#include "kernels/cuda/tables.h"

/* From any type that weights have. */
static __device__ __forceinline__ float to_float(float x)
{
    return x;
}
static __device__ __forceinline__ float to_float(__half x)
{
    return __half2float(x);
}
static __device__ __forceinline__ float to_float(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}

/* One stage's counts of rows, as in struct ko_rows. */
struct stage_rows {
    int stage, n_projected, n_convolved, n_active, n_branches_active;
};

static inline struct stage_rows rows_of_stage(const struct ko_rows *wave, int stage)
{
    struct stage_rows r;
    r.stage = stage;
    r.n_projected = wave->n_projected[stage];
    r.n_convolved = wave->n_convolved[stage];
    r.n_active = wave->n_active[stage];
    r.n_branches_active = wave->n_branches_active[stage];
    return r;
}

static __device__ __forceinline__ int source_row(const struct ko_cuda_rows &rows,
                                                 const struct stage_rows &at, int row)
{
    return row < at.n_projected ? row : rows.parent_row[row];
}

static __device__ __forceinline__ int source_row_after_conv(const struct ko_cuda_rows &rows,
                                                            const struct stage_rows &at, int row)
{
    return row < at.n_convolved ? row : rows.parent_row[row];
}

/* As ko_branch_start and ko_branch_row, which are not compiled for the device. */
static __device__ __forceinline__ int branch_start(const struct ko_branch &branch)
{
    return branch.first_position - branch.n_shared;
}

static __device__ __forceinline__ int branch_row(const struct ko_branch &branch, int j)
{
    return j < branch.first_position ? branch.shared_row + j - branch_start(branch)
                                     : branch.first_row + j - branch.first_position;
}

/* The row of position j on the path of a row of `branch` (NULL: a trunk's). */
static __device__ __forceinline__ int path_row(const struct ko_branch *branch, int trunk_first,
                                               int j)
{
    return branch && j >= branch_start(*branch) ? branch_row(*branch, j) : trunk_first + j;
}

static __device__ __forceinline__ bool branch_cuts(const struct ko_branch &branch, int stage,
                                                   enum ko_mixer mixer)
{
    return stage >= branch.window_begin && stage < branch.window_end && (branch.mixers & mixer) &&
           (!branch.stages || branch.stages[stage]);
}

/* The part of the edges, whose first part is `set`, that has those into position i; -1: no edge goes
   there. */
static __device__ __forceinline__ int part_into(const struct ko_cuda_rows &rows, int set, int i)
{
    while (rows.target[ko_at(set, rows.max_tokens, i)] == 0) {
        if (rows.more[set] == 0) {
            return -1;
        }
        set++;
    }
    return set;
}

/* Whether (i, j), j <= i, is one of the edges whose first part is `set`. */
static __device__ __forceinline__ bool has_edge(const struct ko_cuda_rows &rows, int set, int i,
                                                int j)
{
    const int part = part_into(rows, set, i);
    return part >= 0 && rows.source[ko_at(part, rows.max_tokens, j)] != 0 &&
           !(rows.later[part] && j == i);
}

/* Whether an item of this part of the branch's edges writes the branch's row of position i. cuts: the
   branch loses edges here. */
static __device__ __forceinline__ bool item_writes(const struct ko_cuda_rows &rows,
                                                   const struct ko_branch &branch, int part,
                                                   bool cuts, int i)
{
    const int first = branch.edge_set;
    if (first < 0 || rows.more[first] == 0) {
        return true;
    }
    const int into = cuts ? part_into(rows, first, i) : -1;
    return part == (into >= 0 ? into : first);
}

/* Whether the branch loses the feature; masks [n_masks, n_stages, n_features]. */
static __device__ __forceinline__ bool is_masked(const struct ko_cuda_rows &rows,
                                                 const struct ko_branch &branch,
                                                 const uint8_t *masks, int stage, int n_features,
                                                 int feature)
{
    return branch.mask < 0 ||
           masks[ko_at3(branch.mask, rows.n_stages, stage, n_features, feature)] != 0;
}

/* The number of the item's branches that are active in this stage. They come first, since an item's
   branches ascend. */
static __device__ __forceinline__ int count_active(const struct ko_cuda_rows &rows,
                                                   const struct stage_rows &at,
                                                   const struct ko_scan_item &item)
{
    int low = 0, high = item.n;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (rows.item_branch[item.first + middle] < at.n_branches_active) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static __device__ __forceinline__ float silu_of(float x)
{
    return x / (1.0F + expf(-x));
}

static __device__ __forceinline__ float sigmoid_of(float x)
{
    return 1.0F / (1.0F + expf(-x));
}

/* GPT-2's gelu_new (Hendrycks & Gimpel 2016). 0.5 (1 + tanh(t)) = 1 / (1 + exp(-2 t)), which keeps
   the digits that 1 + tanh(t) loses near -1; 2 sqrt(2 / pi) = 1.5957691... */
static __device__ __forceinline__ float gelu_tanh_of(float x)
{
    const float twice = 1.59576912160573071176F * (x + 0.044715F * x * x * x);
    return x / (1.0F + expf(-twice));
}

/* As PyTorch's softplus: x itself beyond 20. */
static __device__ __forceinline__ float softplus_of(float x)
{
    return x > 20.0F ? x : log1pf(expf(x));
}

template <typename T> static __device__ __forceinline__ T warp_sum(T x)
{
    for (int step = 16; step > 0; step /= 2) {
        x += __shfl_xor_sync(0xFFFFFFFFU, x, step);
    }
    return x;
}

/* The sum over the block, in every thread. The order of the sum is always the same. */
template <typename T> static __device__ T block_sum(T x)
{
    __shared__ T part[32];
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    const int n_warps = ((int)blockDim.x + 31) / 32;
    x = warp_sum(x);
    __syncthreads(); /* all threads have read an earlier sum */
    if (lane == 0) {
        part[warp] = x;
    }
    __syncthreads();
    T sum = part[0];
    for (int w = 1; w < n_warps; w++) {
        sum += part[w];
    }
    return sum;
}

/* Whether rows of d numbers with these distances and addresses consist of whole float4s at 16-byte
   addresses. */
static inline bool by_four(int32_t d, int32_t ld_a, int32_t ld_b, const void *a, const void *b,
                           const void *c)
{
    return d % 4 == 0 && ld_a % 4 == 0 && ld_b % 4 == 0 && (uintptr_t)a % 16 == 0 &&
           (uintptr_t)b % 16 == 0 && (uintptr_t)c % 16 == 0;
}

static __device__ __forceinline__ float4 load_four(const float *x, int k)
{
    return ((const float4 *)x)[k];
}

static inline unsigned blocks_for(size_t n, unsigned threads)
{
    return (unsigned)((n + threads - 1) / threads);
}

#endif
