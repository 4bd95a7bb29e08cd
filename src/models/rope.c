/* SPDX-License-Identifier: Apache-2.0 */
/* Computes rotary frequencies and their tables of sines and cosines. */
#include "src/models/rope.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

const char *ko_rope_scaling_name(enum ko_rope_scaling scaling)
{
    static const char *const names[] = {
        [KO_ROPE_DEFAULT] = "default", [KO_ROPE_LINEAR] = "linear",     [KO_ROPE_LLAMA3] = "llama3",
        [KO_ROPE_YARN] = "yarn",       [KO_ROPE_LONGROPE] = "longrope",
    };
    return names[scaling];
}

static double llama3_frequency(const struct ko_rope_config *rope, double frequency)
{
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

/* The pair, not a whole number, that turns n_turns times over the original positions. */
static double turning_pair(const struct ko_rope_config *rope, double n_turns)
{
    return rope->n_rotated * log(rope->original / (n_turns * 2 * pi)) / (2 * log(rope->theta));
}

/* Pairs up to `first` keep their frequency, pairs from `last` on are interpolated. */
static double yarn_frequency(const struct ko_rope_config *rope, double frequency, int32_t k)
{
    double first = turning_pair(rope, rope->high), last = turning_pair(rope, rope->low);
    if (rope->truncate) {
        first = floor(first);
        last = ceil(last);
    }
    first = fmax(first, 0);
    last = fmin(last, rope->n_rotated - 1);
    if (first == last) {
        last += 0.001; /* as in the reference: the ramp must not divide by zero */
    }
    const double ramp = fmin(fmax((k - first) / (last - first), 0), 1);
    return frequency / rope->factor * ramp + frequency * (1 - ramp);
}

double ko_rope_frequency(const struct ko_rope_config *rope, int32_t k, bool is_long)
{
    const double frequency = pow(rope->theta, -2.0 * k / rope->n_rotated);
    switch (rope->scaling) {
    case KO_ROPE_LINEAR:
        return frequency / rope->factor;
    case KO_ROPE_LLAMA3:
        return llama3_frequency(rope, frequency);
    case KO_ROPE_YARN:
        return yarn_frequency(rope, frequency, k);
    case KO_ROPE_LONGROPE:
        return frequency / (is_long ? rope->long_factor : rope->short_factor)[k];
    default:
        return frequency;
    }
}

void ko_rope_tables(const struct ko_rope_config *rope, int32_t n_positions, bool is_long,
                    float *cos_table, float *sin_table)
{
    const size_t half = (size_t)rope->n_rotated / 2;
    const double scale = rope->attention_factor > 0 ? rope->attention_factor : 1;
    for (size_t k = 0; k < half; k++) {
        double frequency = ko_rope_frequency(rope, (int32_t)k, is_long);
        for (size_t p = 0; p < (size_t)n_positions; p++) {
            cos_table[p * half + k] = (float)(scale * cos((double)p * frequency));
            sin_table[p * half + k] = (float)(scale * sin((double)p * frequency));
        }
    }
}
