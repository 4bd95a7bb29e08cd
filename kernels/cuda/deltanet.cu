/* SPDX-License-Identifier: Apache-2.0 */
// The gated delta rule over trunk and branches. The columns of a head's state do not depend on each
// other. A block computes one item of the tables (blockIdx.x) in some columns of one head
// (blockIdx.y). It carries one of the two states (blockIdx.z), S or S', and computes the rows that
// read it; a block without such rows ends at once.
//
// The block first walks the item's trunk rows before t0. All branches of the item start from this
// state. A fork first walks the rows that it shares with its stem, whose results another item writes.
// No state is written to global memory. LANES neighbouring threads share C columns of the state: each
// holds R of the d_key numbers of a column in registers. Rows are loaded in tiles. While a tile is
// computed, each warp already reads its row of the next one into registers; then it norms q and k, and
// writes the row to the other of two buffers in shared memory.
//
// Where a head has one decay, a long trunk goes in chunks instead (deltanet_chunk.cuh).
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/deltanet_chunk.cuh"
#include "kernels/cuda/device.cuh"

enum { TILE = WARPS };

// One row of a tile, for all columns.
struct tile_row {
    int row;     // row of the result
    bool writes; // v is written into the state
    bool own;    // it is not, but the row itself reads its own write (`later`)
    bool reads;  // the row reads the block's state; a row of a fork's stem does so in another item
    float beta, decay;
    float own_weight; // beta q . k
};

template <int R, int C> struct tile {
    float4 q[2][TILE][LANES * R / 4], k[2][TILE][LANES * R / 4], decay[2][TILE][LANES * R / 4];
    float v[2][TILE][C * THREADS / LANES];
    struct tile_row row[2][TILE];
    float start[C * R][THREADS]; // the state before the branches
};

// What a block has in shared memory: the two take turns.
template <int R, int C, bool CHUNKED> union memory {
    struct tile<R, C> tile;
};
template <int R, int C> union memory<R, C, true> {
    struct tile<R, C> tile;
    struct chunk<R> chunk;
};

// Rows of a trunk, or of the path of one branch, or the rows of an item's branches that have one row
// each.
struct row_list {
    // A trunk's rows [first, first + n). With single_rows, entries of item_branch. Of a branch's path: n
    // rows, and first is not read.
    int first, n;
    bool single_rows; // each entry is a branch of one row
    int position;     // of the first row
    int edge_set;     // -1: none
    int branch;       // the branch of the rows; -1: the trunk
};

// A row as a warp reads it. Lane l has the keys l, l + 32, .., and the value of column l of the
// block, and with 64 columns that of column l + 32.
template <int R, int C> struct raw_row {
    struct tile_row row;
    float q[R / 4], k[R / 4], dt[R / 4], v[(C + 1) / 2], beta;
};

template <int R, int C, bool PER_CHANNEL> struct scan {
    const struct ko_cuda_rows &rows;
    const struct stage_rows &at;
    const struct ko_deltanet &a;
    struct tile<R, C> &tile;
    int head, column; // the block's first column in the head
    bool without;     // the block's state is S'
    int turn;         // the buffer
    struct raw_row<R, C> next;

    __device__ __forceinline__ int key_head() const
    {
        return (int)((size_t)head * (size_t)a.n_key_heads / (size_t)a.n_heads);
    }

    // Whether the branch loses edges in this head.
    __device__ __forceinline__ bool is_cut(int b) const
    {
        const struct ko_branch branch = rows.branches[b];
        return branch.edge_set >= 0 && branch_cuts(branch, a.stage, KO_MIXER_SSM) &&
               is_masked(rows, branch, a.masks, a.stage, a.n_heads, head);
    }

    // Whether position i reads S' in a branch that loses edges.
    __device__ __forceinline__ bool is_target(int edge_set, int i) const
    {
        return edge_set >= 0 && rows.target[ko_at(edge_set, rows.max_tokens, i)] != 0;
    }

    // Describes row k of the list.
    __device__ __forceinline__ struct tile_row describe(const struct row_list &list, int k) const
    {
        struct tile_row t = {};
        const int b = list.single_rows ? rows.item_branch[list.first + k] : list.branch;
        const int i = list.single_rows ? list.position : list.position + k;
        const bool removed = without && rows.source[ko_at(list.edge_set, rows.max_tokens, i)] != 0;
        t.row = b >= 0 ? branch_row(rows.branches[b], i) : list.first + k;
        t.writes = !removed;
        t.own = removed && rows.later[list.edge_set] != 0;
        const bool cut = b >= 0 && is_cut(b);
        t.reads = without == (cut && is_target(list.edge_set, i)) &&
                  (b < 0 || (i >= rows.branches[b].first_position &&
                             item_writes(rows, rows.branches[b], list.edge_set, cut, i)));
        return t;
    }

    // Each warp reads one of the rows [k, k + TILE) of the list into `next`.
    __device__ __forceinline__ void fetch(const struct row_list &list, int k)
    {
        const int lane = (int)threadIdx.x % 32;
        k += (int)threadIdx.x / 32;
        if (k >= list.n) {
            return;
        }
        next.row = describe(list, k);
        const int source = source_row_after_conv(rows, at, next.row.row);
        const int projected = source_row(rows, at, next.row.row);
        const size_t key = ko_at(source, a.ld, key_head() * a.d_key);
#pragma unroll
        for (int p = 0; p < R / 4; p++) {
            const int n = lane + 32 * p;
            const bool live = n < a.d_key;
            const int channel = PER_CHANNEL ? head * a.d_key + n : head;
            next.q[p] = live ? a.q[key + (size_t)n] : 0.0F;
            next.k[p] = live ? a.k[key + (size_t)n] : 0.0F;
            if (PER_CHANNEL ? live : p == 0) {
                next.dt[p] = a.dt[ko_at(projected, a.ld_dt, channel)] + a.dt_bias[channel];
            }
        }
#pragma unroll
        for (int p = 0; p < (C + 1) / 2; p++) {
            const int c = column + lane + 32 * p;
            next.v[p] = c < a.d_value ? a.v[ko_at(source, a.ld, head * a.d_value + c)] : 0.0F;
        }
        next.beta = a.beta[ko_at(projected, a.ld_beta, head)];
    }

    // Writes `next`, with the norms, to the tile's row of this warp.
    __device__ __forceinline__ void store()
    {
        const int r = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
        float qq = 0.0F, kk = 0.0F, qk = 0.0F;
#pragma unroll
        for (int p = 0; p < R / 4; p++) {
            qq += next.q[p] * next.q[p];
            kk += next.k[p] * next.k[p];
            qk += next.q[p] * next.k[p];
        }
        const float scale_q = 1.0F / sqrtf((warp_sum(qq) + 1e-6F) * (float)a.d_key);
        const float scale_k = 1.0F / sqrtf(warp_sum(kk) + 1e-6F);
        float *q = (float *)tile.q[turn][r], *k = (float *)tile.k[turn][r];
        float *decay = (float *)tile.decay[turn][r];
#pragma unroll
        for (int p = 0; p < R / 4; p++) {
            q[lane + 32 * p] = next.q[p] * scale_q;
            k[lane + 32 * p] = next.k[p] * scale_k;
            if (PER_CHANNEL) {
                const bool live = lane + 32 * p < a.d_key;
                decay[lane + 32 * p] = live ? expf(a.a[head] * softplus_of(next.dt[p])) : 0.0F;
            }
        }
#pragma unroll
        for (int p = 0; p < (C + 1) / 2; p++) {
            if (lane + 32 * p < C * THREADS / LANES) {
                tile.v[turn][r][lane + 32 * p] = next.v[p];
            }
        }
        next.row.beta = 1.0F / (1.0F + expf(-next.beta));
        next.row.decay = PER_CHANNEL ? 0.0F : expf(a.a[head] * softplus_of(next.dt[0]));
        next.row.own_weight = next.row.beta * (warp_sum(qk) * scale_q * scale_k);
        if (lane == 0) {
            tile.row[turn][r] = next.row;
        }
    }

    // Four of this thread's keys in a row of the tile.
    static __device__ __forceinline__ void load_keys(const float4 *from, int j, float (&to)[4])
    {
        const float4 four = from[(int)threadIdx.x % LANES + LANES * j];
        to[0] = four.x;
        to[1] = four.y;
        to[2] = four.z;
        to[3] = four.w;
    }

    __device__ __forceinline__ void load_decay(int r, int j, float (&to)[4]) const
    {
        if (PER_CHANNEL) {
            load_keys(tile.decay[turn][r], j, to);
        } else {
            to[0] = to[1] = to[2] = to[3] = tile.row[turn][r].decay;
        }
    }

    // The sum over the LANES threads that share columns, in each of them.
    static __device__ __forceinline__ float lanes_sum(float x)
    {
        for (int step = LANES / 2; step > 0; step /= 2) {
            x += __shfl_xor_sync(0xFFFFFFFFU, x, step);
        }
        return x;
    }

    // Writes the row's results, of which y is this thread's part.
    __device__ __forceinline__ void put(int r, const float *v, float (&y)[C]) const
    {
        const struct tile_row &t = tile.row[turn][r];
        const int lane = (int)threadIdx.x % LANES;
        float result = 0.0F;
#pragma unroll
        for (int c = 0; c < C; c++) {
            const float sum = lanes_sum(y[c]);
            const float own = t.own ? t.own_weight * v[c] : 0.0F;
            result = lane == c ? sum + own : result;
        }
        const int c = column + (int)threadIdx.x / LANES * C + lane;
        if (lane < C && c < a.d_value) {
            a.out[ko_at3(t.row, a.n_heads, head, a.d_value, c)] = result;
        }
    }

    // s <- D s if KEEP. u becomes this thread's part of (D s)^T k.
    template <bool KEEP>
    __device__ __forceinline__ void decay_state(int r, float (&s)[C][R], float (&u)[C]) const
    {
#pragma unroll
        for (int j = 0; j < R / 4; j++) {
            float k[4], decay[4];
            load_keys(tile.k[turn][r], j, k);
            load_decay(r, j, decay);
#pragma unroll
            for (int e = 0; e < 4; e++) {
#pragma unroll
                for (int c = 0; c < C; c++) {
                    const float decayed = decay[e] * s[c][4 * j + e];
                    u[c] = fmaf(k[e], decayed, u[c]);
                    s[c][4 * j + e] = KEEP ? decayed : s[c][4 * j + e];
                }
            }
        }
    }

    // s <- s + k u if KEEP, else the same for D s, which is not kept. READ: y becomes this thread's
    // part of s^T q.
    template <bool KEEP, bool READ>
    __device__ __forceinline__ void write_state(int r, const float (&u)[C], float (&s)[C][R],
                                                float (&y)[C]) const
    {
#pragma unroll
        for (int j = 0; j < R / 4; j++) {
            float q[4] = {}, k[4], decay[4] = {};
            load_keys(tile.k[turn][r], j, k);
            if (READ) {
                load_keys(tile.q[turn][r], j, q);
            }
            if (!KEEP) {
                load_decay(r, j, decay);
            }
#pragma unroll
            for (int e = 0; e < 4; e++) {
#pragma unroll
                for (int c = 0; c < C; c++) {
                    const float before = s[c][4 * j + e];
                    const float state = fmaf(k[e], u[c], KEEP ? before : decay[e] * before);
                    y[c] = READ ? fmaf(q[e], state, y[c]) : 0.0F;
                    s[c][4 * j + e] = KEEP ? state : before;
                }
            }
        }
    }

    // One row of the tile: s <- D s + k u, where u = beta (v - (D s)^T k). KEEP: the state is
    // changed. READ: rows that read the state are written.
    template <bool KEEP, bool READ> __device__ __forceinline__ void step(int r, float (&s)[C][R])
    {
        const struct tile_row &t = tile.row[turn][r];
        const float *v = &tile.v[turn][r][(int)threadIdx.x / LANES * C];
        float u[C] = {}, y[C] = {};
        if (!KEEP && !t.reads) {
            return;
        }
        decay_state<KEEP>(r, s, u);
#pragma unroll
        for (int c = 0; c < C; c++) {
            const float read = lanes_sum(u[c]);
            u[c] = t.beta * (t.writes ? v[c] - read : -read);
        }
        write_state<KEEP, READ>(r, u, s, y);
        if (READ && t.reads) {
            put(r, v, y);
        }
    }

    // The rows of the list, one after the other, or without KEEP all from the same state. The
    // barrier also ensures that no thread still reads the tile before the last one, whose buffer is
    // written next.
    template <bool KEEP, bool READ>
    __device__ __forceinline__ void walk(const struct row_list &list, float (&s)[C][R])
    {
        fetch(list, 0);
        for (int k = 0; k < list.n; k += TILE) {
            if (k + (int)threadIdx.x / 32 < list.n) {
                store();
            }
            __syncthreads();
            fetch(list, k + TILE);
            const int n = min(TILE, list.n - k);
#pragma unroll 1
            for (int r = 0; r < n; r++) {
                step<KEEP, READ>(r, s);
            }
            turn ^= 1;
        }
    }

    // The trunk's rows, or those of the branches' paths from t0 on, each from the state s.
    __device__ __forceinline__ void many_rows(const struct ko_scan_item &item, int n_active,
                                              const bool (&reads)[2], float (&s)[C][R])
    {
#pragma unroll
        for (int e = 0; e < C * R; e++) {
            tile.start[e][threadIdx.x] = s[e / R][e % R];
        }
        for (int k = 0; k < (item.n > 0 ? n_active : 1); k++) {
            struct row_list own = {
                rows.trunk_first[item.prompt], item.n_shared + item.n_rows, false, 0, -1, -1};
            if (item.n > 0) {
                own.branch = rows.item_branch[item.first + k];
                own.position = item.t0;
                own.edge_set = item.edge_set;
                if (!reads[is_cut(own.branch)]) {
                    continue;
                }
            }
#pragma unroll
            for (int e = 0; e < C * R; e++) {
                s[e / R][e % R] = tile.start[e][threadIdx.x];
            }
            walk<true, true>(own, s);
        }
    }

    // reads[0], reads[1]: whether a branch that keeps, or loses, edges in this head has rows that
    // read the block's state. Returns whether the item has such a branch. All threads call it.
    __device__ __forceinline__ bool find_readers(const struct ko_scan_item &item, int n_active,
                                                 bool (&reads)[2]) const
    {
        bool target = false, other = false, cut = false, whole = false;
        for (int k = (int)threadIdx.x; k < item.n_rows; k += THREADS) {
            const bool is = is_target(item.edge_set, item.t0 + item.n_shared + k);
            target = target || is;
            other = other || !is;
        }
        for (int k = (int)threadIdx.x; k < n_active; k += THREADS) {
            const bool is = is_cut(rows.item_branch[item.first + k]);
            cut = cut || is;
            whole = whole || !is;
        }
        target = __syncthreads_or(target) != 0;
        other = __syncthreads_or(other) != 0;
        cut = __syncthreads_or(cut) != 0;
        whole = __syncthreads_or(whole) != 0;
        reads[0] = !without;
        reads[1] = without ? target : other;
        return (whole && reads[0]) || (cut && reads[1]);
    }
};

// Walks over the list, the first rows of a trunk, in chunks. Returns whether it did so: not every
// block can, and a short list is left for `walk`.
template <bool READ, int R>
static __device__ __forceinline__ bool walk_chunks(const struct scan<R, MINE, false> &scan,
                                                   union memory<R, MINE, true> &memory,
                                                   const struct row_list &list, float (&s)[MINE][R])
{
    if (list.n < CHUNKED_FROM) {
        return false;
    }
    struct chunk_walk<R> chunks = {
        scan.rows, scan.a, memory.chunk, scan.head, scan.column
    };
    chunks.key = scan.key_head() * scan.a.d_key;
    chunks.first = list.first;
    chunks.n = list.n;
    chunks.edge_set = scan.without ? list.edge_set : -1;
    chunks.template walk<READ>(s);
    return true;
}

template <bool READ, int R, int C, bool PER_CHANNEL>
static __device__ __forceinline__ bool walk_chunks(const struct scan<R, C, PER_CHANNEL> &,
                                                   union memory<R, C, false> &,
                                                   const struct row_list &, float (&)[C][R])
{
    return false;
}

template <int R, int C, bool PER_CHANNEL>
static __global__ void __launch_bounds__(THREADS, 3)
    scan_items(struct ko_cuda_rows rows, struct stage_rows at, struct ko_deltanet a)
{
    __shared__ union memory<R, C, !PER_CHANNEL && C == MINE> memory;
    const struct ko_scan_item item = rows.items[blockIdx.x];
    const int n_active = item.n > 0 ? count_active(rows, at, item) : 0;
    const bool without = blockIdx.z > 0;
    if (item.n > 0 ? n_active == 0 : without) {
        return;
    }
    const int columns = C * THREADS / LANES, slices = (a.d_value + columns - 1) / columns;
    const int head = (int)blockIdx.y / slices, column = (int)blockIdx.y % slices * columns;
    struct scan<R, C, PER_CHANNEL> scan = {
        rows, at, a, memory.tile, head, column, without, 0,
        {
        }
    };
    float s[C][R] = {};
    bool reads[2] = {true, true};
    const struct row_list before = {
        rows.trunk_first[item.prompt], item.t0, false, 0, item.edge_set, -1};
    if (item.n == 0 && walk_chunks<true>(scan, memory, before, s)) {
        return; // here t0 is the end of the trunk
    }
    if (item.n > 0) {
        if (!scan.find_readers(item, n_active, reads)) {
            return;
        }
        if (!walk_chunks<false>(scan, memory, before, s)) {
            scan.template walk<true, false>(before, s);
        }
    }
    if (item.n > 0 && item.n_shared == 0 && item.n_rows == 1) {
        const struct row_list all = {item.first, n_active, true, item.t0, item.edge_set, -1};
        scan.template walk<false, true>(all, s);
    } else {
        scan.many_rows(item, n_active, reads, s);
    }
}

template <int R, int C>
static void launch_scan(struct ko_backend *be, const struct stage_rows &at,
                        const struct ko_deltanet *args)
{
    const unsigned slices = blocks_for((size_t)args->d_value, C * THREADS / LANES);
    const dim3 grid((unsigned)be->rows.n_items, (unsigned)args->n_heads * slices, 2);
    if (args->per_channel) {
        scan_items<R, C, true><<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args);
    } else {
        scan_items<R, C, false><<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args);
    }
}

enum ko_code ko_cuda_deltanet(struct ko_backend *be, const struct ko_deltanet *args,
                              struct ko_error *err)
{
    const struct stage_rows at = rows_of_stage(be->wave, args->stage);
    if (at.n_active == 0) {
        return KO_OK;
    }
    if (args->d_key <= 32) {
        launch_scan<4, 4>(be, at, args);
    } else if (args->d_key <= 64) {
        launch_scan<8, 4>(be, at, args);
    } else if (args->d_key <= 128) {
        launch_scan<16, 4>(be, at, args);
    } else if (args->d_key <= 256) {
        launch_scan<32, 1>(be, at, args);
    } else {
        return ko_fail(err, KO_E_INPUT,
                       "backend: cuda has states for keys of up to 256 numbers, the model has %d, "
                       "choose --backend cpu",
                       args->d_key);
    }
    return ko_cuda_launched(be, "deltanet", err);
}
