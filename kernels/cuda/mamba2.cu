/* SPDX-License-Identifier: Apache-2.0 */
// Mamba-2's mixing in the attention form, for every row over its path. Three kernels compute delta
// and its running sum (a thread has one head), C[i] . B[j] (a warp has one pair), and the weighted
// sums of u (a thread has one channel of a few rows). Rows of one prompt are neighbours, so that
// the trunk's u is in the cache.
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

enum { THREADS = 256, ROWS = 4, KEYS = 32, HEADS = 32 };

struct scratch {
    float *step;      // [rows, n_heads]
    double *step_sum; // [rows, n_heads] along the path; double, since differences are taken
    float *score;     // [rows, n_groups, max_tokens]
};

static __device__ __forceinline__ float step_of(const struct ko_mamba2 &a, int source, int head)
{
    const float dt = softplus_of(a.dt[ko_at(source, a.ld_dt, head)] + a.dt_bias[head]);
    return dt < a.dt_min ? a.dt_min : dt > a.dt_max ? a.dt_max : dt; // NaN stays NaN
}

// blockIdx.x is the trunk of a prompt, or with `branches` a branch.
static __global__ void sum_steps(struct ko_cuda_rows rows, struct stage_rows at, struct ko_mamba2 a,
                                 struct scratch s, bool branches)
{
    const int head = (int)(blockIdx.y * THREADS + threadIdx.x);
    if (head >= a.n_heads) {
        return;
    }
    int first, n;
    double sum = 0.0;
    if (branches) {
        const struct ko_branch branch = rows.branches[blockIdx.x];
        first = branch.first_row;
        n = branch.n_rows;
        if (branch.first_position > 0) {
            const int before = rows.trunk_first[branch.prompt] + branch.first_position - 1;
            sum = s.step_sum[ko_at(before, a.n_heads, head)];
        }
    } else {
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

// A block has one row; its warps share the keys and groups.
static __global__ void score_rows(struct ko_cuda_rows rows, struct stage_rows at,
                                  struct ko_mamba2 a, float *score)
{
    const int row = rows.order[blockIdx.x];
    if (row >= at.n_active) {
        return;
    }
    const int lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    const int n_keys = rows.position[row] + 1, b = rows.branch[row];
    const struct ko_branch *branch = b < 0 ? NULL : &rows.branches[b];
    const int trunk = rows.trunk_first[rows.prompt[row]];
    const int source = source_row_after_conv(rows, at, row);
    for (int pair = warp; pair < n_keys * a.n_groups; pair += THREADS / 32) {
        const int group = pair / n_keys, j = pair % n_keys;
        const int key = source_row_after_conv(rows, at, path_row(branch, trunk, j));
        const float *b_key = a.b + ko_at(key, a.ld, group * a.d_state);
        const float *c_row = a.c + ko_at(source, a.ld, group * a.d_state);
        float sum = 0.0F;
        for (int n = lane; n < a.d_state; n += 32) {
            sum += c_row[n] * b_key[n];
        }
        sum = warp_sum(sum);
        if (lane == 0) {
            score[ko_at3(row, a.n_groups, group, rows.max_tokens, j)] = sum;
        }
    }
}

// One of a block's rows.
struct mixed_row {
    int row, n_keys, trunk, source; // row -1: none
    const struct ko_branch *branch; // NULL: a trunk's
    bool cut;                       // edges are removed in this stage
};

static __device__ struct mixed_row row_at(const struct ko_cuda_rows &rows,
                                          const struct stage_rows &at, int place)
{
    struct mixed_row m = {-1, 0, 0, 0, NULL, false};
    if (place >= rows.n_rows || rows.order[place] >= at.n_active) {
        return m;
    }
    m.row = rows.order[place];
    const int b = rows.branch[m.row];
    m.branch = b < 0 ? NULL : &rows.branches[b];
    m.n_keys = rows.position[m.row] + 1;
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
                                  const struct scratch &s, const struct mixed_row &m, int head,
                                  int j)
{
    if (m.cut && has_edge(rows, m.branch->edge_set, m.n_keys - 1, j) &&
        is_masked(rows, *m.branch, a.masks, a.stage, a.n_heads, head)) {
        return removed_weight();
    }
    const int group = (int)((size_t)head * (size_t)a.n_groups / (size_t)a.n_heads);
    const size_t own = ko_at(m.row, a.n_heads, head);
    const size_t key = ko_at(path_row(m.branch, m.trunk, j), a.n_heads, head);
    const double span = s.step_sum[own] - s.step_sum[key];
    const float score = s.score[ko_at3(m.row, a.n_groups, group, rows.max_tokens, j)];
    return score * expf((float)((double)a.a[head] * span)) * s.step[key];
}

// blockIdx.x: ROWS neighbours in rows.order; blockIdx.y: `channels` channels, which lie in at most
// HEADS + 1 heads.
static __global__ void mix_rows(struct ko_cuda_rows rows, struct stage_rows at, struct ko_mamba2 a,
                                struct scratch s, int channels)
{
    __shared__ float weight[ROWS][HEADS + 1][KEYS];
    __shared__ struct mixed_row mixed[ROWS];
    const int first_channel = (int)blockIdx.y * channels, first_head = first_channel / a.d_head;
    const int end = min(first_channel + channels, a.n_heads * a.d_head);
    const int n_heads = (end - 1) / a.d_head - first_head + 1;
    const int c = first_channel + (int)threadIdx.x;
    const bool live = (int)threadIdx.x < channels && c < end;
    if (threadIdx.x < ROWS) {
        mixed[threadIdx.x] = row_at(rows, at, (int)blockIdx.x * ROWS + (int)threadIdx.x);
    }
    __syncthreads();
    int n_keys = 0;
    for (int r = 0; r < ROWS; r++) {
        n_keys = max(n_keys, mixed[r].n_keys);
    }
    float y[ROWS] = {0.0F};
    for (int first = 0; first < n_keys; first += KEYS) {
        for (int k = (int)threadIdx.x; k < ROWS * n_heads * KEYS; k += THREADS) {
            const int j = first + k % KEYS, h = k / KEYS % n_heads, r = k / KEYS / n_heads;
            weight[r][h][k % KEYS] =
                j < mixed[r].n_keys ? weight_of(rows, a, s, mixed[r], first_head + h, j) : 0.0F;
        }
        __syncthreads();
        if (live) {
            const int h = c / a.d_head - first_head;
            for (int r = 0; r < ROWS; r++) {
                const struct mixed_row m = mixed[r];
                const int last = min(first + KEYS, m.n_keys);
                for (int j = first; j < last; j++) {
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
            a.out[ko_at(mixed[r].row, a.n_heads * a.d_head, c)] = y[r] + a.d[c / a.d_head] * u;
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
    return KO_OK;
}

enum ko_code ko_cuda_mamba2(struct ko_backend *be, const struct ko_mamba2 *args,
                            struct ko_error *err)
{
    const struct stage_rows at = rows_of_stage(be->wave, args->stage);
    const enum ko_code code = check_reserved(be, args, err);
    if (code != KO_OK || at.n_active == 0) {
        return code;
    }
    const struct scratch s = {be->scratch.step, be->scratch.step_sum, be->scratch.score};
    const unsigned heads = blocks_for((size_t)args->n_heads, THREADS);
    const unsigned n_rows = (unsigned)be->rows.n_rows;
    sum_steps<<<dim3((unsigned)be->rows.n_prompts, heads), THREADS, 0, be->stream>>>(
        be->rows, at, *args, s, false);
    if (at.n_branches_active > 0) {
        sum_steps<<<dim3((unsigned)at.n_branches_active, heads), THREADS, 0, be->stream>>>(
            be->rows, at, *args, s, true);
    }
    score_rows<<<n_rows, THREADS, 0, be->stream>>>(be->rows, at, *args, s.score);
    const int narrow = HEADS * args->d_head, channels = narrow < THREADS ? narrow : THREADS;
    const size_t width = (size_t)args->n_heads * (size_t)args->d_head;
    const dim3 grid(blocks_for(n_rows, ROWS), blocks_for(width, (unsigned)channels));
    mix_rows<<<grid, THREADS, 0, be->stream>>>(be->rows, at, *args, s, channels);
    return ko_cuda_launched(be, "mamba2", err);
}
