/* SPDX-License-Identifier: Apache-2.0 */
/* The tables into which the CUDA backend packs a wave. They need no GPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/at.h"
#include "kernels/cuda/tables.h"
#include "tests/conformance/check.h"

struct packed {
    struct ko_cuda_tables tables;
    struct ko_cuda_block block;
    struct ko_cuda_rows rows;
};

static void pack_wave(const struct ko_rows *rows, struct packed *p)
{
    struct ko_error err = {0};
    const size_t most = ko_cuda_tables_bytes(rows->n_rows, rows->max_tokens, rows->n_stages);
    unsigned char *memory = aligned_alloc(16, (most + 15) / 16 * 16);
    assert_non_null(memory);
    *p = (struct packed){.block = {.memory = memory, .base = memory}};
    expect_ok(ko_cuda_tables_pack(&p->tables, rows, &p->block, &p->rows, &err), &err);
    assert_true(p->block.used <= most);
}

static void free_packed(struct packed *p)
{
    ko_cuda_tables_free(&p->tables);
    free(p->block.memory);
}

static void expect_same(const int32_t *a, const int32_t *b, int32_t n)
{
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
}

static void check_part(const struct ko_rows *rows, const struct ko_cuda_rows *got, int32_t part,
                       int32_t n_tokens)
{
    const struct ko_edge_set *set = &rows->edges[part];
    assert_int_equal(got->later[part] != 0, set->later);
    assert_int_equal(got->more[part] != 0, set->more);
    for (int32_t i = 0; i < n_tokens; i++) {
        const size_t at = ko_at(part, rows->max_tokens, i);
        const size_t word = ko_at(part, got->n_source_words, i / 32);
        assert_int_equal(got->source[at], set->source[i]);
        assert_int_equal(got->source_bits[word] >> i % 32 & 1, set->source[i] != 0);
        assert_int_equal(got->target[at], set->target ? set->target[i] : 0);
    }
}

static void check_copies(const struct ko_rows *rows, const struct ko_cuda_rows *got)
{
    expect_same(got->position, rows->position, rows->n_rows);
    expect_same(got->previous, rows->previous, rows->n_rows);
    expect_same(got->branch, rows->branch, rows->n_rows);
    expect_same(got->prompt, rows->prompt, rows->n_rows);
    expect_same(got->parent_row, rows->parent_row, rows->n_rows);
    expect_same(got->token, rows->token, rows->n_embedded);
    expect_same(got->trunk_first, rows->trunk_first, rows->n_prompts);
    expect_same(got->n_tokens, rows->n_tokens, rows->n_prompts);
    expect_same(got->n_longest, rows->n_longest ? rows->n_longest : rows->n_tokens,
                rows->n_prompts);
    for (int32_t b = 0; b < rows->n_branches; b++) {
        const struct ko_branch *branch = &rows->branches[b];
        struct ko_branch told = got->branches[b];
        assert_int_equal(told.stages != NULL, branch->stages != NULL);
        if (branch->stages) {
            assert_ptr_not_equal(told.stages, branch->stages);
            assert_memory_equal(told.stages, branch->stages, (size_t)rows->n_stages);
        }
        told.stages = branch->stages;
        assert_memory_equal(&told, branch, sizeof *branch);
        bool more = branch->edge_set >= 0;
        for (int32_t part = branch->edge_set; more; part++) {
            check_part(rows, got, part, rows->n_tokens[branch->prompt]);
            more = rows->edges[part].more;
        }
    }
}

/* Every row once, prompts together, ascending within. */
static void check_order(const struct ko_rows *rows, const struct ko_cuda_rows *got)
{
    for (int32_t k = 1; k < rows->n_rows; k++) {
        const int32_t a = got->order[k - 1], b = got->order[k];
        assert_true(rows->prompt[a] < rows->prompt[b] ||
                    (rows->prompt[a] == rows->prompt[b] && a < b));
    }
    assert_in_range(got->order[0], 0, rows->n_rows - 1);
    assert_in_range(got->order[rows->n_rows - 1], 0, rows->n_rows - 1);
}

/* Each prompt's places hold its trunk in order, then its branches' rows; long prompts are counted. */
static void check_places(const struct ko_rows *rows, const struct ko_cuda_rows *got)
{
    int32_t n_long = 0, n_long_rows = 0;
    assert_int_equal(got->prompt_place[0], 0);
    assert_int_equal(got->prompt_place[rows->n_prompts], rows->n_rows);
    for (int32_t p = 0; p < rows->n_prompts; p++) {
        const int32_t first = got->prompt_place[p], end = got->prompt_place[p + 1];
        assert_true(end - first >= rows->n_tokens[p]);
        for (int32_t at = first; at < end; at++) {
            assert_int_equal(rows->prompt[got->order[at]], p);
            assert_int_equal(rows->branch[got->order[at]] < 0, at - first < rows->n_tokens[p]);
        }
        n_long += rows->n_tokens[p] > KO_CUDA_SHORT;
        n_long_rows += rows->n_tokens[p] > KO_CUDA_SHORT ? end - first : 0;
    }
    assert_int_equal(got->n_long_prompts, n_long);
    assert_int_equal(got->n_long_rows, n_long_rows);
}

/* Whether the part is one of the branch's edges; -1: it has none. */
static bool has_part(const struct ko_rows *rows, const struct ko_branch *branch, int32_t part)
{
    int32_t own = branch->edge_set;
    while (own >= 0 && own != part && rows->edges[own].more) {
        own++;
    }
    return own == part;
}

/* Whether a branch needs an item for the part of its edges: the first part, and every further one that
   goes into a row of its own. */
static bool needs_item(const struct ko_rows *rows, const struct ko_branch *branch, int32_t part)
{
    bool needs = part == branch->edge_set;
    for (int32_t i = branch->first_position; i < ko_branch_end(branch); i++) {
        needs = needs || rows->edges[part].target[i];
    }
    return needs;
}

/* The entries that a branch should have in the items. */
static int32_t count_entries(const struct ko_rows *rows, const struct ko_branch *branch)
{
    int32_t n = 1;
    for (int32_t e = branch->edge_set; e >= 0 && rows->edges[e].more; e++) {
        n += needs_item(rows, branch, e + 1);
    }
    return n;
}

/* Every trunk is in one item, and every branch in one for each part of its edges that it needs, with
   those that walk as many rows from the same states, ascending. */
static void check_items(const struct ko_rows *rows, const struct ko_cuda_rows *got)
{
    const size_t n_parts = (size_t)rows->n_edge_sets + 1;
    uint8_t *seen = calloc((size_t)rows->n_branches * n_parts + 1, 1);
    int32_t n_trunks = 0, n = 0, wanted = 0;
    assert_non_null(seen);
    for (int32_t k = 0; k < got->n_items; k++) {
        const struct ko_scan_item *item = &got->items[k];
        if (item->n == 0) {
            assert_int_equal(item->prompt, n_trunks++);
            assert_int_equal(item->t0, rows->n_tokens[item->prompt]);
            assert_int_equal(item->n_shared, 0);
            assert_int_equal(item->n_rows, rows->n_tokens[item->prompt]);
            assert_int_equal(item->edge_set, -1);
            continue;
        }
        assert_int_equal(item->first, n);
        n += item->n;
        for (int32_t at = item->first; at < n; at++) {
            const int32_t b = got->item_branch[at];
            const struct ko_branch *branch = &rows->branches[b];
            uint8_t *once = &seen[(size_t)b * n_parts + (size_t)(item->edge_set + 1)];
            assert_false(*once);
            *once = 1;
            assert_true(at == item->first || got->item_branch[at - 1] < b);
            assert_int_equal(branch->prompt, item->prompt);
            assert_true(has_part(rows, branch, item->edge_set));
            assert_true(needs_item(rows, branch, item->edge_set));
            assert_int_equal(ko_branch_start(branch), item->t0);
            assert_int_equal(branch->n_shared, item->n_shared);
            assert_int_equal(branch->n_rows, item->n_rows);
        }
    }
    assert_int_equal(n_trunks, rows->n_prompts);
    for (int32_t b = 0; b < rows->n_branches; b++) {
        wanted += count_entries(rows, &rows->branches[b]);
    }
    assert_int_equal(n, wanted);
    free(seen);
}

/* The long trunks are cut into whole chunks and a rest; the others are not cut. */
static void check_chunks(const struct ko_rows *rows, const struct ko_cuda_chunks *got,
                         int32_t length, int32_t from)
{
    int32_t n = 0;
    for (int32_t p = 0; p < rows->n_prompts; p++) {
        assert_int_equal(got->first[p], n);
        for (int32_t i = 0; rows->n_tokens[p] >= from && i < rows->n_tokens[p]; i += length) {
            n++;
        }
    }
    assert_int_equal(got->first[rows->n_prompts], n);
    assert_int_equal(got->n, n);
    assert_true((size_t)n <= ko_cuda_chunks_most(rows->n_rows, rows->max_tokens, length, from));
}

/* The wave with rotary positions of one axis, of three, or without. free() turn. */
static struct ko_rows with_turns(const struct ko_rows *wave, int32_t kind)
{
    struct ko_rows rows = *wave;
    rows.n_turns = kind == 2 ? 3 : kind;
    int32_t *turn = calloc((size_t)rows.n_turns * (size_t)rows.n_rows + 1, sizeof *turn);
    assert_non_null(turn);
    for (int32_t i = 0; i < rows.n_turns * rows.n_rows; i++) {
        turn[i] = i * 7 % 11;
    }
    rows.turn = turn;
    return rows;
}

static void every_wave_is_told_whole(void **state)
{
    (void)state;
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    for (size_t k = 0; k < n_plans + 300; k++) {
        struct packed p;
        struct wave_plan plan;
        wave_random((uint32_t)k, &plan);
        plan.stretch = k % 2 ? 1 + (int32_t)(k % WAVE_STRETCH) : 0;
        const struct ko_rows *wave = k < n_plans  ? wave_rows(&plans[k])
                                     : k % 3 == 0 ? wave_chunked_rows((uint32_t)k)
                                                  : wave_rows(&plan);
        const struct ko_rows turned = with_turns(wave, (int32_t)(k % 3)), *rows = &turned;
        pack_wave(rows, &p);
        check_copies(rows, &p.rows);
        expect_same(p.rows.turn, rows->turn, rows->n_turns * rows->n_rows);
        free((void *)(uintptr_t)rows->turn);
        check_order(rows, &p.rows);
        check_places(rows, &p.rows);
        check_items(rows, &p.rows);
        check_chunks(rows, &p.rows.mamba1_chunks, KO_CUDA_MAMBA1_CHUNK, KO_CUDA_MAMBA1_FROM);
        check_chunks(rows, &p.rows.mamba2_chunks, KO_CUDA_MAMBA2_CHUNK, KO_CUDA_MAMBA2_FROM);
        free_packed(&p);
    }
}

/* Two hundred branches of one prompt and edge set, in the last position of four: items of 64. */
static void long_lists_are_cut(void **state)
{
    (void)state;
    enum { N = 200, T = 4 };
    static int32_t zero[T + N], prompt_first[1] = {0}, n_tokens[1] = {T};
    static struct ko_branch branches[N];
    const uint8_t flags[T] = {0, 1, 0, 0}, last[T] = {0, 0, 0, 1};
    const struct ko_edge_set edges[1] = {{false, last, flags, false}};
    for (int32_t b = 0; b < N; b++) {
        branches[b] = (struct ko_branch){
            .parent = -1, .first_row = T + b, .n_rows = 1, .first_position = T - 1, .mask = -1};
    }
    const struct ko_rows rows = {.n_rows = T + N,
                                 .n_trunk_rows = T,
                                 .n_embedded = T,
                                 .n_prompts = 1,
                                 .n_branches = N,
                                 .n_edge_sets = 1,
                                 .n_stages = 1,
                                 .max_tokens = T,
                                 .position = zero,
                                 .previous = zero,
                                 .branch = zero,
                                 .prompt = zero,
                                 .parent_row = zero,
                                 .token = zero,
                                 .trunk_first = prompt_first,
                                 .n_tokens = n_tokens,
                                 .branches = branches,
                                 .edges = edges};
    struct packed p;
    pack_wave(&rows, &p);
    check_items(&rows, &p.rows);
    assert_int_equal(p.rows.n_items, 1 + 4);
    assert_int_equal(p.rows.items[1].n, 64);
    assert_int_equal(p.rows.items[4].n, N - 3 * 64);
    free_packed(&p);
}

int run_tables(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wave_is_told_whole),
        cmocka_unit_test(long_lists_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
