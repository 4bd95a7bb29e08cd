/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-2's mixing on the CPU. It lists each row's path and removed edges, and the threads share
   the rows. The arithmetic of one row is in isa/ssd.c. */
#include <omp.h>

#include "kernels/cpu/cpu.h"

/* The positions on the path of one row, which is the last of them. */
struct path {
    int32_t *row;        /* [max_tokens] where u, B and C lie */
    const float **delta; /* [max_tokens] the time steps [n_heads] */
    uint8_t *removed;    /* [max_tokens] 1: the edge to the row is removed */
};

static int32_t list_path(const struct ko_rows *rows, const struct ko_mamba2 *args,
                         const float *delta, int32_t row, const struct path *path)
{
    int32_t i = rows->position[row];
    for (int32_t j = i, at = row; j >= 0; j--, at = rows->previous[at]) {
        path->row[j] = ko_rows_source_after_conv(rows, at, args->stage);
        path->delta[j] = delta + ko_at(ko_rows_source(rows, at, args->stage), args->n_heads, 0);
    }
    return i;
}

/* Flags the edges that the row loses. Returns whether it loses any. */
static bool flag_removed(const struct ko_rows *rows, const struct ko_mamba2 *args, int32_t row,
                         int32_t i, const struct path *path)
{
    const struct ko_branch *branch =
        rows->branch[row] < 0 ? NULL : &rows->branches[rows->branch[row]];
    if (!branch || !ko_branch_cuts(branch, args->stage, KO_MIXER_SSM)) {
        return false;
    }
    bool any = false;
    for (int32_t j = 0; j <= i; j++) {
        path->removed[j] = ko_edge_set_has(&rows->edges[branch->edge_set], i, j);
        any = any || path->removed[j];
    }
    return any;
}

static void mix_row(const struct ko_backend *be, const struct ko_mamba2 *args, const float *delta,
                    int32_t row, const struct path *path, struct ko_ssd *ssd)
{
    const struct ko_rows *rows = &be->rows;
    int32_t i = list_path(rows, args, delta, row, path);
    ssd->n_keys = i + 1;
    ssd->removed = ssd->mask = NULL;
    if (flag_removed(rows, args, row, i, path)) {
        ssd->removed = path->removed;
        ssd->mask = ko_cpu_mask(rows, &rows->branches[rows->branch[row]], args->masks, args->stage,
                                args->n_heads);
    }
    ssd->out = args->out + ko_at3(row, args->n_heads, 0, args->d_head, 0);
    be->isa->ssd(ssd);
}

/* Byte offsets into one thread's scratch, which begins with the path's delta. Paths and weights are
   as long as the longest prompt. */
struct layout {
    size_t row, removed, span, weight, bytes;
};

static size_t padded_bytes(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static struct layout lay_out(const struct ko_rows *rows, const struct ko_mamba2 *args)
{
    size_t n = (size_t)rows->max_tokens, heads = (size_t)args->n_heads;
    struct layout at = {.row = padded_bytes(n * sizeof(float *))};
    at.removed = at.row + padded_bytes(n * sizeof(int32_t));
    at.span = at.removed + padded_bytes(n);
    at.weight = at.span + padded_bytes(heads * sizeof(float));
    at.bytes = at.weight + padded_bytes(n * heads * sizeof(float));
    return at;
}

static void mix_rows(const struct ko_backend *be, const struct ko_mamba2 *args, const float *delta,
                     const struct layout *at, unsigned char *scratch)
{
    struct path path = {.delta = (void *)scratch,
                        .row = (void *)(scratch + at->row),
                        .removed = scratch + at->removed};
    struct ko_ssd ssd = {.n_heads = args->n_heads,
                         .d_head = args->d_head,
                         .d_state = args->d_state,
                         .n_groups = args->n_groups,
                         .key_row = path.row,
                         .u = args->u,
                         .b = args->b,
                         .c = args->c,
                         .ld = (size_t)args->ld,
                         .delta = path.delta,
                         .a = args->a,
                         .d = args->d,
                         .span = (void *)(scratch + at->span),
                         .weight = (void *)(scratch + at->weight)};
#pragma omp for schedule(dynamic, 8)
    for (int32_t r = 0; r < be->rows.n_active[args->stage]; r++) {
        mix_row(be, args, delta, r, &path, &ssd);
    }
}

enum ko_code ko_cpu_mamba2(struct ko_backend *be, const struct ko_mamba2 *args,
                           struct ko_error *err)
{
    const struct ko_rows *rows = &be->rows;
    struct layout at = lay_out(rows, args);
    size_t heads = (size_t)args->n_heads;
    size_t own = padded_bytes((size_t)rows->n_projected[args->stage] * heads * sizeof(float));
    unsigned char *scratch = ko_cpu_scratch(be, own + at.bytes * (size_t)be->threads, err);
    if (!scratch) {
        return KO_E_MEMORY;
    }
    float *delta = (void *)scratch;
#pragma omp parallel num_threads(be->threads)
    {
#pragma omp for schedule(static)
        for (int32_t r = 0; r < rows->n_projected[args->stage]; r++) {
            be->isa->time_step(heads, args->dt + ko_at(r, args->ld_dt, 0), args->dt_bias,
                               args->dt_min, args->dt_max, delta + ko_at(r, args->n_heads, 0));
        }
        mix_rows(be, args, delta, &at, scratch + own + at.bytes * (size_t)omp_get_thread_num());
    }
    return KO_OK;
}
