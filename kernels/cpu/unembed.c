/* SPDX-License-Identifier: Apache-2.0 */
/* The unembedding with the metrics. The vocabulary is cut into tiles. Each tile is one matrix
   product for all rows, and then updates each row's maximum, sum of exponentials and KL sum.

   The rank compares all logits with the target's, which must have the bits that its own tile
   computes; a separate product can round differently. So each row starts with an estimate of that
   logit, and a band around the estimate that is wider than the rounding. Logits above the band are
   counted, and logits inside it are kept until the target's logit is known. If that logit lies
   outside the band, or if there are more logits inside than can be kept, a second pass over the
   same tiles counts against the known logit. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "src/base/memory.h"

enum { WIDEST_TILE = 2048, NARROWEST_TILE = 256, KEPT = 64 };

/* Logits in a tile, over all rows: 16 MiB. */
static const int32_t tile_floats = 4 << 20;

struct row {
    double sum;        /* of exp(logit - top) */
    double difference; /* sum of exp(clean - clean's top) (clean - logit) */
    double rescale;    /* exp(old top - top) of the latest tile */
    float top;
    float target, foil; /* logits */
    float low, high;    /* the band around the estimate of the target's logit */
    float kept[KEPT];   /* logits in the band, without the target's own */
    int32_t n_kept;     /* logits in the band; only the first KEPT are in kept */
    int32_t above, top_id;
    int32_t leads; /* index of its exponentials in pass.e; -1: no other row needs them */
};

struct pass {
    const struct ko_backend *be;
    const struct ko_unembed *args;
    struct row *row;         /* [args->n] */
    float *logit;            /* [rows of x, width] */
    float *e;                /* [leaders, width] exp(logit - top) of the rows that others need */
    int32_t first, n, width; /* the tile's tokens are [first, first + n), n <= width */
};

/* The tile's logits of a row of x. */
static float *logits_at(const struct pass *pass, int32_t row)
{
    return pass->logit + ko_at(row, pass->width, 0);
}

/* The same of a scored token. */
static float *tile_row(const struct pass *pass, int32_t r)
{
    return logits_at(pass, ko_unembed_row(pass->args, r));
}

/* The exponentials of a row; NULL where no other row needs them. */
static float *exponentials_of(const struct pass *pass, const struct row *row)
{
    return row->leads < 0 ? NULL : pass->e + ko_at(row->leads, pass->width, 0);
}

static float strided_dot(const float *a, const float *b, size_t stride_b, int32_t n)
{
    float sum = 0.0F;
    for (int32_t k = 0; k < n; k++) {
        sum += a[k] * b[(size_t)k * stride_b];
    }
    return sum;
}

/* Whether logits are scaled or capped products. */
static bool is_shaped(const struct ko_unembed *args)
{
    return args->scale != 1.0F || args->cap > 0.0F;
}

/* Sets the row's band. A product that is summed in any order is off by a few units of |x| |w| in
   the last place, and typically by less than one. A cap's result is off by a few units of its own.
   */
static void estimate_target(const struct pass *pass, int32_t r, struct row *row)
{
    const struct ko_unembed *args = pass->args;
    const struct ko_matrix *table = &args->table;
    int32_t target = args->target[r];
    size_t stride = table->in_first ? (size_t)table->n_out : 1;
    const float *w = (const float *)table->data + (table->in_first ? ko_at(0, table->n_out, target)
                                                                   : ko_at(target, table->n_in, 0));
    const float *x = args->x + ko_at(ko_unembed_row(args, r), table->n_in, 0);
    float bias = args->bias ? args->bias[target] : 0.0F, squares = 0.0F;
    for (int32_t k = 0; k < table->n_in; k++) {
        squares += w[(size_t)k * stride] * w[(size_t)k * stride];
    }
    float middle = strided_dot(x, w, stride, table->n_in) + bias;
    float size = sqrtf(squares) * sqrtf(strided_dot(x, x, 1, table->n_in));
    float half = 0x1p-22F * (size + fabsf(bias));
    float band[2] = {middle - half, middle + half};
    if (is_shaped(args)) {
        pass->be->isa->scale_cap(2, args->scale, args->cap, band);
        band[0] -= 0x1p-21F * fabsf(band[0]);
        band[1] += 0x1p-21F * fabsf(band[1]);
    }
    row->low = band[0];
    row->high = band[1];
}

static void start_rows(const struct pass *pass)
{
#pragma omp parallel for schedule(static) num_threads(pass->be->threads)
    for (int32_t r = 0; r < pass->args->n; r++) {
        struct row *row = &pass->row[r];
        int32_t leads = row->leads;
        *row = (struct row){.top = -INFINITY, .target = NAN, .foil = NAN, .leads = leads};
        estimate_target(pass, r, row);
    }
}

static void compute_tile(const struct pass *pass)
{
    const struct ko_unembed *args = pass->args;
    if (args->bias) {
#pragma omp parallel for schedule(static) num_threads(pass->be->threads)
        for (int32_t k = 0; k < ko_unembed_n_rows(args); k++) {
            pass->be->isa->start((size_t)pass->n, args->bias + pass->first, logits_at(pass, k));
        }
    }
    const struct ko_linear product = {.n = ko_unembed_n_rows(args),
                                      .x = args->x,
                                      .ldx = args->table.n_in,
                                      .w = args->table,
                                      .accumulate = args->bias != NULL,
                                      .y = pass->logit,
                                      .ldy = pass->width};
    ko_cpu_product(&product, pass->first, pass->n);
}

/* Makes logits of the tile's products. Called by all threads. */
static void finish_logits(const struct pass *pass)
{
    const struct ko_unembed *args = pass->args;
    const int32_t n = is_shaped(args) ? ko_unembed_n_rows(args) : 0;
#pragma omp for schedule(static)
    for (int32_t k = 0; k < n; k++) {
        pass->be->isa->scale_cap((size_t)pass->n, args->scale, args->cap, logits_at(pass, k));
    }
}

/* Updates the row's maximum, the lowest token that has it, and the sum of exponentials. */
static void add_tile(const struct pass *pass, int32_t r)
{
    const struct ko_cpu_isa *isa = pass->be->isa;
    struct row *row = &pass->row[r];
    const float *logit = tile_row(pass, r);
    float top = isa->max((size_t)pass->n, logit);
    row->rescale = 1.0;
    if (top > row->top) {
        int32_t k = 0;
        while (logit[k] != top) {
            k++;
        }
        row->top_id = pass->first + k;
        row->rescale = exp((double)row->top - (double)top);
        row->top = top;
    }
    row->sum = row->sum * row->rescale +
               isa->sum_exp((size_t)pass->n, logit, row->top, exponentials_of(pass, row));
}

static void keep_band(const struct pass *pass, struct row *row, const float *logit, int32_t skip)
{
    for (int32_t k = 0; k < pass->n; k++) {
        if (logit[k] > row->low && !(logit[k] > row->high) && k != skip) {
            if (row->n_kept < KEPT) {
                row->kept[row->n_kept] = logit[k];
            }
            row->n_kept++;
        }
    }
}

/* Updates the rank and the KL sum, and takes the target's and the foil's logit if they are in the
   tile. */
static void measure_tile(const struct pass *pass, int32_t r)
{
    const struct ko_cpu_isa *isa = pass->be->isa;
    const struct ko_unembed *args = pass->args;
    struct row *row = &pass->row[r];
    const float *logit = tile_row(pass, r);
    size_t n = (size_t)pass->n;
    int32_t target = args->target[r] - pass->first, foil = args->foil[r] - pass->first;
    if (target >= 0 && target < pass->n) {
        row->target = logit[target];
    }
    if (args->foil[r] >= 0 && foil >= 0 && foil < pass->n) {
        row->foil = logit[foil];
    }
    int32_t above = isa->count_above(n, logit, row->high);
    row->above += above;
    if (isa->count_above(n, logit, row->low) > above) {
        keep_band(pass, row, logit, target);
    }
    if (args->clean[r] != r) {
        const struct row *clean = &pass->row[args->clean[r]];
        row->difference = row->difference * clean->rescale +
                          isa->sum_difference(n, exponentials_of(pass, clean),
                                              tile_row(pass, args->clean[r]), logit);
    }
}

static void next_tile(struct pass *pass, int32_t first)
{
    int32_t left = pass->args->table.n_out - first;
    pass->first = first;
    pass->n = left < pass->width ? left : pass->width;
    compute_tile(pass);
}

static void all_tiles(struct pass *pass)
{
    for (int32_t first = 0; first < pass->args->table.n_out; first += pass->width) {
        next_tile(pass, first);
#pragma omp parallel num_threads(pass->be->threads)
        {
            finish_logits(pass);
#pragma omp for schedule(static)
            for (int32_t r = 0; r < pass->args->n; r++) {
                add_tile(pass, r);
            }
#pragma omp for schedule(static)
            for (int32_t r = 0; r < pass->args->n; r++) {
                measure_tile(pass, r);
            }
        }
    }
}

/* Completes the ranks. Returns whether any row needs the second pass; such a row has n_kept > KEPT.
 */
static bool settle_ranks(const struct pass *pass)
{
    bool again = false;
    for (int32_t r = 0; r < pass->args->n; r++) {
        struct row *row = &pass->row[r];
        bool outside = !(row->target > row->low && row->target <= row->high);
        if (row->n_kept > KEPT || (outside && !isnan(row->target))) {
            row->n_kept = KEPT + 1;
            row->above = 0;
            again = true;
            continue;
        }
        for (int32_t k = 0; k < row->n_kept; k++) {
            row->above += row->kept[k] > row->target;
        }
    }
    return again;
}

/* The shapes and tiles are those of the first pass, so the logits have the same bits. */
static void second_pass(struct pass *pass)
{
    for (int32_t first = 0; first < pass->args->table.n_out; first += pass->width) {
        next_tile(pass, first);
#pragma omp parallel num_threads(pass->be->threads)
        {
            finish_logits(pass);
#pragma omp for schedule(static)
            for (int32_t r = 0; r < pass->args->n; r++) {
                struct row *row = &pass->row[r];
                if (row->n_kept > KEPT) {
                    const float *logit = tile_row(pass, r);
                    row->above += pass->be->isa->count_above((size_t)pass->n, logit, row->target);
                    int32_t own = pass->args->target[r] - first;
                    row->above -= own >= 0 && own < pass->n && logit[own] > row->target;
                }
            }
        }
    }
}

static void write_metrics(const struct pass *pass)
{
    for (int32_t r = 0; r < pass->args->n; r++) {
        const struct row *row = &pass->row[r], *clean = &pass->row[pass->args->clean[r]];
        struct ko_metrics *out = &pass->args->out[r];
        double total = (double)row->top + log(row->sum);
        double clean_total = (double)clean->top + log(clean->sum);
        double kl = row->difference / clean->sum - (clean_total - total);
        out->logprob = (float)((double)row->target - total);
        out->foil_logprob = (float)((double)row->foil - total);
        /* The float32 exponentials leave an error of about 1e-8, which may fall below zero. */
        out->kl = pass->args->clean[r] == r || kl < 0.0 ? 0.0F : (float)kl;
        out->target_rank = 1 + row->above;
        out->top1_id = row->top_id;
        if (isnan(total)) {
            out->kl = NAN;
            out->target_rank = out->top1_id = -1;
        }
    }
}

/* Numbers the rows that are the clean row of another row. Returns how many there are. */
static int32_t number_leaders(const struct ko_unembed *args, struct row *row)
{
    int32_t n = 0;
    for (int32_t r = 0; r < args->n; r++) {
        row[r].leads = -1;
    }
    for (int32_t r = 0; r < args->n; r++) {
        int32_t clean = args->clean[r];
        if (clean != r && row[clean].leads < 0) {
            row[clean].leads = n++;
        }
    }
    return n;
}

static int32_t tile_width(int32_t n, int32_t vocabulary)
{
    int32_t width = tile_floats / n / 64 * 64;
    width = width < NARROWEST_TILE ? NARROWEST_TILE : width > WIDEST_TILE ? WIDEST_TILE : width;
    return width < vocabulary ? width : vocabulary;
}

enum ko_code ko_cpu_unembed(struct ko_backend *be, const struct ko_unembed *args,
                            struct ko_error *err)
{
    if (args->n == 0) {
        return KO_OK;
    }
    struct pass pass = {.be = be, .args = args};
    pass.width = tile_width(ko_unembed_n_rows(args), args->table.n_out);
    pass.row = ko_new((size_t)args->n, sizeof *pass.row, err);
    if (!pass.row) {
        return KO_E_MEMORY;
    }
    const int32_t n_rows = ko_unembed_n_rows(args);
    size_t rows = (size_t)n_rows + (size_t)number_leaders(args, pass.row);
    enum ko_code code = KO_E_MEMORY;
    pass.logit = ko_cpu_scratch(be, rows * (size_t)pass.width * sizeof *pass.logit, err);
    if (pass.logit) {
        pass.e = logits_at(&pass, n_rows);
        start_rows(&pass);
        all_tiles(&pass);
        if (settle_ranks(&pass)) {
            second_pass(&pass);
        }
        write_metrics(&pass);
        code = KO_OK;
    }
    free(pass.row);
    return code;
}
