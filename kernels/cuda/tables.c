/* SPDX-License-Identifier: Apache-2.0 */
/* Sorts the rows of a wave and packs them into one block of memory for the GPU. It also cuts the
   scan's work into items. */
#include "kernels/cuda/tables.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

enum {
    ALIGNMENT = 16,
    ITEM_ROWS = 64, /* rows of branches after which an item is full ... */
    ITEM_WALKS = 4  /* ... or as many times the trunk's rows that it must walk first */
};

static size_t padded(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t ko_cuda_tables_bytes(int32_t max_rows, int32_t max_tokens)
{
    /* Every prompt, branch, item and edge set has a row of its own, at least: a trunk's or a
       branch's. Fifteen arrays are padded. */
    const size_t a_row = 10 * sizeof(int32_t) + sizeof(struct ko_branch) +
                         sizeof(struct ko_scan_item) + 1 + 2 * (size_t)max_tokens;
    return (size_t)max_rows * a_row + (size_t)15 * ALIGNMENT;
}

/* A block that is filled from its beginning. */
struct block {
    unsigned char *at;         /* here */
    const unsigned char *base; /* and where it will lie */
    size_t used;
};

static void *take(struct block *block, size_t n, size_t size, const void **there)
{
    void *here = block->at + block->used;
    *there = block->base + block->used;
    block->used += padded(n * size);
    return here;
}

static const void *copy(struct block *block, const void *from, size_t n, size_t size)
{
    const void *there;
    void *here = take(block, n, size, &there);
    if (n > 0) {
        memcpy(here, from, n * size);
    }
    return there;
}

/* Stable: from[n] into to[n] by key (0 .. n_keys - 1). first: [n_keys + 1] work. */
static void sort_by(const struct ko_rows *rows, int32_t (*key)(const struct ko_rows *, int32_t),
                    int32_t n_keys, const int32_t *from, int32_t n, int32_t *to, int32_t *first)
{
    memset(first, 0, ((size_t)n_keys + 1) * sizeof *first);
    for (int32_t k = 0; k < n; k++) {
        first[key(rows, from[k]) + 1]++;
    }
    for (int32_t k = 0; k < n_keys; k++) {
        first[k + 1] += first[k];
    }
    for (int32_t k = 0; k < n; k++) {
        to[first[key(rows, from[k])]++] = from[k];
    }
}

static int32_t start_of(const struct ko_rows *rows, int32_t b)
{
    return rows->branches[b].first_position;
}

static int32_t edges_of(const struct ko_rows *rows, int32_t b)
{
    return rows->branches[b].edge_set + 1;
}

static int32_t prompt_of(const struct ko_rows *rows, int32_t b)
{
    return rows->branches[b].prompt;
}

static int32_t prompt_of_row(const struct ko_rows *rows, int32_t r)
{
    return rows->prompt[r];
}

static bool same_states(const struct ko_branch *a, const struct ko_branch *b)
{
    return a->prompt == b->prompt && a->first_position == b->first_position &&
           a->edge_set == b->edge_set;
}

/* The trunks' items, then the branches' in the order of `sorted`, cut where they are full. Returns
   their number. */
static int32_t cut_items(const struct ko_rows *rows, const int32_t *sorted,
                         struct ko_scan_item *items)
{
    int32_t n = 0;
    for (int32_t p = 0; p < rows->n_prompts; p++) {
        items[n++] = (struct ko_scan_item){p, -1, rows->n_tokens[p], 0, 0};
    }
    int32_t n_rows = 0, most = 0;
    for (int32_t k = 0; k < rows->n_branches; k++) {
        const struct ko_branch *b = &rows->branches[sorted[k]];
        const bool joins = k > 0 && same_states(&rows->branches[sorted[k - 1]], b);
        if (!joins || n_rows + b->n_rows > most) {
            const int32_t walk = ITEM_WALKS * b->first_position;
            items[n++] = (struct ko_scan_item){b->prompt, b->edge_set, b->first_position, k, 0};
            most = walk > ITEM_ROWS ? walk : ITEM_ROWS;
            n_rows = 0;
        }
        items[n - 1].n++;
        n_rows += b->n_rows;
    }
    return n;
}

static void pack_edges(const struct ko_rows *rows, struct block *block, struct ko_cuda_rows *out)
{
    const size_t sets = (size_t)rows->n_edge_sets, width = (size_t)rows->max_tokens;
    const void *there;
    uint8_t *later = take(block, sets, 1, &there);
    out->later = there;
    uint8_t *target = take(block, sets * width, 1, &there);
    out->target = there;
    uint8_t *source = take(block, sets * width, 1, &there);
    out->source = there;
    memset(target, 0, sets * width);
    memset(source, 0, sets * width);
    for (size_t e = 0; e < sets; e++) {
        later[e] = rows->edges[e].later;
    }
    /* A set has as many positions as the prompt of the branches that use it. */
    for (int32_t b = 0; b < rows->n_branches; b++) {
        const struct ko_branch *branch = &rows->branches[b];
        if (branch->edge_set < 0) {
            continue;
        }
        const size_t e = (size_t)branch->edge_set, n = (size_t)rows->n_tokens[branch->prompt];
        if (rows->edges[e].target) {
            memcpy(target + e * width, rows->edges[e].target, n);
        }
        memcpy(source + e * width, rows->edges[e].source, n);
    }
}

static void pack_items(const struct ko_rows *rows, int32_t *work, int32_t *first,
                       struct block *block, struct ko_cuda_rows *out)
{
    const size_t n = (size_t)rows->n_branches;
    int32_t *a = work, *b = work + n;
    const void *there;
    for (int32_t k = 0; k < rows->n_branches; k++) {
        a[k] = k;
    }
    sort_by(rows, start_of, rows->max_tokens + 1, a, rows->n_branches, b, first);
    sort_by(rows, edges_of, rows->n_edge_sets + 1, b, rows->n_branches, a, first);
    int32_t *sorted = take(block, n, sizeof *sorted, &there);
    out->item_branch = there;
    sort_by(rows, prompt_of, rows->n_prompts, a, rows->n_branches, sorted, first);
    struct ko_scan_item *items = take(block, (size_t)rows->n_prompts + n, sizeof *items, &there);
    out->items = there;
    out->n_items = cut_items(rows, sorted, items);
}

static void pack_order(const struct ko_rows *rows, int32_t *work, int32_t *first,
                       struct block *block, struct ko_cuda_rows *out)
{
    const void *there;
    int32_t *order = take(block, (size_t)rows->n_rows, sizeof *order, &there);
    out->order = there;
    for (int32_t r = 0; r < rows->n_rows; r++) {
        work[r] = r;
    }
    sort_by(rows, prompt_of_row, rows->n_prompts, work, rows->n_rows, order, first);
}

/* Room for the sorting: two lists of the rows (no fewer than the branches), and the keys. */
static enum ko_code make_room(struct ko_cuda_tables *tables, const struct ko_rows *rows,
                              struct ko_error *err)
{
    const int32_t counts[] = {rows->max_tokens, rows->n_edge_sets, rows->n_prompts};
    size_t keys = 0;
    for (size_t k = 0; k < 3; k++) {
        keys = (size_t)counts[k] > keys ? (size_t)counts[k] : keys;
    }
    int32_t *work = ko_grow(tables->work, &tables->capacity, 2 * (size_t)rows->n_rows + keys + 3,
                            sizeof *work, err);
    if (!work) {
        return KO_E_MEMORY;
    }
    tables->work = work;
    return KO_OK;
}

enum ko_code ko_cuda_tables_pack(struct ko_cuda_tables *tables, const struct ko_rows *rows,
                                 unsigned char *block_memory, const unsigned char *base,
                                 struct ko_cuda_rows *out, size_t *used, struct ko_error *err)
{
    const enum ko_code code = make_room(tables, rows, err);
    if (code != KO_OK) {
        return code;
    }
    struct block block = {block_memory, base, 0};
    const size_t n = (size_t)rows->n_rows, n_prompts = (size_t)rows->n_prompts;
    *out = (struct ko_cuda_rows){.n_rows = rows->n_rows,
                                 .n_trunk_rows = rows->n_trunk_rows,
                                 .n_prompts = rows->n_prompts,
                                 .n_branches = rows->n_branches,
                                 .n_edge_sets = rows->n_edge_sets,
                                 .n_layers = rows->n_layers,
                                 .max_tokens = rows->max_tokens};
    out->position = copy(&block, rows->position, n, sizeof(int32_t));
    out->previous = copy(&block, rows->previous, n, sizeof(int32_t));
    out->branch = copy(&block, rows->branch, n, sizeof(int32_t));
    out->prompt = copy(&block, rows->prompt, n, sizeof(int32_t));
    out->parent_row = copy(&block, rows->parent_row, n, sizeof(int32_t));
    out->token = copy(&block, rows->token, (size_t)rows->n_trunk_rows, sizeof(int32_t));
    out->trunk_first = copy(&block, rows->trunk_first, n_prompts, sizeof(int32_t));
    out->n_tokens = copy(&block, rows->n_tokens, n_prompts, sizeof(int32_t));
    out->branches =
        copy(&block, rows->branches, (size_t)rows->n_branches, sizeof(struct ko_branch));
    int32_t *first = tables->work + 2 * n;
    pack_order(rows, tables->work, first, &block, out);
    pack_items(rows, tables->work, first, &block, out);
    pack_edges(rows, &block, out);
    *used = block.used;
    return KO_OK;
}

void ko_cuda_tables_free(struct ko_cuda_tables *tables)
{
    free(tables->work);
    *tables = (struct ko_cuda_tables){0};
}
