/* SPDX-License-Identifier: Apache-2.0 */
// Mamba-1's selective scan over trunk and branches. A thread computes one channel and keeps its
// states in registers. A block computes one item of the tables (blockIdx.x) for THREADS channels
// (blockIdx.y).
//
// The block first walks the item's trunk rows before t0, with h and with h', the state without the
// inputs of the item's source set. All branches of the item start from these states. No state is
// written to memory. Rows are loaded in tiles. Shared memory holds what all channels need: the
// descriptions of DESCRIBED rows, and B and C in two buffers that take turns. What belongs to one
// channel is loaded into registers for the whole tile before its first use.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

enum { THREADS = 128, TILE = 4, DESCRIBED = 64 };

// 2^x, relative error below 2^-22 (PTX ISA, ex2.approx); results below 2^-126 become 0.
static __device__ __forceinline__ float power_of_two(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// One row of a tile, for all channels.
struct tile_row {
    int row;      // row of the result
    int source;   // row of u, delta, B and C
    int source_z; // row of z
    int mask;     // mask of the channels that read h'; -1: all do
    bool reads;   // a target in its branch's window: masked channels read h'
    bool removed; // a source: h' does not take its input
    bool own;     // ... but the row itself reads its own input (`later`)
};

template <int N> struct tile {
    struct tile_row row[DESCRIBED];
    float b[2][TILE][N], c[2][TILE][N];
};

// The rows of one branch or of a trunk, or the rows of an item's branches that have one row each.
struct row_list {
    int first, n;     // the rows [first, first + n); with single_rows: entries of item_branch
    bool single_rows; // each entry is a branch of one row
    int position;     // of the first row
    int edge_set;     // -1: none
    int branch;       // the branch of the rows; -1: the trunk
};

template <int N> struct scan {
    const struct ko_cuda_rows &rows;
    const struct stage_rows &at;
    const struct ko_mamba1 &a;
    struct tile<N> &tile;
    int channel;
    bool live;      // the channel exists
    float decay[N]; // log2(e) A[c, n]
    float d;
    float delta[TILE], u[TILE], z[TILE];
    int first, turn; // the tile's first description, and its buffer

    // Describes row k of the list.
    __device__ struct tile_row describe(const struct row_list &list, int k) const
    {
        struct tile_row t;
        const int b = list.single_rows ? rows.item_branch[list.first + k] : list.branch;
        const int i = list.single_rows ? list.position : list.position + k;
        t.row = list.single_rows ? rows.branches[b].first_row : list.first + k;
        t.source = source_row_after_conv(rows, at, t.row);
        t.source_z = source_row(rows, at, t.row);
        t.mask = -1;
        t.reads = t.removed = t.own = false;
        if (list.edge_set >= 0) {
            const size_t edge = ko_at(list.edge_set, rows.max_tokens, i);
            t.removed = rows.source[edge] != 0;
            t.own = t.removed && rows.later[list.edge_set] != 0;
            if (b >= 0 && branch_cuts(rows.branches[b], a.stage, KO_MIXER_SSM)) {
                t.mask = rows.branches[b].mask;
                t.reads = rows.target[edge] != 0;
            }
        }
        return t;
    }

    // Loads the rows [k, k + TILE) of the list; all threads of the block call it. The barrier at
    // the end also ensures that no thread still reads the tile before. Since the buffers take
    // turns, no barrier is needed at the beginning.
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

    // h <- decay h + input. Returns sum_n C[n] h[n].
    __device__ __forceinline__ float step(int r, float delta_r, float u_r, float *h) const
    {
        const float du = delta_r * u_r;
        float y = 0.0F;
#pragma unroll
        for (int n = 0; n < N; n++) {
            h[n] = power_of_two(decay[n] * delta_r) * h[n] + du * tile.b[turn][r][n];
            y += tile.c[turn][r][n] * h[n];
        }
        return y;
    }

    // The same for h and h'. Returns C h, or for a row that reads h' C h', with the row's own input
    // if it is to be read.
    __device__ __forceinline__ float step_both(int r, float delta_r, float u_r, bool reads,
                                               float *h, float *without) const
    {
        const float du = delta_r * u_r, du_without = tile.row[first + r].removed ? 0.0F : du;
        float y = 0.0F, y_without = 0.0F, y_own = 0.0F;
#pragma unroll
        for (int n = 0; n < N; n++) {
            const float e = power_of_two(decay[n] * delta_r), b = tile.b[turn][r][n],
                        c = tile.c[turn][r][n];
            h[n] = e * h[n] + du * b;
            without[n] = e * without[n] + du_without * b;
            y += c * h[n];
            y_without += c * without[n];
            y_own += c * b;
        }
        return !reads ? y : tile.row[first + r].own ? y_without + du * y_own : y_without;
    }

    // Returns sum_n C[n] (decay h[n] + input), and leaves the state as it is.
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
        if (live) {
            a.out[ko_at(tile.row[first + r].row, a.d_inner, channel)] =
                (y + d * u_r) * silu_of(z_r);
        }
    }

    // A trunk's rows, with their results.
    __device__ void trunk(const struct row_list &list)
    {
        float h[N] = {0.0F};
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

    // Moves both states through the trunk's rows before t0.
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

    // Branches of one row each, which leave the states as they are.
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

    // A branch of several rows.
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

template <int N>
static __global__ void __launch_bounds__(THREADS, N <= 16 ? 4 : 1)
    scan_items(struct ko_cuda_rows rows, struct stage_rows at, struct ko_mamba1 a)
{
    __shared__ struct tile<N> tile;
    const struct ko_scan_item item = rows.items[blockIdx.x];
    const int n_active = item.n > 0 ? count_active(rows, at, item) : 0;
    if (item.n > 0 && n_active == 0) {
        return;
    }
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
    const int trunk = rows.trunk_first[item.prompt];
    const struct row_list before = {trunk, item.t0, false, 0, item.edge_set, -1};
    if (item.n == 0) {
        s.trunk(before);
        return;
    }
    float h[N] = {0.0F}, without[N] = {0.0F};
    s.walk(before, h, without);
    const int n_rows = rows.n_tokens[item.prompt] - item.t0;
    if (n_rows == 1) {
        const struct row_list all = {item.first, n_active, true, item.t0, item.edge_set, -1};
        s.single_rows(all, h, without);
        return;
    }
    for (int k = 0; k < n_active; k++) {
        const int b = rows.item_branch[item.first + k];
        const struct row_list own = {
            rows.branches[b].first_row, n_rows, false, item.t0, item.edge_set, b};
        s.many_rows(own, h, without);
    }
}

template <int N>
static void launch_scan(struct ko_backend *be, const struct stage_rows &at,
                        const struct ko_mamba1 *args)
{
    const dim3 grid((unsigned)be->rows.n_items, blocks_for((size_t)args->d_inner, THREADS));
    scan_items<N><<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args);
}

enum ko_code ko_cuda_mamba1(struct ko_backend *be, const struct ko_mamba1 *args,
                            struct ko_error *err)
{
    const struct stage_rows at = rows_of_stage(be->wave, args->stage);
    if (at.n_active == 0) {
        return KO_OK;
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
