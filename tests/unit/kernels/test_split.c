/* SPDX-License-Identifier: Apache-2.0 */
/* A float32 in two bfloat16 parts, at the ends of the range and everywhere between. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/split.h"

static float of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Fails unless both parts are finite and their sum is near x. */
static void check_number(float x)
{
    const struct ko_split s = ko_split_of(x);
    const double high = (double)ko_bfloat16_value(s.high), low = (double)ko_bfloat16_value(s.low);
    const double error = fabs((double)x - (high + low));
    if (!isfinite(high) || !isfinite(low)) {
        fail_msg("%a: parts %a and %a", (double)x, high, low);
    }
    const double bound = fabs((double)x) >= 0x1.FDp127 ? 0x1p-16 : 0x1p-17;
    if (!(error <= fmax(fabs((double)x) * bound, 0x1p-134))) {
        fail_msg("%a: parts %a and %a are off by %a", (double)x, high, low, error);
    }
    if (!isfinite((float)high + (float)low)) {
        fail_msg("%a: the sum of %a and %a is not finite", (double)x, high, low);
    }
}

static void parts_at_the_ends_of_the_range(void **state)
{
    static const struct {
        float x, high, low;
    } rows[] = {
        {0.0F, 0.0F, 0.0F},
        {1.0F, 1.0F, 0.0F},
        {-1.5F, -1.5F, 0.0F},
        {0x1.01p0F, 0x1.00p0F, 0x1p-8F},       /* a tie goes to even */
        {0x1.03p0F, 0x1.04p0F, -0x1p-8F},      /* and up */
        {0x1.0101p0F, 0x1.02p0F, -0x1.FEp-9F}, /* past the middle */
        {0x1.FEp127F, 0x1.FEp127F, 0.0F},      /* the largest bfloat16 */
        {0x1.FEFFFEp127F, 0x1.FEp127F, 0x1.FEp118F},
        {0x1.FFp127F, 0x1.FEp127F, 0x1p119F},        /* would round to infinity from here on */
        {0x1.FFFFFEp127F, 0x1.FEp127F, 0x1.FEp119F}, /* the largest float32 */
        {-0x1.FFFFFEp127F, -0x1.FEp127F, -0x1.FEp119F},
        {0x1p-126F, 0x1p-126F, 0.0F},        /* the least normal number */
        {0x1.FFFFFCp-127F, 0x1p-126F, 0.0F}, /* the largest subnormal */
        {0x1p-133F, 0x1p-133F, 0.0F},        /* the least bfloat16 */
        {0x1p-134F, 0.0F, 0.0F},
        {0x1.8p-134F, 0x1p-133F, 0.0F},
        {0x1p-149F, 0.0F, 0.0F}, /* the least float32 */
        {-0x1p-149F, -0.0F, -0.0F},
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        const struct ko_split s = ko_split_of(rows[k].x);
        const float high = ko_bfloat16_value(s.high), low = ko_bfloat16_value(s.low);
        check_number(rows[k].x);
        if (high != rows[k].high || low != rows[k].low) {
            fail_msg("%a: %a and %a, expected %a and %a", (double)rows[k].x, (double)high,
                     (double)low, (double)rows[k].high, (double)rows[k].low);
        }
    }
}

/* Every exponent and sign, with significands at and around the ties of both parts. */
static void every_exponent_splits_in_finite_parts(void **state)
{
    static const uint32_t low_bits[] = {0x0000, 0x0001, 0x007F, 0x0080, 0x0081, 0x00FF, 0x0100,
                                        0x7F7F, 0x7F80, 0x7FFF, 0x8000, 0x8001, 0x8080, 0x80FF,
                                        0xFF7F, 0xFF80, 0xFFFE, 0xFFFF, 0x5A5A, 0x1234};
    (void)state;
    for (uint32_t top = 0; top < 0x10000; top++) { /* sign, exponent, seven bits */
        if ((top & 0x7F80U) == 0x7F80U) {
            continue;
        }
        for (size_t k = 0; k < sizeof low_bits / sizeof low_bits[0]; k++) {
            check_number(of_bits(top << 16 | low_bits[k]));
        }
    }
}

static void bfloat16_numbers_have_no_low_part(void **state)
{
    (void)state;
    for (uint32_t top = 0; top < 0x10000; top++) {
        const struct ko_split s = ko_split_of(of_bits(top << 16));
        if ((top & 0x7F80U) != 0x7F80U) {
            assert_int_equal(s.high, top);
            assert_int_equal(s.low, 0);
        }
    }
}

static void what_is_not_finite_stays_so(void **state)
{
    (void)state;
    assert_int_equal(ko_split_of(INFINITY).high, 0x7F80);
    assert_int_equal(ko_split_of(-INFINITY).high, 0xFF80);
    assert_int_equal(ko_split_of(INFINITY).low, 0);
    assert_true(isnan(ko_bfloat16_value(ko_split_of(NAN).high)));
    assert_true(isnan(ko_bfloat16_value(ko_split_of(of_bits(0x7F800001)).high)));
    assert_int_equal(ko_split_of(NAN).low, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_at_the_ends_of_the_range),
        cmocka_unit_test(every_exponent_splits_in_finite_parts),
        cmocka_unit_test(bfloat16_numbers_have_no_low_part),
        cmocka_unit_test(what_is_not_finite_stays_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
