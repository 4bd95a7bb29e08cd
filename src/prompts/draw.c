#include "src/prompts/token_set.h"

static const uint64_t golden = 0x9E3779B97F4A7C15u;

/* The finaliser of splitmix64 (Steele, Lea & Flood 2014). */
static uint64_t mix(uint64_t z)
{
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

uint64_t ko_fnv1a64(const char *text)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (const char *c = text; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001B3u;
    return hash;
}

void ko_draw(int64_t *items, size_t n, size_t k, uint64_t seed, uint64_t stream)
{
    uint64_t state = mix(seed + golden) + stream;
    for (size_t i = 0; i < k; i++) {
        state += golden;
        size_t j = i + (size_t)(mix(state) % (n - i));
        int64_t item = items[i];
        items[i] = items[j];
        items[j] = item;
    }
}
