/* SPDX-License-Identifier: Apache-2.0 */
// The unembedding with the metrics. The vocabulary is cut into tiles. Each tile is one matrix
// product for all rows, and then updates each row's maximum, sum of exponentials, rank and KL sum.
//
// The rank compares all logits with the target's, which must have the bits that its own tile
// computes; a separate product can round differently. So each row starts with an estimate of that
// logit (a product with the wave's distinct targets), and a band around the estimate that is wider
// than the rounding. Logits above the band are counted, and logits inside it are kept until the
// target's logit is known. If that logit lies outside the band, or if there are more logits inside
// than can be kept, a second pass over the same tiles counts against the known logit.
#include <stdlib.h>

#include "kernels/cuda/unembed.cuh"
#include "src/base/memory.h"

enum { THREADS = UNEMBED_THREADS };

// ----------------------------------------------------------------------------------------------
// the band

// Some of the distinct targets: [first, first + n) of them.
template <typename T> struct targets {
    int first, n, ld;
    T *w;            // [n, ld] their rows of the table; in two parts first the high ones
    float *estimate; // [rows, n] their logits without the bias
};

// w[k] = the table's row (or with in_first its column) of token[k].
template <typename T>
static __global__ void copy_tokens(const T *table, const int32_t *token, int ld,
                                   size_t stride_token, size_t stride_in, T *w)
{
    const T *from = table + (size_t)token[blockIdx.x] * stride_token;
    for (int k = (int)threadIdx.x; k < ld; k += THREADS) {
        w[ko_at((int)blockIdx.x, ld, k)] = from[(size_t)k * stride_in];
    }
}

// Starts the rows whose target is one of these. A block has one row.
template <typename T>
static __global__ void start_rows(struct unembedding a, struct targets<T> t, const float *x,
                                  int n_in, const float *bias, float rounding)
{
    const int r = (int)blockIdx.x, own = a.distinct[r] - t.first;
    if (own < 0 || own >= t.n) {
        return;
    }
    float squares_x = 0.0F, squares_w = 0.0F;
    for (int k = (int)threadIdx.x; k < n_in; k += THREADS) {
        const float v = x[ko_at(a.source[r], n_in, k)];
        const float u = (float)t.w[ko_at(own, t.ld, k)];
        squares_x += v * v;
        squares_w += u * u;
    }
    squares_x = block_sum(squares_x);
    squares_w = block_sum(squares_w);
    if (threadIdx.x == 0) {
        struct metrics_row *row = &a.row[r];
        const float b = bias ? bias[a.target[r]] : 0.0F;
        const float middle = logit_of(a, t.estimate[ko_at(a.source[r], t.n, own)] + b);
        // A cap narrows the band; that the cap itself rounds is what the factor 2 is for.
        const float widen = a.cap == 0.0F ? fabsf(a.scale) : 2.0F * fabsf(a.scale);
        const float half = widen * rounding * (sqrtf(squares_x) * sqrtf(squares_w) + fabsf(b));
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
// the end: a thread has one row

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

// Numbers the distinct targets. token [n_distinct]: their tokens; distinct [n]: each row's number;
// place [n_places]: a hash table. Returns n_distinct.
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

// Bound on the rounding of a product that is summed in any order, in units of |x| |w|. Sums in
// float32 are off by a few units in the last place; the accumulators of tensor cores truncate, and
// bf16x3 leaves out the product of the low parts.
static float rounding_of(const struct ko_backend *be)
{
    return be->precision == KO_FLOAT32 ? 0x1p-21F : 0x1p-14F;
}

// Starts the rows with these targets. token: all distinct targets.
template <typename T>
static enum ko_code start_targets(struct ko_backend *be, const struct ko_unembed *args,
                                  const struct unembedding *a, const int32_t *token,
                                  const struct targets<T> *t, struct ko_error *err)
{
    const struct ko_matrix *table = &args->table;
    const size_t stride_token = table->in_first ? 1 : (size_t)t->ld;
    const size_t stride_in = table->in_first ? (size_t)table->n_out : 1;
    copy_tokens<<<(unsigned)t->n, THREADS, 0, be->stream>>>(
        (const T *)table->data, token + t->first, t->ld, stride_token, stride_in, t->w);
    enum ko_code code = ko_cuda_launched(be, "unembed", err);
    if (code != KO_OK) {
        return code;
    }
    const struct ko_linear logits = {.n = ko_unembed_n_rows(args),
                                     .x = args->x,
                                     .ldx = table->n_in,
                                     .w = {t->w, t->n, table->n_in, false, table->type},
                                     .bias = NULL,
                                     .accumulate = false,
                                     .y = t->estimate,
                                     .ldy = t->n};
    code = ko_cuda_product(be, &logits, 0, t->n, err);
    if (code != KO_OK) {
        return code;
    }
    start_rows<<<(unsigned)args->n, THREADS, 0, be->stream>>>(*a, *t, args->x, table->n_in,
                                                              args->bias, rounding_of(be));
    return ko_cuda_launched(be, "unembed", err);
}

// Starts all rows, for as many targets at a time as the tile's memory holds.
static enum ko_code start_all(struct ko_backend *be, const struct ko_unembed *args,
                              const struct unembedding *a, const int32_t *token, int32_t n_distinct,
                              struct ko_error *err)
{
    const size_t one = (size_t)ko_unembed_n_rows(args) + (size_t)args->table.n_in + 64;
    const int32_t most = (int32_t)((size_t)KO_CUDA_TILE_FLOATS / one);
    enum ko_code code = KO_OK;
    for (int32_t first = 0; code == KO_OK && first < n_distinct; first += most) {
        const int32_t n = n_distinct - first < most ? n_distinct - first : most;
        float *w = a->product, *estimate = w + (ko_at(n, args->table.n_in, 0) + 63) / 64 * 64;
        const int32_t n_in = args->table.n_in;
        if (args->table.type != KO_ELEMENT_F32) {
            const int32_t ld = args->table.type == KO_ELEMENT_BF16X2 ? 2 * n_in : n_in;
            const struct targets<__nv_bfloat16> t = {
                first, n, ld, (__nv_bfloat16 *)(void *)w, estimate
            };
            code = start_targets(be, args, a, token, &t, err);
        } else {
            const struct targets<float> t = {
                first, n, n_in, w, estimate
            };
            code = start_targets(be, args, a, token, &t, err);
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
    const struct ko_linear logits = {.n = ko_unembed_n_rows(args),
                                     .x = args->x,
                                     .ldx = args->table.n_in,
                                     .w = args->table,
                                     .bias = args->bias ? args->bias + first : NULL,
                                     .accumulate = false,
                                     .y = a->product,
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
            return code;
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

static enum ko_code start_download(const struct ko_backend *be, void *to, const void *from,
                                   size_t bytes, struct ko_error *err)
{
    return ko_cuda_check(be, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, be->stream),
                         "download", err);
}

// Computes the metrics, and reads them and the flag for the second pass.
static enum ko_code read_metrics(struct ko_backend *be, const struct unembedding *a,
                                 struct ko_error *err)
{
    finish_rows<<<blocks_for((size_t)a->n, THREADS), THREADS, 0, be->stream>>>(*a,
                                                                               be->scratch.metrics);
    enum ko_code code = ko_cuda_launched(be, "unembed", err);
    if (code == KO_OK) {
        code = start_download(be, be->metrics, be->scratch.metrics,
                              (size_t)a->n * sizeof *be->metrics, err);
    }
    if (code == KO_OK) {
        code = start_download(be, be->flag, be->scratch.flag, sizeof *be->flag, err);
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

// Fills args->out. token: the distinct targets, on the device.
static enum ko_code measure_rows(struct ko_backend *be, const struct ko_unembed *args,
                                 struct unembedding *a, const int32_t *token, int32_t n_distinct,
                                 struct ko_error *err)
{
    enum ko_code code = start_all(be, args, a, token, n_distinct, err);
    if (code == KO_OK) {
        code = all_tiles(be, args, a, false, err);
    }
    if (code == KO_OK) {
        code = ko_cuda_check(be, cudaMemsetAsync(be->scratch.flag, 0, sizeof(int32_t), be->stream),
                             "cudaMemsetAsync", err);
    }
    if (code != KO_OK) {
        return code;
    }
    settle_rows<<<blocks_for((size_t)a->n, THREADS), THREADS, 0, be->stream>>>(*a,
                                                                               be->scratch.flag);
    code = read_metrics(be, a, err);
    if (code == KO_OK && *be->flag) {
        code = all_tiles(be, args, a, true, err);
        if (code == KO_OK) {
            code = read_metrics(be, a, err);
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
    if (args->n > be->limits.max_scored) {
        return ko_fail(err, KO_E_FAILED, "GPU %d: %d tokens to score, %d are reserved", be->device,
                       args->n, be->limits.max_scored);
    }
    const size_t n = (size_t)args->n, n_places = 2 * n + 1;
    int32_t *work = (int32_t *)ko_new(3 * n + n_places, sizeof *work, err);
    if (!work) {
        return KO_E_MEMORY;
    }
    int32_t *token = work, *distinct = work + n, *source = work + 2 * n;
    const int32_t n_distinct = number_targets(args, token, distinct, work + 3 * n, n_places);
    for (int32_t r = 0; r < args->n; r++) {
        source[r] = ko_unembed_row(args, r);
    }
    const void *host[] = {args->clean, args->target, args->foil, distinct, source, token};
    enum { N_LISTS = sizeof host / sizeof *host };
    void *device[N_LISTS] = {NULL};
    enum ko_code code = ko_cuda_put_room(be, N_LISTS * n * sizeof(int32_t), N_LISTS, err);
    for (int k = 0; code == KO_OK && k < N_LISTS; k++) {
        const size_t length = k + 1 < N_LISTS ? n : (size_t)n_distinct;
        code = ko_cuda_put(be, host[k], length * sizeof(int32_t), &device[k], err);
    }
    struct unembedding a = {(struct metrics_row *)be->scratch.metrics_rows,
                            be->scratch.tile,
                            (const int32_t *)device[0],
                            (const int32_t *)device[1],
                            (const int32_t *)device[2],
                            (const int32_t *)device[3],
                            (const int32_t *)device[4],
                            args->n,
                            tile_width(ko_unembed_n_rows(args), args->table.n_out),
                            0,
                            0,
                            args->scale,
                            args->cap,
                            args->cap == 0.0F ? 0.0F : 1.0F / args->cap};
    if (code == KO_OK) {
        code = measure_rows(be, args, &a, (const int32_t *)device[N_LISTS - 1], n_distinct, err);
    }
    free(work);
    return code;
}
