/* SPDX-License-Identifier: Apache-2.0 */
// Norms, activations and rotary positions: one pass over the rows each. If rows consist of whole
// float4s at 16-byte addresses, a thread computes four numbers at once.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

enum { THREADS = 256 };

static bool by_four(int32_t d, int32_t ld_a, int32_t ld_b, const void *a, const void *b,
                    const void *c)
{
    return d % 4 == 0 && ld_a % 4 == 0 && ld_b % 4 == 0 && (uintptr_t)a % 16 == 0 &&
           (uintptr_t)b % 16 == 0 && (uintptr_t)c % 16 == 0;
}

// ----------------------------------------------------------------------------------------------
// norms: a block computes one row

struct norm {
    const float *x, *weight, *bias;
    float *y;
    int ldx, ldy, d;
    float eps;
};

static __device__ __forceinline__ float4 load_four(const float *x, int k)
{
    return ((const float4 *)x)[k];
}

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

// Mamba-2's: x silu_of(z), then RMSNorm over the group; a block a row and group.
static __global__ void gated_norm_rows(struct ko_cuda_rows rows, struct layer_rows at,
                                       struct ko_gated_norm a, int width)
{
    const int r = (int)blockIdx.x, first = (int)blockIdx.y * width;
    float *x = a.x + ko_at(r, a.d, first);
    const float *z = a.z + ko_at(source_row(rows, at, r), a.ld_z, first);
    float squares = 0.0F;
    for (int k = (int)threadIdx.x; k < width; k += THREADS) {
        const float v = x[k] * silu_of(z[k]);
        x[k] = v;
        squares += v * v;
    }
    const float scale = rsqrtf(block_sum(squares) / (float)width + a.eps);
    for (int k = (int)threadIdx.x; k < width; k += THREADS) {
        x[k] = x[k] * scale * a.weight[first + k];
    }
}

enum ko_code ko_cuda_gated_norm(struct ko_backend *be, const struct ko_gated_norm *args,
                                struct ko_error *err)
{
    const struct layer_rows at = rows_of_layer(be->wave, args->layer);
    if (at.n_active == 0) {
        return KO_OK;
    }
    const dim3 grid((unsigned)at.n_active, (unsigned)args->n_groups);
    gated_norm_rows<<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args,
                                                      args->d / args->n_groups);
    return ko_cuda_launched(be, "gated_norm", err);
}

// ----------------------------------------------------------------------------------------------
// activations: blockIdx.x is the row, blockIdx.y a part of its numbers

struct softplus_function {
    static __device__ __forceinline__ float of(float x)
    {
        return softplus_of(x);
    }
};

// GPT-2's gelu_new (Hendrycks & Gimpel 2016).
struct gelu_tanh_function {
    static __device__ __forceinline__ float of(float x)
    {
        const float inner = 0.79788456080286535588F * (x + 0.044715F * x * x * x);
        return 0.5F * x * (1.0F + tanhf(inner));
    }
};

template <typename Function> static __global__ void map_rows(float *x, int ld, int d)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < d) {
        float *at = x + ko_at((int)blockIdx.x, ld, k);
        *at = Function::of(*at);
    }
}

template <typename Function> static __global__ void map_rows_by_four(float *x, int ld, int n)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < n) {
        float4 *at = (float4 *)(x + ko_at((int)blockIdx.x, ld, 0)) + k;
        const float4 v = *at;
        *at =
            make_float4(Function::of(v.x), Function::of(v.y), Function::of(v.z), Function::of(v.w));
    }
}

template <typename Function>
static enum ko_code launch_map(struct ko_backend *be, const struct ko_activation *args,
                               const char *what, struct ko_error *err)
{
    const int32_t n = args->n, d = args->d, ld = args->ld;
    float *x = args->x;
    if (n == 0) {
        return KO_OK;
    }
    if (by_four(d, ld, ld, x, x, x)) {
        const dim3 grid((unsigned)n, blocks_for((size_t)d / 4, THREADS));
        map_rows_by_four<Function><<<grid, THREADS, 0, be->stream>>>(x, ld, d / 4);
    } else {
        const dim3 grid((unsigned)n, blocks_for((size_t)d, THREADS));
        map_rows<Function><<<grid, THREADS, 0, be->stream>>>(x, ld, d);
    }
    return ko_cuda_launched(be, what, err);
}

enum ko_code ko_cuda_softplus(struct ko_backend *be, const struct ko_activation *args,
                              struct ko_error *err)
{
    return launch_map<softplus_function>(be, args, "softplus", err);
}

enum ko_code ko_cuda_gelu_tanh(struct ko_backend *be, const struct ko_activation *args,
                               struct ko_error *err)
{
    return launch_map<gelu_tanh_function>(be, args, "gelu_tanh", err);
}

static __global__ void silu_mul_rows(int d, const float *gate, const float *up, int ld, float *y,
                                     int ldy)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < d) {
        const size_t at = ko_at((int)blockIdx.x, ld, k);
        y[ko_at((int)blockIdx.x, ldy, k)] = silu_of(gate[at]) * up[at];
    }
}

static __global__ void silu_mul_rows_by_four(int n, const float *gate, const float *up, int ld,
                                             float *y, int ldy)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < n) {
        const float4 g = load_four(gate + ko_at((int)blockIdx.x, ld, 0), k);
        const float4 u = load_four(up + ko_at((int)blockIdx.x, ld, 0), k);
        ((float4 *)(y + ko_at((int)blockIdx.x, ldy, 0)))[k] = make_float4(
            silu_of(g.x) * u.x, silu_of(g.y) * u.y, silu_of(g.z) * u.z, silu_of(g.w) * u.w);
    }
}

enum ko_code ko_cuda_silu_mul(struct ko_backend *be, const struct ko_silu_mul *args,
                              struct ko_error *err)
{
    const int32_t n = args->n, d = args->d, ld = args->ld, ldy = args->ldy;
    if (n == 0) {
        return KO_OK;
    }
    if (by_four(d, ld, ldy, args->gate, args->up, args->y)) {
        const dim3 grid((unsigned)n, blocks_for((size_t)d / 4, THREADS));
        silu_mul_rows_by_four<<<grid, THREADS, 0, be->stream>>>(d / 4, args->gate, args->up, ld,
                                                                args->y, ldy);
    } else {
        const dim3 grid((unsigned)n, blocks_for((size_t)d, THREADS));
        silu_mul_rows<<<grid, THREADS, 0, be->stream>>>(d, args->gate, args->up, ld, args->y, ldy);
    }
    return ko_cuda_launched(be, "silu_mul", err);
}

// A thread turns one pair of numbers. blockIdx.x is the row; `at` counts its heads and pairs.
static __global__ void rotate_rows(struct ko_cuda_rows rows, struct ko_rope a)
{
    const int half = a.d_head / 2, at = (int)(blockIdx.y * THREADS + threadIdx.x);
    const int head = at / half, k = at % half;
    if (head >= a.n_heads) {
        return;
    }
    const size_t angle = ko_at(rows.position[blockIdx.x], half, k);
    const float c = a.cos[angle], s = a.sin[angle];
    float *x = a.x + ko_at((int)blockIdx.x, a.ld, head * a.d_head);
    const float low = x[k], high = x[k + half];
    x[k] = low * c - high * s;
    x[k + half] = high * c + low * s;
}

enum ko_code ko_cuda_rope(struct ko_backend *be, const struct ko_rope *args, struct ko_error *err)
{
    const struct layer_rows at = rows_of_layer(be->wave, args->layer);
    if (at.n_projected == 0) {
        return KO_OK;
    }
    const size_t pairs = (size_t)args->n_heads * (size_t)(args->d_head / 2);
    const dim3 grid((unsigned)at.n_projected, blocks_for(pairs, THREADS));
    rotate_rows<<<grid, THREADS, 0, be->stream>>>(be->rows, *args);
    return ko_cuda_launched(be, "rope", err);
}
