/* SPDX-License-Identifier: Apache-2.0 */
// Norms: a block computes one row or one group of it, or a warp one head. If rows consist of whole
// float4s at 16-byte addresses, a thread computes four numbers at once.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

enum { THREADS = 256, WARPS = THREADS / 32 };

struct norm {
    const float *x, *weight, *bias;
    float *y;
    int ldx, ldy, d;
    float eps;
};

// *y = (x - mean) scale weight[k] + bias[k], where scale is one over the root of the mean square.
// Not CENTRED: RMSNorm, whose mean is 0.
template <bool CENTRED>
static __device__ __forceinline__ void normalise_one(const struct norm &a, float x, int k,
                                                     float mean, float scale, float *y)
{
    const float w = a.weight ? a.weight[k] : 1.0F, b = CENTRED && a.bias ? a.bias[k] : 0.0F;
    *y = (x - mean) * scale * w + b;
}

template <bool CENTRED> static __global__ void norm_rows(struct norm a)
{
    const float *x = a.x + ko_at((int)blockIdx.x, a.ldx, 0);
    float *y = a.y + ko_at((int)blockIdx.x, a.ldy, 0);
    float sum = 0.0F, squares = 0.0F, mean = 0.0F;
    if (CENTRED) {
        for (int k = (int)threadIdx.x; k < a.d; k += THREADS) {
            sum += x[k];
        }
        mean = block_sum(sum) / (float)a.d;
    }
    for (int k = (int)threadIdx.x; k < a.d; k += THREADS) {
        squares += (x[k] - mean) * (x[k] - mean);
    }
    const float scale = rsqrtf(block_sum(squares) / (float)a.d + a.eps);
    for (int k = (int)threadIdx.x; k < a.d; k += THREADS) {
        normalise_one<CENTRED>(a, x[k], k, mean, scale, &y[k]);
    }
}

static __device__ __forceinline__ float sum_of_four(float4 v)
{
    return (v.x + v.y) + (v.z + v.w);
}

static __device__ __forceinline__ float squares_of_four(float4 v, float mean)
{
    const float x = v.x - mean, y = v.y - mean, z = v.z - mean, w = v.w - mean;
    return (x * x + y * y) + (z * z + w * w);
}

// The row stays in registers, PARTS float4s in each thread.
template <bool CENTRED, int PARTS> static __global__ void norm_rows_by_four(struct norm a)
{
    const float *x = a.x + ko_at((int)blockIdx.x, a.ldx, 0);
    float4 *y = (float4 *)(a.y + ko_at((int)blockIdx.x, a.ldy, 0));
    const int n = a.d / 4;
    float4 v[PARTS];
    float sum = 0.0F, squares = 0.0F, mean = 0.0F;
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        const int k = (int)threadIdx.x + p * THREADS;
        v[p] = k < n ? load_four(x, k) : make_float4(0.0F, 0.0F, 0.0F, 0.0F);
        sum += sum_of_four(v[p]);
    }
    if (CENTRED) {
        mean = block_sum(sum) / (float)a.d;
    }
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        squares += (int)threadIdx.x + p * THREADS < n ? squares_of_four(v[p], mean) : 0.0F;
    }
    const float scale = rsqrtf(block_sum(squares) / (float)a.d + a.eps);
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        const int k = (int)threadIdx.x + p * THREADS;
        if (k < n) {
            float4 out;
            normalise_one<CENTRED>(a, v[p].x, 4 * k, mean, scale, &out.x);
            normalise_one<CENTRED>(a, v[p].y, 4 * k + 1, mean, scale, &out.y);
            normalise_one<CENTRED>(a, v[p].z, 4 * k + 2, mean, scale, &out.z);
            normalise_one<CENTRED>(a, v[p].w, 4 * k + 3, mean, scale, &out.w);
            y[k] = out;
        }
    }
}

template <bool CENTRED>
static enum ko_code launch_norm(struct ko_backend *be, int32_t n, const struct norm *a,
                                const char *what, struct ko_error *err)
{
    if (n == 0) {
        return KO_OK;
    }
    const int parts = (a->d / 4 + THREADS - 1) / THREADS;
    const bool wide = by_four(a->d, a->ldx, a->ldy, a->x, a->y, NULL);
    if (wide && parts <= 1) {
        norm_rows_by_four<CENTRED, 1><<<(unsigned)n, THREADS, 0, be->stream>>>(*a);
    } else if (wide && parts <= 2) {
        norm_rows_by_four<CENTRED, 2><<<(unsigned)n, THREADS, 0, be->stream>>>(*a);
    } else if (wide && parts <= 4) {
        norm_rows_by_four<CENTRED, 4><<<(unsigned)n, THREADS, 0, be->stream>>>(*a);
    } else {
        norm_rows<CENTRED><<<(unsigned)n, THREADS, 0, be->stream>>>(*a);
    }
    return ko_cuda_launched(be, what, err);
}

enum ko_code ko_cuda_rms_norm(struct ko_backend *be, const struct ko_rms_norm *args,
                              struct ko_error *err)
{
    const struct norm a = {args->x,   args->weight, NULL,    args->y,
                           args->ldx, args->ldy,    args->d, args->eps};
    return launch_norm<false>(be, args->n, &a, "rms_norm", err);
}

enum ko_code ko_cuda_layer_norm(struct ko_backend *be, const struct ko_layer_norm *args,
                                struct ko_error *err)
{
    const struct norm a = {args->x,   args->weight, args->bias, args->y,
                           args->ldx, args->ldy,    args->d,    args->eps};
    return launch_norm<true>(be, args->n, &a, "layer_norm", err);
}

template <enum ko_gate_function FUNCTION> static __device__ __forceinline__ float gate_of(float z)
{
    return FUNCTION == KO_GATE_SILU        ? silu_of(z)
           : FUNCTION == KO_GATE_SIGMOID   ? sigmoid_of(z)
           : FUNCTION == KO_GATE_GELU_TANH ? gelu_tanh_of(z)
                                           : z;
}

// A block has one group of a row, and each of its threads the same numbers in both passes.
template <enum ko_gate_order ORDER, enum ko_gate_function FUNCTION>
static __global__ void gate_groups(struct ko_cuda_rows rows, struct stage_rows at,
                                   struct ko_output_gate a, int width)
{
    const int r = (int)blockIdx.x, group = (int)blockIdx.y, step = (int)blockDim.x;
    float *x = a.x + ko_at(r, a.d, group * width);
    const float *z = a.z + ko_at(source_row(rows, at, r), a.ld_z, group * a.z_stride);
    float squares = 0.0F;
    for (int k = (int)threadIdx.x; k < width; k += step) {
        const float v = ORDER == KO_NORM_THEN_GATE ? x[k] : x[k] * gate_of<FUNCTION>(z[k]);
        if (ORDER != KO_NORM_THEN_GATE) {
            x[k] = v;
        }
        squares += v * v;
    }
    if (ORDER == KO_GATE_ALONE) {
        return;
    }
    const float *weight = a.weight + (a.shared_weight ? 0 : group * width);
    const float scale = rsqrtf(block_sum(squares) / (float)width + a.eps);
    for (int k = (int)threadIdx.x; k < width; k += step) {
        const float v = x[k] * scale * weight[k];
        x[k] = ORDER == KO_NORM_THEN_GATE ? v * gate_of<FUNCTION>(z[k]) : v;
    }
}

template <enum ko_gate_order ORDER>
static void launch_gate(struct ko_backend *be, const struct ko_output_gate *args)
{
    const struct stage_rows at = rows_of_stage(be->wave, args->stage);
    const int width = args->d / args->n_groups;
    const dim3 grid((unsigned)at.n_active, (unsigned)args->n_groups);
    const unsigned most = THREADS, needed = 32 * blocks_for((size_t)width, 32);
    const unsigned threads = needed < most ? needed : most;
    if (args->function == KO_GATE_SILU) {
        gate_groups<ORDER, KO_GATE_SILU>
            <<<grid, threads, 0, be->stream>>>(be->rows, at, *args, width);
    } else if (args->function == KO_GATE_SIGMOID) {
        gate_groups<ORDER, KO_GATE_SIGMOID>
            <<<grid, threads, 0, be->stream>>>(be->rows, at, *args, width);
    } else if (args->function == KO_GATE_GELU_TANH) {
        gate_groups<ORDER, KO_GATE_GELU_TANH>
            <<<grid, threads, 0, be->stream>>>(be->rows, at, *args, width);
    } else {
        gate_groups<ORDER, KO_GATE_IDENTITY>
            <<<grid, threads, 0, be->stream>>>(be->rows, at, *args, width);
    }
}

enum ko_code ko_cuda_output_gate(struct ko_backend *be, const struct ko_output_gate *args,
                                 struct ko_error *err)
{
    if (be->wave->n_active[args->stage] == 0) {
        return KO_OK;
    }
    if (args->order == KO_GATE_THEN_NORM) {
        launch_gate<KO_GATE_THEN_NORM>(be, args);
    } else if (args->order == KO_NORM_THEN_GATE) {
        launch_gate<KO_NORM_THEN_GATE>(be, args);
    } else {
        launch_gate<KO_GATE_ALONE>(be, args);
    }
    return ko_cuda_launched(be, "output_gate", err);
}

// A warp has one head of a row, and each of its lanes the same numbers in both passes.
static __global__ void norm_heads(struct ko_head_norm a)
{
    const size_t place = (size_t)blockIdx.x * WARPS + threadIdx.x / 32;
    const int r = (int)(place / (size_t)a.n_heads), head = (int)(place % (size_t)a.n_heads);
    const int lane = (int)threadIdx.x % 32;
    if (r >= a.n) {
        return;
    }
    float *x = a.x + ko_at(r, a.ld, head * a.stride);
    float squares = 0.0F;
    for (int k = lane; k < a.d_head; k += 32) {
        squares += x[k] * x[k];
    }
    const float scale = rsqrtf(warp_sum(squares) / (float)a.d_head + a.eps);
    for (int k = lane; k < a.d_head; k += 32) {
        x[k] = x[k] * scale * a.weight[k];
    }
}

enum ko_code ko_cuda_head_norm(struct ko_backend *be, const struct ko_head_norm *args,
                               struct ko_error *err)
{
    const size_t heads = (size_t)args->n * (size_t)args->n_heads;
    if (heads == 0) {
        return KO_OK;
    }
    norm_heads<<<blocks_for(heads, WARPS), THREADS, 0, be->stream>>>(*args);
    return ko_cuda_launched(be, "head_norm", err);
}
