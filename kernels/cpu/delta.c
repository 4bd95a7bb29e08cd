/* SPDX-License-Identifier: Apache-2.0 */
/* What a walk of the gated delta rule reads and writes, and its scratch. */
#include "kernels/cpu/delta.h"

#include <math.h>
#include <string.h>

/* Arrays [KO_DELTA_ROWS, ld] of keys in a part: q, k, decay, before (two) and after. */
enum { N_KEY_ARRAYS = 6 };

/* With another 16 numbers between them, rows of 128 keys do not all fall into the same few sets of
   the L1 cache. */
static size_t ld_of(const struct ko_deltanet *args)
{
    return ((size_t)args->d_key + 15) / 16 * 16 + 16;
}

/* Floats of an array of a chunk's columns. */
static size_t columns_floats(const struct ko_delta_walk *walk)
{
    return (size_t)walk->blocks * KO_DELTA_ROWS * KO_DELTA_BLOCK;
}

static size_t part_floats(const struct ko_delta_walk *walk)
{
    size_t rows = KO_DELTA_ROWS, ld = ld_of(walk->args);
    return (N_KEY_ARRAYS * rows + 1) * ld + columns_floats(walk) + 2 * rows * rows + rows;
}

static size_t state_floats(const struct ko_delta_walk *walk)
{
    return (size_t)walk->blocks * (size_t)walk->args->d_key * KO_DELTA_BLOCK;
}

size_t ko_delta_scratch(const struct ko_delta_walk *walk, int32_t max_sets)
{
    size_t sets = (size_t)max_sets, floats = (3 + 2 * sets) * state_floats(walk);
    floats += (size_t)KO_DELTA_ROWS * KO_DELTA_BLOCK + columns_floats(walk);
    floats += 2 * part_floats(walk);
    size_t bytes = floats * sizeof(float) + (2 * sets + 1) * sizeof(int32_t);
    return (bytes + 63) / 64 * 64;
}

static struct ko_delta_part carve_part(const struct ko_delta_walk *walk, float *at)
{
    size_t rows = KO_DELTA_ROWS, ld = ld_of(walk->args), keys = rows * ld;
    struct ko_delta_part part = {.products = {.d_key = walk->args->d_key, .ld = ld}};
    struct ko_delta_chunk *products = &part.products;
    memset(at, 0, part_floats(walk) * sizeof *at);
    products->q = part.q = at, at += keys;
    products->k = part.k = at, at += keys;
    products->decay = part.decay = at, at += keys;
    products->before = at, at += 2 * keys;
    products->after = at, at += keys;
    products->all = at, at += ld;
    part.v = at, at += columns_floats(walk);
    products->erase = at, at += rows * rows;
    products->read = at, at += rows * rows;
    products->beta = part.beta = at;
    return part;
}

void ko_delta_carve(struct ko_delta_walk *walk, void *memory, int32_t max_sets)
{
    size_t sets = (size_t)max_sets;
    float *at = memory;
    walk->state = state_floats(walk);
    walk->trunk = at, at += (1 + sets) * walk->state;
    walk->start = at, at += (1 + sets) * walk->state;
    walk->branch = at, at += walk->state;
    walk->u = at, at += (size_t)KO_DELTA_ROWS * KO_DELTA_BLOCK;
    walk->y = at, at += columns_floats(walk);
    walk->rows = carve_part(walk, at), at += part_floats(walk);
    walk->own = carve_part(walk, at), at += part_floats(walk);
    walk->until = (int32_t *)(void *)at;
    walk->started = walk->until + sets;
}

/* One block of the walk's columns: their number, where it begins in a state, and where in arrays of
   a chunk's columns. */
struct block {
    int32_t n;
    size_t state, rows;
};

static int32_t count_blocks(const struct ko_delta_walk *walk)
{
    return (walk->n + KO_DELTA_BLOCK - 1) / KO_DELTA_BLOCK;
}

static struct block block_of(const struct ko_delta_walk *walk, int32_t b)
{
    int32_t left = walk->n - b * KO_DELTA_BLOCK;
    return (struct block){.n = left < KO_DELTA_BLOCK ? left : KO_DELTA_BLOCK,
                          .state = (size_t)b * (size_t)walk->args->d_key * KO_DELTA_BLOCK,
                          .rows = (size_t)b * KO_DELTA_ROWS * KO_DELTA_BLOCK};
}

/* decay = exp(a softplus(dt + dt_bias)) of the head's key channels */
static void read_decay(const struct ko_delta_walk *walk, int32_t projected, float *decay)
{
    const struct ko_deltanet *args = walk->args;
    const struct ko_cpu_isa *isa = walk->be->isa;
    int32_t n = args->per_channel ? args->d_key : 1, at = walk->head * n;
    isa->time_step((size_t)n, args->dt + ko_at(projected, args->ld_dt, at), args->dt_bias + at,
                   0.0F, INFINITY, decay);
    isa->scale_cap((size_t)n, args->a[walk->head], 0.0F, decay);
    isa->exp((size_t)n, decay, decay);
    for (int32_t k = n; k < args->d_key; k++) {
        decay[k] = decay[0];
    }
}

static int32_t key_column(const struct ko_deltanet *args, int32_t head)
{
    return (int32_t)((int64_t)head * args->n_key_heads / args->n_heads) * args->d_key;
}

/* Asks for the n numbers at `from`, which are read soon. */
static void prefetch_numbers(const float *from, size_t n)
{
    for (size_t k = 0; k < n; k += 16) {
        __builtin_prefetch(from + k);
    }
}

static void prefetch_row(const struct ko_delta_walk *walk, int32_t row)
{
    const struct ko_deltanet *args = walk->args;
    int32_t source = ko_rows_source_after_conv(&walk->be->rows, row, args->stage);
    int32_t key = key_column(args, walk->head);
    prefetch_numbers(args->q + ko_at(source, args->ld, key), (size_t)args->d_key);
    prefetch_numbers(args->k + ko_at(source, args->ld, key), (size_t)args->d_key);
    prefetch_numbers(args->v + ko_at(source, args->ld, walk->head * args->d_value + walk->first),
                     (size_t)walk->n);
}

static void read_values(const struct ko_delta_walk *walk, const float *from, float *to)
{
    for (int32_t b = 0; b < count_blocks(walk); b++) {
        const struct block block = block_of(walk, b);
        float *v = to + block.rows;
        memcpy(v, from + ko_at(b, KO_DELTA_BLOCK, 0), (size_t)block.n * sizeof *v);
        memset(v + block.n, 0, (size_t)(KO_DELTA_BLOCK - block.n) * sizeof *v);
    }
}

void ko_delta_read(const struct ko_delta_walk *walk, struct ko_delta_part *part, int32_t row,
                   int32_t n)
{
    const struct ko_deltanet *args = walk->args;
    const struct ko_rows *rows = &walk->be->rows;
    const struct ko_cpu_isa *isa = walk->be->isa;
    size_t d_key = (size_t)args->d_key, ld = part->products.ld;
    int32_t key = key_column(args, walk->head);
    int32_t value = walk->head * args->d_value + walk->first;
    float scale = 1.0F / sqrtf((float)args->d_key);
    for (int32_t r = 0; r < n; r++) {
        int32_t source = ko_rows_source_after_conv(rows, row + r, args->stage);
        int32_t projected = ko_rows_source(rows, row + r, args->stage);
        size_t at = (size_t)r * ld;
        isa->unit(d_key, args->q + ko_at(source, args->ld, key), 1e-6F, scale, part->q + at);
        isa->unit(d_key, args->k + ko_at(source, args->ld, key), 1e-6F, 1.0F, part->k + at);
        read_values(walk, args->v + ko_at(source, args->ld, value),
                    part->v + ko_at(r, KO_DELTA_BLOCK, 0));
        read_decay(walk, projected, part->decay + at);
        float beta = args->beta[ko_at(projected, args->ld_beta, walk->head)];
        part->beta[r] = 1.0F / (1.0F + expf(-beta));
        if (n > 1 && row + r + n < rows->n_active[args->stage]) {
            prefetch_row(walk, row + r + n);
        }
    }
}

void ko_delta_step(const struct ko_delta_walk *walk, const struct ko_delta_part *part, bool removed,
                   const float *from, float *to)
{
    for (int32_t b = 0; b < count_blocks(walk); b++) {
        const struct block block = block_of(walk, b);
        const struct ko_delta_row row = {.n = block.n,
                                         .d_key = walk->args->d_key,
                                         .q = part->q,
                                         .k = part->k,
                                         .decay = part->decay,
                                         .beta = part->beta[0],
                                         .v = removed ? NULL : part->v + block.rows,
                                         .from = from + block.state,
                                         .to = to ? to + block.state : NULL,
                                         .y = walk->y + block.rows};
        walk->be->isa->delta(&row);
    }
}

void ko_delta_multiply(const struct ko_delta_walk *walk, struct ko_delta_part *part, int32_t n)
{
    part->products.n = n;
    walk->be->isa->delta_products(&part->products);
}

void ko_delta_advance(const struct ko_delta_walk *walk, const struct ko_delta_part *part,
                      const uint8_t *removed, const float *from, float *to, bool reads)
{
    for (int32_t b = 0; b < count_blocks(walk); b++) {
        const struct block block = block_of(walk, b);
        const struct ko_delta_columns columns = {.n = block.n,
                                                 .v = part->v + block.rows,
                                                 .removed = removed,
                                                 .from = from + block.state,
                                                 .to = to ? to + block.state : NULL,
                                                 .u = walk->u,
                                                 .y = reads ? walk->y + block.rows : NULL};
        walk->be->isa->delta_chunk(&part->products, &columns);
    }
}

void ko_delta_add(const struct ko_delta_walk *walk, const struct ko_delta_part *part, int32_t r,
                  float weight)
{
    for (int32_t b = 0; b < count_blocks(walk); b++) {
        const struct block block = block_of(walk, b);
        size_t at = block.rows + ko_at(r, KO_DELTA_BLOCK, 0);
        walk->be->isa->add_scaled((size_t)block.n, weight, part->v + at, walk->y + at);
    }
}

void ko_delta_write(const struct ko_delta_walk *walk, int32_t r, int32_t row)
{
    const struct ko_deltanet *args = walk->args;
    float *out = args->out + ko_at3(row, args->n_heads, walk->head, args->d_value, walk->first);
    for (int32_t b = 0; b < count_blocks(walk); b++) {
        const struct block block = block_of(walk, b);
        memcpy(out + ko_at(b, KO_DELTA_BLOCK, 0),
               walk->y + block.rows + ko_at(r, KO_DELTA_BLOCK, 0), (size_t)block.n * sizeof *out);
    }
}
