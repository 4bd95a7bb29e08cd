/* SPDX-License-Identifier: Apache-2.0 */
// Converts numbers from one type to another.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

enum { THREADS = 256 };

static __device__ __forceinline__ void store_number(float *to, float x)
{
    *to = x;
}
static __device__ __forceinline__ void store_number(__nv_bfloat16 *to, float x)
{
    *to = __float2bfloat16_rn(x);
}

template <typename From, typename To>
static __global__ void convert_numbers(const From *from, size_t n, To *to,
                                       unsigned long long number, unsigned long long *bad)
{
    const size_t k = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (k >= n) {
        return;
    }
    const float x = to_float(from[k]);
    store_number(&to[k], x);
    if (!isfinite(x) || !isfinite(to_float(to[k]))) {
        atomicMin(bad, number + k);
    }
}

template <typename From>
static void convert_from(const struct ko_backend *be, const struct ko_cuda_conversion *args)
{
    const unsigned blocks = blocks_for(args->n, THREADS);
    const From *from = (const From *)args->from;
    const unsigned long long number = (unsigned long long)be->import_count;
    if (args->to_type == KO_ELEMENT_BF16) {
        convert_numbers<<<blocks, THREADS, 0, be->stream>>>(
            from, args->n, (__nv_bfloat16 *)args->to, number, be->import_bad);
    } else {
        convert_numbers<<<blocks, THREADS, 0, be->stream>>>(from, args->n, (float *)args->to,
                                                            number, be->import_bad);
    }
}

enum ko_code ko_cuda_convert(struct ko_backend *be, const struct ko_cuda_conversion *args,
                             struct ko_error *err)
{
    if (args->n == 0) {
        return KO_OK;
    }
    if (args->from_type == KO_ELEMENT_F32) {
        convert_from<float>(be, args);
    } else if (args->from_type == KO_ELEMENT_F16) {
        convert_from<__half>(be, args);
    } else {
        convert_from<__nv_bfloat16>(be, args);
    }
    return ko_cuda_launched(be, "convert", err);
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
