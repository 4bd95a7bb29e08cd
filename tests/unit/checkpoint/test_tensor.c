/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "src/checkpoint/checkpoint.h"

/* One value through ko_tensor_to_float, at an odd address. */
static float convert(enum ko_dtype dtype, const void *value)
{
    unsigned char bytes[16] = {0};
    float out = 0;
    memcpy(bytes + 1 + ko_dtype_bytes(dtype), value, ko_dtype_bytes(dtype));
    struct ko_tensor tensor = {.name = "t",
                               .dtype = dtype,
                               .n_dims = 1,
                               .shape = {2},
                               .n = 2,
                               .data = bytes + 1,
                               .data_bytes = 2 * ko_dtype_bytes(dtype)};
    ko_tensor_to_float(&tensor, 1, 1, &out);
    return out;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* IEEE 754: (-1)^s 2^(e-15) (1 + m/1024), subnormal 2^-14 m/1024. */
static void every_half_is_converted_exactly(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        uint16_t half = (uint16_t)h;
        int exponent = (int)(h >> 10 & 31), mantissa = (int)(h & 1023);
        double size =
            exponent ? ldexp(1 + mantissa / 1024.0, exponent - 15) : ldexp(mantissa / 1024.0, -14);
        float got = convert(KO_F16, &half);
        assert_int_equal(bits_of(got) >> 31, h >> 15);
        if (exponent < 31) {
            assert_true((double)fabsf(got) == size);
        } else if (mantissa == 0) {
            assert_true(isinf(got));
        } else {
            assert_true(isnan(got));
        }
    }
}

static void bfloat16_and_float32_keep_their_bits(void **state)
{
    static const uint32_t words[] = {0,          0x80000000, 0x3f800000, 0x00010000, 0x007f0000,
                                     0x7f7f0000, 0x7f800000, 0xff800000, 0x7fc00000, 0xc2280000};
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        uint16_t high = (uint16_t)(words[i] >> 16);
        uint32_t full = words[i] | 0x1234;
        assert_int_equal(bits_of(convert(KO_BF16, &high)), words[i]);
        assert_int_equal(bits_of(convert(KO_F32, &full)), full);
    }
}

static void values_that_are_not_finite_are_told(void **state)
{
    static const struct {
        enum ko_dtype dtype;
        uint32_t finite, special;
    } rows[] = {
        {KO_F32, 0x7f7fffff, 0x7f800000}, {KO_F32, 0x80000001, 0xffc00000},
        {KO_F16, 0x7bff, 0x7c00},         {KO_F16, 0xfbff, 0xfc01},
        {KO_BF16, 0x7f7f, 0x7f80},        {KO_BF16, 0x8001, 0xffff},
    };
    enum { N = 67 };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t size = ko_dtype_bytes(rows[i].dtype);
        unsigned char bytes[4 * N];
        float out[N];
        struct ko_tensor tensor = {.dtype = rows[i].dtype, .n = N, .data = bytes};
        for (size_t k = 0; k < N; k++) {
            memcpy(bytes + k * size, &rows[i].finite, size);
        }
        assert_true(ko_tensor_to_float(&tensor, 0, N, out));
        for (size_t k = 0; k < N; k++) {
            memcpy(bytes + k * size, &rows[i].special, size);
            assert_false(ko_tensor_to_float(&tensor, 0, N, out));
            assert_true(ko_tensor_to_float(&tensor, (int64_t)k + 1, N - 1 - (int64_t)k, out));
            assert_true(ko_tensor_to_float(&tensor, 0, (int64_t)k, out));
            memcpy(bytes + k * size, &rows[i].finite, size);
        }
    }
}

static void dtypes_have_the_names_and_sizes_of_the_format(void **state)
{
    static const struct {
        enum ko_dtype dtype;
        const char *name;
        size_t bytes;
    } rows[] = {{KO_F32, "F32", 4}, {KO_F16, "F16", 2}, {KO_BF16, "BF16", 2}, {KO_I64, "I64", 8},
                {KO_I32, "I32", 4}, {KO_U8, "U8", 1},   {KO_BOOL, "BOOL", 1}};
    (void)state;
    assert_int_equal(sizeof rows / sizeof rows[0], KO_N_DTYPES);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(ko_dtype_name(rows[i].dtype), rows[i].name);
        assert_int_equal(ko_dtype_bytes(rows[i].dtype), rows[i].bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_is_converted_exactly),
        cmocka_unit_test(bfloat16_and_float32_keep_their_bits),
        cmocka_unit_test(values_that_are_not_finite_are_told),
        cmocka_unit_test(dtypes_have_the_names_and_sizes_of_the_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
