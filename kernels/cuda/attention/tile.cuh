/* SPDX-License-Identifier: Apache-2.0 */
/* Attention in tiles, for prompts with more than KO_CUDA_SHORT tokens. A block computes one tile: up
   to 64 queries, which are rows of one prompt times the heads that share a key head. It passes over
   tiles of keys with a running softmax (Milakov & Gimelshein 2018; Dao et al. 2022), so memory and
   work are linear in the tokens of a row. Rows of different branches are in one tile and share each
   tile of the trunk's keys; masks of a bit a key tell them apart.

   The keys of a trunk row are all the trunk's. A branch's row has two kinds of keys: the trunk's before
   its t0, and its own up to itself. Its own keys are its branch's; those of a fork begin with the rows
   that it shares with its stem. In the order of places (struct ko_cuda_rows) the rows of a branch are
   neighbours, and its forks follow it. So the own keys of all rows of a tile lie in a range of places.
   Those of one row are a range within, which for a fork has a hole: the rows between its stem's last
   shared row and its own first row. */
#ifndef KO_KERNELS_CUDA_ATTENTION_TILE_CUH
#define KO_KERNELS_CUDA_ATTENTION_TILE_CUH

#include "kernels/cuda/attention/seen.cuh"

/* Starts a copy that copies_wait waits for: 16 or 4 bytes to shared memory, zeros where `there` is
   false. */
template <int BYTES>
static __device__ __forceinline__ void copy_later(float *to, const float *from, bool there)
{
    const uint32_t address = (uint32_t)__cvta_generic_to_shared(to);
    const int n = there ? BYTES : 0;
    if (BYTES == 16) {
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from),
                     "r"(n)
                     : "memory");
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(address), "l"(from),
                     "r"(n)
                     : "memory");
    }
}

static __device__ __forceinline__ void copies_end()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Waits until all but the latest N groups of this thread's copies are there. */
template <int N> static __device__ __forceinline__ void copies_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/* The keys that the block passes over: tiles of the trunk's, at the positions [trunk_first,
   trunk_end), and tiles of places [own_first, own_end). */
struct key_range {
    int trunk_first, trunk_end, own_first, own_end;
    int trunk; /* row of position 0 */
};

/* One of these tiles: the trunk's keys from position `first` on, or own keys from place `first` on. */
struct key_tile {
    int first;
    bool own;
};

/* The keys or the values of one head: numbers [0, n) from `memory` on, in rows ld apart. */
struct row_part {
    const float *memory;
    int ld, n;
};

/* The row of key number k of a tile. -1: there is none. */
static __device__ __forceinline__ int key_row(const struct ko_cuda_rows &rows,
                                              const struct stage_rows &at,
                                              const struct key_range &range,
                                              const struct key_tile &tile, int k)
{
    const int n = tile.first + k;
    if (!tile.own) {
        return n < range.trunk_end ? range.trunk + n : -1;
    }
    return n < range.own_end ? source_row(rows, at, rows.order[n]) : -1;
}

/* Starts copying a tile to shared memory, rows D + PAD apart, with zeros up to D, N numbers at a time.
 */
template <int D, int KEYS, int PAD, int N>
static __device__ __forceinline__ void
copy_tile(const struct ko_cuda_rows &rows, const struct stage_rows &at,
          const struct key_range &range, const struct key_tile &tile, const struct row_part &part,
          float *to)
{
    for (int c = (int)threadIdx.x; c < KEYS * (D / N); c += ATTEND_THREADS) {
        const int k = c / (D / N), d = c % (D / N) * N;
        const int row = key_row(rows, at, range, tile, k);
        const bool there = row >= 0 && d < part.n;
        copy_later<4 * N>(to + k * (D + PAD) + d,
                          there ? part.memory + ko_at(row, part.ld, d) : part.memory, there);
    }
}

template <int D, int KEYS, int PAD>
static __device__ __forceinline__ void
load_tile(const struct ko_cuda_rows &rows, const struct stage_rows &at,
          const struct key_range &range, const struct key_tile &tile, const struct row_part &part,
          bool by_four, float *to)
{
    if (by_four) {
        copy_tile<D, KEYS, PAD, 4>(rows, at, range, tile, part, to);
    } else {
        copy_tile<D, KEYS, PAD, 1>(rows, at, range, tile, part, to);
    }
}

/* Whether one of the numbers that this thread has loaded into a tile of values is not finite. */
template <int D, int KEYS, int PAD>
static __device__ __forceinline__ bool loaded_bad(const float *v, bool by_four)
{
    float sum = 0.0F; /* x 0 is NaN unless x is finite */
    if (by_four) {
        for (int c = (int)threadIdx.x; c < KEYS * (D / 4); c += ATTEND_THREADS) {
            const float4 x = *(const float4 *)(v + c / (D / 4) * (D + PAD) + c % (D / 4) * 4);
            sum = fmaf(x.x, 0.0F, fmaf(x.y, 0.0F, fmaf(x.z, 0.0F, fmaf(x.w, 0.0F, sum))));
        }
    } else {
        for (int c = (int)threadIdx.x; c < KEYS * D; c += ATTEND_THREADS) {
            sum = fmaf(v[c / D * (D + PAD) + c % D], 0.0F, sum);
        }
    }
    return sum != 0.0F;
}

/* The smallest (or with `largest`, the largest) value in the block, in every thread. */
static __device__ int extreme_in_block(int value, bool largest)
{
    __shared__ int part[ATTEND_WARPS];
    value = largest ? __reduce_max_sync(0xFFFFFFFFU, value) : __reduce_min_sync(0xFFFFFFFFU, value);
    __syncthreads(); /* all threads have read an earlier result */
    if (threadIdx.x % 32 == 0) {
        part[threadIdx.x / 32] = value;
    }
    __syncthreads();
    value = part[0];
    for (int w = 1; w < ATTEND_WARPS; w++) {
        value = largest ? max(value, part[w]) : min(value, part[w]);
    }
    return value;
}

static __device__ struct key_range range_of(const struct ko_cuda_rows &rows,
                                            const struct query &query, int n_keys, int trunk_row)
{
    const bool trunk = query.first_seen < query.trunk_end, own = query.first_place != INT32_MAX;
    struct key_range range;
    range.trunk = trunk_row;
    range.trunk_first = extreme_in_block(trunk ? query.first_seen : INT32_MAX, false);
    range.trunk_end = extreme_in_block(trunk ? query.trunk_end : 0, true);
    const int own_first = own ? first_own_place(query, hole_of(rows, query)) : INT32_MAX;
    range.own_first = extreme_in_block(own_first, false);
    range.own_end = extreme_in_block(own ? query.place + 1 : 0, true);
    /* A row's keys lie in the same tiles of trunk keys whatever its neighbours are. */
    range.trunk_first = range.trunk_first / n_keys * n_keys;
    return range;
}

static __device__ __forceinline__ int tiles_between(int first, int end, int n_keys)
{
    return first < end ? (end - first + n_keys - 1) / n_keys : 0;
}

/* The running softmax of a lane's queries and their contexts. */
template <class KIND, int D> struct running_rows {
    float top[KIND::ROWS];      /* the largest score so far */
    float sum[KIND::ROWS];      /* this lane's part of the sum of exp(score - top) */
    uint32_t keeps[KIND::ROWS]; /* not 0: some value is added */
    float context[KIND::ROWS][D / KIND::ROW_LANES];
};

template <class KIND> static __device__ __forceinline__ float largest_of_row(float x)
{
    for (int step = 1; step < KIND::ROW_LANES; step *= 2) {
        x = fmaxf(x, __shfl_xor_sync(0xFFFFFFFFU, x, step));
    }
    return x;
}

/* What a lane's queries see of a tile of keys. */
template <class KIND, int KEYS> struct seen_keys {
    uint32_t groups; /* the groups of eight keys that some query of the warp sees */
    uint32_t in_softmax[KIND::ROWS][KEYS / 32], kept[KIND::ROWS][KEYS / 32]; /* a bit a key */
};

/* Scores become weights exp(score - top); sum and context fade where the top has grown. Weights of
   keys outside in_softmax are 0, and after the sum those of keys that are not kept. */
template <class KIND, int D, int KEYS>
static __device__ __forceinline__ void weigh_scores(float (&s)[KIND::ROWS][KEYS / KIND::ROW_LANES],
                                                    const struct seen_keys<KIND, KEYS> &seen,
                                                    float cap, struct running_rows<KIND, D> &run)
{
    const int shift = KIND::key_of((int)threadIdx.x % 32, 0);
    const float inverse_cap = cap == 0.0F ? 0.0F : 1.0F / cap;
#pragma unroll
    for (int r = 0; r < KIND::ROWS; r++) {
        float top = run.top[r];
#pragma unroll
        for (int e = 0; e < KEYS / KIND::ROW_LANES; e++) {
            const int key = KIND::key_of(0, e);
            if (cap != 0.0F) {
                s[r][e] = cap * tanhf(s[r][e] * inverse_cap);
            }
            const bool sees = (seen.in_softmax[r][key / 32] >> shift >> (key % 32) & 1U) != 0U;
            s[r][e] = sees ? s[r][e] : -INFINITY;
            top = fmaxf(top, s[r][e]);
        }
        top = largest_of_row<KIND>(top);
        const float base = top == -INFINITY ? 0.0F : top;
        const float fade = KIND::exponential(run.top[r] - base);
        float sum = 0.0F;
#pragma unroll
        for (int e = 0; e < KEYS / KIND::ROW_LANES; e++) {
            const int key = KIND::key_of(0, e);
            s[r][e] = KIND::exponential(s[r][e] - base);
            sum += s[r][e];
            s[r][e] = (seen.kept[r][key / 32] >> shift >> (key % 32) & 1U) != 0U ? s[r][e] : 0.0F;
        }
#pragma unroll
        for (int w = 0; w < KEYS / 32; w++) {
            run.keeps[r] |= seen.kept[r][w];
        }
        run.top[r] = top;
        run.sum[r] = run.sum[r] * fade + sum;
        if (fade != 1.0F) {
#pragma unroll
            for (int m = 0; m < D / KIND::ROW_LANES; m++) {
                run.context[r][m] *= fade;
            }
        }
    }
}

/* A warp's queries, times the scale, into its rows of shared memory. */
template <class KIND, int D>
static __device__ __forceinline__ void
load_queries(const struct ko_cuda_rows &rows, const struct stage_rows &at,
             const struct ko_attention &a, const struct query &query, float *q)
{
    const int lane = (int)threadIdx.x % 32;
    for (int r = 0; r < ATTEND_QUERIES; r++) {
        const int row = __shfl_sync(0xFFFFFFFFU, query.row, r);
        const int head = __shfl_sync(0xFFFFFFFFU, query.head, r);
        const float *from =
            row < 0 ? NULL : a.q + ko_at(source_row(rows, at, row), a.ld, head * a.stride);
        for (int d = lane; d < D; d += 32) {
            q[r * (D + KIND::K_PAD) + d] = row >= 0 && d < a.d_head ? from[d] * a.scale : 0.0F;
        }
    }
}

template <class KIND, int D>
static __device__ __forceinline__ void start_rows(const struct ko_attention &a,
                                                  const struct query &query,
                                                  struct running_rows<KIND, D> &run)
{
    const int lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int r = 0; r < KIND::ROWS; r++) {
        const int head = __shfl_sync(0xFFFFFFFFU, query.head, KIND::row_of(lane, r));
        run.top[r] = a.sinks ? a.sinks[head] : -INFINITY; /* a sink is a key whose value is zero */
        run.sum[r] = a.sinks && lane % KIND::ROW_LANES == 0 ? 1.0F : 0.0F;
        run.keeps[r] = 0U;
#pragma unroll
        for (int m = 0; m < D / KIND::ROW_LANES; m++) {
            run.context[r][m] = 0.0F;
        }
    }
}

template <class KIND, int D>
static __device__ __forceinline__ void store_rows(const struct ko_attention &a,
                                                  const struct query &query,
                                                  const struct running_rows<KIND, D> &run)
{
    const int lane = (int)threadIdx.x % 32;
#pragma unroll
    for (int r = 0; r < KIND::ROWS; r++) {
        float sum = run.sum[r];
        for (int step = 1; step < KIND::ROW_LANES; step *= 2) {
            sum += __shfl_xor_sync(0xFFFFFFFFU, sum, step);
        }
        /* Without any value the context is zero, whatever the scores are. Else a sum that is NaN stays
           NaN. */
        const float scale = run.keeps[r] == 0U || sum == 0.0F ? 0.0F : 1.0F / sum;
        const int row = __shfl_sync(0xFFFFFFFFU, query.row, KIND::row_of(lane, r));
        const int head = __shfl_sync(0xFFFFFFFFU, query.head, KIND::row_of(lane, r));
        if (row >= 0) {
            float *to = a.out + ko_at3(row, a.n_heads, head, a.d_value, 0);
#pragma unroll
            for (int m = 0; m < D / KIND::ROW_LANES; m++) {
                const int d = KIND::dim_of(lane, m);
                if (d < a.d_value) {
                    to[d] = run.context[r][m] * scale;
                }
            }
        }
    }
}

/* From what each lane knows of 32 keys for query lane % 16: the first 32 in the lower half of the warp,
   those behind in the upper half. */
template <class KIND, int KEYS>
static __device__ __forceinline__ void share_seen(const struct seen &mine,
                                                  struct seen_keys<KIND, KEYS> &keys)
{
    const int lane = (int)threadIdx.x % 32;
    const uint32_t low = __reduce_or_sync(0xFFFFFFFFU, lane < 16 ? mine.in_softmax : 0U);
    const uint32_t high = __reduce_or_sync(0xFFFFFFFFU, lane < 16 ? 0U : mine.in_softmax);
    keys.groups = 0U;
#pragma unroll
    for (int b = 0; b < KEYS / 8; b++) {
        keys.groups |= ((b < 4 ? low : high) >> (b % 4 * 8) & 255U) != 0U ? 1U << b : 0U;
    }
#pragma unroll
    for (int r = 0; r < KIND::ROWS; r++) {
#pragma unroll
        for (int w = 0; w < KEYS / 32; w++) {
            const int from = KIND::row_of(lane, r) + 16 * w;
            keys.in_softmax[r][w] = __shfl_sync(0xFFFFFFFFU, mine.in_softmax, from);
            keys.kept[r][w] = __shfl_sync(0xFFFFFFFFU, mine.kept, from);
        }
    }
}

template <class KIND, int D, int KEYS>
static __device__ __forceinline__ void score_tile(const float *q, const float *k, uint32_t groups,
                                                  float (&s)[KIND::ROWS][KEYS / KIND::ROW_LANES])
{
    if (groups == (1U << KEYS / 8) - 1U) {
        KIND::template scores<D, KEYS, true>(q, k, groups, s);
    } else if (groups != 0U) {
        KIND::template scores<D, KEYS, false>(q, k, groups, s);
    }
}

/* bad: some values are not finite. */
template <class KIND, int D, int KEYS>
static __device__ __forceinline__ void
add_tile(const float (&p)[KIND::ROWS][KEYS / KIND::ROW_LANES], const float *v,
         const struct seen_keys<KIND, KEYS> &keys, bool bad,
         float (&context)[KIND::ROWS][D / KIND::ROW_LANES])
{
    if (keys.groups == 0U) {
        return;
    }
    if (bad) {
        add_values_by_key<KIND, D, KEYS, false, true>(p, v, keys.groups, keys.kept, context);
    } else if (keys.groups == (1U << KEYS / 8) - 1U) {
        KIND::template add_values<D, KEYS, true>(p, v, keys.groups, context);
    } else {
        KIND::template add_values<D, KEYS, false>(p, v, keys.groups, context);
    }
}

/* While a tile's scores are computed its values arrive, and while the values are added the next tile's
   keys. Each thread's copies are in two groups, of keys and of values, in turn. */
template <class KIND, int D, int KEYS>
static __global__ void __launch_bounds__(ATTEND_THREADS, D <= 64 ? 3 : 1)
    attend_tiles(struct ko_cuda_rows rows, struct stage_rows at, struct ko_attention a,
                 struct attend_shape shape)
{
    extern __shared__ float4 tile_memory[];
    float *q = (float *)tile_memory, *k = q + TILE_QUERIES * (D + KIND::K_PAD);
    float *v = k + KEYS * (D + KIND::K_PAD);
    const struct attend_tile tile = find_tile(rows, shape.n_tile_rows);
    if (tile.prompt < 0) {
        return;
    }
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    const struct query query =
        find_query(rows, at, a, shape, tile, warp * ATTEND_QUERIES + lane % ATTEND_QUERIES);
    const struct key_range range = range_of(rows, query, KEYS, rows.trunk_first[tile.prompt]);
    const int n_trunk = tiles_between(range.trunk_first, range.trunk_end, KEYS);
    const int n = n_trunk + tiles_between(range.own_first, range.own_end, KEYS);
    if (n == 0) {
        return; /* no row of the tile is active */
    }
    const int kv_head = (int)blockIdx.y / shape.n_parts;
    const struct row_part keys = {a.k + ko_at(kv_head, a.stride, 0), a.ld, a.d_head};
    const struct row_part values = {a.v + ko_at(kv_head, a.stride_v, 0), a.ld_v, a.d_value};
    struct key_tile now = {range.trunk_first, false}, next = now;
    now = n_trunk > 0 ? now : (struct key_tile){range.own_first, true};
    load_tile<D, KEYS, KIND::K_PAD>(rows, at, range, now, keys, shape.by_four, k);
    copies_end();
    load_tile<D, KEYS, KIND::V_PAD>(rows, at, range, now, values, shape.by_four, v);
    copies_end();

    float *my_q = q + warp * ATTEND_QUERIES * (D + KIND::K_PAD);
    load_queries<KIND, D>(rows, at, a, query, my_q);
    struct running_rows<KIND, D> run;
    start_rows<KIND, D>(a, query, run);
    for (int t = 0; t < n; t++, now = next) {
        const int first = now.first + (KEYS == 64 ? lane / 16 * 32 : 0);
        struct seen_keys<KIND, KEYS> seen;
        share_seen<KIND, KEYS>(
            now.own ? see_own(rows, query, first) : see_trunk(rows, query, first), seen);
        next = {now.first + KEYS, now.own};
        if (t + 1 == n_trunk) {
            next = {range.own_first, true};
        }
        float s[KIND::ROWS][KEYS / KIND::ROW_LANES];
        copies_wait<1>();
        __syncthreads(); /* the keys are there, and in the first turn the queries */
        score_tile<KIND, D, KEYS>(my_q, k, seen.groups, s);
        __syncthreads(); /* the keys have been read */
        if (t + 1 < n) {
            load_tile<D, KEYS, KIND::K_PAD>(rows, at, range, next, keys, shape.by_four, k);
        }
        copies_end();
        if (seen.groups != 0U) {
            weigh_scores<KIND, D, KEYS>(s, seen, a.cap, run);
        }
        copies_wait<1>();
        const bool mine_bad = loaded_bad<D, KEYS, KIND::V_PAD>(v, shape.by_four);
        const bool bad = __syncthreads_or(mine_bad); /* the values are there */
        add_tile<KIND, D, KEYS>(s, v, seen, bad, run.context);
        __syncthreads(); /* the values have been read */
        if (t + 1 < n) {
            load_tile<D, KEYS, KIND::V_PAD>(rows, at, range, next, values, shape.by_four, v);
        }
        copies_end();
    }
    store_rows<KIND, D>(a, query, run);
}

#endif
