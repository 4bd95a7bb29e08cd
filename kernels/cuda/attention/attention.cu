/* SPDX-License-Identifier: Apache-2.0 */
// Causal attention over a row's path. Rows of long prompts are computed in tiles
// (tile.cuh), if a block may have their memory. Of the others a warp computes one row and head: its
// lanes hold the numbers of the head, and it reads one key after the other with a running maximum
// and sum. Neighbouring warps have rows of one prompt, so that the trunk's keys and values are in
// the cache.
#include "kernels/cuda/attention/attention.cuh"

enum { WARPS = 8 };

// The softmax over the keys so far: the largest score, and the sum of exp(score - top).
struct running {
    float top, sum;
};

template <int PARTS, bool CAPPED> // parts of 32 numbers each
static __global__ void attend_rows(struct ko_cuda_rows rows, struct stage_rows at,
                                   struct ko_attention a, bool only_short)
{
    const int place = (int)(blockIdx.x * WARPS + threadIdx.x / 32), lane = (int)threadIdx.x % 32;
    if (place >= rows.n_rows || rows.order[place] >= at.n_active) {
        return;
    }
    const int row = rows.order[place], head = (int)blockIdx.y, i = rows.position[row];
    if (only_short && rows.n_tokens[rows.prompt[row]] > KO_CUDA_SHORT) {
        return;
    }
    const int b = rows.branch[row], trunk = rows.trunk_first[rows.prompt[row]];
    const struct ko_branch *branch = b < 0 ? NULL : &rows.branches[b];
    const bool cut = branch && branch->edge_set >= 0 &&
                     branch_cuts(*branch, a.stage, KO_MIXER_ATTENTION) &&
                     (branch->only_head == 0 || branch->only_head == head + 1);
    const bool after = cut && branch->after_softmax;
    const int kv_head = (int)((size_t)head * (size_t)a.n_kv_heads / (size_t)a.n_heads);
    const float *q = a.q + ko_at(source_row(rows, at, row), a.ld, head * a.stride);
    const float inverse_cap = CAPPED ? 1.0F / a.cap : 0.0F;
    float query[PARTS], out[PARTS];
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        query[p] = lane + 32 * p < a.d_head ? q[lane + 32 * p] * a.scale : 0.0F;
        out[p] = 0.0F;
    }
    struct running run = {-INFINITY, 0.0F};
    bool keeps = false; // whether some value is added
    if (a.sinks) {      // a key whose value is zero
        run.top = a.sinks[head];
        run.sum = 1.0F;
    }
    for (int j = i >= a.reach ? i - a.reach + 1 : 0; j <= i; j++) {
        const bool removed = cut && has_edge(rows, branch->edge_set, i, j);
        if (removed && !after) {
            continue;
        }
        const int key_row = source_row(rows, at, path_row(branch, trunk, j));
        const size_t key = ko_at(key_row, a.ld, kv_head * a.stride);
        const size_t value = ko_at(key_row, a.ld_v, kv_head * a.stride_v);
        float score = 0.0F;
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
            if (lane + 32 * p < a.d_head) {
                score += query[p] * a.k[key + lane + 32 * p];
            }
        }
        score = warp_sum(score);
        if (CAPPED) {
            score = a.cap * tanhf(score * inverse_cap);
        }
        const float top = fmaxf(run.top, score);
        const float fade = run.top == -INFINITY ? 0.0F : expf(run.top - top);
        const float weight = expf(score - top);
        run.sum = run.sum * fade + weight;
        run.top = top;
#pragma unroll
        for (int p = 0; p < PARTS; p++) {
            const int n = lane + 32 * p;
            if (removed) {
                out[p] *= fade;
            } else {
                const float v = n < a.d_value ? a.v[value + n] : 0.0F;
                out[p] = out[p] * fade + weight * v;
            }
        }
        keeps = keeps || !removed;
    }
    // Without any value the context is zero, whatever the scores are. Else a sum that is NaN stays NaN.
    const float scale = !keeps || run.sum == 0.0F ? 0.0F : 1.0F / run.sum;
    float *to = a.out + ko_at3(row, a.n_heads, head, a.d_value, 0);
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        if (lane + 32 * p < a.d_value) {
            to[lane + 32 * p] = out[p] * scale;
        }
    }
}

template <int PARTS>
static void launch_rows(struct ko_backend *be, const struct stage_rows &at,
                        const struct ko_attention *args, bool only_short)
{
    const dim3 grid(blocks_for((size_t)be->rows.n_rows, WARPS), (unsigned)args->n_heads);
    if (args->cap == 0.0F) {
        attend_rows<PARTS, false>
            <<<grid, WARPS * 32, 0, be->stream>>>(be->rows, at, *args, only_short);
    } else {
        attend_rows<PARTS, true>
            <<<grid, WARPS * 32, 0, be->stream>>>(be->rows, at, *args, only_short);
    }
}

static void attend_by_row(struct ko_backend *be, const struct stage_rows &at,
                          const struct ko_attention *args, int32_t width, bool only_short)
{
    if (width <= 32) {
        launch_rows<1>(be, at, args, only_short);
    } else if (width <= 64) {
        launch_rows<2>(be, at, args, only_short);
    } else if (width <= 128) {
        launch_rows<4>(be, at, args, only_short);
    } else {
        launch_rows<8>(be, at, args, only_short);
    }
}

// The most shared memory that a block takes for heads of a width, with what the kernel declares.
static constexpr size_t block_bytes(int width)
{
    return tile_bytes(tile_row(width), tile_keys(tile_row(width)), MOST_KEY_PAD, MOST_VALUE_PAD) +
           256;
}

// Whether a block of this GPU may have it. GPUs of compute capability 8.6, 8.9 and 12.0, which run
// what is compiled for 8.0 and 10.0 too, have 99 KiB, others 163 KiB and more.
static bool tiles_fit(const struct ko_backend *be, int32_t width)
{
    static_assert(block_bytes(96) <= 99 * 1024, "tiles for heads of up to 96 fit every GPU");
    static_assert(block_bytes(KO_CUDA_WIDEST_HEAD) <= 163 * 1024, "all tiles fit 8.0, 9.0, 10.0");
    int has = 0;
    return cudaDeviceGetAttribute(&has, cudaDevAttrMaxSharedMemoryPerBlockOptin, be->device) ==
               cudaSuccess &&
           block_bytes(width) <= (size_t)has;
}

enum ko_code ko_cuda_attention(struct ko_backend *be, const struct ko_attention *args,
                               struct ko_error *err)
{
    const struct stage_rows at = rows_of_stage(be->wave, args->stage);
    const int32_t width = args->d_head > args->d_value ? args->d_head : args->d_value;
    if (width > KO_CUDA_WIDEST_HEAD) {
        return ko_fail(err, KO_E_INPUT,
                       "backend: cuda attends with heads of up to %d numbers, the model has %d, "
                       "choose --backend cpu",
                       KO_CUDA_WIDEST_HEAD, width);
    }
    if (at.n_active == 0) {
        return KO_OK;
    }
    const bool tiles = be->rows.n_long_prompts > 0 && args->n_heads % args->n_kv_heads == 0 &&
                       tiles_fit(be, width);
    if (!tiles || be->rows.n_long_prompts < be->rows.n_prompts) {
        attend_by_row(be, at, args, width, tiles);
    }
    enum ko_code code = KO_OK;
    if (tiles && be->precision == KO_FLOAT32) {
        code = ko_cuda_attend_float32(be, at, args, width, err);
    } else if (tiles && be->precision == KO_BF16X3) {
        code = ko_cuda_attend_bf16x3(be, at, args, width, err);
    } else if (tiles) {
        code = ko_cuda_attend_tf32(be, at, args, width, err);
    }
    return code == KO_OK ? ko_cuda_launched(be, "attention", err) : code;
}
