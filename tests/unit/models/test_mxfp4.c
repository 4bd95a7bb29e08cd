/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>

#include "src/models/mxfp4.h"

/* E2M1 by its definition: sign, exponent with a bias of 1, one bit of mantissa; without infinity and
   NaN. */
static double number_of(int bits)
{
    const int exponent = bits >> 1 & 3, mantissa = bits & 1;
    const double size = exponent == 0 ? 0.5 * mantissa : ldexp(1 + 0.5 * mantissa, exponent - 1);
    return bits & 8 ? -size : size;
}

static void every_number_times_every_scale_is_exact(void **state)
{
    enum { MANY = 256 };
    unsigned char blocks[MANY * KO_MXFP4_BYTES], scales[MANY];
    float out[MANY * KO_MXFP4_NUMBERS];
    (void)state;
    for (int first = 0; first < 256; first += KO_MXFP4_BYTES) { /* of the bytes */
        for (int s = 0; s < MANY; s++) {
            scales[s] = (unsigned char)s;
            for (int i = 0; i < KO_MXFP4_BYTES; i++) {
                blocks[s * KO_MXFP4_BYTES + i] = (unsigned char)(first + i);
            }
        }
        /* 6 times 2^125 is the greatest that float32 holds for every number. */
        assert_true(ko_mxfp4_to_float(blocks, scales, 253, out));
        for (int s = 0; s < 253; s++) {
            for (int k = 0; k < KO_MXFP4_NUMBERS; k++) {
                const int byte = first + k / 2;
                const double want = ldexp(number_of(k % 2 ? byte >> 4 : byte & 15), s - 127);
                const float got = out[s * KO_MXFP4_NUMBERS + k];
                assert_true((double)got == want && !signbit(got) == !signbit(want));
            }
        }
    }
}

static void scales_of_nan_and_numbers_that_overflow_are_not_finite(void **state)
{
    static const struct {
        unsigned char scale, byte;
        bool finite;
    } rows[] = {
        {127, 0xff, true},  {254, 0x22, true},  {254, 0x44, false}, {254, 0x24, false},
        {254, 0x42, false}, {255, 0x00, false}, {255, 0x77, false}, {0, 0x11, true},
    };
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        unsigned char blocks[2 * KO_MXFP4_BYTES] = {0}, scales[2] = {127, rows[k].scale};
        float out[2 * KO_MXFP4_NUMBERS];
        blocks[KO_MXFP4_BYTES + 7] = rows[k].byte;
        assert_int_equal(ko_mxfp4_to_float(blocks, scales, 2, out), rows[k].finite);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_times_every_scale_is_exact),
        cmocka_unit_test(scales_of_nan_and_numbers_that_overflow_are_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
