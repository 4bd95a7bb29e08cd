/* SPDX-License-Identifier: Apache-2.0 */
// Numbers from one type to another.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

enum { THREADS = 256 };

static __device__ __forceinline__ void store(float *to, float x)
{
    *to = x;
}
static __device__ __forceinline__ void store(__nv_bfloat16 *to, float x)
{
    *to = __float2bfloat16_rn(x);
}

template <typename From, typename To>
static __global__ void convert(const From *from, size_t n, To *to, unsigned long long number,
                               unsigned long long *bad)
{
    const size_t k = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (k >= n) {
        return;
    }
    const float x = to_float(from[k]);
    store(&to[k], x);
    if (!isfinite(x) || !isfinite(to_float(to[k]))) {
        atomicMin(bad, number + k);
    }
}

template <typename From>
static void convert_from(const struct ko_backend *be, const void *from, size_t n, void *to,
                         enum ko_element to_type, int64_t number)
{
    const unsigned blocks = blocks_for(n, THREADS);
    if (to_type == KO_ELEMENT_BF16) {
        convert<<<blocks, THREADS, 0, be->stream>>>((const From *)from, n, (__nv_bfloat16 *)to,
                                                    (unsigned long long)number, be->import_bad);
    } else {
        convert<<<blocks, THREADS, 0, be->stream>>>((const From *)from, n, (float *)to,
                                                    (unsigned long long)number, be->import_bad);
    }
}

enum ko_code ko_cuda_convert(struct ko_backend *be, void *to, enum ko_element to_type,
                             const void *from, enum ko_element from_type, size_t n, int64_t number,
                             struct ko_error *err)
{
    if (n == 0) {
        return KO_OK;
    }
    if (from_type == KO_ELEMENT_F32) {
        convert_from<float>(be, from, n, to, to_type, number);
    } else if (from_type == KO_ELEMENT_F16) {
        convert_from<__half>(be, from, n, to, to_type, number);
    } else {
        convert_from<__nv_bfloat16>(be, from, n, to, to_type, number);
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

enum ko_code ko_cuda_narrow(struct ko_backend *be, int32_t m, int32_t n, const float *x,
                            int32_t ldx, void *to, struct ko_error *err)
{
    const bool by_four = n % 4 == 0 && ldx % 4 == 0 && (uintptr_t)x % 16 == 0;
    if (by_four) {
        narrow_rows_by_four<<<(unsigned)m, THREADS, 0, be->stream>>>(x, (size_t)ldx, n,
                                                                     (__nv_bfloat16 *)to);
    } else {
        narrow_rows<<<(unsigned)m, THREADS, 0, be->stream>>>(x, (size_t)ldx, n,
                                                             (__nv_bfloat16 *)to);
    }
    return ko_cuda_launched(be, "narrow", err);
}
