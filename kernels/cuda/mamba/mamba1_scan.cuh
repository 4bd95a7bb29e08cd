/* SPDX-License-Identifier: Apache-2.0 */
/* How a block of Mamba-1's scan walks over rows (mamba1.cu). A thread has one channel. */
#ifndef KO_KERNELS_CUDA_MAMBA_MAMBA1_SCAN_CUH
#define KO_KERNELS_CUDA_MAMBA_MAMBA1_SCAN_CUH

#include "kernels/cuda/mamba/chunk.cuh"
#include "kernels/operations.h"

enum { THREADS = 128, TILE = 4, DESCRIBED = 64, CHUNK = KO_CUDA_MAMBA1_CHUNK, SORTED = 256 };

/* What is known of the chunks. */
struct chunk_memory {
    float *input; /* [n, d_state, d_inner] what a chunk adds to the state */
    float *state; /* [n, d_state, d_inner] the state before it */
    float *span;  /* [n, d_inner] sum of delta over its rows */
};

/* 2^x, relative error below 2^-22 (PTX ISA, ex2.approx); results below 2^-126 become 0. */
static __device__ __forceinline__ float power_of_two(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* One row of a tile, for all channels. */
struct tile_row {
    int row;      /* row of the result */
    int source;   /* row of u, delta, B and C */
    int source_z; /* row of z */
    int mask;     /* mask of the channels that read h'; -1: all do */
    bool writes;  /* the item writes the row's result; not so for a row of a fork's stem */
    bool reads;   /* a target in its branch's window: masked channels read h' */
    bool removed; /* a source: h' does not take its input */
    bool own;     /* ... but the row itself reads its own input (`later`) */
};

template <int N> struct tile {
    struct tile_row row[DESCRIBED];
    float b[2][TILE][N], c[2][TILE][N];
    uint8_t sources[SORTED]; /* of the chunks, enum chunk_sources */
};

/* Rows of a trunk, or of the path of one branch, or the rows of an item's branches that have one row
   each. */
struct row_list {
    /* A trunk's rows [first, first + n). With single_rows, entries of item_branch. Of a branch's path:
       n rows, and first is not read. */
    int first, n;
    bool single_rows; /* each entry is a branch of one row */
    int position;     /* of the first row */
    int edge_set;     /* -1: none */
    int branch;       /* the branch of the rows; -1: the trunk */
};

template <int N> struct scan {
    const struct ko_cuda_rows &rows;
    const struct stage_rows &at;
    const struct ko_mamba1 &a;
    struct tile<N> &tile;
    int channel;
    bool live;      /* the channel exists */
    float decay[N]; /* log2(e) A[c, n] */
    float d;
    float delta[TILE], u[TILE], z[TILE];
    int first, turn; /* the tile's first description, and its buffer */

    /* Describes row k of the list. */
    __device__ struct tile_row describe(const struct row_list &list, int k) const
    {
        struct tile_row t;
        const int b = list.single_rows ? rows.item_branch[list.first + k] : list.branch;
        const int i = list.single_rows ? list.position : list.position + k;
        t.row = b >= 0 ? branch_row(rows.branches[b], i) : list.first + k;
        t.source = source_row_after_conv(rows, at, t.row);
        t.source_z = source_row(rows, at, t.row);
        t.mask = -1;
        t.writes = true;
        t.reads = t.removed = t.own = false;
        if (list.edge_set >= 0) {
            const size_t edge = ko_at(list.edge_set, rows.max_tokens, i);
            t.removed = rows.source[edge] != 0;
            t.own = t.removed && rows.later[list.edge_set] != 0;
            const bool cuts = b >= 0 && branch_cuts(rows.branches[b], a.stage, KO_MIXER_SSM);
            if (cuts) {
                t.mask = rows.branches[b].mask;
                t.reads = rows.target[edge] != 0;
            }
            t.writes = b < 0 || item_writes(rows, rows.branches[b], list.edge_set, cuts, i);
        }
        if (b >= 0 && i < rows.branches[b].first_position) {
            t.writes = t.reads = false;
        }
        return t;
    }

    /* Loads the rows [k, k + TILE) of the list; all threads of the block call it. The barrier at
       the end also ensures that no thread still reads the tile before. Since the buffers take
       turns, no barrier is needed at the beginning. */
    __device__ void load(const struct row_list &list, int k, bool with_z)
    {
        const int n = min(TILE, list.n - k);
        if (k % DESCRIBED == 0) {
            __syncthreads();
            if ((int)threadIdx.x < min(DESCRIBED, list.n - k)) {
                tile.row[threadIdx.x] = describe(list, k + (int)threadIdx.x);
            }
            __syncthreads();
        }
        first = k % DESCRIBED;
        turn = k / TILE % 2;
        for (int at_bc = (int)threadIdx.x; at_bc < n * N; at_bc += THREADS) {
            const int r = at_bc / N, s = at_bc % N;
            const size_t from = ko_at(tile.row[first + r].source, a.ld_bc, s);
            tile.b[turn][r][s] = s < a.d_state ? a.b[from] : 0.0F;
            tile.c[turn][r][s] = s < a.d_state ? a.c[from] : 0.0F;
        }
#pragma unroll
        for (int r = 0; r < TILE; r++) {
            delta[r] = u[r] = z[r] = 0.0F;
            if (r < n && live) {
                const struct tile_row &t = tile.row[first + r];
                const size_t own = ko_at(t.source, a.d_inner, channel);
                delta[r] = a.delta[own];
                u[r] = a.u[own];
                if (with_z) {
                    z[r] = a.z[ko_at(t.source_z, a.ld_z, channel)];
                }
            }
        }
        __syncthreads();
    }

    /* h <- decay h + input. Returns sum_n C[n] h[n]. */
    __device__ __forceinline__ float step(int r, float delta_r, float u_r, float *h) const
    {
        const float du = delta_r * u_r;
        float y = 0.0F;
#pragma unroll
        for (int n = 0; n < N; n++) {
            h[n] = fmaf(power_of_two(decay[n] * delta_r), h[n], du * tile.b[turn][r][n]);
            y = fmaf(tile.c[turn][r][n], h[n], y);
        }
        return y;
    }

    /* The same for h and h'. Returns C h, or for a row that reads h' C h', with the row's own input
       if it is to be read. */
    __device__ __forceinline__ float step_both(int r, float delta_r, float u_r, bool reads,
                                               float *h, float *without) const
    {
        const float du = delta_r * u_r, du_without = tile.row[first + r].removed ? 0.0F : du;
        float y = 0.0F, y_without = 0.0F, y_own = 0.0F;
#pragma unroll
        for (int n = 0; n < N; n++) {
            const float e = power_of_two(decay[n] * delta_r), b = tile.b[turn][r][n],
                        c = tile.c[turn][r][n];
            h[n] = fmaf(e, h[n], du * b);
            without[n] = fmaf(e, without[n], du_without * b);
            y = fmaf(c, h[n], y);
            y_without += c * without[n];
            y_own += c * b;
        }
        return !reads ? y : tile.row[first + r].own ? y_without + du * y_own : y_without;
    }

    /* Returns sum_n C[n] (decay h[n] + input), and leaves the state as it is. */
    __device__ __forceinline__ float look(int r, float delta_r, float du, const float *h) const
    {
        float y = 0.0F, cb = 0.0F;
#pragma unroll
        for (int n = 0; n < N; n++) {
            const float c = tile.c[turn][r][n];
            y += c * h[n] * power_of_two(decay[n] * delta_r);
            cb += c * tile.b[turn][r][n];
        }
        return y + du * cb;
    }

    __device__ __forceinline__ bool reads_without(int r) const
    {
        const struct tile_row &t = tile.row[first + r];
        if (!t.reads || !live) {
            return false;
        }
        return t.mask < 0 ||
               a.masks[ko_at3(t.mask, rows.n_stages, a.stage, a.d_inner, channel)] != 0;
    }

    __device__ __forceinline__ void put(int r, float z_r, float u_r, float y) const
    {
        if (live && tile.row[first + r].writes) {
            a.out[ko_at(tile.row[first + r].row, a.d_inner, channel)] =
                (y + d * u_r) * silu_of(z_r);
        }
    }

    /* The same step of two states. Returns C h of the first. */
    __device__ __forceinline__ float step_twice(int r, float delta_r, float u_r, float *h,
                                                float *other) const
    {
        const float du = delta_r * u_r;
        float y = 0.0F;
#pragma unroll
        for (int n = 0; n < N; n++) {
            const float e = power_of_two(decay[n] * delta_r), input = du * tile.b[turn][r][n];
            h[n] = fmaf(e, h[n], input);
            other[n] = fmaf(e, other[n], input);
            y = fmaf(tile.c[turn][r][n], h[n], y);
        }
        return y;
    }

    /* h <- decay over the span h + input. */
    __device__ __forceinline__ void advance(int r, float span, float du, float *h) const
    {
#pragma unroll
        for (int n = 0; n < N; n++) {
            h[n] = fmaf(power_of_two(decay[n] * span), h[n], du * tile.b[turn][r][n]);
        }
    }

    /* h <- decay over the span h. */
    __device__ __forceinline__ void fade(float span, float *h) const
    {
#pragma unroll
        for (int n = 0; n < N; n++) {
            h[n] *= power_of_two(decay[n] * span);
        }
    }

    /* Number n of a state in memory. */
    __device__ __forceinline__ size_t number(int chunk, int n) const
    {
        return ko_at3(chunk, a.d_state, n, a.d_inner, channel);
    }

    __device__ __forceinline__ void get(const float *states, int chunk, float *h) const
    {
#pragma unroll
        for (int n = 0; n < N; n++) {
            h[n] = live && n < a.d_state ? states[number(chunk, n)] : 0.0F;
        }
    }

    __device__ __forceinline__ void put_state(float *states, int chunk, const float *h) const
    {
#pragma unroll
        for (int n = 0; n < N; n++) {
            if (live && n < a.d_state) {
                states[number(chunk, n)] = h[n];
            }
        }
    }

    /* Moves h through the rows without those of the edge set. Returns the sum of delta. */
    __device__ float collect(const struct row_list &list, float *h)
    {
        float sum = 0.0F, span = 0.0F; /* span: since the last row that h took */
        for (int k = 0; k < list.n; k += TILE) {
            load(list, k, false);
            const int n = min(TILE, list.n - k);
#pragma unroll
            for (int r = 0; r < TILE; r++) {
                if (r < n) {
                    sum += delta[r];
                    span += delta[r];
                    if (!tile.row[first + r].removed) {
                        advance(r, span, delta[r] * u[r], h);
                        span = 0.0F;
                    }
                }
            }
        }
        if (list.n > 0 && tile.row[(list.n - 1) % DESCRIBED].removed) {
            fade(span, h);
        }
        return sum;
    }

    /* h' before chunk `n` of a trunk, whose chunks begin with number `from`. The states before the
       first chunk with sources are h. */
    __device__ void collect_chunks(const struct chunk_memory &memory, int trunk_row, int edge_set,
                                   int from, int n, float *without)
    {
        bool apart = false;
        for (int k = 0; k < n; k++) {
            if (k % SORTED == 0) {
                __syncthreads();
                for (int c = (int)threadIdx.x / 32; c < min(SORTED, n - k); c += THREADS / 32) {
                    tile.sources[c] = sources_in(rows, edge_set, (k + c) * CHUNK, CHUNK);
                }
                __syncthreads();
            }
            const int sources = tile.sources[k % SORTED];
            if (!apart && sources == NO_SOURCES) {
                continue;
            }
            if (!apart) {
                get(memory.state, from + k, without);
                apart = true;
            }
            const float span = live ? memory.span[ko_at(from + k, a.d_inner, channel)] : 0.0F;
            if (sources == NO_SOURCES) {
                float input[N];
                get(memory.input, from + k, input);
#pragma unroll
                for (int s = 0; s < N; s++) {
                    without[s] = fmaf(power_of_two(decay[s] * span), without[s], input[s]);
                }
            } else if (sources == ONLY_SOURCES) {
                fade(span, without);
            } else {
                const struct row_list list = {
                    trunk_row + k * CHUNK, CHUNK, false, k * CHUNK, edge_set, -1};
                (void)collect(list, without);
            }
        }
        if (!apart) {
            get(memory.state, from + n, without);
        }
    }

    /* A trunk's rows after the state h, with their results. */
    __device__ void trunk(const struct row_list &list, float *h)
    {
        for (int k = 0; k < list.n; k += TILE) {
            load(list, k, true);
            const int n = min(TILE, list.n - k);
#pragma unroll
            for (int r = 0; r < TILE; r++) {
                if (r < n) {
                    put(r, z[r], u[r], step(r, delta[r], u[r], h));
                }
            }
        }
    }

    /* A long trunk's rows, with all that is known of its chunks afterwards: the same numbers as where
       blocks of their own walk the chunks. */
    __device__ void chunks(const struct chunk_memory &memory, int trunk_row, int from, int n)
    {
        float before[N] = {0.0F};
        for (int k = 0; k < n; k += CHUNK, from++) {
            const struct row_list list = {trunk_row + k, min(CHUNK, n - k), false, k, -1, -1};
            float h[N], input[N], span = 0.0F;
#pragma unroll
            for (int s = 0; s < N; s++) {
                h[s] = before[s];
                input[s] = 0.0F;
            }
            put_state(memory.state, from, before);
            for (int row = 0; row < list.n; row += TILE) {
                load(list, row, true);
                const int left = min(TILE, list.n - row);
#pragma unroll
                for (int r = 0; r < TILE; r++) {
                    if (r < left) {
                        span += delta[r];
                        put(r, z[r], u[r], step_twice(r, delta[r], u[r], h, input));
                    }
                }
            }
            put_state(memory.input, from, input);
            if (live) {
                memory.span[ko_at(from, a.d_inner, channel)] = span;
            }
#pragma unroll
            for (int s = 0; s < N; s++) {
                before[s] = fmaf(power_of_two(decay[s] * span), before[s], input[s]);
            }
        }
    }

    /* Moves both states through the trunk's rows before t0. */
    __device__ void walk(const struct row_list &list, float *h, float *without)
    {
        for (int k = 0; k < list.n; k += TILE) {
            load(list, k, false);
            const int n = min(TILE, list.n - k);
#pragma unroll
            for (int r = 0; r < TILE; r++) {
                if (r < n) {
                    (void)step_both(r, delta[r], u[r], false, h, without);
                }
            }
        }
    }

    /* Branches of one row each, which leave the states as they are. */
    __device__ void single_rows(const struct row_list &list, const float *h, const float *without)
    {
        for (int k = 0; k < list.n; k += TILE) {
            load(list, k, true);
            const int n = min(TILE, list.n - k);
#pragma unroll
            for (int r = 0; r < TILE; r++) {
                if (r < n) {
                    const float du = delta[r] * u[r];
                    const bool reads = reads_without(r);
                    const bool input =
                        !reads || !tile.row[first + r].removed || tile.row[first + r].own;
                    const float y = reads ? look(r, delta[r], input ? du : 0.0F, without)
                                          : look(r, delta[r], du, h);
                    put(r, z[r], u[r], y);
                }
            }
        }
    }

    /* The rows of a branch's path from t0 on. */
    __device__ void many_rows(const struct row_list &list, const float *h0, const float *without0)
    {
        float h[N], without[N];
#pragma unroll
        for (int n = 0; n < N; n++) {
            h[n] = h0[n];
            without[n] = without0[n];
        }
        for (int k = 0; k < list.n; k += TILE) {
            load(list, k, true);
            const int n = min(TILE, list.n - k);
#pragma unroll
            for (int r = 0; r < TILE; r++) {
                if (r < n) {
                    const bool reads = reads_without(r);
                    put(r, z[r], u[r], step_both(r, delta[r], u[r], reads, h, without));
                }
            }
        }
    }
};

#endif
