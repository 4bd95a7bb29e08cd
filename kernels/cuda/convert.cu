/* SPDX-License-Identifier: Apache-2.0 */
// Converts numbers from one type to another.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"
#include "kernels/split.h"

enum { THREADS = 256 };

static __device__ __forceinline__ __nv_bfloat16 bfloat16_of(uint16_t bits)
{
    return __ushort_as_bfloat16(bits);
}

// Where a matrix keeps its numbers. put() stores number k and returns what is read back.
struct singles {
    float *to;

    __device__ float put(size_t k, float x) const
    {
        to[k] = x;
        return x;
    }
};

struct halves {
    __nv_bfloat16 *to;

    __device__ float put(size_t k, float x) const
    {
        to[k] = __float2bfloat16_rn(x);
        return to_float(to[k]);
    }
};

struct pairs {
    __nv_bfloat16 *to;
    size_t run;

    __device__ float put(size_t k, float x) const
    {
        const struct ko_split s = ko_split_of(x);
        __nv_bfloat16 *high = to + k + k / run * run, *low = high + run;
        *high = bfloat16_of(s.high);
        *low = bfloat16_of(s.low);
        return to_float(*high) + to_float(*low);
    }
};

template <typename From, typename To>
static __global__ void convert_numbers(const From *from, size_t first, size_t n, To to,
                                       unsigned long long number, unsigned long long *bad)
{
    const size_t k = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (k >= n) {
        return;
    }
    const float x = to_float(from[k]);
    if ((!isfinite(to.put(first + k, x)) || !isfinite(x)) && bad) {
        atomicMin(bad, number + k);
    }
}

template <typename From, typename To>
static void convert_to(const struct ko_backend *be, const struct ko_import *args, const To &to,
                       unsigned long long *bad)
{
    convert_numbers<<<blocks_for(args->n, THREADS), THREADS, 0, be->stream>>>(
        (const From *)args->from, args->first, args->n, to, (unsigned long long)args->number, bad);
}

template <typename From>
static void convert_from(const struct ko_backend *be, const struct ko_import *args,
                         unsigned long long *bad)
{
    if (args->type == KO_ELEMENT_BF16X2) {
        convert_to<From>(be, args, pairs{(__nv_bfloat16 *)args->to, args->run}, bad);
    } else if (args->type == KO_ELEMENT_BF16) {
        convert_to<From>(be, args, halves{(__nv_bfloat16 *)args->to}, bad);
    } else {
        convert_to<From>(be, args, singles{(float *)args->to}, bad);
    }
}

static enum ko_code convert_numbers_of(const struct ko_backend *be, const struct ko_import *args,
                                       unsigned long long *bad, struct ko_error *err)
{
    if (args->n == 0) {
        return KO_OK;
    }
    if (args->from_type == KO_ELEMENT_F32) {
        convert_from<float>(be, args, bad);
    } else if (args->from_type == KO_ELEMENT_F16) {
        convert_from<__half>(be, args, bad);
    } else {
        convert_from<__nv_bfloat16>(be, args, bad);
    }
    return ko_cuda_launched(be, "convert", err);
}

enum ko_code ko_cuda_convert_checked(struct ko_backend *be, const struct ko_import *args,
                                     struct ko_error *err)
{
    return convert_numbers_of(be, args, be->import_bad, err);
}

enum ko_code ko_cuda_convert(struct ko_backend *be, const struct ko_import *args,
                             struct ko_error *err)
{
    return convert_numbers_of(be, args, NULL, err);
}

static __global__ void narrow_rows(const float *x, size_t ldx, int n, __nv_bfloat16 *to)
{
    const float *row = x + (size_t)blockIdx.x * ldx;
    __nv_bfloat16 *out = to + (size_t)blockIdx.x * (size_t)n;
    for (int k = (int)threadIdx.x; k < n; k += THREADS) {
        out[k] = __float2bfloat16_rn(row[k]);
    }
}

// Four at a time, where rows begin at multiples of 16 bytes.
static __global__ void narrow_rows_by_four(const float *x, size_t ldx, int n, __nv_bfloat16 *to)
{
    const float4 *row = (const float4 *)(x + (size_t)blockIdx.x * ldx);
    __nv_bfloat162 *out = (__nv_bfloat162 *)(to + (size_t)blockIdx.x * (size_t)n);
    for (int k = (int)threadIdx.x; k < n / 4; k += THREADS) {
        const float4 v = row[k];
        out[2 * k] = __floats2bfloat162_rn(v.x, v.y);
        out[2 * k + 1] = __floats2bfloat162_rn(v.z, v.w);
    }
}

enum ko_code ko_cuda_narrow(struct ko_backend *be, const struct ko_linear *args,
                            struct ko_error *err)
{
    const int n = args->w.n_in;
    const size_t ldx = (size_t)args->ldx;
    const unsigned rows = (unsigned)args->n;
    __nv_bfloat16 *to = (__nv_bfloat16 *)be->scratch.narrow;
    if (n % 4 == 0 && ldx % 4 == 0 && (uintptr_t)args->x % 16 == 0) {
        narrow_rows_by_four<<<rows, THREADS, 0, be->stream>>>(args->x, ldx, n, to);
    } else {
        narrow_rows<<<rows, THREADS, 0, be->stream>>>(args->x, ldx, n, to);
    }
    return ko_cuda_launched(be, "narrow", err);
}

// A row of x becomes the low parts of its numbers, then their high parts.
static __global__ void split_rows(const float *x, size_t ldx, int n, __nv_bfloat16 *to)
{
    const float *row = x + (size_t)blockIdx.x * ldx;
    __nv_bfloat16 *low = to + (size_t)blockIdx.x * 2 * (size_t)n, *high = low + n;
    for (int k = (int)threadIdx.x; k < n; k += THREADS) {
        const struct ko_split s = ko_split_of(row[k]);
        low[k] = bfloat16_of(s.low);
        high[k] = bfloat16_of(s.high);
    }
}

// Four at a time, where rows begin at multiples of 16 bytes.
static __global__ void split_rows_by_four(const float *x, size_t ldx, int n, __nv_bfloat16 *to)
{
    const float4 *row = (const float4 *)(x + (size_t)blockIdx.x * ldx);
    ushort4 *low = (ushort4 *)(to + (size_t)blockIdx.x * 2 * (size_t)n), *high = low + n / 4;
    for (int k = (int)threadIdx.x; k < n / 4; k += THREADS) {
        const float4 v = row[k];
        const struct ko_split a = ko_split_of(v.x), b = ko_split_of(v.y);
        const struct ko_split c = ko_split_of(v.z), d = ko_split_of(v.w);
        low[k] = make_ushort4(a.low, b.low, c.low, d.low);
        high[k] = make_ushort4(a.high, b.high, c.high, d.high);
    }
}

enum ko_code ko_cuda_split(struct ko_backend *be, const struct ko_linear *args,
                           struct ko_error *err)
{
    const int n = args->w.n_in;
    const size_t ldx = (size_t)args->ldx;
    const unsigned rows = (unsigned)args->n;
    __nv_bfloat16 *to = (__nv_bfloat16 *)be->scratch.narrow;
    if (n % 4 == 0 && ldx % 4 == 0 && (uintptr_t)args->x % 16 == 0) {
        split_rows_by_four<<<rows, THREADS, 0, be->stream>>>(args->x, ldx, n, to);
    } else {
        split_rows<<<rows, THREADS, 0, be->stream>>>(args->x, ldx, n, to);
    }
    return ko_cuda_launched(be, "split", err);
}
