/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of a wave as the device reads them: arrays that are packed into one block of memory.
   This header does not need CUDA, so the packing can be tested on any machine. */
#ifndef KO_KERNELS_CUDA_TABLES_H
#define KO_KERNELS_CUDA_TABLES_H

#include "kernels/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Prompts of at most this many tokens attend row by row, longer ones in tiles (attention/tile.cuh). */
enum { KO_CUDA_SHORT = 20 };

/* One block's work in the selective scan. It is either the trunk of a prompt (n is 0 and edge_set
   is -1), or branches with the same prompt, t0, edge set and numbers of rows, which start from the
   same trunk states. A branch whose edges have several parts is in an item for each: the item of a
   part writes the rows that lose its edges, and that of the first part also those that lose none. A
   fork is not in the items of further parts that write none of its rows. */
struct ko_scan_item {
    int32_t prompt, edge_set;
    int32_t t0;       /* the trunk's rows before t0 are walked first */
    int32_t n_shared; /* then, in each branch, so many rows of its stem, which are not written */
    int32_t n_rows;   /* and so many of its own; for a trunk all its rows */
    int32_t first, n; /* the branches item_branch[first .. first + n), ascending */
};

/* Mamba-1 and Mamba-2 scan trunks of FROM rows and more in chunks of CHUNK rows. A trunk's own length
   decides, so that other prompts of the wave do not change its results. */
enum {
    KO_CUDA_MAMBA1_CHUNK = 32,
    KO_CUDA_MAMBA1_FROM = 160,
    KO_CUDA_MAMBA1_STATES = 32, /* most states of a channel, else rows go one after the other */
    KO_CUDA_MAMBA2_CHUNK = 128,
    KO_CUDA_MAMBA2_FROM = 256,
    KO_CUDA_MAMBA2_STATES = 256 /* most states of a head, else every row sums over all keys */
};

/* The chunks of a wave's long trunks, prompt after prompt. */
struct ko_cuda_chunks {
    const int32_t *first; /* [n_prompts + 1] the chunks of prompt p are [first[p], first[p + 1]) */
    int32_t n;
};

/* Pointers into one block; on the host or on the device. */
struct ko_cuda_rows {
    const int32_t *position, *previous, *branch, *prompt, *parent_row; /* [n_rows] */
    const int32_t *turn;                                               /* [n_turns, n_rows] */
    const int32_t *order;        /* [n_rows] sorted by prompt, so that neighbours share keys and
                                   states; ascending within a prompt */
    const int32_t *prompt_place; /* [n_prompts + 1] prompt p has the places [p] to [p + 1] of order:
                                    its trunk rows, then those of its branches */
    const int32_t *token;        /* [n_embedded] */
    const int32_t *trunk_first;  /* [n_prompts] */
    const int32_t *n_tokens;     /* [n_prompts] */
    const int32_t *n_longest;    /* [n_prompts] */
    const struct ko_branch *branches; /* [n_branches] */
    const struct ko_scan_item *items; /* [n_items] */
    const int32_t *item_branch;       /* [branches, each as often as there are items with it] */
    const uint8_t *later, *more;      /* [n_edge_sets] as in struct ko_edge_set */
    const uint8_t *target, *source;   /* [n_edge_sets, max_tokens] */
    const uint32_t *source_bits; /* [n_edge_sets, n_source_words] bit j % 32 of word j / 32: source
                                         of position j */
    struct ko_cuda_chunks mamba1_chunks, mamba2_chunks;
    int32_t n_turns, n_rows, n_embedded, n_prompts, n_branches, n_edge_sets, n_stages, max_tokens,
        n_items;
    int32_t n_source_words;
    int32_t n_long_prompts, n_long_rows; /* prompts longer than KO_CUDA_SHORT, and their rows */
};

/* Work memory for the packing. */
struct ko_cuda_tables {
    int32_t *work; /* [8 n_rows + most keys + 3]; owned */
    size_t capacity;
};

/* The block that is packed on the host, and copied to the device afterwards. */
struct ko_cuda_block {
    unsigned char *memory;     /* on the host; 16-byte aligned, ko_cuda_tables_bytes long */
    const unsigned char *base; /* where its copy will lie; memory itself where there is none */
    size_t used;               /* bytes */
};

/* The most bytes that the block of a wave within these limits needs. */
size_t ko_cuda_tables_bytes(int32_t max_rows, int32_t max_tokens, int32_t n_stages);

/* The most chunks of `length` rows that the trunks of `from` rows and more have in a wave within
   these limits. */
size_t ko_cuda_chunks_most(int32_t max_rows, int32_t max_tokens, int32_t length, int32_t from);

/* Packs the wave into the block. The pointers of *out are relative to block->base. */
KO_MUST_CHECK enum ko_code ko_cuda_tables_pack(struct ko_cuda_tables *tables,
                                               const struct ko_rows *rows,
                                               struct ko_cuda_block *block,
                                               struct ko_cuda_rows *out, struct ko_error *err);
void ko_cuda_tables_free(struct ko_cuda_tables *tables); /* leaves {0} */

#ifdef __cplusplus
}
#endif

#endif
