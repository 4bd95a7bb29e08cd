/* SPDX-License-Identifier: Apache-2.0 */
/* Sorts the rows of a wave and packs them into one block of memory for the GPU. It also cuts the
   scan's work into items. */
#include "kernels/cuda/tables.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

enum {
    ALIGNMENT = 16,
    /* An item is full when its branches have this many rows, or this many times the trunk's rows
       that it walks first, whichever is more. */
    ITEM_ROWS = 64,
    ITEM_WALKS = 4,
    /* The most entries for each row (list_entries): a branch has one for the first part of its edges,
       and one for each further part with an edge into one of its own rows. */
    ENTRIES = 2
};

static size_t padded_bytes(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t source_words(int32_t max_tokens)
{
    return ((size_t)max_tokens + 31) / 32;
}

size_t ko_cuda_tables_bytes(int32_t max_rows, int32_t max_tokens, int32_t n_stages)
{
    /* There are no more prompts, branches or edge sets than rows, since each part of a branch's edges
       goes into rows of its own. There are at most two items and entries of item_branch for each row.
       Twenty-two arrays are padded, and the stages of each branch; three arrays have an element more
       than there are prompts. */
    const size_t a_row = (16 + ENTRIES) * sizeof(int32_t) + sizeof(struct ko_branch) +
                         ENTRIES * sizeof(struct ko_scan_item) + 2 + 2 * (size_t)max_tokens +
                         source_words(max_tokens) * sizeof(uint32_t) +
                         padded_bytes((size_t)n_stages);
    return (size_t)max_rows * a_row + 3 * sizeof(int32_t) + (size_t)22 * ALIGNMENT;
}

size_t ko_cuda_chunks_most(int32_t max_rows, int32_t max_tokens, int32_t length, int32_t from)
{
    /* A trunk has at most one chunk that is not full. */
    return max_tokens < from ? 0 : (size_t)(max_rows / length) + (size_t)(max_rows / from);
}

/* The next n elements of the block. *there: their address in its copy. */
static void *take_array(struct ko_cuda_block *block, size_t n, size_t size, const void **there)
{
    void *here = block->memory + block->used;
    *there = block->base + block->used;
    block->used += padded_bytes(n * size);
    return here;
}

static const void *copy_array(struct ko_cuda_block *block, const void *from, size_t n, size_t size)
{
    const void *there;
    void *here = take_array(block, n, size, &there);
    if (n > 0) {
        memcpy(here, from, n * size);
    }
    return there;
}

/* Arrays for sorting rows, or branches of a wave. A branch is there once for each part of its edges,
   or once if it removes none. */
struct sorting {
    const struct ko_rows *rows;
    int32_t *list[2];       /* [ENTRIES n_rows] each */
    int32_t *branch, *part; /* [ENTRIES n_rows] each: the entries, part -1: no edges */
    int32_t *first;         /* [most keys + 1] */
};

typedef int32_t sort_key(const struct sorting *sorting, int32_t item);

/* A stable counting sort of from[n] into to[n] by key (0 .. n_keys - 1). */
static void sort_items(const struct sorting *sorting, sort_key *key, int32_t n_keys,
                       const int32_t *from, int32_t n, int32_t *to)
{
    int32_t *first = sorting->first;
    memset(first, 0, ((size_t)n_keys + 1) * sizeof *first);
    for (int32_t k = 0; k < n; k++) {
        first[key(sorting, from[k]) + 1]++;
    }
    for (int32_t k = 0; k < n_keys; k++) {
        first[k + 1] += first[k];
    }
    for (int32_t k = 0; k < n; k++) {
        to[first[key(sorting, from[k])]++] = from[k];
    }
}

static const struct ko_branch *branch_of(const struct sorting *sorting, int32_t entry)
{
    return &sorting->rows->branches[sorting->branch[entry]];
}

static int32_t start_of(const struct sorting *sorting, int32_t entry)
{
    return ko_branch_start(branch_of(sorting, entry));
}

static int32_t shared_of(const struct sorting *sorting, int32_t entry)
{
    return branch_of(sorting, entry)->n_shared;
}

static int32_t rows_of(const struct sorting *sorting, int32_t entry)
{
    return branch_of(sorting, entry)->n_rows;
}

static int32_t part_of(const struct sorting *sorting, int32_t entry)
{
    return sorting->part[entry] + 1;
}

static int32_t prompt_of(const struct sorting *sorting, int32_t entry)
{
    return branch_of(sorting, entry)->prompt;
}

static int32_t prompt_of_row(const struct sorting *sorting, int32_t r)
{
    return sorting->rows->prompt[r];
}

/* Whether both entries walk as many rows from the same states. */
static bool same_walk(const struct sorting *sorting, int32_t a, int32_t b)
{
    return prompt_of(sorting, a) == prompt_of(sorting, b) &&
           start_of(sorting, a) == start_of(sorting, b) &&
           shared_of(sorting, a) == shared_of(sorting, b) &&
           rows_of(sorting, a) == rows_of(sorting, b) && sorting->part[a] == sorting->part[b];
}

/* Whether the branch needs an entry for a part of its edges. A further part needs none if it has no
   edge into one of the branch's own rows. That happens in forks. */
static bool needs_part(const struct ko_rows *rows, const struct ko_branch *branch, int32_t part)
{
    if (part == branch->edge_set) {
        return true;
    }
    const int32_t end = ko_branch_end(branch);
    int32_t i = branch->first_position;
    while (i < end && !rows->edges[part].target[i]) {
        i++;
    }
    return i < end;
}

/* Returns the number of entries. */
static int32_t list_entries(const struct sorting *sorting)
{
    const struct ko_rows *rows = sorting->rows;
    int32_t n = 0;
    for (int32_t b = 0; b < rows->n_branches; b++) {
        int32_t part = rows->branches[b].edge_set;
        bool more = true;
        for (; more; part++) {
            more = part >= 0 && rows->edges[part].more;
            if (needs_part(rows, &rows->branches[b], part)) {
                sorting->branch[n] = b;
                sorting->part[n++] = part;
            }
        }
    }
    return n;
}

/* Sorts the entries 0 to n - 1 by prompt, part and the numbers of same_walk, stably. Returns the sorted
   list. */
static const int32_t *sort_entries(const struct sorting *sorting, int32_t n)
{
    const struct ko_rows *rows = sorting->rows;
    const struct {
        sort_key *key;
        int32_t n;
    } by[] = {{rows_of, rows->max_tokens + 1},
              {shared_of, rows->max_tokens + 1},
              {start_of, rows->max_tokens + 1},
              {part_of, rows->n_edge_sets + 1},
              {prompt_of, rows->n_prompts}};
    int32_t *from = sorting->list[0], *to = sorting->list[1];
    for (int32_t k = 0; k < n; k++) {
        from[k] = k;
    }
    for (size_t k = 0; k < sizeof by / sizeof *by; k++) {
        sort_items(sorting, by[k].key, by[k].n, from, n, to);
        int32_t *sorted = to;
        to = from;
        from = sorted;
    }
    return from;
}

/* The trunks' items, then those of the entries in the order of `sorted`. A full item is cut. Returns
   their number. */
static int32_t cut_items(const struct sorting *sorting, const int32_t *sorted, int32_t n_entries,
                         struct ko_scan_item *items)
{
    const struct ko_rows *rows = sorting->rows;
    int32_t n = 0;
    for (int32_t p = 0; p < rows->n_prompts; p++) {
        const int32_t n_tokens = rows->n_tokens[p];
        items[n++] =
            (struct ko_scan_item){.prompt = p, .edge_set = -1, .t0 = n_tokens, .n_rows = n_tokens};
    }
    int32_t n_rows = 0, most = 0;
    for (int32_t k = 0; k < n_entries; k++) {
        const struct ko_branch *b = branch_of(sorting, sorted[k]);
        const int32_t t0 = ko_branch_start(b), own = ko_branch_path(b);
        const bool joins = k > 0 && same_walk(sorting, sorted[k - 1], sorted[k]);
        if (!joins || n_rows + own > most) {
            const int32_t walk = ITEM_WALKS * t0;
            items[n++] = (struct ko_scan_item){.prompt = b->prompt,
                                               .edge_set = sorting->part[sorted[k]],
                                               .t0 = t0,
                                               .n_shared = b->n_shared,
                                               .n_rows = b->n_rows,
                                               .first = k};
            most = walk > ITEM_ROWS ? walk : ITEM_ROWS;
            n_rows = 0;
        }
        items[n - 1].n++;
        n_rows += own;
    }
    return n;
}

/* The sources of an edge set, [n], as bits. */
static void pack_bits(const uint8_t *source, size_t n, uint32_t *bits)
{
    for (size_t j = 0; j < n; j++) {
        bits[j / 32] |= source[j] ? UINT32_C(1) << j % 32 : 0;
    }
}

static void pack_edges(const struct ko_rows *rows, struct ko_cuda_block *block,
                       struct ko_cuda_rows *out)
{
    const size_t words = source_words(rows->max_tokens);
    const size_t sets = (size_t)rows->n_edge_sets, width = (size_t)rows->max_tokens;
    const void *there;
    uint8_t *later = take_array(block, sets, 1, &there);
    out->later = there;
    uint8_t *more = take_array(block, sets, 1, &there);
    out->more = there;
    uint8_t *target = take_array(block, sets * width, 1, &there);
    out->target = there;
    uint8_t *source = take_array(block, sets * width, 1, &there);
    out->source = there;
    uint32_t *bits = take_array(block, sets * words, sizeof *bits, &there);
    out->source_bits = there;
    out->n_source_words = (int32_t)words;
    memset(target, 0, sets * width);
    memset(source, 0, sets * width);
    memset(bits, 0, sets * words * sizeof *bits);
    for (size_t e = 0; e < sets; e++) {
        later[e] = rows->edges[e].later;
        more[e] = rows->edges[e].more;
    }
    /* A set has as many positions as the prompt of the branches that use it. */
    for (int32_t b = 0; b < rows->n_branches; b++) {
        const struct ko_branch *branch = &rows->branches[b];
        if (branch->edge_set < 0) {
            continue;
        }
        const size_t n = (size_t)rows->n_tokens[branch->prompt];
        size_t e = (size_t)branch->edge_set;
        do {
            memcpy(target + e * width, rows->edges[e].target, n);
            memcpy(source + e * width, rows->edges[e].source, n);
            pack_bits(rows->edges[e].source, n, bits + e * words);
        } while (rows->edges[e++].more);
    }
}

static void pack_items(const struct sorting *sorting, struct ko_cuda_block *block,
                       struct ko_cuda_rows *out)
{
    const struct ko_rows *rows = sorting->rows;
    const int32_t n = list_entries(sorting);
    const int32_t *sorted = sort_entries(sorting, n);
    const void *there;
    int32_t *branch = take_array(block, (size_t)n, sizeof *branch, &there);
    out->item_branch = there;
    for (int32_t k = 0; k < n; k++) {
        branch[k] = sorting->branch[sorted[k]];
    }
    struct ko_scan_item *items =
        take_array(block, (size_t)rows->n_prompts + (size_t)n, sizeof *items, &there);
    out->items = there;
    out->n_items = cut_items(sorting, sorted, n, items);
}

static void pack_chunks(const struct ko_rows *rows, int32_t length, int32_t from,
                        struct ko_cuda_block *block, struct ko_cuda_chunks *out)
{
    const void *there;
    int32_t *first = take_array(block, (size_t)rows->n_prompts + 1, sizeof *first, &there);
    first[0] = 0;
    for (int32_t p = 0; p < rows->n_prompts; p++) {
        const int32_t n = rows->n_tokens[p];
        first[p + 1] = first[p] + (n < from ? 0 : (n + length - 1) / length);
    }
    *out = (struct ko_cuda_chunks){there, first[rows->n_prompts]};
}

static void pack_order(const struct sorting *sorting, struct ko_cuda_block *block,
                       struct ko_cuda_rows *out)
{
    const struct ko_rows *rows = sorting->rows;
    const void *there;
    int32_t *order = take_array(block, (size_t)rows->n_rows, sizeof *order, &there);
    out->order = there;
    for (int32_t r = 0; r < rows->n_rows; r++) {
        sorting->list[0][r] = r;
    }
    sort_items(sorting, prompt_of_row, rows->n_prompts, sorting->list[0], rows->n_rows, order);

    int32_t *place = take_array(block, (size_t)rows->n_prompts + 1, sizeof *place, &there);
    out->prompt_place = there;
    for (int32_t p = 0, at = 0; p <= rows->n_prompts; p++) {
        place[p] = at;
        while (p < rows->n_prompts && at < rows->n_rows && rows->prompt[order[at]] == p) {
            at++;
        }
        if (p < rows->n_prompts && rows->n_tokens[p] > KO_CUDA_SHORT) {
            out->n_long_prompts++;
            out->n_long_rows += at - place[p];
        }
    }
}

/* Memory for the sorting: two lists of the rows or entries, the entries, and the keys. */
static enum ko_code make_room(struct ko_cuda_tables *tables, const struct ko_rows *rows,
                              struct ko_error *err)
{
    const int32_t counts[] = {rows->max_tokens, rows->n_edge_sets, rows->n_prompts};
    size_t keys = 0;
    for (size_t k = 0; k < 3; k++) {
        keys = (size_t)counts[k] > keys ? (size_t)counts[k] : keys;
    }
    const size_t lists = (size_t)4 * ENTRIES * (size_t)rows->n_rows;
    int32_t *work = ko_grow(tables->work, &tables->capacity, lists + keys + 3, sizeof *work, err);
    if (!work) {
        return KO_E_MEMORY;
    }
    tables->work = work;
    return KO_OK;
}

/* Branches that name their stages get a list of them in the block. */
static const struct ko_branch *pack_branches(const struct ko_rows *rows,
                                             struct ko_cuda_block *block)
{
    const void *there, *stages;
    struct ko_branch *branch = take_array(block, (size_t)rows->n_branches, sizeof *branch, &there);
    for (int32_t b = 0; b < rows->n_branches; b++) {
        branch[b] = rows->branches[b];
        if (branch[b].stages) {
            stages = copy_array(block, branch[b].stages, (size_t)rows->n_stages, 1);
            branch[b].stages = stages;
        }
    }
    return there;
}

enum ko_code ko_cuda_tables_pack(struct ko_cuda_tables *tables, const struct ko_rows *rows,
                                 struct ko_cuda_block *block, struct ko_cuda_rows *out,
                                 struct ko_error *err)
{
    const enum ko_code code = make_room(tables, rows, err);
    if (code != KO_OK) {
        return code;
    }
    block->used = 0;
    const size_t n = (size_t)rows->n_rows, n_prompts = (size_t)rows->n_prompts;
    *out = (struct ko_cuda_rows){.n_rows = rows->n_rows,
                                 .n_embedded = rows->n_embedded,
                                 .n_prompts = rows->n_prompts,
                                 .n_branches = rows->n_branches,
                                 .n_edge_sets = rows->n_edge_sets,
                                 .n_stages = rows->n_stages,
                                 .n_turns = rows->n_turns,
                                 .max_tokens = rows->max_tokens};
    out->position = copy_array(block, rows->position, n, sizeof(int32_t));
    out->turn = copy_array(block, rows->turn, n * (size_t)rows->n_turns, sizeof(int32_t));
    out->previous = copy_array(block, rows->previous, n, sizeof(int32_t));
    out->branch = copy_array(block, rows->branch, n, sizeof(int32_t));
    out->prompt = copy_array(block, rows->prompt, n, sizeof(int32_t));
    out->parent_row = copy_array(block, rows->parent_row, n, sizeof(int32_t));
    out->token = copy_array(block, rows->token, (size_t)rows->n_embedded, sizeof(int32_t));
    out->trunk_first = copy_array(block, rows->trunk_first, n_prompts, sizeof(int32_t));
    out->n_tokens = copy_array(block, rows->n_tokens, n_prompts, sizeof(int32_t));
    out->n_longest = copy_array(block, rows->n_longest ? rows->n_longest : rows->n_tokens,
                                n_prompts, sizeof(int32_t));
    out->branches = pack_branches(rows, block);
    int32_t *work = tables->work;
    const size_t most = ENTRIES * n;
    const struct sorting sorting = {.rows = rows,
                                    .list = {work, work + most},
                                    .branch = work + 2 * most,
                                    .part = work + 3 * most,
                                    .first = work + 4 * most};
    pack_order(&sorting, block, out);
    pack_items(&sorting, block, out);
    pack_edges(rows, block, out);
    pack_chunks(rows, KO_CUDA_MAMBA1_CHUNK, KO_CUDA_MAMBA1_FROM, block, &out->mamba1_chunks);
    pack_chunks(rows, KO_CUDA_MAMBA2_CHUNK, KO_CUDA_MAMBA2_FROM, block, &out->mamba2_chunks);
    return KO_OK;
}

void ko_cuda_tables_free(struct ko_cuda_tables *tables)
{
    free(tables->work);
    *tables = (struct ko_cuda_tables){0};
}
