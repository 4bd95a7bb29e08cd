/* SPDX-License-Identifier: Apache-2.0 */
/* Draws items at random and hashes a prompt's id, so that each prompt gets its own draw. */
#include "src/prompts/draw.h"

uint64_t ko_fnv1a64(const char *text)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (const char *c = text; *c; c++) {
        hash = (hash ^ (unsigned char)*c) * 0x100000001B3u;
    }
    return hash;
}

void ko_draw(int64_t *items, size_t n, size_t k, uint64_t seed, uint64_t stream)
{
    const uint64_t start = ko_draw_start(seed, stream);
    for (size_t i = 0; i < k; i++) {
        size_t j = i + (size_t)(ko_draw_value(start, i) % (n - i));
        int64_t item = items[i];
        items[i] = items[j];
        items[j] = item;
    }
}
