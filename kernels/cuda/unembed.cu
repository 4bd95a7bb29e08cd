/* SPDX-License-Identifier: Apache-2.0 */
// The unembedding with the metrics: the vocabulary goes by in tiles, one matrix product for all
// rows, then each row's running maximum, sum of exponentials, rank and KL sum over that tile.
//
// The rank needs the target's logit before the first tile, with the bits that its tile will give
// it, which a product of its own does not promise. So an estimate comes first (the same kind of
// product with the wave's distinct targets), and a band around it that is wider than the products'
// rounding. Logits above the band are counted, those inside it are kept; when the target's logit is
// known they are settled. Where it turns out to lie outside its band, or more logits lie inside
// than are kept, a second pass over the same tiles counts against the known logit.
#include <stdlib.h>

#include "kernels/cuda/unembed.cuh"
#include "src/base/memory.h"

enum { THREADS = UNEMBED_THREADS };

// ----------------------------------------------------------------------------------------------
// the band

// to[u] = the table's row (or column, in_first) of token[u], as it lies there.
template <typename T>
static __global__ void copy_tokens(const T *table, const int32_t *token, int n_in,
                                   size_t stride_token, size_t stride_in, T *to)
{
    const T *from = table + (size_t)token[blockIdx.x] * stride_token;
    for (int k = (int)threadIdx.x; k < n_in; k += THREADS) {
        to[(size_t)blockIdx.x * (size_t)n_in + (size_t)k] = from[(size_t)k * stride_in];
    }
}

// Rows [0, n): estimates [n, n_distinct] of the distinct targets [first, first + n_distinct), whose
// table rows are w. A block a row.
template <typename T>
static __global__ void start_rows(struct unembedding a, const float *x, int n_in, const T *w,
                                  const float *bias, const float *estimate, int first,
                                  int n_distinct, float rounding)
{
    const int r = (int)blockIdx.x, own = a.distinct[r] - first;
    if (own < 0 || own >= n_distinct) {
        return;
    }
    float squares_x = 0.0F, squares_w = 0.0F;
    for (int k = (int)threadIdx.x; k < n_in; k += THREADS) {
        const float v = x[(size_t)r * (size_t)n_in + (size_t)k];
        const float u = (float)w[(size_t)own * (size_t)n_in + (size_t)k];
        squares_x += v * v;
        squares_w += u * u;
    }
    squares_x = block_sum(squares_x);
    squares_w = block_sum(squares_w);
    if (threadIdx.x == 0) {
        struct metrics_row *row = &a.row[r];
        const float b = bias ? bias[a.target[r]] : 0.0F;
        const float middle = estimate[(size_t)r * (size_t)n_distinct + (size_t)own] + b;
        const float half = rounding * (sqrtf(squares_x) * sqrtf(squares_w) + fabsf(b));
        row->sum = row->difference = 0.0;
        row->rescale = 1.0;
        row->top = -INFINITY;
        row->target = row->foil = NAN;
        row->low = middle - half;
        row->high = middle + half;
        row->n_kept = row->above = row->again = 0;
        row->top_id = 0;
    }
}

// ----------------------------------------------------------------------------------------------
// the end: a row a thread

static __global__ void settle_rows(struct unembedding a, int32_t *again)
{
    const int r = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (r >= a.n) {
        return;
    }
    struct metrics_row *row = &a.row[r];
    const bool outside = !(row->target > row->low && row->target <= row->high);
    if (row->n_kept > KEPT || (outside && !isnan(row->target))) {
        row->again = 1;
        row->above = 0;
        *again = 1;
        return;
    }
    for (int k = 0; k < row->n_kept; k++) {
        row->above += row->kept[k] > row->target;
    }
}

static __global__ void finish_rows(struct unembedding a, struct ko_metrics *out)
{
    const int r = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (r >= a.n) {
        return;
    }
    const struct metrics_row *row = &a.row[r], *clean = &a.row[a.clean[r]];
    const double total = (double)row->top + log(row->sum);
    const double clean_total = (double)clean->top + log(clean->sum);
    const double kl = row->difference / clean->sum - (clean_total - total);
    struct ko_metrics m;
    m.logprob = (float)((double)row->target - total);
    m.foil_logprob = (float)((double)row->foil - total);
    // The float32 exponentials leave an error of about 1e-8, which may fall below zero.
    m.kl = a.clean[r] == r || kl < 0.0 ? 0.0F : (float)kl;
    m.target_rank = 1 + row->above;
    m.top1_id = row->top_id;
    if (isnan(total)) {
        m.kl = NAN;
        m.target_rank = m.top1_id = -1;
    }
    out[r] = m;
}

// ----------------------------------------------------------------------------------------------
// the host's side

// Numbers the distinct targets: token [n_distinct], distinct [n].
static int32_t number_targets(const struct ko_unembed *args, int32_t *token, int32_t *distinct,
                              int32_t *place, size_t n_places)
{
    int32_t n = 0;
    for (size_t k = 0; k < n_places; k++) {
        place[k] = -1;
    }
    for (int32_t r = 0; r < args->n; r++) {
        size_t at = (size_t)args->target[r] * 2654435761U % n_places;
        while (place[at] >= 0 && token[place[at]] != args->target[r]) {
            at = at + 1 < n_places ? at + 1 : 0;
        }
        if (place[at] < 0) {
            place[at] = n;
            token[n++] = args->target[r];
        }
        distinct[r] = place[at];
    }
    return n;
}

// Rounding of a product summed in any order, in units of |x| |w|: float32 sums are a few units in
// the last place off, the tensor cores' accumulators truncate.
static float rounding_of(const struct ko_backend *be)
{
    return be->precision == KO_FLOAT32 ? 0x1p-21F : 0x1p-14F;
}

template <typename T>
static enum ko_code estimate(struct ko_backend *be, const struct ko_unembed *args,
                             const struct unembedding *a, const int32_t *token, int first, int n,
                             T *w, float *product, struct ko_error *err)
{
    const struct ko_matrix *table = &args->table;
    const size_t stride_token = table->in_first ? 1 : (size_t)table->n_in;
    const size_t stride_in = table->in_first ? (size_t)table->n_out : 1;
    copy_tokens<<<(unsigned)n, THREADS, 0, be->stream>>>((const T *)table->data, token + first,
                                                         table->n_in, stride_token, stride_in, w);
    enum ko_code code = ko_cuda_launched(be, "unembed", err);
    const struct ko_matrix targets = {w, n, table->n_in, false, table->type};
    const struct ko_linear logits = {.n = args->n,
                                     .x = args->x,
                                     .ldx = table->n_in,
                                     .w = targets,
                                     .bias = NULL,
                                     .accumulate = false,
                                     .y = product,
                                     .ldy = n};
    if (code == KO_OK) {
        code = ko_cuda_product(be, &logits, 0, n, err);
    }
    if (code != KO_OK) {
        return code;
    }
    start_rows<<<(unsigned)args->n, THREADS, 0, be->stream>>>(
        *a, args->x, table->n_in, w, args->bias, product, first, n, rounding_of(be));
    return ko_cuda_launched(be, "unembed", err);
}

// All bands, as many targets at a time as the tile's memory holds.
static enum ko_code start_all(struct ko_backend *be, const struct ko_unembed *args,
                              const struct unembedding *a, const int32_t *token, int32_t n_distinct,
                              struct ko_error *err)
{
    const size_t one = (size_t)args->n + (size_t)args->table.n_in + 64;
    const int32_t most = (int32_t)((size_t)KO_CUDA_TILE_FLOATS / one);
    enum ko_code code = KO_OK;
    for (int32_t first = 0; code == KO_OK && first < n_distinct; first += most) {
        const int32_t n = n_distinct - first < most ? n_distinct - first : most;
        float *w = a->logit;
        float *product = w + ((size_t)n * (size_t)args->table.n_in + 63) / 64 * 64;
        if (args->table.type == KO_ELEMENT_BF16) {
            code = estimate(be, args, a, token, first, n, (__nv_bfloat16 *)(void *)w, product, err);
        } else {
            code = estimate(be, args, a, token, first, n, w, product, err);
        }
    }
    return code;
}

static enum ko_code next_tile(struct ko_backend *be, const struct ko_unembed *args,
                              struct unembedding *a, int first, struct ko_error *err)
{
    const int left = args->table.n_out - first;
    a->first = first;
    a->n_tokens = left < a->width ? left : a->width;
    const struct ko_linear logits = {.n = args->n,
                                     .x = args->x,
                                     .ldx = args->table.n_in,
                                     .w = args->table,
                                     .bias = args->bias ? args->bias + first : NULL,
                                     .accumulate = false,
                                     .y = a->logit,
                                     .ldy = a->width};
    return ko_cuda_product(be, &logits, first, a->n_tokens, err);
}

static enum ko_code all_tiles(struct ko_backend *be, const struct ko_unembed *args,
                              struct unembedding *a, bool second, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int first = 0; code == KO_OK && first < args->table.n_out; first += a->width) {
        code = next_tile(be, args, a, first, err);
        if (code != KO_OK) {
            break;
        }
        if (second) {
            ko_cuda_count_tile(be, a);
        } else {
            ko_cuda_add_tile(be, a);
        }
        code = ko_cuda_launched(be, "unembed", err);
    }
    return code;
}

// The metrics, and whether rows must be counted again, on the host.
static enum ko_code finish(struct ko_backend *be, const struct ko_unembed *args,
                           const struct unembedding *a, struct ko_error *err)
{
    const size_t bytes = (size_t)a->n * sizeof *args->out;
    finish_rows<<<blocks_for((size_t)a->n, THREADS), THREADS, 0, be->stream>>>(*a,
                                                                               be->scratch.metrics);
    enum ko_code code = ko_cuda_launched(be, "unembed", err);
    if (code == KO_OK) {
        code = ko_cuda_check(be,
                             cudaMemcpyAsync(be->metrics, be->scratch.metrics, bytes,
                                             cudaMemcpyDeviceToHost, be->stream),
                             "download", err);
    }
    if (code == KO_OK) {
        code = ko_cuda_check(be,
                             cudaMemcpyAsync(be->flag, be->scratch.flag, sizeof *be->flag,
                                             cudaMemcpyDeviceToHost, be->stream),
                             "download", err);
    }
    return code == KO_OK ? ko_cuda_wait(be, err) : code;
}

static int tile_width(int n, int vocabulary)
{
    int width = KO_CUDA_TILE_FLOATS / n / 256 * 256;
    width = width < KO_CUDA_NARROWEST_TILE ? KO_CUDA_NARROWEST_TILE
            : width > WIDEST_TILE          ? WIDEST_TILE
                                           : width;
    return width < vocabulary ? width : (vocabulary + 3) / 4 * 4;
}

// Everything once the arrays are there.
static enum ko_code measure(struct ko_backend *be, const struct ko_unembed *args,
                            struct unembedding *a, const int32_t *token, int32_t n_distinct,
                            struct ko_error *err)
{
    const unsigned blocks = blocks_for((size_t)a->n, THREADS);
    enum ko_code code = start_all(be, args, a, token, n_distinct, err);
    if (code == KO_OK) {
        code = all_tiles(be, args, a, false, err);
    }
    if (code == KO_OK) {
        code = ko_cuda_check(be, cudaMemsetAsync(be->scratch.flag, 0, sizeof(int32_t), be->stream),
                             "cudaMemsetAsync", err);
    }
    if (code == KO_OK) {
        settle_rows<<<blocks, THREADS, 0, be->stream>>>(*a, be->scratch.flag);
        code = finish(be, args, a, err);
    }
    if (code == KO_OK && *be->flag) {
        code = all_tiles(be, args, a, true, err);
        if (code == KO_OK) {
            code = finish(be, args, a, err);
        }
    }
    if (code == KO_OK) {
        memcpy(args->out, be->metrics, (size_t)a->n * sizeof *args->out);
    }
    return code;
}

enum ko_code ko_cuda_unembed(struct ko_backend *be, const struct ko_unembed *args,
                             struct ko_error *err)
{
    if (args->n == 0) {
        return KO_OK;
    }
    if (args->n > be->limits.max_rows) {
        return ko_fail(err, KO_E_FAILED, "GPU %d: %d rows to unembed, %d are reserved", be->device,
                       args->n, be->limits.max_rows);
    }
    const size_t n = (size_t)args->n, n_places = 2 * n + 1;
    int32_t *work = (int32_t *)ko_new(2 * n + n_places, sizeof *work, err);
    if (!work) {
        return KO_E_MEMORY;
    }
    int32_t *token = work, *distinct = work + n;
    const int32_t n_distinct = number_targets(args, token, distinct, work + 2 * n, n_places);
    const void *host[] = {args->clean, args->target, args->foil, distinct, token};
    void *device[5] = {NULL};
    enum ko_code code = ko_cuda_put_room(be, 5 * n * sizeof(int32_t), 5, err);
    for (int k = 0; code == KO_OK && k < 5; k++) {
        code = ko_cuda_put(be, host[k], (k < 4 ? n : (size_t)n_distinct) * sizeof(int32_t),
                           &device[k], err);
    }
    struct unembedding a = {(struct metrics_row *)be->scratch.metrics_rows,
                            be->scratch.tile,
                            (const int32_t *)device[0],
                            (const int32_t *)device[1],
                            (const int32_t *)device[2],
                            (const int32_t *)device[3],
                            args->n,
                            tile_width(args->n, args->table.n_out),
                            0,
                            0};
    if (code == KO_OK) {
        code = measure(be, args, &a, (const int32_t *)device[4], n_distinct, err);
    }
    free(work);
    return code;
}
