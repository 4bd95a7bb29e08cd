/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that attention takes: how tiles (attention_tiles.c) divide it, and how much it will be. */
#ifndef KO_KERNELS_CPU_ATTENTION_MEMORY_H
#define KO_KERNELS_CPU_ATTENTION_MEMORY_H

#include "kernels/cpu/cpu.h"

/* A set of rows of one prompt that share packed keys. */
struct ko_attend_set {
    int32_t prompt, branch; /* -1: the trunk, or several branches */
    const int32_t *row;     /* [n_rows] rows of short branches; NULL: n_rows rows from first_row */
    int32_t first_row, n_rows;
    /* Of the panels of the path, those from first_panel on are packed for this set, in the slots
       from `slot` on, and earlier ones are the trunk's. */
    int32_t first_panel, n_panels, slot;
    int32_t trunk;      /* the trunk's set */
    int32_t first_tile; /* counted over all sets */
};

/* Sizes of the arrays for prompts that are computed together. */
struct ko_attend_sizes {
    size_t n_panels, n_kv_heads, slot_floats;
    size_t thread_bytes, threads;
    size_t n_sets, n_rows, n_branches;
    size_t n_fork_rows; /* of the paths of short forks */
};

enum { KO_ATTEND_PARTS = 7 };

/* The bytes of each array, in the order of attention_tiles.c. */
void ko_attend_list_parts(const struct ko_attend_sizes *size, size_t bytes[KO_ATTEND_PARTS]);
/* A tile's scratch: its panels, its queries and results, and scores. numbers: of a key and a value. */
size_t ko_attend_tile_bytes(int32_t max_tokens, size_t numbers);

/* Bytes as they are given to an array. */
static inline size_t ko_attend_aligned(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* n / size, rounded up. */
static inline int32_t ko_attend_parts(int32_t n, int32_t size)
{
    return (n + size - 1) / size;
}

/* Of one thread, where prompts of so many tokens are not tiled: the keys of a row, their weights and
   flags. */
static inline size_t ko_cpu_attention_row_bytes(int32_t max_tokens)
{
    return ko_attend_aligned((size_t)max_tokens) *
           (sizeof(int32_t) + sizeof(float) + sizeof(uint8_t));
}

#endif
