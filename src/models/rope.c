/* SPDX-License-Identifier: Apache-2.0 */
/* Computes rotary frequencies and their tables of sines and cosines. */
#include "src/models/rope.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

double ko_rope_frequency(const struct ko_rope_config *rope, int32_t d_head, int32_t k)
{
    double frequency = pow(rope->theta, -2.0 * k / d_head);
    if (!rope->scaled) {
        return frequency;
    }
    double turns = rope->original * frequency / (2 * pi); /* over the original positions */
    if (turns > rope->high) {
        return frequency;
    }
    if (turns < rope->low) {
        return frequency / rope->factor;
    }
    double smooth = (turns - rope->low) / (rope->high - rope->low);
    return (1 - smooth) * frequency / rope->factor + smooth * frequency;
}

void ko_rope_tables(const struct ko_rope_config *rope, int32_t n_positions, int32_t d_head,
                    float *cos_table, float *sin_table)
{
    const size_t half = (size_t)d_head / 2;
    for (size_t k = 0; k < half; k++) {
        double frequency = ko_rope_frequency(rope, d_head, (int32_t)k);
        for (size_t p = 0; p < (size_t)n_positions; p++) {
            cos_table[p * half + k] = (float)cos((double)p * frequency);
            sin_table[p * half + k] = (float)sin((double)p * frequency);
        }
    }
}
