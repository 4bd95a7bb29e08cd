/* SPDX-License-Identifier: Apache-2.0 */
/* Which queries a block of attention in tiles has, and which keys each of them sees. */
#ifndef KO_KERNELS_CUDA_ATTENTION_SEEN_CUH
#define KO_KERNELS_CUDA_ATTENTION_SEEN_CUH

#include "kernels/cuda/attention/products.cuh"

enum { ATTEND_WARPS = 4, ATTEND_THREADS = 32 * ATTEND_WARPS };
enum { TILE_QUERIES = ATTEND_WARPS * ATTEND_QUERIES };

/* How a launch divides the rows and heads. */
struct attend_shape {
    int n_together;  /* heads of one key head in a tile */
    int n_tile_rows; /* TILE_QUERIES / n_together */
    int n_parts;     /* blocks a key head: its heads / n_together, rounded up */
    bool by_four;    /* rows can be read as float4 */
};

/* A tile's rows are the places [first, end). */
struct attend_tile {
    int prompt, first, end;
};

/* What one query may see. Lane l of a warp knows that of query l % 16. */
struct query {
    int row, head;   /* row -1: there is no such query */
    int place;       /* of its row */
    int first_place; /* of its first own key: its branch's first row, or a fork's stem's */
    int trunk_end; /* it sees the trunk's keys before here: its branch's t0, or the place after itself */
    int first_seen; /* the first position within reach */
    int cut;        /* edge set that removes edges of it; -1: none */
    /* Bits, which share a register: as ko_edge_set.later and ko_branch.after_softmax; and fork: it
       shares keys with a stem (hole_of). */
    bool later : 1, after : 1, fork : 1;
};

/* The places [first, end) lie between a query's own keys and are not among them. */
struct hole {
    int first, end;
};

/* Bits [low, high) of a word; the bounds may lie outside it. */
static __device__ __forceinline__ uint32_t bits_between(int low, int high)
{
    low = max(low, 0);
    high = min(high, 32);
    return low < high ? (0xFFFFFFFFU >> (32 - high)) & (0xFFFFFFFFU << low) : 0U;
}

/* 32 bits of an edge set's sources from any position on, which may lie outside the prompt. */
static __device__ __forceinline__ uint32_t source_bits_from(const struct ko_cuda_rows &rows,
                                                            int set, int position)
{
    const int word = position >> 5, n_words = rows.n_source_words;
    const uint32_t *bits = rows.source_bits + ko_at(set, n_words, 0);
    const uint32_t low = word >= 0 && word < n_words ? bits[word] : 0U;
    const uint32_t high = word + 1 >= 0 && word + 1 < n_words ? bits[word + 1] : 0U;
    return __funnelshift_r(low, high, (uint32_t)position & 31U);
}

static __device__ __forceinline__ int tiles_of(const struct ko_cuda_rows &rows, int prompt,
                                               int n_tile_rows)
{
    const int n_trunk = rows.n_tokens[prompt];
    const int n = rows.prompt_place[prompt + 1] - rows.prompt_place[prompt] - n_trunk;
    return n_trunk <= KO_CUDA_SHORT
               ? 0
               : (n_trunk + n_tile_rows - 1) / n_tile_rows + (n + n_tile_rows - 1) / n_tile_rows;
}

/* The block's tile. Within a prompt the longest come first: those of branches, and then the trunk's
   from its end. A block without work has prompt -1. */
static __device__ struct attend_tile find_tile(const struct ko_cuda_rows &rows, int n_tile_rows)
{
    const int lane = (int)threadIdx.x % 32;
    int wanted = (int)blockIdx.x;
    for (int first = 0; first < rows.n_prompts; first += 32) {
        const int prompt = first + lane;
        const int n = prompt < rows.n_prompts ? tiles_of(rows, prompt, n_tile_rows) : 0;
        int sum = n; /* of the lanes up to this one */
        for (int step = 1; step < 32; step *= 2) {
            const int before = __shfl_up_sync(0xFFFFFFFFU, sum, step);
            sum += lane >= step ? before : 0;
        }
        const uint32_t beyond = __ballot_sync(0xFFFFFFFFU, wanted < sum);
        if (beyond == 0U) {
            wanted -= __shfl_sync(0xFFFFFFFFU, sum, 31);
            continue;
        }
        const int found = __ffs((int)beyond) - 1;
        const int left = __shfl_sync(0xFFFFFFFFU, sum, found) - 1 - wanted;
        const int place = rows.prompt_place[first + found];
        const int n_trunk = rows.n_tokens[first + found];
        const int n_trunk_tiles = (n_trunk + n_tile_rows - 1) / n_tile_rows;
        struct attend_tile tile = {first + found, 0, 0};
        if (left < n_trunk_tiles) {
            tile.first = place + left * n_tile_rows;
            tile.end = min(tile.first + n_tile_rows, place + n_trunk);
        } else {
            tile.first = place + n_trunk + (left - n_trunk_tiles) * n_tile_rows;
            tile.end = min(tile.first + n_tile_rows, rows.prompt_place[first + found + 1]);
        }
        return tile;
    }
    return {-1, 0, 0};
}

static __device__ __forceinline__ struct query
find_query(const struct ko_cuda_rows &rows, const struct stage_rows &at,
           const struct ko_attention &a, const struct attend_shape &shape,
           const struct attend_tile &tile, int number)
{
    const int heads_a_key = a.n_heads / a.n_kv_heads;
    const int in_group =
        (int)blockIdx.y % shape.n_parts * shape.n_together + number % shape.n_together;
    const int place = tile.first + number / shape.n_together;
    struct query query = {-1, 0, place, INT32_MAX, 0, 0, -1, false, false, false};
    if (place >= tile.end || number / shape.n_together >= shape.n_tile_rows ||
        in_group >= heads_a_key || rows.order[place] >= at.n_active) {
        return query;
    }
    query.row = rows.order[place];
    query.head = (int)blockIdx.y / shape.n_parts * heads_a_key + in_group;
    const int i = rows.position[query.row], b = rows.branch[query.row];
    query.trunk_end = i + 1;
    query.first_seen = i >= a.reach ? i - a.reach + 1 : 0;
    if (b >= 0) {
        const struct ko_branch branch = rows.branches[b];
        const int set = branch.edge_set;
        query.trunk_end = branch_start(branch);
        query.fork = branch.n_shared > 0;
        query.first_place =
            place - (query.row - (query.fork ? branch.shared_row : branch.first_row));
        if (set >= 0 && branch_cuts(branch, a.stage, KO_MIXER_ATTENTION) &&
            (branch.only_head == 0 || branch.only_head == query.head + 1)) {
            query.later = rows.later[set] != 0; /* of all parts */
            query.cut = part_into(rows, set, i);
            query.after = branch.after_softmax;
        }
    }
    return query;
}

/* Of 32 keys: those in the softmax, and those whose values are added. */
struct seen {
    uint32_t in_softmax, kept;
};

/* Of the trunk's keys at the positions from `first` on. */
static __device__ __forceinline__ struct seen see_trunk(const struct ko_cuda_rows &rows,
                                                        const struct query &query, int first)
{
    const uint32_t visible =
        query.row < 0 ? 0U : bits_between(query.first_seen - first, query.trunk_end - first);
    const uint32_t removed =
        query.cut >= 0 && visible != 0U ? source_bits_from(rows, query.cut, first) : 0U;
    return {query.after ? visible : visible & ~removed, visible & ~removed};
}

/* Between the keys that a fork shares with its stem and those of its own rows: the stem's other rows,
   and other forks of it. Rows of a prompt are in the order of places as in the wave. */
static __device__ __forceinline__ struct hole hole_of(const struct ko_cuda_rows &rows,
                                                      const struct query &query)
{
    if (!query.fork) {
        return {0, 0};
    }
    const struct ko_branch &branch = rows.branches[rows.branch[query.row]];
    return {query.first_place + branch.n_shared, query.place - (query.row - branch.first_row)};
}

/* Where its own keys within reach begin. */
static __device__ __forceinline__ int first_own_place(const struct query &query,
                                                      const struct hole &hole)
{
    const int place = query.first_place + max(0, query.first_seen - query.trunk_end);
    return place < hole.first ? place : place + (hole.end - hole.first);
}

/* Which of the keys at the places from `first` on are sources. */
static __device__ __forceinline__ uint32_t own_source_bits(const struct ko_cuda_rows &rows,
                                                           const struct query &query,
                                                           const struct hole &hole, int first)
{
    const int position = query.trunk_end + first - query.first_place; /* if no hole is before */
    const uint32_t bits = source_bits_from(rows, query.cut, position);
    if (!query.fork) {
        return bits;
    }
    return (bits & bits_between(0, hole.first - first)) |
           (source_bits_from(rows, query.cut, position - (hole.end - hole.first)) &
            bits_between(hole.end - first, 32));
}

/* Of the keys at the places from `first` on. */
static __device__ __forceinline__ struct seen see_own(const struct ko_cuda_rows &rows,
                                                      const struct query &query, int first)
{
    const struct hole hole = hole_of(rows, query);
    const uint32_t visible =
        query.first_place == INT32_MAX
            ? 0U
            : bits_between(first_own_place(query, hole) - first, query.place + 1 - first) &
                  ~bits_between(hole.first - first, hole.end - first);
    uint32_t removed = 0U;
    if (query.cut >= 0 && visible != 0U) {
        removed = own_source_bits(rows, query, hole, first);
        removed &= query.later ? bits_between(0, query.place - first) : 0xFFFFFFFFU;
    }
    return {query.after ? visible : visible & ~removed, visible & ~removed};
}

#endif
