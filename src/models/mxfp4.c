/* SPDX-License-Identifier: Apache-2.0 */
/* Converts MXFP4 blocks to float32. */
#include "src/models/mxfp4.h"

#include <math.h>

bool ko_mxfp4_to_float(const unsigned char *blocks, const unsigned char *scales, size_t n_blocks,
                       float *out)
{
    static const float numbers[16] = {0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,  4.0F,  6.0F,
                                      -0.0F, -0.5F, -1.0F, -1.5F, -2.0F, -3.0F, -4.0F, -6.0F};
    bool finite = true;
    for (size_t k = 0; k < n_blocks; k++) {
        const float scale = scales[k] == 255 ? NAN : ldexpf(1.0F, (int)scales[k] - 127);
        const unsigned char *block = blocks + k * KO_MXFP4_BYTES;
        float *to = out + k * KO_MXFP4_NUMBERS, sum = 0.0F;
        for (size_t i = 0; i < KO_MXFP4_BYTES; i++) {
            to[2 * i] = numbers[block[i] & 15] * scale;
            to[2 * i + 1] = numbers[block[i] >> 4] * scale;
            sum += fabsf(to[2 * i]) * 0.0F + fabsf(to[2 * i + 1]) * 0.0F;
        }
        finite = finite && sum == 0.0F; /* infinity times zero is NaN */
    }
    return finite;
}
