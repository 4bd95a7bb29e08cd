/* SPDX-License-Identifier: Apache-2.0 */
// Mamba-1's selective scan over trunk and branches. A channel a thread, its states in registers; a
// block is one item of the tables (blockIdx.x) and THREADS channels (blockIdx.y).
//
// An item's trunk rows before t0 are walked once, with h and with h', the state without the inputs
// of the item's source set; all branches of the item go on from there. No state goes to memory.
// Rows come in tiles: what all channels share of a row goes through shared memory (where it lies,
// for DESCRIBED rows at a time; B and C, in two buffers that take turns), what is a channel's own
// is loaded for the whole tile before the first use.
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
    int row;      // where its result goes
    int source;   // of u, delta, B and C
    int source_z; // of z
    int mask;     // of the features that read h'; -1: all
    bool reads;   // in its window, a target: masked channels read h'
    bool removed; // a source: h' does not take its input
    bool own;     // ... but the row itself reads it (`later`)
};

template <int N> struct tile {
    struct tile_row row[DESCRIBED];
    float b[2][TILE][N], c[2][TILE][N];
};

// The rows of one branch or of a trunk, or the single rows of an item's branches, one by one.
struct row_list {
    int first, n;     // rows first .. first + n - 1, or entries of item_branch
    bool single_rows; // ... of branches of one row each
    int position;     // of the first row
    int edge_set;     // -1: none
    int branch;       // whose rows they are, -1: a trunk's
};

template <int N> struct scan {
    const struct ko_cuda_rows &rows;
    const struct layer_rows &at;
    const struct ko_mamba1 &a;
    struct tile<N> &tile;
    int channel;
    bool live;      // the channel exists
    float decay[N]; // log2(e) A[c, n]
    float d;
    float delta[TILE], u[TILE], z[TILE];
    int first, turn; // of the tile: its first description, its buffer

    // One thread's part: what row k of the list is.
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
            const size_t edge = (size_t)list.edge_set * (size_t)rows.max_tokens + (size_t)i;
            const bool later = rows.later[list.edge_set] != 0;
            t.removed = rows.source[edge] != 0;
            t.own = later && t.removed;
            if (b >= 0 && in_window(rows.branches[b], a.layer)) {
                t.mask = rows.branches[b].mask;
                t.reads = later || rows.target[edge] != 0;
            }
        }
        return t;
    }

    // Rows [k, k + TILE) of the list. All threads of the block. Who passes the barrier at the end
    // knows that all have done with the tile before; the buffers take turns so that they need not
    // wait for it to begin.
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
            const size_t from = (size_t)tile.row[first + r].source * (size_t)a.ld_bc + (size_t)s;
            tile.b[turn][r][s] = s < a.d_state ? a.b[from] : 0.0F;
            tile.c[turn][r][s] = s < a.d_state ? a.c[from] : 0.0F;
        }
#pragma unroll
        for (int r = 0; r < TILE; r++) {
            delta[r] = u[r] = z[r] = 0.0F;
            if (r < n && live) {
                const struct tile_row &t = tile.row[first + r];
                const size_t own = (size_t)t.source * (size_t)a.d_inner + (size_t)channel;
                delta[r] = a.delta[own];
                u[r] = a.u[own];
                if (with_z) {
                    z[r] = a.z[(size_t)t.source_z * (size_t)a.ld_z + (size_t)channel];
                }
            }
        }
        __syncthreads();
    }

    // h <- decay h + input; sum_n C[n] h[n] is the result.
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

    // The same with h' beside it; the result is C h, or C h' with the row's own input where it is
    // to be read.
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

    // What follows the states: sum_n C[n] (decay h[n] + input), nothing is kept.
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
        const size_t mask = (size_t)t.mask * (size_t)rows.n_layers + (size_t)a.layer;
        return t.mask < 0 || a.masks[mask * (size_t)a.d_inner + (size_t)channel] != 0;
    }

    __device__ __forceinline__ void put(int r, float z_r, float u_r, float y) const
    {
        if (live) {
            a.out[(size_t)tile.row[first + r].row * (size_t)a.d_inner + (size_t)channel] =
                (y + d * u_r) * silu_of(z_r);
        }
    }

    // A trunk's rows, each put out.
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

    // Both states through the trunk's rows before t0.
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

    // Branches of one row each: they only look at the states.
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

// The item's branches that are active in this layer: they ascend, so these are its first.
static __device__ int count_active(const struct ko_cuda_rows &rows, const struct layer_rows &at,
                                   const struct ko_scan_item &item)
{
    int low = 0, high = item.n;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (rows.item_branch[item.first + middle] < at.n_branches_active) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

template <int N>
static __global__ void __launch_bounds__(THREADS, N <= 16 ? 4 : 1)
    scan_items(struct ko_cuda_rows rows, struct layer_rows at, struct ko_mamba1 a)
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
        s.decay[n] =
            live && n < a.d_state
                ? 1.44269504088896340736F * a.a[(size_t)n * (size_t)a.d_inner + (size_t)channel]
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
static void launch(struct ko_backend *be, const struct layer_rows &at, const struct ko_mamba1 *args)
{
    const dim3 grid((unsigned)be->rows.n_items, blocks_for((size_t)args->d_inner, THREADS));
    scan_items<N><<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args);
}

enum ko_code ko_cuda_mamba1(struct ko_backend *be, const struct ko_mamba1 *args,
                            struct ko_error *err)
{
    const struct layer_rows at = rows_of_layer(be->wave, args->layer);
    if (at.n_active == 0) {
        return KO_OK;
    }
    if (args->d_state <= 8) {
        launch<8>(be, at, args);
    } else if (args->d_state <= 16) {
        launch<16>(be, at, args);
    } else if (args->d_state <= 32) {
        launch<32>(be, at, args);
    } else if (args->d_state <= 128) {
        launch<128>(be, at, args);
    } else {
        return ko_fail(err, KO_E_INPUT,
                       "backend: cuda scans up to 128 states a channel, the model has %d, choose "
                       "--backend cpu",
                       args->d_state);
    }
    return ko_cuda_launched(be, "mamba1", err);
}
