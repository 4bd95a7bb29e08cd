/* SPDX-License-Identifier: Apache-2.0 */
/* splitmix64 (Steele, Lea & Flood 2014), the one source of chance: seeded, without state to carry.
 */
#ifndef KO_PROMPTS_DRAW_H
#define KO_PROMPTS_DRAW_H

#include <stdint.h>

static const uint64_t ko_draw_golden = 0x9E3779B97F4A7C15u;

/* The finaliser. */
static inline uint64_t ko_draw_mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

/* The state before the first value of a seed's stream. */
static inline uint64_t ko_draw_start(uint64_t seed, uint64_t stream)
{
    return ko_draw_mix(seed + ko_draw_golden) + stream;
}

/* Value number k, from 0, behind a start. */
static inline uint64_t ko_draw_value(uint64_t start, uint64_t k)
{
    return ko_draw_mix(start + (k + 1) * ko_draw_golden);
}

#endif
