/* SPDX-License-Identifier: Apache-2.0 */
// The real-gated linear recurrent unit over trunk and branches. One kernel turns the gates of each
// row into a and what the row adds to the state. The other walks the rows: a thread computes one
// channel and keeps h and h' in registers, and a block computes one item of the tables (blockIdx.x)
// for THREADS channels (blockIdx.y).
//
// The block first walks the item's trunk rows before t0. All branches of the item start from these
// states. What a row brings does not depend on the states, and nothing in the kernel writes it
// (__ldg), so the compiler loads it for UNROLL rows before it needs the first.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

enum { THREADS = 128, UNROLL = 8 };

// blockIdx.x is the row.
static __global__ void prepare_rows(struct ko_cuda_rows rows, struct ko_rglru a)
{
    const int row = (int)blockIdx.x, c = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (c >= a.d) {
        return;
    }
    const size_t at = ko_at(row, a.ld, c);
    const float log_a = -8.0F * sigmoid_of(a.decay[at]) * softplus_of(a.param[c]);
    const float m = rows.position[row] == 0 ? 1.0F : sqrtf(-expm1f(2.0F * log_a));
    a.input[at] = m * (a.u[ko_at(row, a.d, c)] * sigmoid_of(a.input[at]));
    a.decay[at] = expf(log_a);
}

// A channel's states, and what the last row added to h.
struct states {
    float h, without, input;
};

struct walk {
    const struct ko_cuda_rows &rows;
    const struct stage_rows &at;
    const struct ko_rglru &a;
    int channel, edge_set; // edge_set -1: none

    __device__ __forceinline__ bool is_source(int i) const
    {
        return edge_set >= 0 && rows.source[ko_at(edge_set, rows.max_tokens, i)] != 0;
    }

    // Moves the states past row `source` of position i.
    __device__ __forceinline__ void step(int source, int i, struct states &s) const
    {
        const size_t k = ko_at(source, a.ld, channel);
        const float decay = __ldg(&a.decay[k]);
        s.input = __ldg(&a.input[k]);
        s.h = fmaf(decay, s.h, s.input);
        s.without = fmaf(decay, s.without, is_source(i) ? 0.0F : s.input);
    }

    __device__ __forceinline__ void put(int row, float y) const
    {
        a.out[ko_at(row, a.d, channel)] = y;
    }

    __device__ __forceinline__ void trunk(int first, int n) const
    {
        struct states s = {};
#pragma unroll UNROLL
        for (int i = 0; i < n; i++) {
            step(first + i, i, s);
            put(first + i, s.h);
        }
    }

    // The rows of branch b, from the states before t0. A fork first walks those that it shares with its
    // stem.
    __device__ __forceinline__ void branch(int b, struct states s) const
    {
        const struct ko_branch branch = rows.branches[b];
        const bool cut = edge_set >= 0 && branch_cuts(branch, a.stage, KO_MIXER_SSM);
        const bool later = edge_set >= 0 && rows.later[edge_set] != 0;
        const int start = branch_start(branch);
#pragma unroll UNROLL
        for (int k = 0; k < branch.n_shared; k++) {
            step(source_row_after_conv(rows, at, branch.shared_row + k), start + k, s);
        }
#pragma unroll UNROLL
        for (int k = 0; k < branch.n_rows; k++) {
            const int row = branch.first_row + k, i = branch.first_position + k;
            step(source_row_after_conv(rows, at, row), i, s);
            const bool reads = cut && rows.target[ko_at(edge_set, rows.max_tokens, i)] != 0;
            const float own = later && is_source(i) ? s.input : 0.0F;
            if (item_writes(rows, branch, edge_set, cut, i)) {
                put(row, reads ? s.without + own : s.h);
            }
        }
    }
};

static __global__ void __launch_bounds__(THREADS)
    walk_items(struct ko_cuda_rows rows, struct stage_rows at, struct ko_rglru a)
{
    const struct ko_scan_item item = rows.items[blockIdx.x];
    const int n_active = item.n > 0 ? count_active(rows, at, item) : 0;
    const int channel = (int)(blockIdx.y * THREADS + threadIdx.x);
    if ((item.n > 0 && n_active == 0) || channel >= a.d) {
        return;
    }
    const struct walk walk = {rows, at, a, channel, item.edge_set};
    const int first = rows.trunk_first[item.prompt];
    if (item.n == 0) {
        walk.trunk(first, item.t0);
        return;
    }
    struct states s = {};
#pragma unroll UNROLL
    for (int i = 0; i < item.t0; i++) {
        walk.step(first + i, i, s);
    }
    for (int k = 0; k < n_active; k++) {
        walk.branch(rows.item_branch[item.first + k], s);
    }
}

enum ko_code ko_cuda_rglru(struct ko_backend *be, const struct ko_rglru *args, struct ko_error *err)
{
    const struct stage_rows at = rows_of_stage(be->wave, args->stage);
    const unsigned blocks = blocks_for((size_t)args->d, THREADS);
    if (at.n_active == 0) {
        return KO_OK;
    }
    if (at.n_convolved > 0) {
        const dim3 grid((unsigned)at.n_convolved, blocks);
        prepare_rows<<<grid, THREADS, 0, be->stream>>>(be->rows, *args);
    }
    const dim3 grid((unsigned)be->rows.n_items, blocks);
    walk_items<<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args);
    return ko_cuda_launched(be, "rglru", err);
}
