/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of long trunks (tables.h), as Mamba-1 and Mamba-2 scan them. Since the recurrence is linear,
   the state before a chunk follows from the state before the previous chunk, that chunk's decay, and
   what its rows add. A chunk without sources of an edge set adds the same with and without these
   sources, so only chunks with sources are computed again. */
#ifndef KO_KERNELS_CUDA_MAMBA_CHUNK_CUH
#define KO_KERNELS_CUDA_MAMBA_CHUNK_CUH

#include "kernels/cuda/device.cuh"

/* One chunk of a prompt's trunk. */
struct chunk_place {
    int prompt;
    int position; /* of its first row */
    int row;      /* the first row */
    int n;        /* rows */
    bool last;    /* no chunk of the prompt follows */
};

static __device__ __forceinline__ struct chunk_place
place_of_chunk(const struct ko_cuda_rows &rows, const struct ko_cuda_chunks &chunks, int length,
               int number)
{
    int low = 0, high = rows.n_prompts; /* first[low] <= number < first[high] */
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (chunks.first[middle] <= number) {
            low = middle;
        } else {
            high = middle;
        }
    }
    struct chunk_place p;
    p.prompt = low;
    p.position = (number - chunks.first[low]) * length;
    p.row = rows.trunk_first[low] + p.position;
    p.n = min(length, rows.n_tokens[low] - p.position);
    p.last = number + 1 == chunks.first[low + 1];
    return p;
}

static __device__ __forceinline__ bool is_in_chunks(const struct ko_cuda_chunks &chunks, int prompt)
{
    return chunks.first[prompt + 1] > chunks.first[prompt];
}

/* Takes n terms of a sum, SLAB at a time, through shared memory. While a slab is multiplied, each
   thread already reads its N numbers of the next one from global memory. All threads call it.

     fetch(first, number)  reads the thread's numbers [N] of the terms [first, first + SLAB). The first
                           call is before any synchronisation, so what it reads in shared memory
                           must be complete.
     store(first, number)  writes them to the slab in shared memory; returns a flag
     use(first, any)       multiplies; any: whether a thread's flag is set */
template <int SLAB, int N, typename Fetch, typename Store, typename Use>
static __device__ __forceinline__ void in_slabs(int n, Fetch fetch, Store store, Use use)
{
    float number[N];
    if (n > 0) {
        fetch(0, number);
    }
    for (int first = 0; first < n; first += SLAB) {
        __syncthreads();
        const bool flag = store(first, number);
        const bool any = __syncthreads_or(flag) != 0;
        if (first + SLAB < n) {
            fetch(first + SLAB, number);
        }
        use(first, any);
    }
}

/* How many of a chunk's rows are sources of a set. */
enum chunk_sources { NO_SOURCES, SOME_SOURCES, ONLY_SOURCES };

/* Of the `length` rows from the position on. All lanes of a warp call it, and learn the same. */
static __device__ __forceinline__ uint8_t sources_in(const struct ko_cuda_rows &rows, int edge_set,
                                                     int position, int length)
{
    bool any = false, all = true;
    for (int i = position + (int)threadIdx.x % 32; i < position + length; i += 32) {
        const bool is = rows.source[ko_at(edge_set, rows.max_tokens, i)] != 0;
        any = any || is;
        all = all && is;
    }
    all = __all_sync(~0U, all) != 0;
    any = __any_sync(~0U, any) != 0;
    return !any ? NO_SOURCES : all ? ONLY_SOURCES : SOME_SOURCES;
}

#endif
