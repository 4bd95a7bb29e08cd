/* SPDX-License-Identifier: Apache-2.0 */
// Products of rows with the matrices of their experts. A block has one tile of an expert's rows and
// of its matrix's outputs, and walks along the inputs in steps: it loads the next step into
// registers while it multiplies one from shared memory. Gates and ups become hidden values in the
// registers.
#include "kernels/cuda/experts.cuh"
#include "kernels/cuda/experts_tile.cuh"

// Eight consecutive numbers, of which the first n exist; the others become 0. WIDE: they lie at a
// 16-byte address if all exist.
template <bool WIDE, typename T>
static __device__ __forceinline__ struct eight<T> load_eight(const T *from, int n) {
    struct eight<T> v;
    if (WIDE && n >= 8) {
        const uint4 *wide = (const uint4 *)from;
        uint4 *to = (uint4 *)v.x;
#pragma unroll
        for (int k = 0; k < (int)(sizeof v / sizeof *to); k++) {
            to[k] = wide[k];
        }
        return v;
    }
#pragma unroll
    for (int k = 0; k < 8; k++) {
        v.x[k] = k < n ? from[k] : (T)0.0F;
    }
    return v;
}

// The expert of a tile of rows, and its places [first, first + n_rows).
struct place {
    int expert, first, n_rows;
};

// False if there are fewer tiles.
static __device__ bool find_place(const struct expert_product &a, int tile, struct place *out)
{
    for (int e = 0; e < a.n_experts; e++) {
        const int begin = a.begin[e], end = a.begin[e + 1];
        const int n_tiles = (end - begin + TILE_ROWS - 1) / TILE_ROWS;
        if (tile < n_tiles) {
            const int first = begin + tile * TILE_ROWS;
            *out = {e, first, end - first < TILE_ROWS ? end - first : (int)TILE_ROWS};
            return true;
        }
        tile -= n_tiles;
    }
    return false;
}

// The first output of a half of the tile's columns.
static __device__ __forceinline__ int first_output(const struct expert_product &a, int half)
{
    const int tile = (int)blockIdx.x;
    return a.outputs == EXPERT_SPLIT ? tile * HALF : (2 * tile + half) * HALF;
}

// What a thread loads: the numbers [k, k + 8) of one row of x, and of one output's weights; or
// where the matrix has its inputs first, the weights of eight outputs for one input. Both CHUNKS
// times.
template <typename Tile> struct loads {
    enum { CHUNKS = Tile::STEP / 16, OUTPUTS_APART = 8 * TILE_THREADS / Tile::STEP };
    typedef typename Tile::weight weight;
    const float *x;
    const weight *w[CHUNKS];
    int n_x, n_w[CHUNKS]; // how many numbers exist from there on; 0: none
    int n_k;              // inputs first: inputs from this thread's on
    int row, k;           // where they go: along k at this row
    int across, k_across; // and with inputs first, across the rows at this k
    size_t step;          // between inputs, of w
    size_t low;           // from a weight's high part to its low part
};

template <typename Tile>
static __device__ struct loads<Tile> find_loads(const struct expert_product &a,
                                                const struct place &at) {
    typedef typename Tile::weight weight;
    typedef struct loads<Tile> L;
    const int thread = (int)threadIdx.x;
    struct loads<Tile> l;
    l.row = thread % TILE_ROWS;
    l.k = thread / TILE_ROWS * 8;
    l.k_across = thread % Tile::STEP;
    l.across = thread / Tile::STEP * 8;
    l.n_x = l.row < at.n_rows ? a.n_in - l.k : 0;
    const int place = l.n_x ? at.first + l.row : at.first;
    const int row = a.outputs == EXPERT_PLAIN ? place : a.pair[place] / a.n_chosen;
    l.x = a.x + ko_at(row, a.n_in, l.k);
    l.n_k = a.n_in - l.k_across;
    l.step = a.in_first ? (size_t)a.n_out : 1;
    l.low = a.in_first ? ko_at(a.n_in, a.n_out, 0) : (size_t)a.n_in;
#pragma unroll
    for (int c = 0; c < L::CHUNKS; c++) {
        const int column = a.in_first ? l.across + c * L::OUTPUTS_APART : l.row,
                  half = column / HALF;
        const int output = first_output(a, half) + column % HALF;
        const weight *w = (const weight *)(half ? a.w[1] : a.w[0]);
        w += Tile::PARTS * (size_t)at.expert * (half ? a.stride[1] : a.stride[0]);
        if (a.in_first) {
            l.n_w[c] = a.n_out - output;
            l.w[c] = w + ko_at(l.k_across, a.n_out, output);
        } else {
            l.n_w[c] = output < a.n_out ? a.n_in - l.k - 16 * c : 0;
            l.w[c] = w + ko_at(output, Tile::PARTS * a.n_in, l.k + 16 * c);
        }
    }
    return l;
}

// One step in registers.
template <typename Tile>
struct step {
    struct eight<float> x[loads<Tile>::CHUNKS];
    struct eight<typename Tile::loaded> w[loads<Tile>::CHUNKS];
};

// As load_eight, for weights in PARTS parts.
template <typename Tile, bool WIDE>
static __device__ __forceinline__ struct eight<typename Tile::loaded>
load_weights(const typename Tile::weight *from, size_t low, int n) {
    if constexpr (Tile::PARTS == 1) {
        (void)low;
        return load_eight<WIDE>(from, n);
    } else {
        const struct eight<typename Tile::weight> a = load_eight<WIDE>(from, n);
        const struct eight<typename Tile::weight> b = load_eight<WIDE>(from + low, n);
        struct eight<typename Tile::loaded> sum;
#pragma unroll
        for (int k = 0; k < 8; k++) {
            sum.x[k] = to_float(a.x[k]) + to_float(b.x[k]);
        }
        return sum;
    }
}

// Loads the inputs from k on.
template <typename Tile, bool WIDE>
static __device__ __forceinline__ void load_step(const struct loads<Tile> &l, bool in_first, int k,
                                                 struct step<Tile> *out)
{
#pragma unroll
    for (int c = 0; c < loads<Tile>::CHUNKS; c++) {
        const int n = in_first ? (k < l.n_k ? l.n_w[c] : 0) : l.n_w[c] - k;
        out->x[c] = load_eight<WIDE>(l.x + k + 16 * c, l.n_x - k - 16 * c);
        out->w[c] = load_weights<Tile, WIDE>(l.w[c] + (size_t)k * l.step, l.low, n);
    }
}

template <typename Tile, typename T>
static __device__ __forceinline__ struct eight<typename Tile::value>
rounded_eight(const struct eight<T> &v) {
    struct eight<typename Tile::value> out;
#pragma unroll
    for (int k = 0; k < 8; k++) {
        out.x[k] = Tile::rounded(v.x[k]);
    }
    return out;
}

template <typename Tile>
static __device__ __forceinline__ void put_step(const struct loads<Tile> &l, bool in_first,
                                                const struct step<Tile> &s,
                                                typename Tile::number *x, typename Tile::number *w)
{
#pragma unroll
    for (int c = 0; c < loads<Tile>::CHUNKS; c++) {
        Tile::put_along(x, l.row, l.k + 16 * c, rounded_eight<Tile>(s.x[c]));
        if (in_first) {
            Tile::put_across(w, l.across + c * loads<Tile>::OUTPUTS_APART, l.k_across,
                             rounded_eight<Tile>(s.w[c]));
        } else {
            Tile::put_along(w, l.row, l.k + 16 * c, rounded_eight<Tile>(s.w[c]));
        }
    }
}

// ----------------------------------------------------------------------------------------------
// results

// NaN stays NaN.
static __device__ __forceinline__ float gated_value(float gate, float up, float limit)
{
    if (!(limit > 0.0F)) {
        return silu_of(gate) * up;
    }
    gate = gate > limit ? limit : gate;
    up = up > limit ? limit : up < -limit ? -limit : up;
    return (up + 1.0F) * (gate / (1.0F + expf(-1.702F * gate)));
}

static __device__ __forceinline__ float bias_of(const struct expert_product &a, int expert,
                                                int half, int output)
{
    const float *bias = half ? a.bias[1] : a.bias[0];
    return bias ? bias[ko_at(expert, a.n_out, output)] : 0.0F;
}

// The results of a thread's row i.
template <typename Tile>
static __device__ __forceinline__ void store_row(const struct expert_product &a,
                                                 const struct place &at, const struct my_tile &mine,
                                                 int i, float *y)
{
#pragma unroll
    for (int n = 0; n < 2 * MY_COLUMNS; n++) {
        const int half = n / MY_COLUMNS, j = n % MY_COLUMNS;
        const int output = first_output(a, half) + Tile::column_of(j);
        if (output >= a.n_out) {
            continue;
        }
        const float value = mine.x[half][i][j] + bias_of(a, at.expert, half, output);
        if (a.outputs == EXPERT_PLAIN) {
            y[output] = value;
        } else if (a.outputs == EXPERT_SQUARED) {
            y[output] = value < 0.0F ? 0.0F : value * value; // NaN stays NaN
        } else if (a.outputs == EXPERT_SPLIT && half == 0) {
            const float up = mine.x[1][i][j] + bias_of(a, at.expert, 1, output);
            y[output] = gated_value(value, up, a.limit);
        } else if (a.outputs == EXPERT_ADJACENT && j % 2 == 0) {
            const float up = mine.x[half][i][j + 1] + bias_of(a, at.expert, half, output + 1);
            y[output / 2] = gated_value(value, up, a.limit);
        }
    }
}

template <typename Tile>
static __device__ __forceinline__ void
store_tile(const struct expert_product &a, const struct place &at, const struct my_tile &mine)
{
    const int width = a.outputs == EXPERT_ADJACENT ? a.n_out / 2 : a.n_out;
#pragma unroll
    for (int i = 0; i < MY_ROWS; i++) {
        const int r = Tile::row_of(i);
        if (r < at.n_rows) {
            const int place = at.first + r;
            const int row = a.outputs == EXPERT_PLAIN ? a.pair[place] : place;
            store_row<Tile>(a, at, mine, i, a.y + ko_at(row, width, 0));
        }
    }
}

// ----------------------------------------------------------------------------------------------

// blockIdx.x is the tile of outputs, blockIdx.y that of rows.
template <typename Tile, bool WIDE>
static __global__ void __launch_bounds__(TILE_THREADS, 2) multiply_tile(struct expert_product a)
{
    __shared__ alignas(16) typename Tile::number x[2][Tile::NUMBERS];
    __shared__ alignas(16) typename Tile::number w[2][Tile::NUMBERS];
    struct place at;
    if (!find_place(a, (int)blockIdx.y, &at)) {
        return;
    }
    const struct loads<Tile> l = find_loads<Tile>(a, at);
    struct step<Tile> next;
    struct my_tile mine = {};
    int now = 0;
    load_step<Tile, WIDE>(l, a.in_first, 0, &next);
    put_step<Tile>(l, a.in_first, next, x[0], w[0]);
    __syncthreads();
    for (int k = 0; k < a.n_in; k += Tile::STEP, now = !now) {
        const bool more = k + Tile::STEP < a.n_in;
        if (more) {
            load_step<Tile, WIDE>(l, a.in_first, k + Tile::STEP, &next);
        }
        Tile::multiply(x[now], w[now], at.n_rows, &mine);
        if (more) {
            put_step<Tile>(l, a.in_first, next, x[!now], w[!now]);
        }
        __syncthreads();
    }
    store_tile<Tile>(a, at, mine);
}

// Whether every eight numbers that are loaded together lie at a 16-byte address.
static bool is_wide(const struct expert_product *a, size_t element)
{
    const int ld = a->in_first ? a->n_out : a->n_in;
    return a->n_in % 4 == 0 && (uintptr_t)a->x % 16 == 0 && (size_t)ld * element % 16 == 0 &&
           (uintptr_t)a->w[0] % 16 == 0 && (uintptr_t)a->w[1] % 16 == 0 &&
           a->stride[0] * element % 16 == 0 && a->stride[1] * element % 16 == 0;
}

template <typename Tile>
static void launch_tiles(struct ko_backend *be, const struct expert_product *a)
{
    const unsigned columns = a->outputs == EXPERT_SPLIT ? HALF : 2 * HALF;
    // A group of rows that does not fill its last tile adds one tile.
    const dim3 grid(blocks_for((size_t)a->n_out, columns),
                    (unsigned)(a->pairs / TILE_ROWS + a->n_experts));
    if (is_wide(a, sizeof(typename Tile::weight))) {
        multiply_tile<Tile, true><<<grid, TILE_THREADS, 0, be->stream>>>(*a);
    } else {
        multiply_tile<Tile, false><<<grid, TILE_THREADS, 0, be->stream>>>(*a);
    }
}

enum ko_code ko_cuda_expert_product(struct ko_backend *be, const struct expert_product *product,
                                    enum ko_element type, struct ko_error *err)
{
    if (type == KO_ELEMENT_BF16X2) {
        launch_tiles<split_tile<2>>(be, product);
    } else if (type == KO_ELEMENT_BF16 && be->precision == KO_BF16X3) {
        launch_tiles<split_tile<1>>(be, product);
    } else if (type == KO_ELEMENT_BF16) {
        launch_tiles<tensor_tile<bfloat16_core>>(be, product);
    } else if (be->precision == KO_TF32) {
        launch_tiles<tensor_tile<tf32_core>>(be, product);
    } else {
        launch_tiles<float32_tile>(be, product);
    }
    return ko_cuda_launched(be, "experts", err);
}
