/* SPDX-License-Identifier: Apache-2.0 */
// Mamba-2's mixing in the attention form, for every row over its path. Three kernels compute delta
// and its running sum (a thread has one head), C[i] . B[j] (a warp has one pair), and the weighted
// sums of u (a thread has one channel of a few rows). Rows of one prompt are neighbours, so that
// the trunk's u is in the cache. Keys are taken in windows, one after the other, which bound the
// memory of the scores; most rows have one.
//
// Long trunks are cut into chunks (mamba2_chunk.cu). Then these kernels compute the steps and scores,
// and for the branches' rows the sums over their own keys, those from t0 on.
#include <limits.h>

#include "kernels/cuda/mamba/mamba2_chunk.cuh"

enum { THREADS = 256, ROWS = 4, KEYS = 32, HEADS = 32 };

// blockIdx.x is the trunk of a prompt, or with `branches` a branch.
static __global__ void sum_steps(struct ko_cuda_rows rows, struct stage_rows at, struct ko_mamba2 a,
                                 struct mamba2_scratch s, bool branches)
{
    const int head = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (head >= a.n_heads) {
        return;
    }
    int first, n;
    double sum = 0.0;
    if (branches) {
        const struct ko_branch branch = rows.branches[blockIdx.x];
        const int start = branch_start(branch);
        first = branch.first_row;
        n = branch.n_rows;
        if (start > 0) {
            const int before = rows.trunk_first[branch.prompt] + start - 1;
            sum = s.step_sum[ko_at(before, a.n_heads, head)];
        }
        // A fork adds up the steps of its stem's rows again. The stem's block writes them.
        for (int row = branch.shared_row; row < branch.shared_row + branch.n_shared; row++) {
            sum += (double)step_of(a, source_row(rows, at, row), head);
        }
    } else {
        if (is_long(rows, s, (int)blockIdx.x)) {
            return;
        }
        first = rows.trunk_first[blockIdx.x];
        n = rows.n_tokens[blockIdx.x];
    }
    for (int row = first; row < first + n; row++) {
        const float step = step_of(a, source_row(rows, at, row), head);
        sum += (double)step;
        s.step[ko_at(row, a.n_heads, head)] = step;
        s.step_sum[ko_at(row, a.n_heads, head)] = sum;
    }
}

// step, its sum from the chunk's first row on, and the sum of the chunk blockIdx.x. A thread has a
// head, and reads AHEAD rows at once.
static __global__ void sum_chunk_steps(struct ko_cuda_rows rows, struct ko_mamba2 a,
                                       struct mamba2_scratch s)
{
    enum { AHEAD = 32 };
    const int head = (int)(blockIdx.y * THREADS + threadIdx.x);
    const struct chunk_place place =
        place_of_chunk(rows, rows.mamba2_chunks, KO_CUDA_MAMBA2_CHUNK, (int)blockIdx.x);
    double sum = 0.0;
    if (head >= a.n_heads) {
        return;
    }
    for (int first = 0; first < place.n; first += AHEAD) {
        float step[AHEAD];
#pragma unroll
        for (int e = 0; e < AHEAD; e++) {
            step[e] = first + e < place.n ? step_of(a, place.row + first + e, head) : 0.0F;
        }
#pragma unroll
        for (int e = 0; e < AHEAD; e++) {
            if (first + e < place.n) {
                const size_t at = ko_at(place.row + first + e, a.n_heads, head);
                sum += (double)step[e];
                s.step[at] = step[e];
                s.step_sum[at] = sum;
            }
        }
    }
    s.chunk_step[ko_at((int)blockIdx.x, a.n_heads, head)] = sum;
}

// step_sum from the trunk's first row on: adds what the steps of the chunks before sum to. A block has
// one chunk, and HEADS heads at a time.
static __global__ void shift_chunk_steps(struct ko_cuda_rows rows, struct ko_mamba2 a,
                                         struct mamba2_scratch s)
{
    __shared__ double before[HEADS];
    const int chunk = (int)blockIdx.x;
    const struct chunk_place place =
        place_of_chunk(rows, rows.mamba2_chunks, KO_CUDA_MAMBA2_CHUNK, chunk);
    const int first_head = (int)blockIdx.y * HEADS, n = min(HEADS, a.n_heads - first_head);
    if (place.position == 0) {
        return;
    }
    if ((int)threadIdx.x < n) {
        double sum = 0.0;
#pragma unroll 4
        for (int k = rows.mamba2_chunks.first[place.prompt]; k < chunk; k++) {
            sum += s.chunk_step[ko_at(k, a.n_heads, first_head + (int)threadIdx.x)];
        }
        before[threadIdx.x] = sum;
    }
    __syncthreads();
    for (int e = (int)threadIdx.x; e < place.n * n; e += THREADS) {
        s.step_sum[ko_at(place.row + e / n, a.n_heads, first_head + e % n)] += before[e % n];
    }
}

// The positions of a row's window: [first, end). Where end <= first, it has no position.
struct key_window {
    int first, end;
};

static __device__ __forceinline__ struct key_window
window_of(const struct ko_cuda_rows &rows, const struct mamba2_scratch &s, int row, int window)
{
    struct key_window w;
    w.first = first_key(rows, s, row) + window * s.keys;
    w.end = min(w.first + s.keys, rows.position[row] + 1);
    return w;
}

// A block has one row; its warps share the keys and groups.
static __global__ void score_rows(struct ko_cuda_rows rows, struct stage_rows at,
                                  struct ko_mamba2 a, struct mamba2_scratch s, int window)
{
    const int row = rows.order[blockIdx.x];
    if (row >= at.n_active) {
        return;
    }
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const struct key_window w = window_of(rows, s, row, window);
    const int n_keys = w.end - w.first, b = rows.branch[row];
    const struct ko_branch *branch = b < 0 ? NULL : &rows.branches[b];
    const int trunk = rows.trunk_first[rows.prompt[row]];
    const int source = source_row_after_conv(rows, at, row);
    for (int pair = warp; pair < n_keys * a.n_groups; pair += THREADS / 32) {
        const int group = pair / n_keys, j = pair % n_keys;
        const int key = source_row_after_conv(rows, at, path_row(branch, trunk, w.first + j));
        const float *b_key = a.b + ko_at(key, a.ld, group * a.d_state);
        const float *c_row = a.c + ko_at(source, a.ld, group * a.d_state);
        float sum = 0.0F;
        for (int n = lane; n < a.d_state; n += 32) {
            sum += c_row[n] * b_key[n];
        }
        sum = warp_sum(sum);
        if (lane == 0) {
            s.score[ko_at3(row, a.n_groups, group, s.keys, j)] = sum;
        }
    }
}

// One of a block's rows.
struct mixed_row {
    int row, position, trunk, source; // row -1: none
    struct key_window keys;
    int begin;                      // the first of these keys that the row sums over
    const struct ko_branch *branch; // NULL: a trunk's
    bool cut;                       // edges are removed in this stage
};

// Long trunks have no rows here, and after the first window only rows with more keys.
static __device__ struct mixed_row row_at(const struct ko_cuda_rows &rows,
                                          const struct stage_rows &at,
                                          const struct mamba2_scratch &s, int place, int window)
{
    struct mixed_row m = {-1, 0, 0, 0, {0, 0}, INT_MAX, NULL, false};
    if (place >= rows.n_rows || rows.order[place] >= at.n_active) {
        return m;
    }
    const int row = rows.order[place], b = rows.branch[row];
    const struct key_window keys = window_of(rows, s, row, window);
    const bool chunks = is_long(rows, s, rows.prompt[row]);
    const int begin =
        chunks && b >= 0 ? max(keys.first, branch_start(rows.branches[b])) : keys.first;
    if ((b < 0 && chunks) || keys.end <= begin) {
        return m;
    }
    m.row = row;
    m.branch = b < 0 ? NULL : &rows.branches[b];
    m.position = rows.position[m.row];
    m.keys = keys;
    m.begin = begin;
    m.trunk = rows.trunk_first[rows.prompt[m.row]];
    m.source = source_row_after_conv(rows, at, m.row);
    m.cut = m.branch && m.branch->edge_set >= 0 && branch_cuts(*m.branch, at.stage, KO_MIXER_SSM);
    return m;
}

// Marks the weight of a removed edge. A weight of 0 would not do, since the source may be NaN. No
// arithmetic makes these bits; a GPU's own NaN is 0x7fffffff.
static __device__ __forceinline__ float removed_weight()
{
    return __uint_as_float(0x7fc00001U);
}
static __device__ __forceinline__ bool is_removed(float weight)
{
    return __float_as_uint(weight) == 0x7fc00001U;
}

// alpha[i, j, h] of one of the block's rows, or removed_weight().
static __device__ float weight_of(const struct ko_cuda_rows &rows, const struct ko_mamba2 &a,
                                  const struct mamba2_scratch &s, const struct mixed_row &m,
                                  int head, int j)
{
    if (m.cut && has_edge(rows, m.branch->edge_set, m.position, j) &&
        is_masked(rows, *m.branch, a.masks, a.stage, a.n_heads, head)) {
        return removed_weight();
    }
    const int group = group_of(a, head);
    const size_t own = ko_at(m.row, a.n_heads, head);
    const size_t key = ko_at(path_row(m.branch, m.trunk, j), a.n_heads, head);
    const double span = s.step_sum[own] - s.step_sum[key];
    const float score = s.score[ko_at3(m.row, a.n_groups, group, s.keys, j - m.keys.first)];
    return score * decay_over(a, head, span) * s.step[key];
}

// blockIdx.x: ROWS neighbours in rows.order; blockIdx.y: `channels` channels, which lie in at most
// HEADS + 1 heads.
static __global__ void mix_rows(struct ko_cuda_rows rows, struct stage_rows at, struct ko_mamba2 a,
                                struct mamba2_scratch s, int channels, int window)
{
    __shared__ float weight[ROWS][HEADS + 1][KEYS];
    __shared__ struct mixed_row mixed[ROWS];
    const int first_channel = (int)blockIdx.y * channels, first_head = first_channel / a.d_head;
    const int end = min(first_channel + channels, a.n_heads * a.d_head);
    const int n_heads = (end - 1) / a.d_head - first_head + 1;
    const int c = first_channel + (int)threadIdx.x;
    const bool live = (int)threadIdx.x < channels && c < end;
    if (threadIdx.x < ROWS) {
        mixed[threadIdx.x] = row_at(rows, at, s, (int)blockIdx.x * ROWS + (int)threadIdx.x, window);
    }
    __syncthreads();
    int begin = INT_MAX, n_keys = 0;
    for (int r = 0; r < ROWS; r++) {
        begin = min(begin, mixed[r].begin);
        n_keys = max(n_keys, mixed[r].keys.end);
    }
    float y[ROWS] = {0.0F};
    for (int first = begin; first < n_keys; first += KEYS) {
        for (int k = (int)threadIdx.x; k < ROWS * n_heads * KEYS; k += THREADS) {
            const int j = first + k % KEYS, h = k / KEYS % n_heads, r = k / KEYS / n_heads;
            const bool is = j >= mixed[r].begin && j < mixed[r].keys.end;
            weight[r][h][k % KEYS] = is ? weight_of(rows, a, s, mixed[r], first_head + h, j) : 0.0F;
        }
        __syncthreads();
        if (live) {
            const int h = c / a.d_head - first_head;
            for (int r = 0; r < ROWS; r++) {
                const struct mixed_row m = mixed[r];
                const int last = min(first + KEYS, m.keys.end);
                for (int j = max(first, m.begin); j < last; j++) {
                    const int key = source_row_after_conv(rows, at, path_row(m.branch, m.trunk, j));
                    const float alpha = weight[r][h][j - first];
                    const float u = a.u[ko_at(key, a.ld, c)];
                    y[r] = is_removed(alpha) ? y[r] : y[r] + alpha * u;
                }
            }
        }
        __syncthreads();
    }
    for (int r = 0; live && r < ROWS; r++) {
        if (mixed[r].row >= 0) {
            const float u = a.u[ko_at(mixed[r].source, a.ld, c)];
            float *out = &a.out[ko_at(mixed[r].row, a.n_heads * a.d_head, c)];
            *out = window > 0 ? *out + y[r] : y[r] + a.d[c / a.d_head] * u;
        }
    }
}

static enum ko_code check_reserved(const struct ko_backend *be, const struct ko_mamba2 *args,
                                   struct ko_error *err)
{
    if (args->n_heads > be->limits.n_heads || args->n_groups > be->limits.n_groups) {
        return ko_fail(err, KO_E_FAILED, "GPU %d: %d heads in %d groups, %d and %d are reserved",
                       be->device, args->n_heads, args->n_groups, be->limits.n_heads,
                       be->limits.n_groups);
    }
    if (be->rows.mamba2_chunks.n > 0 &&
        (args->n_heads * args->d_head > be->limits.d_inner || args->d_state > be->limits.d_state)) {
        return ko_fail(err, KO_E_FAILED, "GPU %d: %d channels of %d states, %d of %d are reserved",
                       be->device, args->n_heads * args->d_head, args->d_state, be->limits.d_inner,
                       be->limits.d_state);
    }
    return KO_OK;
}

// The most windows that a row of this stage has.
static int count_windows(const struct ko_backend *be, const struct stage_rows &at,
                         const struct mamba2_scratch &s)
{
    const struct ko_rows *rows = be->wave;
    int most = 1;
    for (int p = 0; p < rows->n_prompts; p++) {
        const bool chunked = s.chunked && rows->n_tokens[p] >= KO_CUDA_MAMBA2_FROM;
        most = max(most, chunked ? 1 : rows->n_tokens[p]);
    }
    for (int b = 0; b < at.n_branches_active; b++) {
        const struct ko_branch *branch = &rows->branches[b];
        const int end = ko_branch_end(branch), t0 = ko_branch_start(branch);
        const bool chunked = s.chunked && rows->n_tokens[branch->prompt] >= KO_CUDA_MAMBA2_FROM;
        most = max(most, chunked ? end - t0 + t0 % KO_CUDA_MAMBA2_CHUNK : end);
    }
    return (most + s.keys - 1) / s.keys;
}

static void sum_all_steps(struct ko_backend *be, const struct stage_rows &at,
                          const struct ko_mamba2 &args, const struct mamba2_scratch &s)
{
    const unsigned heads = blocks_for((size_t)args.n_heads, THREADS);
    sum_steps<<<dim3((unsigned)be->rows.n_prompts, heads), THREADS, 0, be->stream>>>(
        be->rows, at, args, s, false);
    if (s.chunked) {
        const unsigned chunks = (unsigned)be->rows.mamba2_chunks.n;
        sum_chunk_steps<<<dim3(chunks, heads), THREADS, 0, be->stream>>>(be->rows, args, s);
        shift_chunk_steps<<<dim3(chunks, blocks_for((size_t)args.n_heads, HEADS)), THREADS, 0,
                            be->stream>>>(be->rows, args, s);
    }
    if (at.n_branches_active > 0) {
        sum_steps<<<dim3((unsigned)at.n_branches_active, heads), THREADS, 0, be->stream>>>(
            be->rows, at, args, s, true);
    }
}

enum ko_code ko_cuda_mamba2(struct ko_backend *be, const struct ko_mamba2 *args,
                            struct ko_error *err)
{
    const struct stage_rows at = rows_of_stage(be->wave, args->stage);
    const enum ko_code code = check_reserved(be, args, err);
    if (code != KO_OK || at.n_active == 0) {
        return code;
    }
    const struct mamba2_scratch s = {be->scratch.step,
                                     be->scratch.step_sum,
                                     be->scratch.score,
                                     ko_cuda_score_keys(be->limits.max_tokens),
                                     be->rows.mamba2_chunks.n > 0 &&
                                         args->d_state <= KO_CUDA_MAMBA2_STATES,
                                     be->precision == KO_TF32 || be->precision == KO_BFLOAT16,
                                     be->scratch.chunk_input,
                                     be->scratch.chunk_state,
                                     be->scratch.chunk_step};
    const unsigned n_rows = (unsigned)be->rows.n_rows;
    const int narrow = HEADS * args->d_head, channels = narrow < THREADS ? narrow : THREADS;
    const size_t width = (size_t)args->n_heads * (size_t)args->d_head;
    const dim3 grid(blocks_for(n_rows, ROWS), blocks_for(width, (unsigned)channels));
    sum_all_steps(be, at, *args, s);
    const int n_windows = count_windows(be, at, s);
    for (int window = 0; window < n_windows; window++) {
        score_rows<<<n_rows, THREADS, 0, be->stream>>>(be->rows, at, *args, s, window);
        mix_rows<<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args, s, channels, window);
        if (window == 0 && s.chunked) {
            ko_cuda_mamba2_chunks(be, at, *args, s);
        }
    }
    return ko_cuda_launched(be, "mamba2", err);
}
