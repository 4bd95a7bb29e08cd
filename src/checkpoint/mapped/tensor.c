/* SPDX-License-Identifier: Apache-2.0 */
/* The data types of tensors, their conversion to float32, and the release of mapped pages. */
#include "src/checkpoint/mapped/tensor.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/checkpoint/mapped/mapping_watch.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are read as they lie in files");

static const struct {
    const char *name;
    size_t bytes;
} dtypes[KO_N_DTYPES] = {
    [KO_F32] = {"F32", 4}, [KO_F16] = {"F16", 2}, [KO_BF16] = {"BF16", 2}, [KO_I64] = {"I64", 8},
    [KO_I32] = {"I32", 4}, [KO_U8] = {"U8", 1},   [KO_BOOL] = {"BOOL", 1},
};

const char *ko_dtype_name(enum ko_dtype dtype)
{
    return dtypes[dtype].name;
}

size_t ko_dtype_bytes(enum ko_dtype dtype)
{
    return dtypes[dtype].bytes;
}

bool ko_tensor_measure(struct ko_tensor *tensor)
{
    int64_t n = 1, bytes = 0;
    for (int d = 0; d < tensor->n_dims; d++) {
        if (__builtin_mul_overflow(n, tensor->shape[d], &n)) {
            return false;
        }
    }
    if (__builtin_mul_overflow(n, (int64_t)ko_dtype_bytes(tensor->dtype), &bytes)) {
        return false;
    }
    tensor->n = n;
    tensor->data_bytes = (size_t)bytes;
    return true;
}

static float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t rest = (uint32_t)(half & 0x7fffu) << 13;
    uint32_t normal = rest + (112u << 23);
    uint32_t special = rest | 0x7f800000u;
    /* (1 + m / 1024) 2^-14 - 2^-14 = m 2^-24. No float here is subnormal, so flushing subnormals to
   zero does not matter. */
    uint32_t subnormal = bits_from_float(float_from_bits(0x38800000u + rest) - 0x1p-14f);
    uint32_t exponent = half & 0x7c00u;
    uint32_t bits = exponent == 0 ? subnormal : exponent == 0x7c00u ? special : normal;
    return float_from_bits(sign | bits);
}

/* These loops take numbers at any address. They return nonzero if a number is not finite. */
static uint32_t convert_f16(const unsigned char *restrict data, int64_t n, float *restrict out)
{
    uint32_t special = 0;
    for (int64_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, data + 2 * i, sizeof half);
        special |= (half & 0x7c00u) == 0x7c00u;
        out[i] = half_to_float(half);
    }
    return special;
}

static uint32_t convert_bf16(const unsigned char *restrict data, int64_t n, float *restrict out)
{
    uint32_t special = 0;
    for (int64_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, data + 2 * i, sizeof half);
        special |= (half & 0x7f80u) == 0x7f80u;
        out[i] = float_from_bits((uint32_t)half << 16);
    }
    return special;
}

static uint32_t convert_f32(const unsigned char *restrict data, int64_t n, float *restrict out)
{
    uint32_t special = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, data + 4 * i, sizeof bits);
        special |= (bits & 0x7f800000u) == 0x7f800000u;
        out[i] = float_from_bits(bits);
    }
    return special;
}

bool ko_tensor_to_float(const struct ko_tensor *tensor, int64_t first, int64_t n, float *out)
{
    const unsigned char *data =
        (const unsigned char *)tensor->data + (size_t)first * dtypes[tensor->dtype].bytes;
    switch (tensor->dtype) {
    case KO_F32:
        return convert_f32(data, n, out) == 0;
    case KO_F16:
        return convert_f16(data, n, out) == 0;
    case KO_BF16:
        return convert_bf16(data, n, out) == 0;
    default:
        for (int64_t i = 0; i < n; i++) {
            out[i] = NAN;
        }
        return n == 0;
    }
}

bool ko_tensor_is_whole(const struct ko_tensor *tensor)
{
    return tensor->data_bytes == 0 || ko_watch_is_whole(tensor->data);
}

bool ko_tensor_is_unchanged(const struct ko_tensor *tensor)
{
    return tensor->data_bytes == 0 || ko_watch_is_unchanged(tensor->data);
}

void ko_tensor_release(const struct ko_tensor *tensor)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)tensor->data + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)tensor->data + tensor->data_bytes) / page * page;
    if (begin < end) {
        madvise((void *)begin, end - begin, MADV_DONTNEED); /* only a hint, so ignore errors */
    }
}
