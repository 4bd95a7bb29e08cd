/* SPDX-License-Identifier: Apache-2.0 */
/* Attention on the CPU. Long prompts are computed by tiles (attention_tiles.c). Of short ones it
   lists the keys that each row still sees, and the threads share the rows; the arithmetic of one
   head is in isa/attend.c. */
#include <omp.h>

#include "kernels/cpu/attention.h"

/* A thread's scratch: the keys of one row. */
struct keys {
    int32_t *row;    /* [max_tokens] */
    uint8_t *zeroed; /* [max_tokens] 1: the weight is zeroed after the softmax */
    float *weight;   /* [max_tokens] */
};

/* Lists the keys that the row sees, in order of position; with `cuts` without those that its branch
   removes. Returns whether any of them is zeroed after the softmax. */
static bool list_keys(const struct ko_rows *rows, const struct ko_attention *args, int32_t row,
                      bool cuts, struct keys *keys, int32_t *n_keys)
{
    int32_t b = rows->branch[row], i = rows->position[row], n = 0;
    const struct ko_branch *branch = b < 0 ? NULL : &rows->branches[b];
    const struct ko_edge_set *cut = cuts ? &rows->edges[branch->edge_set] : NULL;
    const int32_t start = branch ? ko_branch_start(branch) : i + 1;
    bool any = false;
    for (int32_t j = i >= args->reach ? i - args->reach + 1 : 0; j <= i; j++) {
        bool removed = cut && ko_edge_set_has(cut, i, j);
        if (removed && !branch->after_softmax) {
            continue;
        }
        const int32_t at =
            j < start ? rows->trunk_first[rows->prompt[row]] + j : ko_branch_row(branch, j);
        keys->row[n] = ko_rows_source(rows, at, args->stage);
        keys->zeroed[n++] = removed;
        any = any || removed;
    }
    *n_keys = n;
    return any;
}

/* Mixes the heads [first, end) but `except`. */
static void mix_heads(const struct ko_backend *be, const struct ko_attention *args, int32_t row,
                      struct ko_attend *attend, int32_t first, int32_t end, int32_t except)
{
    const int32_t query = ko_rows_source(&be->rows, row, args->stage);
    for (int32_t head = first; head < end; head++) {
        const int32_t key_head = (int32_t)((int64_t)head * args->n_kv_heads / args->n_heads);
        if (head == except) {
            continue;
        }
        attend->q = args->q + ko_at(query, args->ld, head * args->stride);
        attend->k = args->k + ko_at(key_head, args->stride, 0);
        attend->v = args->v + ko_at(key_head, args->stride_v, 0);
        attend->sink = args->sinks ? &args->sinks[head] : NULL;
        attend->out = args->out + ko_at3(row, args->n_heads, head, args->d_value, 0);
        be->isa->attend(attend);
    }
}

static void mix_row(const struct ko_backend *be, const struct ko_attention *args, int32_t row,
                    struct keys *keys)
{
    const struct ko_rows *rows = &be->rows;
    const struct ko_branch *cut = ko_cpu_attention_cut(rows, args, row);
    const int32_t only = cut ? cut->only_head - 1 : -1; /* the one head that loses edges */
    const bool alone = only >= 0 && only < args->n_heads;
    struct ko_attend attend = {.d_head = args->d_head,
                               .d_value = args->d_value,
                               .ld = (size_t)args->ld,
                               .ld_v = (size_t)args->ld_v,
                               .scale = args->scale,
                               .cap = args->cap,
                               .key_row = keys->row,
                               .weight = keys->weight};
    if (only >= 0) {
        (void)list_keys(rows, args, row, false, keys, &attend.n_keys);
        mix_heads(be, args, row, &attend, 0, args->n_heads, only);
    }
    if (only < 0 || alone) {
        const bool any = list_keys(rows, args, row, cut != NULL, keys, &attend.n_keys);
        attend.zeroed = any ? keys->zeroed : NULL;
        mix_heads(be, args, row, &attend, alone ? only : 0, alone ? only + 1 : args->n_heads, -1);
    }
}

/* The rows of all prompts that are not tiled. */
static enum ko_code mix_rows(struct ko_backend *be, const struct ko_attention *args,
                             struct ko_error *err)
{
    /* Each thread has scratch for its keys, weights and flags. */
    size_t n = ((size_t)be->rows.max_tokens + 63) / 64 * 64;
    size_t bytes = ko_cpu_attention_row_bytes(be->rows.max_tokens);
    unsigned char *scratch = ko_cpu_scratch(be, bytes * (size_t)be->threads, err);
    if (!scratch) {
        return KO_E_MEMORY;
    }
    int32_t n_rows = be->rows.n_active[args->stage];
#pragma omp parallel num_threads(be->threads)
    {
        unsigned char *mine = scratch + bytes * (size_t)omp_get_thread_num();
        struct keys keys = {.row = (void *)mine,
                            .weight = (void *)(mine + n * sizeof(int32_t)),
                            .zeroed = mine + n * (sizeof(int32_t) + sizeof(float))};
#pragma omp for schedule(dynamic, 8)
        for (int32_t r = 0; r < n_rows; r++) {
            if (!ko_cpu_attention_is_tiled(be, args, be->rows.prompt[r])) {
                mix_row(be, args, r, &keys);
            }
        }
    }
    return KO_OK;
}

enum ko_code ko_cpu_attention(struct ko_backend *be, const struct ko_attention *args,
                              struct ko_error *err)
{
    int32_t n_tiled = 0;
    for (int32_t p = 0; p < be->rows.n_prompts; p++) {
        n_tiled += ko_cpu_attention_is_tiled(be, args, p);
    }
    enum ko_code code = n_tiled < be->rows.n_prompts ? mix_rows(be, args, err) : KO_OK;
    if (code == KO_OK && n_tiled > 0) {
        code = ko_cpu_attention_tiles(be, args, err);
    }
    return code;
}
