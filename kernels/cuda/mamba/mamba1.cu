/* SPDX-License-Identifier: Apache-2.0 */
// Mamba-1's selective scan over trunk and branches. A thread computes one channel and keeps its
// states in registers. A block computes one item of the tables (blockIdx.x) for THREADS channels
// (blockIdx.y).
//
// The block first walks the item's trunk rows before t0, with h and with h', the state without the
// inputs of the item's source set. All branches of the item start from these states. A fork first walks
// the rows that it shares with its stem, whose results another item writes. Rows are loaded in tiles.
// Shared memory holds what all channels need: the descriptions of DESCRIBED rows, and B and C in two
// buffers that take turns. What belongs to one channel is loaded into registers for the whole tile
// before its first use.
//
// A long trunk is cut into chunks (tables.h), which blocks of their own walk at the same time: first
// from a state of zeros, for what the chunk adds to the state; after the states before all chunks
// are known, from there, for the results. An item then starts from the states before the chunk of
// t0. Its h' comes from the chunks as h does, but chunks with sources are walked again without them.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/mamba/mamba1_scan.cuh"

enum { MANY_BLOCKS = 256 }; // they fill a GPU

// Whether a branch of the item is in its window.
static __device__ __forceinline__ bool
any_cuts(const struct ko_cuda_rows &rows, const struct ko_scan_item &item, int n_active, int stage)
{
    bool cuts = false;
    for (int k = (int)threadIdx.x; k < n_active; k += THREADS) {
        const int b = rows.item_branch[item.first + k];
        cuts = cuts || branch_cuts(rows.branches[b], stage, KO_MIXER_SSM);
    }
    return item.edge_set >= 0 && __syncthreads_or(cuts) != 0;
}

template <int N>
static __device__ __forceinline__ struct scan<N>
scan_of(const struct ko_cuda_rows &rows, const struct stage_rows &at, const struct ko_mamba1 &a,
        struct tile<N> &tile) {
    const int channel = (int)(blockIdx.y * THREADS + threadIdx.x);
    const bool live = channel < a.d_inner;
    struct scan<N> s = {
        rows, at, a, tile, channel, live
    };
    s.d = live ? a.d[channel] : 0.0F;
#pragma unroll
    for (int n = 0; n < N; n++) {
        s.decay[n] = live && n < a.d_state
                         ? 1.44269504088896340736F * a.a[ko_at(n, a.d_inner, channel)]
                         : 0.0F;
    }
    return s;
}

// What the rows of chunk blockIdx.x add to the state. Nothing follows the last chunk of a trunk.
template <int N>
static __global__ void __launch_bounds__(THREADS, N <= 16 ? 4 : 1)
    sum_chunks(struct ko_cuda_rows rows, struct stage_rows at, struct ko_mamba1 a,
               struct chunk_memory memory)
{
    __shared__ struct tile<N> tile;
    const int chunk = (int)blockIdx.x;
    const struct chunk_place place = place_of_chunk(rows, rows.mamba1_chunks, CHUNK, chunk);
    if (place.last) {
        return;
    }
    struct scan<N> s = scan_of<N>(rows, at, a, tile);
    float h[N] = {0.0F};
    const struct row_list list = {place.row, place.n, false, place.position, -1, -1};
    const float span = s.collect(list, h);
    s.put_state(memory.input, chunk, h);
    if (s.live) {
        memory.span[ko_at(chunk, a.d_inner, s.channel)] = span;
    }
}

// The states before the chunks of prompt blockIdx.x. A thread has one number of the state.
static __global__ void chain_chunks(struct ko_cuda_rows rows, struct ko_mamba1 a,
                                    struct chunk_memory memory)
{
    const int number = (int)(blockIdx.y * THREADS + threadIdx.x);
    const int from = rows.mamba1_chunks.first[blockIdx.x];
    const int end = rows.mamba1_chunks.first[blockIdx.x + 1];
    if (number >= a.d_state * a.d_inner || from == end) {
        return;
    }
    const float decay = 1.44269504088896340736F * a.a[number];
    float h = 0.0F;
#pragma unroll 4
    for (int k = from; k < end - 1; k++) {
        const size_t at = ko_at(k, a.d_state * a.d_inner, number);
        const float span = memory.span[ko_at(k, a.d_inner, number % a.d_inner)];
        const float input = memory.input[at];
        memory.state[at] = h;
        h = fmaf(power_of_two(decay * span), h, input);
    }
    memory.state[ko_at(end - 1, a.d_state * a.d_inner, number)] = h;
}

// The results of the rows of chunk blockIdx.x.
template <int N>
static __global__ void __launch_bounds__(THREADS, N <= 16 ? 4 : 1)
    scan_chunks(struct ko_cuda_rows rows, struct stage_rows at, struct ko_mamba1 a,
                struct chunk_memory memory)
{
    __shared__ struct tile<N> tile;
    const int chunk = (int)blockIdx.x;
    const struct chunk_place place = place_of_chunk(rows, rows.mamba1_chunks, CHUNK, chunk);
    struct scan<N> s = scan_of<N>(rows, at, a, tile);
    float h[N];
    s.get(memory.state, chunk, h);
    const struct row_list list = {place.row, place.n, false, place.position, -1, -1};
    s.trunk(list, h);
}

// The results of the long trunk of prompt blockIdx.x, and what is known of its chunks.
template <int N>
static __global__ void __launch_bounds__(THREADS, N <= 16 ? 4 : 1)
    scan_trunks(struct ko_cuda_rows rows, struct stage_rows at, struct ko_mamba1 a,
                struct chunk_memory memory)
{
    __shared__ struct tile<N> tile;
    const int prompt = (int)blockIdx.x;
    if (!is_in_chunks(rows.mamba1_chunks, prompt)) {
        return;
    }
    struct scan<N> s = scan_of<N>(rows, at, a, tile);
    s.chunks(memory, rows.trunk_first[prompt], rows.mamba1_chunks.first[prompt],
             rows.n_tokens[prompt]);
}

template <int N>
static __global__ void __launch_bounds__(THREADS, N <= 16 ? 4 : 1)
    scan_items(struct ko_cuda_rows rows, struct stage_rows at, struct ko_mamba1 a,
               struct chunk_memory memory)
{
    __shared__ struct tile<N> tile;
    const struct ko_scan_item item = rows.items[blockIdx.x];
    const int n_active = item.n > 0 ? count_active(rows, at, item) : 0;
    const bool chunked =
        N <= KO_CUDA_MAMBA1_STATES && is_in_chunks(rows.mamba1_chunks, item.prompt);
    if (item.n > 0 ? n_active == 0 : chunked) {
        return;
    }
    struct scan<N> s = scan_of<N>(rows, at, a, tile);
    const int trunk = rows.trunk_first[item.prompt];
    float h[N] = {0.0F}, without[N] = {0.0F};
    if (item.n == 0) {
        const struct row_list all = {trunk, item.t0, false, 0, item.edge_set, -1};
        s.trunk(all, h);
        return;
    }
    int walked = 0; // rows of the trunk that the states have
    if (chunked) {
        const int from = rows.mamba1_chunks.first[item.prompt], chunk = item.t0 / CHUNK;
        walked = chunk * CHUNK;
        s.get(memory.state, from + chunk, h);
        if (any_cuts(rows, item, n_active, a.stage)) {
            s.collect_chunks(memory, trunk, item.edge_set, from, chunk, without);
        }
    }
    const struct row_list before = {trunk + walked, item.t0 - walked, false,
                                    walked,         item.edge_set,    -1};
    s.walk(before, h, without);
    if (item.n_shared == 0 && item.n_rows == 1) {
        const struct row_list all = {item.first, n_active, true, item.t0, item.edge_set, -1};
        s.single_rows(all, h, without);
        return;
    }
    for (int k = 0; k < n_active; k++) {
        const int b = rows.item_branch[item.first + k];
        const struct row_list own = {0, item.n_shared + item.n_rows, false, item.t0, item.edge_set,
                                     b};
        s.many_rows(own, h, without);
    }
}

// Long trunks. Where there are many, a block walks one from its first row to its last, since walking
// the chunks at the same time computes every row twice. Both ways give the same bits.
template <int N>
static void launch_chunks(struct ko_backend *be, const struct stage_rows &at,
                          const struct ko_mamba1 *args, const struct chunk_memory &memory)
{
    const struct ko_cuda_chunks &chunks = be->rows.mamba1_chunks;
    const unsigned channels = blocks_for((size_t)args->d_inner, THREADS);
    const unsigned n_prompts = (unsigned)be->rows.n_prompts;
    const size_t state = (size_t)args->d_inner * (size_t)args->d_state;
    unsigned n_long = 0;
    for (unsigned p = 0; p < n_prompts; p++) {
        n_long += be->wave->n_tokens[p] >= KO_CUDA_MAMBA1_FROM;
    }
    if (n_long * channels >= MANY_BLOCKS) {
        scan_trunks<N>
            <<<dim3(n_prompts, channels), THREADS, 0, be->stream>>>(be->rows, at, *args, memory);
        return;
    }
    const dim3 grid((unsigned)chunks.n, channels);
    sum_chunks<N><<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args, memory);
    chain_chunks<<<dim3(n_prompts, blocks_for(state, THREADS)), THREADS, 0, be->stream>>>(
        be->rows, *args, memory);
    scan_chunks<N><<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args, memory);
}

template <int N>
static void launch_scan(struct ko_backend *be, const struct stage_rows &at,
                        const struct ko_mamba1 *args)
{
    const struct chunk_memory memory = {be->scratch.chunk_input, be->scratch.chunk_state,
                                        (float *)be->scratch.chunk_step};
    const unsigned channels = blocks_for((size_t)args->d_inner, THREADS);
    if (N <= KO_CUDA_MAMBA1_STATES && be->rows.mamba1_chunks.n > 0) {
        constexpr int few = N <= KO_CUDA_MAMBA1_STATES ? N : 8; // nothing is compiled for more
        launch_chunks<few>(be, at, args, memory);
    }
    const dim3 grid((unsigned)be->rows.n_items, channels);
    scan_items<N><<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args, memory);
}

static enum ko_code check_reserved(const struct ko_backend *be, const struct ko_mamba1 *args,
                                   struct ko_error *err)
{
    if (be->rows.mamba1_chunks.n > 0 && args->d_state <= KO_CUDA_MAMBA1_STATES &&
        (args->d_inner > be->limits.d_inner || args->d_state > be->limits.d_state)) {
        return ko_fail(err, KO_E_FAILED, "GPU %d: %d channels of %d states, %d of %d are reserved",
                       be->device, args->d_inner, args->d_state, be->limits.d_inner,
                       be->limits.d_state);
    }
    return KO_OK;
}

enum ko_code ko_cuda_mamba1(struct ko_backend *be, const struct ko_mamba1 *args,
                            struct ko_error *err)
{
    const struct stage_rows at = rows_of_stage(be->wave, args->stage);
    const enum ko_code code = check_reserved(be, args, err);
    if (code != KO_OK || at.n_active == 0) {
        return code;
    }
    if (args->d_state <= 8) {
        launch_scan<8>(be, at, args);
    } else if (args->d_state <= 16) {
        launch_scan<16>(be, at, args);
    } else if (args->d_state <= 32) {
        launch_scan<32>(be, at, args);
    } else if (args->d_state <= 128) {
        launch_scan<128>(be, at, args);
    } else {
        return ko_fail(err, KO_E_INPUT,
                       "backend: cuda scans up to 128 states a channel, the model has %d, choose "
                       "--backend cpu",
                       args->d_state);
    }
    return ko_cuda_launched(be, "mamba1", err);
}
