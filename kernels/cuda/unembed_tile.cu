/* SPDX-License-Identifier: Apache-2.0 */
// Adds a tile of logits to each row's running maximum, sum of exponentials, rank and KL sum. A
// block has one row.
#include "kernels/cuda/unembed.cuh"

enum { THREADS = UNEMBED_THREADS };

struct best {
    float value;
    int id;
};

// The larger value; of equal ones the lower id. NaN is never chosen.
static __device__ __forceinline__ struct best better_of(struct best a, struct best b)
{
    return b.value > a.value || (b.value == a.value && b.id < a.id) ? b : a;
}

static __device__ struct best block_best(struct best x)
{
    __shared__ struct best part[THREADS / 32];
    for (int step = 16; step > 0; step /= 2) {
        struct best other;
        other.value = __shfl_xor_sync(0xFFFFFFFFU, x.value, step);
        other.id = __shfl_xor_sync(0xFFFFFFFFU, x.id, step);
        x = better_of(x, other);
    }
    if (threadIdx.x % 32 == 0) {
        part[threadIdx.x / 32] = x;
    }
    __syncthreads();
    x = part[0];
    for (int w = 1; w < THREADS / 32; w++) {
        x = better_of(x, part[w]);
    }
    return x;
}

// Four numbers of a row. A thread holds PARTS of these parts in registers.
struct part {
    float x[4];
};

// Of the row of scored token r. SHAPED: products and logits differ.
template <bool SHAPED>
static __device__ __forceinline__ struct part load_part(const struct unembedding &a, int r, int p)
{
    const int k = 4 * ((int)threadIdx.x + p * THREADS);
    const float *product = a.product + ko_at(a.source[r], a.width, k);
    struct part part;
    if (k + 3 < a.n_tokens) {
        const float4 v = *(const float4 *)product; // the width is a multiple of four
        part.x[0] = v.x, part.x[1] = v.y, part.x[2] = v.z, part.x[3] = v.w;
    } else {
#pragma unroll
        for (int n = 0; n < 4; n++) {
            part.x[n] = k + n < a.n_tokens ? product[n] : -INFINITY;
        }
    }
#pragma unroll
    for (int n = 0; SHAPED && n < 4; n++) {
        part.x[n] = k + n < a.n_tokens ? logit_of(a, part.x[n]) : -INFINITY;
    }
    return part;
}

// Index in the tile of number n of part p. Indices from n_tokens on are not in the tile.
static __device__ __forceinline__ int place_of(int p, int n)
{
    return 4 * ((int)threadIdx.x + p * THREADS) + n;
}

// Maximum, sum and rank, and the KL sum against the clean row, which must have added this tile
// before. CLEAN: only the clean rows, else only the others.
template <int PARTS, bool CLEAN, bool SHAPED> static __global__ void add_tile(struct unembedding a)
{
    const int r = (int)blockIdx.x, of = a.clean[r];
    if ((of == r) != CLEAN) {
        return;
    }
    struct metrics_row *row = &a.row[r];
    const float low = row->low, high = row->high, old = row->top;
    const int target = a.target[r] - a.first, foil = a.foil[r] < 0 ? -1 : a.foil[r] - a.first;
    struct best mine = {-INFINITY, INT_MAX};
    struct part part[PARTS];
    int above = 0;
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        part[p] = load_part<SHAPED>(a, r, p);
#pragma unroll
        for (int n = 0; n < 4; n++) {
            const float x = part[p].x[n];
            const int k = place_of(p, n);
            const struct best here = {x, a.first + k};
            mine = k < a.n_tokens ? better_of(mine, here) : mine;
            above += x > high && k != target;
            if (x > low && !(x > high) && k != target) {
                const int place = atomicAdd(&row->n_kept, 1);
                if (place < KEPT) {
                    row->kept[place] = x;
                }
            }
            if (k == target) {
                row->target = x;
            }
            if (k == foil && k < a.n_tokens) {
                row->foil = x;
            }
        }
    }
    const struct best best = block_best(mine);
    const float top = best.value > old ? best.value : old, clean_top = CLEAN ? 0.0F : a.row[of].top;
    double sum = 0.0, difference = 0.0;
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        struct part clean;
        if (!CLEAN) {
            clean = load_part<SHAPED>(a, of, p);
        }
        float some = 0.0F;
#pragma unroll
        for (int n = 0; n < 4; n++) {
            if (place_of(p, n) < a.n_tokens) {
                some += expf(part[p].x[n] - top);
                if (!CLEAN) {
                    difference += (double)expf(clean.x[n] - clean_top) *
                                  ((double)clean.x[n] - (double)part[p].x[n]);
                }
            }
        }
        sum += (double)some;
    }
    sum = block_sum(sum);
    above = block_sum(above);
    if (!CLEAN) {
        difference = block_sum(difference);
    }
    if (threadIdx.x == 0) {
        row->rescale = best.value > old ? exp((double)old - (double)top) : 1.0;
        row->sum = row->sum * row->rescale + sum;
        row->top_id = best.value > old ? best.id : row->top_id;
        row->top = top;
        row->above += above;
        if (!CLEAN) {
            row->difference = row->difference * a.row[of].rescale + difference;
        }
    }
}

// The second pass counts against the known logit of the target.
static __global__ void count_tile(struct unembedding a)
{
    const int r = (int)blockIdx.x;
    struct metrics_row *row = &a.row[r];
    if (!row->again) {
        return;
    }
    const float *product = a.product + ko_at(a.source[r], a.width, 0);
    const int target = a.target[r] - a.first;
    int above = 0;
    for (int k = (int)threadIdx.x; k < a.n_tokens; k += THREADS) {
        above += logit_of(a, product[k]) > row->target && k != target;
    }
    above = block_sum(above);
    if (threadIdx.x == 0) {
        row->above += above;
    }
}

template <int PARTS>
static void add_tiles_of(const struct ko_backend *be, const struct unembedding *a)
{
    const unsigned n = (unsigned)a->n;
    if (a->scale == 1.0F && a->cap == 0.0F) {
        add_tile<PARTS, true, false><<<n, THREADS, 0, be->stream>>>(*a);
        add_tile<PARTS, false, false><<<n, THREADS, 0, be->stream>>>(*a);
    } else {
        add_tile<PARTS, true, true><<<n, THREADS, 0, be->stream>>>(*a);
        add_tile<PARTS, false, true><<<n, THREADS, 0, be->stream>>>(*a);
    }
}

void ko_cuda_add_tile(const struct ko_backend *be, const struct unembedding *a)
{
    if (a->width <= THREADS * 4) {
        add_tiles_of<1>(be, a);
    } else if (a->width <= THREADS * 8) {
        add_tiles_of<2>(be, a);
    } else {
        add_tiles_of<4>(be, a);
    }
}

void ko_cuda_count_tile(const struct ko_backend *be, const struct unembedding *a)
{
    count_tile<<<(unsigned)a->n, THREADS, 0, be->stream>>>(*a);
}
