/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of long prompts, which the CPU computes by tiles: panels of 64 positions, blocks of 128
   positions, tiles of 96 queries. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/at.h"
#include "tests/conformance/attention.h"

static void print_spread(const char *what, const struct spread spread[2])
{
    print_message("%s: plain from double precision %.1e, others from plain %.1e\n", what,
                  spread[0].largest, spread[1].largest);
}

/* The wave's branches and sets, which these tests change. */
static struct ko_branch *branches_of(const struct ko_rows *rows)
{
    return (struct ko_branch *)(uintptr_t)rows->branches;
}
static uint8_t *sources_of(const struct ko_rows *rows, int32_t set)
{
    return (uint8_t *)(uintptr_t)rows->edges[set].source;
}

enum { EARLIER = 1, LATER = 2 }; /* bits: weights are zeroed before, after the softmax */

/* `softmax` says for which of the two this is checked; only_head as in struct ko_branch. */
static void check_long(const struct backends *all, int32_t n_tokens, const struct heads *heads,
                       int softmax, int32_t only_head, struct spread spread[2])
{
    for (int after = 0; after < 2; after++) {
        const struct ko_rows *rows = wave_long_rows(n_tokens);
        for (int32_t b = 0; b < rows->n_branches; b++) {
            branches_of(rows)[b].after_softmax = after == 1;
            branches_of(rows)[b].only_head = only_head;
        }
        if (softmax & (after ? LATER : EARLIER)) {
            char name[64];
            snprintf(name, sizeof name, "%d tokens, reach %d, %s the softmax", n_tokens,
                     heads->reach, after ? "after" : "before");
            check_wave(all, name, rows, heads, spread);
        }
    }
}

/* Prompts end just before, at and just after the borders of panels and blocks. */
static void prompts_of_any_length(void **state)
{
    static const int32_t lengths[] = {31, 32, 33, 63, 64, 65, 127, 128, 129, 192, 193, 257, 300};
    static const struct heads heads[] = {
        {.n = 2, .n_kv = 2, .d_head = 16, .reach = INT32_MAX},
        {.n = 7, .n_kv = 1, .d_head = 8, .reach = INT32_MAX},
        {.n = 3, .n_kv = 3, .d_head = 33, .reach = INT32_MAX, .by_head = true, .gap = 1}};
    struct spread spread[2] = {{0}};
    for (size_t k = 0; k < sizeof lengths / sizeof lengths[0]; k++) {
        check_long(*state, lengths[k], &heads[k % 3], k % 2 ? EARLIER : LATER, 0, spread);
    }
    print_spread("lengths", spread);
}

static void reach_ends_inside_a_tile(void **state)
{
    static const int32_t reach[] = {31, 32, 40, 63, 64, 65, 127, 128, 129, 199};
    struct spread spread[2] = {{0}};
    for (size_t k = 0; k < sizeof reach / sizeof reach[0]; k++) {
        const struct heads heads = {
            .n = 4, .n_kv = 2, .d_head = 12, .reach = reach[k], .sinks = k % 3 == 0};
        check_long(*state, 200, &heads, k % 2 ? EARLIER : LATER, 0, spread);
    }
    print_spread("reach", spread);
}

/* Grouped queries, widths, caps and sinks; the last two have sums over many channels. */
static void heads_of_any_shape(void **state)
{
    static const struct heads heads[] = {
        {.n = 14, .n_kv = 2, .d_head = 16, .reach = INT32_MAX, .cap = 2.0F},
        {.n = 4, .n_kv = 2, .d_head = 16, .d_value = 70, .reach = INT32_MAX, .sinks = true},
        {.n = 2, .n_kv = 2, .d_head = 20, .d_value = 9, .reach = 70, .cap = 30.0F, .sinks = true},
        {.n = 32, .n_kv = 1, .d_head = 4, .d_value = 3, .reach = INT32_MAX},
        {.n = 2, .n_kv = 1, .d_head = 128, .reach = INT32_MAX},
        {.n = 2, .n_kv = 2, .d_head = 192, .d_value = 128, .reach = INT32_MAX}};
    struct spread spread[2] = {{0}};
    for (size_t k = 0; k < sizeof heads / sizeof heads[0]; k++) {
        check_long(*state, 140, &heads[k], EARLIER | LATER, 0, spread);
    }
    print_spread("head shapes", spread);
}

static void one_head_loses_its_edges(void **state)
{
    static const struct heads heads = {.n = 6, .n_kv = 2, .d_head = 16, .reach = INT32_MAX};
    struct spread spread[2] = {{0}};
    check_long(*state, 150, &heads, EARLIER | LATER, 2, spread);
    check_long(*state, 150, &heads, EARLIER, 7, spread); /* there is no such head */
    print_spread("one head", spread);
}

/* Sets all values, or all keys, of one trunk row. */
static void spoil_row(struct inputs *x, int32_t row, bool keys, float bad)
{
    const struct layout at = layout_of(&x->heads);
    for (int32_t c = 0; c < x->heads.n_kv * at.stride; c++) {
        x->qkv[ko_at(row, at.width, (keys ? at.k : at.v) + c)] = bad;
    }
}

/* Rows that see no key of a panel, of a block, or none at all. The latter give zeros, whatever their
   scores are. */
static void whole_tiles_are_removed(void **state)
{
    enum { N = 290 };
    static const int32_t removed[][2] = {{0, 64}, {64, 128}, {0, 128}, {128, 256}, {10, N}, {0, N}};
    const struct backends *all = *state;
    struct spread spread[2] = {{0}};
    for (size_t k = 0; k < sizeof removed / sizeof removed[0]; k++) {
        const struct ko_rows *rows = wave_long_rows(N);
        const struct heads heads = {
            .n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX, .sinks = k % 2 == 1};
        const size_t width = 64;
        for (int32_t set = 0; set < 3; set++) {
            for (int32_t j = 0; j < N; j++) {
                sources_of(rows, set)[j] = j >= removed[k][0] && j < removed[k][1];
            }
        }
        branches_of(rows)[1].after_softmax = true;
        branches_of(rows)[3].after_softmax = k % 3 == 0;
        check_wave(all, "whole tiles", rows, &heads, spread);
        if (removed[k][0] > 0 || removed[k][1] < N) {
            continue;
        }
        struct inputs x = make_inputs(rows, &heads, 2.0F);
        spoil_row(&x, 30, true, NAN);
        for (int32_t b = 0; b < all->n; b++) {
            float *out = attend_rows(&all->list[b], rows, 0, &x);
            for (int32_t branch = 1; branch <= 2; branch++) {
                const int32_t row = rows->branches[branch].first_row;
                for (size_t c = 0; c < width; c++) {
                    assert_true(out[(size_t)row * width + c] == 0.0F);
                }
            }
            free(out);
        }
        free_inputs(&x);
    }
    print_spread("whole tiles", spread);
}

/* Keys and values that are not finite, of edges that every branch removes before the softmax, change
   no branch; nor do values of edges that are removed after it. Trunk rows before them are spared,
   since they do not see them. */
static void removed_sources_need_not_be_finite(void **state)
{
    enum { N = 290 };
    static const int32_t bad[] = {3, 70, 127, 128, 200};
    const struct backends *all = *state;
    struct spread spread[2] = {{0}};
    for (size_t k = 0; k < 2 * sizeof bad / sizeof bad[0]; k++) {
        const struct ko_rows *rows = wave_long_rows(N);
        const struct heads heads = {
            .n = 4, .n_kv = 2, .d_head = 16, .reach = k % 3 == 2 ? 100 : INT32_MAX};
        const int32_t at = bad[k / 2];
        const bool after = k % 2 == 1;
        struct inputs x = make_inputs(rows, &heads, 2.0F);
        spoil_row(&x, at, false, k % 3 ? INFINITY : NAN);
        if (!after) {
            spoil_row(&x, at, true, NAN);
        }
        sources_of(rows, 1)[at] = 1;
        branches_of(rows)[1].after_softmax = branches_of(rows)[2].after_softmax = after;
        struct mixing mixing = mixing_of("not finite", rows, &x);
        int64_t n_spared = 0;
        check_mixing(all, rows, &mixing, spread, &n_spared);
        for (int32_t b = 0; b < all->n; b++) {
            float *out = attend_rows(&all->list[b], rows, 0, &x);
            for (int32_t c = 0; c < 64; c++) {
                assert_true(isfinite(out[ko_at(rows->branches[1].first_row, 64, c)]));
                assert_true(isfinite(out[ko_at(rows->branches[2].first_row, 64, c)]));
                assert_true(isfinite(out[ko_at(at - 1, 64, c)]));
                assert_true(!isfinite(out[ko_at(at, 64, c)]));
            }
            free(out);
        }
        free_inputs(&x);
    }
    print_spread("not finite", spread);
}

/* The GPU may add up the keys of a long row in another order than those of its neighbour. */
static bool keeps_bits(const struct backend *b)
{
    return b->exact || b->k == &ko_kernels_cpu;
}

/* A branch that removes nothing has the trunk's bits, whether it has one row, a few or many; and so
   has a row wherever it lies among others. */
static void nothing_removed_is_the_clean_run(void **state)
{
    static const struct heads kinds[] = {
        {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX},
        {.n = 4, .n_kv = 4, .d_head = 16, .reach = 90, .by_head = true, .cap = 2.0F, .sinks = true},
        {.n = 7, .n_kv = 1, .d_head = 80, .d_value = 20, .reach = INT32_MAX}};
    static const int32_t lengths[] = {130, 190, 257};
    const struct backends *all = *state;
    for (size_t k = 0; k < 9; k++) {
        const struct ko_rows *rows = wave_long_rows(lengths[k / 3]);
        struct inputs x = make_inputs(rows, &kinds[k % 3], 2.0F);
        const size_t ld = (size_t)layout_of(&x.heads).width,
                     ld_v = (size_t)layout_of(&x.heads).ld_v;
        const size_t width = (size_t)(x.heads.n * value_width(&x.heads));
        for (int32_t b = 0; b < rows->n_branches; b++) {
            branches_of(rows)[b].window_end = 0;
        }
        for (int32_t r = rows->n_trunk_rows; r < rows->n_rows; r++) {
            const size_t row = (size_t)r, trunk = (size_t)rows->position[r];
            memcpy(x.qkv + row * ld, x.qkv + trunk * ld, ld * sizeof *x.qkv);
            memcpy(x.apart + row * ld_v, x.apart + trunk * ld_v, ld_v * sizeof *x.apart);
        }
        for (int32_t b = 0; b < all->n && keeps_bits(&all->list[b]); b++) {
            float *out = attend_rows(&all->list[b], rows, 0, &x);
            for (int32_t r = rows->n_trunk_rows; r < rows->n_rows; r++) {
                assert_memory_equal(out + (size_t)r * width,
                                    out + (size_t)rows->position[r] * width, width * sizeof *out);
            }
            free(out);
        }
        free_inputs(&x);
    }
}

/* Without the branches that leave last, the rows of the others keep their bits. */
static void rows_do_not_depend_on_their_neighbours(void **state)
{
    const struct backends *all = *state;
    const struct heads heads = {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX};
    const struct ko_rows *rows = wave_long_rows(200);
    struct inputs x = make_inputs(rows, &heads, 2.0F);
    for (int32_t b = 0; b < all->n && keeps_bits(&all->list[b]); b++) {
        float *whole = attend_rows(&all->list[b], rows, 0, &x);
        for (int32_t n = 0; n < rows->n_branches; n++) {
            int32_t n_active = rows->branches[n].first_row, n_branches = n;
            struct ko_rows fewer = *rows;
            fewer.n_active = &n_active;
            fewer.n_branches_active = &n_branches;
            float *part = attend_rows(&all->list[b], &fewer, 0, &x);
            assert_memory_equal(part, whole, (size_t)n_active * 64 * sizeof *part);
            free(part);
        }
        free(whole);
    }
    free_inputs(&x);
}

static void threads_change_no_bit(void **state)
{
    const struct heads heads = {.n = 6, .n_kv = 2, .d_head = 24, .reach = 150, .sinks = true};
    const struct ko_rows *rows = wave_long_rows(WAVE_LONGEST);
    struct inputs x = make_inputs(rows, &heads, 2.0F);
    const struct mixing mixing = mixing_of("threads", rows, &x);
    check_threads(*state, rows, &mixing);
    free_inputs(&x);
}

int run_long_attention(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_of_any_length),
        cmocka_unit_test(reach_ends_inside_a_tile),
        cmocka_unit_test(heads_of_any_shape),
        cmocka_unit_test(one_head_loses_its_edges),
        cmocka_unit_test(whole_tiles_are_removed),
        cmocka_unit_test(removed_sources_need_not_be_finite),
        cmocka_unit_test(nothing_removed_is_the_clean_run),
        cmocka_unit_test(rows_do_not_depend_on_their_neighbours),
        cmocka_unit_test(threads_change_no_bit),
    };
    return cmocka_run_group_tests_name("long attention", tests, backends_open, backends_close);
}
