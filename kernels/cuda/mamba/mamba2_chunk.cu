/* SPDX-License-Identifier: Apache-2.0 */
// Mamba-2 over long trunks in chunks (Dao & Gu 2024, Transformers are SSMs, section 6 and listing 1).
// What the rows of a chunk add to the state, the states before all chunks, and the rows' results are
// three kernels: the first and the last work on all chunks at the same time. With a chunk's rows i and
// j and the state S before it,
//
//     y(i)  = exp(a span(i)) C(i) S + sum_{j <= i} alpha(i, j) u(j)
//     S    <- exp(a span(last)) S + sum_j exp(a (span(last) - span(j))) delta(j) B(j) u(j)
//
// where span(i) sums delta over the chunk's rows up to i. In tf32 and bfloat16 the products run on
// tensor cores, and their factors are rounded to tf32. What the trunk adds to the rows of branches is
// in mamba2_items.cu.
#include "kernels/cuda/mamba/mamba2_chunk.cuh"
#include "kernels/cuda/mamba/tensor.cuh"

enum {
    THREADS = 128,                  // of a block that computes a tile
    ACROSS = 16,                    // of them side by side
    TILE = 64,                      // rows and columns of a tile
    DOWN = TILE * ACROSS / THREADS, // rows of a thread, which has four columns
    SLAB = 16,                      // terms of the tile's sums that are in shared memory together
    EACH = SLAB * TILE / THREADS,   // of a slab's numbers of one factor that a thread moves
    PITCH = TILE + 4,
    CHUNK = KO_CUDA_MAMBA2_CHUNK
};

// Two factors of a tile: sum_k a[k][row] b[k][column].
struct slab {
    float a[SLAB][PITCH], b[SLAB][TILE];
};

union __align__(32) tile_memory
{
    struct slab slab;
    float all[TILE][TILE]; // the tile, on its way from the tensor cores to the threads
};

struct tile_sums {
    float of[DOWN][4];
};

static __device__ __forceinline__ int my_row()
{
    return (int)threadIdx.x / ACROSS * DOWN;
}

static __device__ __forceinline__ int my_column()
{
    return (int)threadIdx.x % ACROSS * 4;
}

static __device__ __forceinline__ void multiply_slab(const struct slab &slab,
                                                     struct tile_sums &sums)
{
#pragma unroll 4
    for (int k = 0; k < SLAB; k++) {
        const float4 b = load_four(&slab.b[k][my_column()], 0);
        const float across[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
        for (int r = 0; r < DOWN; r += 4) {
            const float4 a = load_four(&slab.a[k][my_row() + r], 0);
            const float down[4] = {a.x, a.y, a.z, a.w};
#pragma unroll
            for (int e = 0; e < 16; e++) {
                sums.of[r + e / 4][e % 4] =
                    fmaf(down[e / 4], across[e % 4], sums.of[r + e / 4][e % 4]);
            }
        }
    }
}

// The same, but row i of the tile takes only the terms k <= i - first. A later row's u may be infinite;
// 0 times it would be NaN.
static __device__ __forceinline__ void multiply_until(const struct slab &slab, int first,
                                                      struct tile_sums &sums)
{
#pragma unroll 2
    for (int k = 0; k < SLAB; k++) {
        const float4 b = load_four(&slab.b[k][my_column()], 0);
        const float across[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
        for (int r = 0; r < DOWN; r++) {
            if (first + k <= my_row() + r) {
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    sums.of[r][e] = fmaf(slab.a[k][my_row() + r], across[e], sums.of[r][e]);
                }
            }
        }
    }
}

// The sums of a tile while slab after slab is added: here the threads have them ...
template <bool TENSOR> struct tile_product {
    struct tile_sums sums;

    __device__ __forceinline__ void clear()
    {
        sums = {};
    }
    __device__ __forceinline__ void add(const struct slab &slab)
    {
        multiply_slab(slab, sums);
    }
    __device__ __forceinline__ void scale(float by)
    {
#pragma unroll
        for (int e = 0; e < DOWN * 4; e++) {
            sums.of[e / 4][e % 4] *= by;
        }
    }
    // All threads call it. The slab is overwritten.
    __device__ __forceinline__ void take(union tile_memory &, struct tile_sums &out) const
    {
        out = sums;
    }
};

// ... and here fragments of the tensor cores. A warp has a quarter of the tile.
template <> struct tile_product<true> {
    struct tensor_sums<2, 2> sums;

    static __device__ __forceinline__ int corner(int of)
    {
        const int warp = (int)threadIdx.x / 32;
        return of == 0 ? warp / 2 * 32 : warp % 2 * 32;
    }
    __device__ __forceinline__ void clear()
    {
        sums.clear();
    }
    __device__ __forceinline__ void add(const struct slab &slab)
    {
        sums.template add<SLAB>(&slab.a[0][corner(0)], PITCH, &slab.b[0][corner(1)], TILE);
    }
    __device__ __forceinline__ void scale(float by)
    {
        sums.scale(by);
    }
    __device__ __forceinline__ void take(union tile_memory &memory, struct tile_sums &out) const
    {
        __syncthreads();
        sums.store(&memory.all[corner(0)][corner(1)], TILE);
        __syncthreads();
#pragma unroll
        for (int r = 0; r < DOWN; r++) {
            const float4 four = load_four(&memory.all[my_row() + r][my_column()], 0);
            out.of[r][0] = four.x;
            out.of[r][1] = four.y;
            out.of[r][2] = four.z;
            out.of[r][3] = four.w;
        }
        __syncthreads();
    }
};

// exp(a (span(last) - span(j))) delta(j) of the chunk's row j.
static __device__ __forceinline__ float weight_at_end(const struct ko_mamba2 &a,
                                                      const struct mamba2_scratch &s,
                                                      const struct chunk_place &place, int head,
                                                      int j)
{
    const size_t at = ko_at(place.row + j, a.n_heads, head);
    const size_t last = ko_at(place.row + place.n - 1, a.n_heads, head);
    return decay_over(a, head, s.step_sum[last] - s.step_sum[at]) * s.step[at];
}

// What chunk blockIdx.x adds to the state of head blockIdx.y, in tile blockIdx.z: states down, channels
// across. Nothing follows the last chunk of a trunk.
template <bool TENSOR>
static __global__ void __launch_bounds__(THREADS, 4)
    sum_chunks(struct ko_cuda_rows rows, struct ko_mamba2 a, struct mamba2_scratch s)
{
    __shared__ union tile_memory memory;
    __shared__ float weight[CHUNK];
    struct slab &slab = memory.slab;
    const int chunk = (int)blockIdx.x, head = (int)blockIdx.y;
    const int across = (a.d_head + TILE - 1) / TILE;
    const int n0 = (int)blockIdx.z / across * TILE, p0 = (int)blockIdx.z % across * TILE;
    const struct chunk_place place = place_of_chunk(rows, rows.mamba2_chunks, CHUNK, chunk);
    if (place.last) {
        return;
    }
    for (int j = (int)threadIdx.x; j < place.n; j += THREADS) {
        weight[j] = weight_at_end(a, s, place, head, j);
    }
    const float *b = a.b + group_of(a, head) * a.d_state, *u = a.u + head * a.d_head;
    struct tile_product<TENSOR> product;
    struct tile_sums sums;
    product.clear();
    in_slabs<SLAB, 2 * EACH>(
        place.n,
        [&](int first, float(&number)[2 * EACH]) {
#pragma unroll
            for (int r = 0; r < EACH; r++) {
                const int e = (int)threadIdx.x + r * THREADS, c = e % TILE, j = first + e / TILE;
                const bool is = j < place.n;
                const size_t row = ko_at(place.row + j, a.ld, 0);
                number[r] = is && n0 + c < a.d_state ? b[row + (size_t)(n0 + c)] : 0.0F;
                number[EACH + r] = is && p0 + c < a.d_head ? u[row + (size_t)(p0 + c)] : 0.0F;
            }
        },
        [&](int first, const float(&number)[2 * EACH]) {
#pragma unroll
            for (int r = 0; r < EACH; r++) {
                const int e = (int)threadIdx.x + r * THREADS, k = e / TILE, j = first + k;
                slab.a[k][e % TILE] = number[r];
                slab.b[k][e % TILE] = j < place.n ? weight[j] * number[EACH + r] : 0.0F;
            }
            return false;
        },
        [&](int, bool) { product.add(slab); });
    product.take(memory, sums);
#pragma unroll
    for (int e = 0; e < DOWN * 4; e++) {
        const int n = n0 + my_row() + e / 4, p = p0 + my_column() + e % 4;
        if (n < a.d_state && p < a.d_head) {
            s.input[ko_at3(chunk, a.n_heads, head, a.d_state * a.d_head, n * a.d_head + p)] =
                sums.of[e / 4][e % 4];
        }
    }
}

// The states before the chunks of prompt blockIdx.x, of head blockIdx.y. A thread has one number.
static __global__ void chain_chunks(struct ko_cuda_rows rows, struct ko_mamba2 a,
                                    struct mamba2_scratch s)
{
    const int number = (int)(blockIdx.z * THREADS + threadIdx.x), head = (int)blockIdx.y;
    const int from = rows.mamba2_chunks.first[blockIdx.x];
    const int end = rows.mamba2_chunks.first[blockIdx.x + 1];
    const int size = a.d_state * a.d_head;
    if (number >= size || from == end) {
        return;
    }
    float state = 0.0F;
#pragma unroll 4
    for (int k = from; k < end - 1; k++) {
        const size_t at = ko_at3(k, a.n_heads, head, size, number);
        const float input = s.input[at];
        const float decay = decay_over(a, head, s.chunk_step[ko_at(k, a.n_heads, head)]);
        s.state[at] = state;
        state = fmaf(decay, state, input);
    }
    s.state[ko_at3(end - 1, a.n_heads, head, size, number)] = state;
}

// One block's TILE rows of a chunk, TILE channels of a head. With t the last row before the tile:
//
//     y(i) = exp(a (span(i) - span(t))) (exp(a span(t)) C(i) S + sum_{j <= t} score(i, j) right(j) u(j))
//            + sum_{t < j <= i} alpha(i, j) u(j),     right(j) = exp(a (span(t) - span(j))) delta(j)
template <bool TENSOR> struct row_tile {
    const struct ko_mamba2 &a;
    const struct mamba2_scratch &s;
    union tile_memory &memory;
    struct chunk_place place;
    int chunk, head, row, channel; // row: of the chunk, the tile's first
    const double *span;            // [CHUNK] of the chunk's rows
    const float *right;            // [CHUNK]

    __device__ __forceinline__ double span_before() const
    {
        return row > 0 ? span[row - 1] : 0.0;
    }

    // exp(a span(t)) C(i) S.
    __device__ __forceinline__ void read_state(struct tile_product<TENSOR> &product) const
    {
        const float *state = s.state + ko_at3(chunk, a.n_heads, head, a.d_state * a.d_head, 0);
        const float *c = a.c + group_of(a, head) * a.d_state;
        in_slabs<SLAB, 2 * EACH>(
            a.d_state,
            [&](int first, float(&number)[2 * EACH]) {
#pragma unroll
                for (int r = 0; r < EACH; r++) {
                    const int e = (int)threadIdx.x + r * THREADS;
                    const int i = row + e / SLAB, n = first + e % SLAB;
                    const int k = first + e / TILE, p = channel + e % TILE;
                    number[r] =
                        i < place.n && n < a.d_state ? c[ko_at(place.row + i, a.ld, n)] : 0.0F;
                    number[EACH + r] =
                        k < a.d_state && p < a.d_head ? state[ko_at(k, a.d_head, p)] : 0.0F;
                }
            },
            [&](int, const float(&number)[2 * EACH]) { return put_slab(number); },
            [&](int, bool) { product.add(memory.slab); });
        product.scale(decay_over(a, head, span_before()));
    }

    // The thread's numbers of both factors.
    __device__ __forceinline__ bool put_slab(const float (&number)[2 * EACH]) const
    {
#pragma unroll
        for (int r = 0; r < EACH; r++) {
            const int e = (int)threadIdx.x + r * THREADS;
            memory.slab.a[e % SLAB][e / SLAB] = number[r];
            memory.slab.b[e / TILE][e % TILE] = number[EACH + r];
        }
        return false;
    }

    __device__ __forceinline__ float score(int i, int j) const
    {
        return s.score[ko_at3(place.row + i, a.n_groups, group_of(a, head), s.keys, j)];
    }

    __device__ __forceinline__ float u_of(int j, int p) const
    {
        return channel + p < a.d_head
                   ? a.u[ko_at(place.row + j, a.ld, head * a.d_head + channel + p)]
                   : 0.0F;
    }

    // sum_{j <= t} score(i, j) right(j) u(j).
    __device__ __forceinline__ void read_before(struct tile_product<TENSOR> &product) const
    {
        in_slabs<SLAB, 2 * EACH>(
            row,
            [&](int first, float(&number)[2 * EACH]) {
#pragma unroll
                for (int r = 0; r < EACH; r++) {
                    const int e = (int)threadIdx.x + r * THREADS;
                    const int i = row + e / SLAB, k = first + e / TILE;
                    number[r] = i < place.n ? score(i, first + e % SLAB) : 0.0F;
                    number[EACH + r] = right[k] * u_of(k, e % TILE);
                }
            },
            [&](int, const float(&number)[2 * EACH]) { return put_slab(number); },
            [&](int, bool) { product.add(memory.slab); });
    }

    // sum_{t < j <= i} alpha(i, j) u(j). A slab goes to `sums` where not all its u are finite: 0 times
    // a later row's u would be NaN. Without tensor cores all slabs do.
    __device__ __forceinline__ void read_own(struct tile_product<TENSOR> &product,
                                             struct tile_sums &sums) const
    {
        const int end = min(row + TILE, place.n);
        in_slabs<SLAB, 2 * EACH>(
            end - row,
            [&](int begin, float(&number)[2 * EACH]) {
#pragma unroll
                for (int r = 0; r < EACH; r++) {
                    const int e = (int)threadIdx.x + r * THREADS, first = row + begin;
                    const int i = row + e / SLAB, j = first + e % SLAB, k = first + e / TILE;
                    number[r] = 0.0F;
                    if (i < place.n && j <= i) {
                        number[r] = score(i, j) * decay_over(a, head, span[i] - span[j]) *
                                    s.step[ko_at(place.row + j, a.n_heads, head)];
                    }
                    number[EACH + r] = k < end ? u_of(k, e % TILE) : 0.0F;
                }
            },
            [&](int, const float(&number)[2 * EACH]) {
                bool bad = !TENSOR;
#pragma unroll
                for (int r = 0; r < EACH; r++) {
                    bad = bad || !isfinite(number[EACH + r]);
                }
                return put_slab(number) || bad;
            },
            [&](int begin, bool any) {
                if (any) {
                    multiply_until(memory.slab, begin, sums);
                } else {
                    product.add(memory.slab);
                }
            });
    }

    __device__ __forceinline__ void mix() const
    {
        struct tile_product<TENSOR> product;
        struct tile_sums sums, own;
        product.clear();
        if (place.position > 0) {
            read_state(product);
        }
        read_before(product);
        product.take(memory, sums);
#pragma unroll
        for (int r = 0; r < DOWN; r++) {
            const int i = min(row + my_row() + r, place.n - 1);
            const float decay = decay_over(a, head, span[i] - span_before());
#pragma unroll
            for (int e = 0; e < 4; e++) {
                sums.of[r][e] *= decay;
            }
        }
        product.clear();
        read_own(product, sums);
        if (TENSOR) {
            product.take(memory, own);
#pragma unroll
            for (int e = 0; e < DOWN * 4; e++) {
                sums.of[e / 4][e % 4] += own.of[e / 4][e % 4];
            }
        }
        put(sums);
    }

    __device__ __forceinline__ void put(const struct tile_sums &sums) const
    {
        const float d = a.d[head];
#pragma unroll
        for (int e = 0; e < DOWN * 4; e++) {
            const int i = row + my_row() + e / 4, p = channel + my_column() + e % 4;
            if (i < place.n && p < a.d_head) {
                const float u = a.u[ko_at(place.row + i, a.ld, head * a.d_head + p)];
                a.out[ko_at3(place.row + i, a.n_heads, head, a.d_head, p)] =
                    sums.of[e / 4][e % 4] + d * u;
            }
        }
    }
};

// The results of rows of a chunk: blockIdx.x has TILE rows, blockIdx.y a head, blockIdx.z TILE of its
// channels.
template <bool TENSOR>
static __global__ void __launch_bounds__(THREADS, 4)
    mix_chunks(struct ko_cuda_rows rows, struct ko_mamba2 a, struct mamba2_scratch s)
{
    __shared__ union tile_memory memory;
    __shared__ double span[CHUNK];
    __shared__ float right[CHUNK];
    const int chunk = (int)blockIdx.x / (CHUNK / TILE), head = (int)blockIdx.y;
    const int row = (int)blockIdx.x % (CHUNK / TILE) * TILE;
    const struct chunk_place place = place_of_chunk(rows, rows.mamba2_chunks, CHUNK, chunk);
    if (row >= place.n) {
        return;
    }
    const double before =
        place.position > 0 ? s.step_sum[ko_at(place.row - 1, a.n_heads, head)] : 0.0;
    for (int i = (int)threadIdx.x; i < place.n; i += THREADS) {
        span[i] = s.step_sum[ko_at(place.row + i, a.n_heads, head)] - before;
    }
    __syncthreads();
    for (int j = (int)threadIdx.x; j < row; j += THREADS) {
        right[j] = decay_over(a, head, span[row - 1] - span[j]) *
                   s.step[ko_at(place.row + j, a.n_heads, head)];
    }
    __syncthreads();
    const struct row_tile<TENSOR> tile = {
        a, s, memory, place, chunk, head, row, (int)blockIdx.z *TILE, span, right
    };
    tile.mix();
}

template <bool TENSOR>
static void launch_chunks(struct ko_backend *be, const struct ko_mamba2 &args,
                          const struct mamba2_scratch &s)
{
    const unsigned chunks = (unsigned)be->rows.mamba2_chunks.n, heads = (unsigned)args.n_heads;
    const unsigned across = blocks_for((size_t)args.d_head, TILE);
    const unsigned down = blocks_for((size_t)args.d_state, TILE);
    const unsigned numbers = blocks_for((size_t)args.d_state * (size_t)args.d_head, THREADS);
    const dim3 sums(chunks, heads, across * down), rows(chunks * (CHUNK / TILE), heads, across);
    sum_chunks<TENSOR><<<sums, THREADS, 0, be->stream>>>(be->rows, args, s);
    chain_chunks<<<dim3((unsigned)be->rows.n_prompts, heads, numbers), THREADS, 0, be->stream>>>(
        be->rows, args, s);
    mix_chunks<TENSOR><<<rows, THREADS, 0, be->stream>>>(be->rows, args, s);
}

void ko_cuda_mamba2_chunks(struct ko_backend *be, const struct stage_rows &at,
                           const struct ko_mamba2 &args, const struct mamba2_scratch &s)
{
    if (s.tensor_cores) {
        launch_chunks<true>(be, args, s);
    } else {
        launch_chunks<false>(be, args, s);
    }
    if (at.n_branches_active > 0) {
        ko_cuda_mamba2_chunk_items(be, at, args, s);
    }
}
