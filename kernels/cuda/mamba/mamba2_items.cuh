/* SPDX-License-Identifier: Apache-2.0 */
/* One block of mamba2_items.cu: its item of the tables, which rows of branches read the trunk's state,
   and which of the trunk's rows are sources. */
#ifndef KO_KERNELS_CUDA_MAMBA_MAMBA2_ITEMS_CUH
#define KO_KERNELS_CUDA_MAMBA_MAMBA2_ITEMS_CUH

#include "kernels/cuda/mamba/mamba2.cuh"

enum {
    THREADS = 256,
    WARPS = THREADS / 32,
    CHANNELS = 32,
    ACROSS = CHANNELS / 4,   /* threads side by side; each has four channels */
    DOWN = THREADS / ACROSS, /* and NR neighbouring states */
    SLAB = 16,               /* rows of a chunk, or states, that are in shared memory together */
    READERS = 64,            /* rows of branches that are computed together */
    PITCH = READERS + 4,
    CHUNK = KO_CUDA_MAMBA2_CHUNK,
    SORTED = 256
};

/* What a block lists in shared memory. */
struct item_lists {
    uint8_t sources[SORTED]; /* of the chunks, enum chunk_sources */
    float weight[CHUNK];     /* of a chunk's rows */
    uint8_t kept[CHUNK];     /* the rows that are not sources */
    int n_kept[WARPS];       /* of them, among the rows of a warp */
    int row[READERS];        /* rows of branches; -1: none */
};

/* Whether rows of branches read the trunk's state with the sources, and without them. */
struct states_read {
    bool with, without;
};

/* A block's item, head and channels. */
struct item_block {
    const struct ko_cuda_rows &rows;
    const struct stage_rows &at;
    const struct ko_mamba2 &a;
    const struct mamba2_scratch &s;
    struct item_lists &lists;
    struct ko_scan_item item;
    int head, channel;         /* the block's first channel in the head */
    int first_chunk, n_chunks; /* the trunk's first chunk, and how many lie before that of t0 */
    int n_readers;             /* own rows of the item's active branches */

    __device__ __forceinline__ int trunk_row(int position) const
    {
        return rows.trunk_first[item.prompt] + position;
    }

    /* Of the sum of delta up to a row. */
    __device__ __forceinline__ double sum_at(int row) const
    {
        return s.step_sum[ko_at(row, a.n_heads, head)];
    }

    /* lists.weight: exp(a span) delta(j), with the span from row j of the chunk to row n - 1, the last;
       lists.kept: the rows that are not sources. Returns their number. */
    __device__ __forceinline__ int list_rows(int position, int n, bool without)
    {
        const int j = (int)threadIdx.x, warp = j / 32, lane = j % 32;
        const bool is = j < n;
        const uint8_t *source =
            rows.source + ko_at(max(item.edge_set, 0), rows.max_tokens, position);
        const bool kept = is && !(without && source[j]);
        const unsigned same = __ballot_sync(~0U, kept);
        int before = 0, all = 0;
        __syncthreads();
        if (is) {
            const int row = trunk_row(position + j);
            const double span = sum_at(trunk_row(position + n - 1)) - sum_at(row);
            lists.weight[j] = decay_over(a, head, span) * s.step[ko_at(row, a.n_heads, head)];
        }
        if (lane == 0) {
            lists.n_kept[warp] = __popc(same);
        }
        __syncthreads();
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            before += w < warp ? lists.n_kept[w] : 0;
            all += lists.n_kept[w];
        }
        if (kept) {
            lists.kept[before + __popc(same & ((1U << lane) - 1U))] = (uint8_t)j;
        }
        __syncthreads();
        return all;
    }

    /* Whether the item's branch loses edges in this head. */
    __device__ __forceinline__ bool is_cut(const struct ko_branch &branch) const
    {
        return item.edge_set >= 0 && branch_cuts(branch, at.stage, KO_MIXER_SSM) &&
               is_masked(rows, branch, a.masks, at.stage, a.n_heads, head);
    }

    /* Row `number` of the branches' own rows, branch after branch; -1 where it does not read this state,
       or another item writes it. */
    __device__ __forceinline__ int reader(int number, bool without) const
    {
        if (number >= n_readers) {
            return -1;
        }
        const struct ko_branch &branch =
            rows.branches[rows.item_branch[item.first + number / item.n_rows]];
        const int k = number % item.n_rows, i = item.t0 + item.n_shared + k;
        const bool cut = is_cut(branch);
        const bool reads = cut && rows.target[ko_at(item.edge_set, rows.max_tokens, i)] != 0;
        return reads == without && item_writes(rows, branch, item.edge_set, cut, i)
                   ? branch.first_row + k
                   : -1;
    }

    /* Which states the rows read. All threads call it, and learn the same. */
    __device__ __forceinline__ struct states_read find_states() const
    {
        bool with = false, without = false;
        for (int k = (int)threadIdx.x; k < n_readers; k += THREADS) {
            const bool is = reader(k, true) >= 0;
            without = without || is;
            with = with || !is;
        }
        struct states_read read;
        read.without = __syncthreads_or(without) != 0;
        read.with = __syncthreads_or(with) != 0;
        return read;
    }
};

#endif
