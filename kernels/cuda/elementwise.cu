/* SPDX-License-Identifier: Apache-2.0 */
// Norms, activations, rotation: one pass over the rows each. Rows of whole float4s at 16-byte
// addresses go four numbers a thread.
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
// norms: a row a block

struct norm {
    const float *x, *weight, *bias;
    float *y;
    size_t ldx, ldy;
    int d;
    float eps;
};

static __device__ __forceinline__ float4 load4(const float *x, int k)
{
    return ((const float4 *)x)[k];
}

// The mean that is taken off (0 of RMSNorm), and one over the root of the mean square.
template <bool CENTRED>
static __device__ __forceinline__ void normalise(const struct norm &a, float x, int k, float mean,
                                                 float scale, float *y)
{
    const float w = a.weight ? a.weight[k] : 1.0F, b = CENTRED && a.bias ? a.bias[k] : 0.0F;
    *y = (x - mean) * scale * w + b;
}

template <bool CENTRED> static __global__ void norm_rows(struct norm a)
{
    const float *x = a.x + (size_t)blockIdx.x * a.ldx;
    float *y = a.y + (size_t)blockIdx.x * a.ldy;
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
        normalise<CENTRED>(a, x[k], k, mean, scale, &y[k]);
    }
}

static __device__ __forceinline__ float sum4(float4 v)
{
    return (v.x + v.y) + (v.z + v.w);
}

static __device__ __forceinline__ float squares4(float4 v, float mean)
{
    const float x = v.x - mean, y = v.y - mean, z = v.z - mean, w = v.w - mean;
    return (x * x + y * y) + (z * z + w * w);
}

// The row stays in registers: PARTS float4s a thread.
template <bool CENTRED, int PARTS> static __global__ void norm_rows_by_four(struct norm a)
{
    const float *x = a.x + (size_t)blockIdx.x * a.ldx;
    float4 *y = (float4 *)(a.y + (size_t)blockIdx.x * a.ldy);
    const int n = a.d / 4;
    float4 v[PARTS];
    float sum = 0.0F, squares = 0.0F, mean = 0.0F;
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        const int k = (int)threadIdx.x + p * THREADS;
        v[p] = k < n ? load4(x, k) : make_float4(0.0F, 0.0F, 0.0F, 0.0F);
        sum += sum4(v[p]);
    }
    if (CENTRED) {
        mean = block_sum(sum) / (float)a.d;
    }
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        squares += (int)threadIdx.x + p * THREADS < n ? squares4(v[p], mean) : 0.0F;
    }
    const float scale = rsqrtf(block_sum(squares) / (float)a.d + a.eps);
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        const int k = (int)threadIdx.x + p * THREADS;
        if (k < n) {
            float4 out;
            normalise<CENTRED>(a, v[p].x, 4 * k, mean, scale, &out.x);
            normalise<CENTRED>(a, v[p].y, 4 * k + 1, mean, scale, &out.y);
            normalise<CENTRED>(a, v[p].z, 4 * k + 2, mean, scale, &out.z);
            normalise<CENTRED>(a, v[p].w, 4 * k + 3, mean, scale, &out.w);
            y[k] = out;
        }
    }
}

template <bool CENTRED>
static enum ko_code norm(struct ko_backend *be, int32_t n, const struct norm *a, const char *what,
                         struct ko_error *err)
{
    if (n == 0) {
        return KO_OK;
    }
    const int parts = (a->d / 4 + THREADS - 1) / THREADS;
    const bool wide = by_four(a->d, (int32_t)a->ldx, (int32_t)a->ldy, a->x, a->y, NULL);
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
    const struct norm a = {args->x,           args->weight,      NULL,    args->y,
                           (size_t)args->ldx, (size_t)args->ldy, args->d, args->eps};
    return norm<false>(be, args->n, &a, "rms_norm", err);
}

enum ko_code ko_cuda_layer_norm(struct ko_backend *be, const struct ko_layer_norm *args,
                                struct ko_error *err)
{
    const struct norm a = {args->x,           args->weight,      args->bias, args->y,
                           (size_t)args->ldx, (size_t)args->ldy, args->d,    args->eps};
    return norm<true>(be, args->n, &a, "layer_norm", err);
}

// Mamba-2's: x silu_of(z), then RMSNorm over the group; a block a row and group.
static __global__ void gated_norm_rows(struct ko_cuda_rows rows, struct layer_rows at,
                                       struct ko_gated_norm a, int width)
{
    const int r = (int)blockIdx.x, first = (int)blockIdx.y * width;
    float *x = a.x + (size_t)r * (size_t)a.d + (size_t)first;
    const float *z = a.z + (size_t)source_row(rows, at, r) * (size_t)a.ld_z + (size_t)first;
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
// activations: a row is blockIdx.x, its numbers are cut into blockIdx.y

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

template <typename Function> static __global__ void map_rows(float *x, size_t ld, int d)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < d) {
        float *at = x + (size_t)blockIdx.x * ld + (size_t)k;
        *at = Function::of(*at);
    }
}

template <typename Function> static __global__ void map_rows_by_four(float *x, size_t ld, int n)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < n) {
        float4 *at = (float4 *)(x + (size_t)blockIdx.x * ld) + k;
        const float4 v = *at;
        *at =
            make_float4(Function::of(v.x), Function::of(v.y), Function::of(v.z), Function::of(v.w));
    }
}

template <typename Function>
static enum ko_code map(struct ko_backend *be, const struct ko_activation *args, const char *what,
                        struct ko_error *err)
{
    const int32_t n = args->n, d = args->d, ld = args->ld;
    float *x = args->x;
    if (n == 0) {
        return KO_OK;
    }
    if (by_four(d, ld, ld, x, x, x)) {
        const dim3 grid((unsigned)n, blocks_for((size_t)d / 4, THREADS));
        map_rows_by_four<Function><<<grid, THREADS, 0, be->stream>>>(x, (size_t)ld, d / 4);
    } else {
        const dim3 grid((unsigned)n, blocks_for((size_t)d, THREADS));
        map_rows<Function><<<grid, THREADS, 0, be->stream>>>(x, (size_t)ld, d);
    }
    return ko_cuda_launched(be, what, err);
}

enum ko_code ko_cuda_softplus(struct ko_backend *be, const struct ko_activation *args,
                              struct ko_error *err)
{
    return map<softplus_function>(be, args, "softplus", err);
}

enum ko_code ko_cuda_gelu_tanh(struct ko_backend *be, const struct ko_activation *args,
                               struct ko_error *err)
{
    return map<gelu_tanh_function>(be, args, "gelu_tanh", err);
}

static __global__ void silu_mul_rows(int d, const float *gate, const float *up, size_t ld, float *y,
                                     size_t ldy)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < d) {
        const size_t at = (size_t)blockIdx.x * ld + (size_t)k;
        y[(size_t)blockIdx.x * ldy + (size_t)k] = silu_of(gate[at]) * up[at];
    }
}

static __global__ void silu_mul_rows_by_four(int n, const float *gate, const float *up, size_t ld,
                                             float *y, size_t ldy)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < n) {
        const float4 g = load4(gate + (size_t)blockIdx.x * ld, k);
        const float4 u = load4(up + (size_t)blockIdx.x * ld, k);
        ((float4 *)(y + (size_t)blockIdx.x * ldy))[k] = make_float4(
            silu_of(g.x) * u.x, silu_of(g.y) * u.y, silu_of(g.z) * u.z, silu_of(g.w) * u.w);
    }
}

enum ko_code ko_cuda_silu_mul(struct ko_backend *be, const struct ko_silu_mul *args,
                              struct ko_error *err)
{
    const int32_t n = args->n, d = args->d;
    const size_t ld = (size_t)args->ld, ldy = (size_t)args->ldy;
    if (n == 0) {
        return KO_OK;
    }
    if (by_four(d, args->ld, args->ldy, args->gate, args->up, args->y)) {
        const dim3 grid((unsigned)n, blocks_for((size_t)d / 4, THREADS));
        silu_mul_rows_by_four<<<grid, THREADS, 0, be->stream>>>(d / 4, args->gate, args->up, ld,
                                                                args->y, ldy);
    } else {
        const dim3 grid((unsigned)n, blocks_for((size_t)d, THREADS));
        silu_mul_rows<<<grid, THREADS, 0, be->stream>>>(d, args->gate, args->up, ld, args->y, ldy);
    }
    return ko_cuda_launched(be, "silu_mul", err);
}

// A pair of numbers a thread: blockIdx.x the row, the rest heads and pairs.
static __global__ void rotate_rows(struct ko_cuda_rows rows, struct ko_rope a)
{
    const int half = a.d_head / 2, at = (int)(blockIdx.y * THREADS + threadIdx.x);
    const int head = at / half, k = at % half;
    if (head >= a.n_heads) {
        return;
    }
    const size_t angle = (size_t)rows.position[blockIdx.x] * (size_t)half + (size_t)k;
    const float c = a.cos[angle], s = a.sin[angle];
    float *x = a.x + (size_t)blockIdx.x * (size_t)a.ld + (size_t)head * (size_t)a.d_head;
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
