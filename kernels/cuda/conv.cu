/* SPDX-License-Identifier: Apache-2.0 */
// The causal depthwise convolution. A thread computes one channel, or four; blockIdx.x is the row.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

enum { THREADS = 256 };

// The removed taps of a row.
struct cut {
    bool any;            // the taps of removed edges are removed
    int set;             // edge set
    const uint8_t *mask; // [n_channels] or NULL: every channel
};

static __device__ __forceinline__ struct cut cut_of(const struct ko_cuda_rows &rows,
                                                    const struct ko_conv &a, int row)
{
    struct cut cut = {false, 0, NULL};
    const int b = rows.branch[row];
    if (b < 0) {
        return cut;
    }
    const struct ko_branch branch = rows.branches[b];
    cut.any = (branch.conv || a.mixer) &&
              branch_cuts(branch, a.stage, a.mixer ? KO_MIXER_CONV : KO_MIXER_SSM);
    cut.set = branch.edge_set;
    if (a.masks && branch.mask >= 0) {
        cut.mask = a.masks + ko_at3(branch.mask, rows.n_stages, a.stage, a.n_channels, 0);
    }
    return cut;
}

static __device__ __forceinline__ float activate_sum(const struct ko_conv &a, float sum)
{
    return a.linear ? sum : silu_of(sum);
}

static __global__ void conv_rows(struct ko_cuda_rows rows, struct stage_rows at, struct ko_conv a)
{
    const int row = (int)blockIdx.x, c = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (c >= a.n_channels) {
        return;
    }
    const struct cut cut = cut_of(rows, a, row);
    const bool masked = cut.any && (!cut.mask || cut.mask[c]);
    const int i = rows.position[row];
    float sum = a.bias ? a.bias[c] : 0.0F;
    int from = row;
    for (int back = 0; back < a.n_taps && from >= 0; back++, from = rows.previous[from]) {
        if (masked && has_edge(rows, cut.set, i, i - back)) {
            continue;
        }
        const int tap = a.n_taps - 1 - back, source = source_row(rows, at, from);
        sum += a.weight[ko_at(tap, a.n_channels, c)] * a.in[ko_at(source, a.ld_in, c)];
    }
    a.out[ko_at(row, a.n_channels, c)] = activate_sum(a, sum);
}

static __global__ void conv_rows_by_four(struct ko_cuda_rows rows, struct stage_rows at,
                                         struct ko_conv a)
{
    const int row = (int)blockIdx.x, k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k >= a.n_channels / 4) {
        return;
    }
    const struct cut cut = cut_of(rows, a, row);
    const int i = rows.position[row], c = 4 * k;
    bool masked[4];
#pragma unroll
    for (int n = 0; n < 4; n++) {
        masked[n] = cut.any && (!cut.mask || cut.mask[c + n]);
    }
    float4 sum = a.bias ? ((const float4 *)a.bias)[k] : make_float4(0.0F, 0.0F, 0.0F, 0.0F);
    int from = row;
    for (int back = 0; back < a.n_taps && from >= 0; back++, from = rows.previous[from]) {
        const int tap = a.n_taps - 1 - back, source = source_row(rows, at, from);
        const float4 w = ((const float4 *)(a.weight + ko_at(tap, a.n_channels, 0)))[k];
        float4 x = ((const float4 *)(a.in + ko_at(source, a.ld_in, 0)))[k];
        if (cut.any && has_edge(rows, cut.set, i, i - back)) { // x may be NaN, so it is replaced
            x.x = masked[0] ? 0.0F : x.x, x.y = masked[1] ? 0.0F : x.y;
            x.z = masked[2] ? 0.0F : x.z, x.w = masked[3] ? 0.0F : x.w;
        }
        sum.x += w.x * x.x, sum.y += w.y * x.y, sum.z += w.z * x.z, sum.w += w.w * x.w;
    }
    ((float4 *)(a.out + ko_at(row, a.n_channels, 0)))[k] =
        make_float4(activate_sum(a, sum.x), activate_sum(a, sum.y), activate_sum(a, sum.z),
                    activate_sum(a, sum.w));
}

enum ko_code ko_cuda_conv(struct ko_backend *be, const struct ko_conv *args, struct ko_error *err)
{
    const struct stage_rows at = rows_of_stage(be->wave, args->stage);
    const int n_rows = args->mixer ? at.n_active : at.n_convolved;
    if (n_rows == 0) {
        return KO_OK;
    }
    const uintptr_t together = (uintptr_t)args->in | (uintptr_t)args->weight |
                               (uintptr_t)args->bias | (uintptr_t)args->out;
    const bool by_four = args->n_channels % 4 == 0 && args->ld_in % 4 == 0 && together % 16 == 0;
    const size_t width = (size_t)args->n_channels / (by_four ? 4 : 1);
    const dim3 grid((unsigned)n_rows, blocks_for(width, THREADS));
    if (by_four) {
        conv_rows_by_four<<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args);
    } else {
        conv_rows<<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args);
    }
    return ko_cuda_launched(be, "conv", err);
}
