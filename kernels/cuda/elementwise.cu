/* SPDX-License-Identifier: Apache-2.0 */
// Sums, activations, gates and rotary positions: one pass over the rows each. blockIdx.x is the
// row, blockIdx.y a part of its numbers. If rows consist of whole float4s at 16-byte addresses, a
// thread computes four numbers at once.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"
#include "kernels/rope_axis.h"

enum { THREADS = 256 };

struct softplus_function {
    static __device__ __forceinline__ float of(float x)
    {
        return softplus_of(x);
    }
};

// x Phi(x). erfc keeps the digits of Phi far below zero, which 1 + erf would lose.
struct gelu_function {
    static __device__ __forceinline__ float of(float x)
    {
        return 0.5F * x * erfcf(-0.70710678118654752440F * x);
    }
};

// NaN stays NaN.
struct relu_function {
    static __device__ __forceinline__ float of(float x)
    {
        return x < 0.0F ? 0.0F : x;
    }
};

struct relu2_function {
    static __device__ __forceinline__ float of(float x)
    {
        const float kept = x < 0.0F ? 0.0F : x;
        return kept * kept;
    }
};

struct identity_function {
    static __device__ __forceinline__ float of(float x)
    {
        return x;
    }
};

struct silu_function {
    static __device__ __forceinline__ float of(float x)
    {
        return silu_of(x);
    }
};

struct gelu_tanh_function {
    static __device__ __forceinline__ float of(float x)
    {
        return gelu_tanh_of(x);
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

enum ko_code ko_cuda_gelu(struct ko_backend *be, const struct ko_activation *args,
                          struct ko_error *err)
{
    return launch_map<gelu_function>(be, args, "gelu", err);
}

enum ko_code ko_cuda_relu(struct ko_backend *be, const struct ko_activation *args,
                          struct ko_error *err)
{
    return launch_map<relu_function>(be, args, "relu", err);
}

enum ko_code ko_cuda_relu2(struct ko_backend *be, const struct ko_activation *args,
                           struct ko_error *err)
{
    return launch_map<relu2_function>(be, args, "relu2", err);
}

enum ko_code ko_cuda_gelu_tanh(struct ko_backend *be, const struct ko_activation *args,
                               struct ko_error *err)
{
    return launch_map<gelu_tanh_function>(be, args, "gelu_tanh", err);
}

template <typename Function>
static __global__ void gate_rows(int d, const float *gate, const float *up, int ld, float *y,
                                 int ldy)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < d) {
        const size_t at = ko_at((int)blockIdx.x, ld, k);
        y[ko_at((int)blockIdx.x, ldy, k)] = Function::of(gate[at]) * up[at];
    }
}

template <typename Function>
static __global__ void gate_rows_by_four(int n, const float *gate, const float *up, int ld,
                                         float *y, int ldy)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < n) {
        const float4 g = load_four(gate + ko_at((int)blockIdx.x, ld, 0), k);
        const float4 u = load_four(up + ko_at((int)blockIdx.x, ld, 0), k);
        ((float4 *)(y + ko_at((int)blockIdx.x, ldy, 0)))[k] =
            make_float4(Function::of(g.x) * u.x, Function::of(g.y) * u.y, Function::of(g.z) * u.z,
                        Function::of(g.w) * u.w);
    }
}

template <typename Function>
static enum ko_code launch_gate(struct ko_backend *be, const struct ko_gate *args, const char *what,
                                struct ko_error *err)
{
    const int32_t n = args->n, d = args->d, ld = args->ld, ldy = args->ldy;
    if (n == 0) {
        return KO_OK;
    }
    if (by_four(d, ld, ldy, args->gate, args->up, args->y)) {
        const dim3 grid((unsigned)n, blocks_for((size_t)d / 4, THREADS));
        gate_rows_by_four<Function>
            <<<grid, THREADS, 0, be->stream>>>(d / 4, args->gate, args->up, ld, args->y, ldy);
    } else {
        const dim3 grid((unsigned)n, blocks_for((size_t)d, THREADS));
        gate_rows<Function>
            <<<grid, THREADS, 0, be->stream>>>(d, args->gate, args->up, ld, args->y, ldy);
    }
    return ko_cuda_launched(be, what, err);
}

enum ko_code ko_cuda_silu_mul(struct ko_backend *be, const struct ko_gate *args,
                              struct ko_error *err)
{
    return launch_gate<silu_function>(be, args, "silu_mul", err);
}

enum ko_code ko_cuda_gelu_mul(struct ko_backend *be, const struct ko_gate *args,
                              struct ko_error *err)
{
    return launch_gate<gelu_function>(be, args, "gelu_mul", err);
}

enum ko_code ko_cuda_gelu_tanh_mul(struct ko_backend *be, const struct ko_gate *args,
                                   struct ko_error *err)
{
    return launch_gate<gelu_tanh_function>(be, args, "gelu_tanh_mul", err);
}

enum ko_code ko_cuda_mul(struct ko_backend *be, const struct ko_gate *args, struct ko_error *err)
{
    return launch_gate<identity_function>(be, args, "mul", err);
}

static __global__ void add_rows(struct ko_add_scaled a)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < a.d) {
        float *y = a.y + ko_at((int)blockIdx.x, a.ldy, k);
        *y = fmaf(a.scale, a.x[ko_at((int)blockIdx.x, a.ldx, k)], *y);
    }
}

static __global__ void add_rows_by_four(struct ko_add_scaled a)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < a.d / 4) {
        float4 *y = (float4 *)(a.y + ko_at((int)blockIdx.x, a.ldy, 0)) + k;
        const float4 x = load_four(a.x + ko_at((int)blockIdx.x, a.ldx, 0), k), v = *y;
        *y = make_float4(fmaf(a.scale, x.x, v.x), fmaf(a.scale, x.y, v.y), fmaf(a.scale, x.z, v.z),
                         fmaf(a.scale, x.w, v.w));
    }
}

enum ko_code ko_cuda_add_scaled(struct ko_backend *be, const struct ko_add_scaled *args,
                                struct ko_error *err)
{
    const int32_t n = args->n, d = args->d;
    if (n == 0) {
        return KO_OK;
    }
    if (by_four(d, args->ldx, args->ldy, args->x, args->y, NULL)) {
        const dim3 grid((unsigned)n, blocks_for((size_t)d / 4, THREADS));
        add_rows_by_four<<<grid, THREADS, 0, be->stream>>>(*args);
    } else {
        const dim3 grid((unsigned)n, blocks_for((size_t)d, THREADS));
        add_rows<<<grid, THREADS, 0, be->stream>>>(*args);
    }
    return ko_cuda_launched(be, "add_scaled", err);
}

static __global__ void scale_rows(struct ko_scale_columns a)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < a.d) {
        a.x[ko_at((int)blockIdx.x, a.ld, k)] *= a.scale[k];
    }
}

static __global__ void scale_rows_by_four(struct ko_scale_columns a)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < a.d / 4) {
        float4 *x = (float4 *)(a.x + ko_at((int)blockIdx.x, a.ld, 0)) + k;
        const float4 s = load_four(a.scale, k), v = *x;
        *x = make_float4(v.x * s.x, v.y * s.y, v.z * s.z, v.w * s.w);
    }
}

enum ko_code ko_cuda_scale_columns(struct ko_backend *be, const struct ko_scale_columns *args,
                                   struct ko_error *err)
{
    const int32_t n = args->n, d = args->d;
    if (n == 0) {
        return KO_OK;
    }
    if (by_four(d, args->ld, args->ld, args->x, args->scale, NULL)) {
        const dim3 grid((unsigned)n, blocks_for((size_t)d / 4, THREADS));
        scale_rows_by_four<<<grid, THREADS, 0, be->stream>>>(*args);
    } else {
        const dim3 grid((unsigned)n, blocks_for((size_t)d, THREADS));
        scale_rows<<<grid, THREADS, 0, be->stream>>>(*args);
    }
    return ko_cuda_launched(be, "scale_columns", err);
}

static __global__ void gate_whole_rows(struct ko_gate_rows a)
{
    const int k = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (k < a.d) {
        a.x[ko_at((int)blockIdx.x, a.ld, k)] *= sigmoid_of(a.gate[blockIdx.x]);
    }
}

enum ko_code ko_cuda_gate_rows(struct ko_backend *be, const struct ko_gate_rows *args,
                               struct ko_error *err)
{
    if (args->n == 0) {
        return KO_OK;
    }
    const dim3 grid((unsigned)args->n, blocks_for((size_t)args->d, THREADS));
    gate_whole_rows<<<grid, THREADS, 0, be->stream>>>(*args);
    return ko_cuda_launched(be, "gate_rows", err);
}

// A thread turns one pair of numbers; `at` counts the row's heads and pairs. LONG: rows of long
// prompts have tables of their own.
template <bool INTERLEAVED, bool LONG>
static __global__ void rotate_rows(struct ko_cuda_rows rows, struct ko_rope a)
{
    const int half = a.n_rotated / 2, at = (int)(blockIdx.y * THREADS + threadIdx.x);
    const int head = at / half, k = at % half;
    if (head >= a.n_heads) {
        return;
    }
    const bool is_long = LONG && rows.n_longest[rows.prompt[blockIdx.x]] > a.long_from;
    const int axis =
        rows.n_turns == 3 && a.section[0] > 0 ? ko_rope_axis(a.section, a.woven, k) : 0;
    const int turn = rows.n_turns > 0 ? rows.turn[ko_at(axis, rows.n_rows, (int)blockIdx.x)]
                                      : rows.position[blockIdx.x];
    const size_t angle = ko_at(turn, half, k);
    const float c = (is_long ? a.long_cos : a.cos)[angle];
    const float s = (is_long ? a.long_sin : a.sin)[angle];
    float *x = a.x + ko_at((int)blockIdx.x, a.ld, head * a.stride);
    float *low = x + (INTERLEAVED ? 2 * k : k), *high = low + (INTERLEAVED ? 1 : half);
    const float before[2] = {*low, *high};
    *low = before[0] * c - before[1] * s;
    *high = before[1] * c + before[0] * s;
}

enum ko_code ko_cuda_rope(struct ko_backend *be, const struct ko_rope *args, struct ko_error *err)
{
    const struct stage_rows at = rows_of_stage(be->wave, args->stage);
    const size_t pairs = (size_t)args->n_heads * (size_t)(args->n_rotated / 2);
    if (at.n_projected == 0 || pairs == 0) {
        return KO_OK;
    }
    const dim3 grid((unsigned)at.n_projected, blocks_for(pairs, THREADS));
    const bool has_long = args->long_from < INT32_MAX;
    if (args->interleaved && has_long) {
        rotate_rows<true, true><<<grid, THREADS, 0, be->stream>>>(be->rows, *args);
    } else if (args->interleaved) {
        rotate_rows<true, false><<<grid, THREADS, 0, be->stream>>>(be->rows, *args);
    } else if (has_long) {
        rotate_rows<false, true><<<grid, THREADS, 0, be->stream>>>(be->rows, *args);
    } else {
        rotate_rows<false, false><<<grid, THREADS, 0, be->stream>>>(be->rows, *args);
    }
    return ko_cuda_launched(be, "rope", err);
}
