/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers for everything that draws: splitmix64 (Steele, Lea & Flood 2014). A number is a
   function of seed, stream and index alone, so no state is carried. */
#ifndef KO_PROMPTS_DRAW_H
#define KO_PROMPTS_DRAW_H

#include <stddef.h>
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

/* Value number k, from 0, after a start. */
static inline uint64_t ko_draw_value(uint64_t start, uint64_t k)
{
    return ko_draw_mix(start + (k + 1) * ko_draw_golden);
}

/* Draws k of n items without replacement: a partial Fisher-Yates shuffle, as `draw` of the oracle.
   Moves the drawn items to the front of `items`, in the order drawn. k <= n. */
void ko_draw(int64_t *items, size_t n, size_t k, uint64_t seed, uint64_t stream);
/* FNV-1a of a text: the stream of a prompt's id. */
uint64_t ko_fnv1a64(const char *text);

#endif
