/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of short prompts. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/at.h"
#include "tests/conformance/attention.h"

static void check_heads(const struct backends *all, const struct heads heads[5], const char *what)
{
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        for (size_t h = 0; h < 5; h++) {
            check_wave(all, plans[p].name, wave_rows(&plans[p]), &heads[h], spread);
        }
    }
    for (uint32_t seed = 0; seed < 40; seed++) {
        check_wave(all, "random", wave_random_rows(seed), &heads[seed % 5], spread);
    }
    print_message("%s: plain from double precision %.1e, others from plain %.1e\n", what,
                  spread[0].largest, spread[1].largest);
}

/* Edges are removed in one head of each branch; in some branches in a head that there is not. */
static void one_head_loses_its_edges(void **state)
{
    static const struct heads heads[3] = {
        {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX},
        {.n = 3, .n_kv = 3, .d_head = 33, .reach = 4, .sinks = true},
        {.n = 6, .n_kv = 1, .d_head = 5, .reach = INT32_MAX, .cap = 2.0F}};
    struct spread spread[2] = {{0}};
    for (uint32_t seed = 0; seed < 30; seed++) {
        const struct heads *own = &heads[seed % 3];
        const struct ko_rows *rows = wave_random_rows(seed);
        struct ko_branch *branches = (struct ko_branch *)(uintptr_t)rows->branches;
        for (int32_t b = 0; b < rows->n_branches; b++) {
            branches[b].only_head = 1 + b % (own->n + 1);
        }
        check_wave(*state, "one head", rows, own, spread);
    }
    print_message("attention, one head: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

static void attention_without_the_removed_edges(void **state)
{
    static const struct heads heads[5] = {{.n = 1, .n_kv = 1, .d_head = 7, .reach = INT32_MAX},
                                          {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX},
                                          {.n = 6, .n_kv = 1, .d_head = 33, .reach = 4},
                                          {.n = 3, .n_kv = 3, .d_head = 64, .reach = 1},
                                          {.n = 4, .n_kv = 2, .d_head = 5, .reach = 3}};
    check_heads(*state, heads, "attention");
}

static void heads_lie_side_by_side_or_apart(void **state)
{
    static const struct heads heads[5] = {
        {.n = 1, .n_kv = 1, .d_head = 7, .reach = INT32_MAX, .by_head = true},
        {.n = 4, .n_kv = 4, .d_head = 16, .reach = INT32_MAX, .by_head = true},
        {.n = 3, .n_kv = 3, .d_head = 33, .reach = 2, .by_head = true, .gap = 1},
        {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX, .gap = 16},
        {.n = 6, .n_kv = 1, .d_head = 5, .reach = 3, .gap = 2}};
    check_heads(*state, heads, "head strides");
}

/* Wider than the keys, narrower, and in another class of widths of the GPU. */
static void values_may_have_a_width_of_their_own(void **state)
{
    static const struct heads heads[5] = {
        {.n = 1, .n_kv = 1, .d_head = 7, .d_value = 5, .reach = INT32_MAX},
        {.n = 4, .n_kv = 4, .d_head = 14, .d_value = 9, .reach = INT32_MAX},
        {.n = 6, .n_kv = 2, .d_head = 33, .d_value = 16, .reach = 4, .gap = 2},
        {.n = 3, .n_kv = 3, .d_head = 20, .d_value = 70, .reach = 5, .sinks = true},
        {.n = 2, .n_kv = 2, .d_head = 192, .d_value = 128, .reach = INT32_MAX}};
    check_heads(*state, heads, "values");
}

/* Scores reach 8 with 16 numbers a head. */
static void scores_are_capped_before_edges_go(void **state)
{
    static const struct heads heads[5] = {
        {.n = 1, .n_kv = 1, .d_head = 7, .reach = INT32_MAX, .cap = 2.0F},
        {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX, .cap = 1.5F},
        {.n = 6, .n_kv = 1, .d_head = 33, .reach = 4, .cap = 50.0F},
        {.n = 4, .n_kv = 4, .d_head = 16, .reach = 3, .by_head = true, .cap = 0.5F},
        {.n = 4, .n_kv = 2, .d_head = 64, .reach = INT32_MAX, .cap = 3.0F, .sinks = true}};
    check_heads(*state, heads, "caps");
}

static void sinks_take_a_part_of_the_softmax(void **state)
{
    static const struct heads heads[5] = {
        {.n = 1, .n_kv = 1, .d_head = 7, .reach = INT32_MAX, .sinks = true},
        {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX, .sinks = true},
        {.n = 6, .n_kv = 1, .d_head = 33, .reach = 4, .sinks = true},
        {.n = 3, .n_kv = 3, .d_head = 64, .reach = 1, .sinks = true, .gap = 3},
        {.n = 4, .n_kv = 2, .d_head = 5, .reach = 3, .sinks = true}};
    check_heads(*state, heads, "sinks");
}

/* A sink far above all scores leaves nothing, and one far below changes no bit. */
static void sinks_of_any_size_are_finite(void **state)
{
    const struct backends *all = *state;
    const struct ko_rows *rows = wave_random_rows(3);
    const struct heads heads = {.n = 4, .n_kv = 2, .d_head = 16, .reach = 5, .sinks = true};
    const size_t n = (size_t)rows->n_active[0] * 64;
    for (int32_t k = 0; k < all->n; k++) {
        struct inputs x = make_inputs(rows, &heads, 2.0F);
        for (int32_t head = 0; head < heads.n; head++) {
            x.sinks[head] = head % 2 ? 1e4F : -1e4F;
        }
        float *with = attend_rows(&all->list[k], rows, 0, &x);
        x.heads.sinks = false;
        float *without = attend_rows(&all->list[k], rows, 0, &x);
        for (size_t at = 0; at < n; at++) {
            assert_true(at / 16 % 2 ? with[at] == 0.0F : with[at] == without[at]);
        }
        free(with), free(without);
        free_inputs(&x);
    }
}

/* Scores of several hundreds, whose exponentials overflow in float32. */
static void large_scores_do_not_overflow(void **state)
{
    static const struct heads heads = {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX};
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        const struct ko_rows *rows = wave_rows(&plans[p]);
        struct inputs x = make_inputs(rows, &heads, 20.0F);
        struct mixing mixing = mixing_of(plans[p].name, rows, &x);
        mixing.tolerance[0] = 1e-6;
        mixing.tolerance[1] = 1e-2;
        check_mixing(*state, rows, &mixing, spread, NULL);
        free_inputs(&x);
    }
    print_message("large scores: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

/* Heads of 16 numbers: without more, with sinks, and with a cap too. */
static const struct heads kinds[] = {
    {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX},
    {.n = 4, .n_kv = 2, .d_head = 16, .reach = 5, .sinks = true},
    {.n = 4, .n_kv = 4, .d_head = 16, .reach = 5, .by_head = true, .cap = 2.0F, .sinks = true}};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

/* The rows of a full pass without a window, against the trunk's with the same inputs. */
static void nothing_removed_is_the_clean_run(void **state)
{
    const struct backends *all = *state;
    const struct wave_plan plan = {.name = "nothing removed",
                                   .n_layers = 1,
                                   .n_prompts = 2,
                                   .n_tokens = {3, 9},
                                   .n_branches = 2,
                                   .branches = {{1, -1, 0, -1, 0, 0, -1, -1, false, false},
                                                {1, -1, 4, 0, 0, 0, -1, -1, false, true}}};
    const struct ko_rows *rows = wave_rows(&plan);
    for (int32_t k = 0; k < all->n * N_KINDS; k++) {
        struct inputs x = make_inputs(rows, &kinds[k % N_KINDS], 2.0F);
        size_t ld = (size_t)layout_of(&x.heads).width;
        memcpy(x.qkv + 12 * ld, x.qkv + 3 * ld, 9 * ld * sizeof *x.qkv);
        float *out = attend_rows(&all->list[k / N_KINDS], rows, 0, &x);
        /* Attention keeps the order of the keys, so all backends give the same bits here. */
        assert_memory_equal(out + 12 * 64, out + 3 * 64, 9 * 64 * sizeof *out);
        assert_memory_equal(out + 21 * 64, out + 7 * 64, 5 * 64 * sizeof *out);
        free(out);
        free_inputs(&x);
    }
}

static void everything_removed_gives_zeros(void **state)
{
    const struct backends *all = *state;
    const struct wave_plan plan = {.name = "everything removed",
                                   .n_layers = 1,
                                   .n_prompts = 1,
                                   .n_tokens = {6},
                                   .n_sets = 1,
                                   .sets = {{false, 63, 63}},
                                   .n_branches = 2,
                                   .branches = {{0, -1, 0, 0, 0, 1, 0, -1, false, false},
                                                {0, -1, 0, 0, 0, 1, 0, -1, false, true}}};
    const struct ko_rows *rows = wave_rows(&plan);
    for (int32_t k = 0; k < all->n * N_KINDS; k++) {
        struct inputs x = make_inputs(rows, &kinds[k % N_KINDS], 2.0F);
        float *out = attend_rows(&all->list[k / N_KINDS], rows, 0, &x);
        for (int32_t at = 6 * 64; at < 18 * 64; at++) {
            assert_true(out[at] == 0.0F);
        }
        free(out);
        free_inputs(&x);
    }
}

/* Position i sees (i - 3, i]: rows 8 and 9 lose all of it (set 0), row 9 alone in set 1; set 2's
   sources lie beyond every branch row's reach. */
static void reach_ends_what_can_be_removed(void **state)
{
    const struct backends *all = *state;
    const struct heads heads = {.n = 4, .n_kv = 2, .d_head = 16, .reach = 3};
    const struct wave_plan plan = {
        .name = "sliding reach",
        .n_layers = 1,
        .n_prompts = 1,
        .n_tokens = {12},
        .n_sets = 3,
        .sets = {{false, 3U << 8, 15U << 6}, {false, 1U << 9, 7U << 7}, {false, 15U << 8, 63}},
        .n_branches = 4,
        .branches = {{0, -1, 8, 0, 0, 1, 0, -1, false, false},
                     {0, -1, 8, 0, 0, 1, 1, -1, false, true},
                     {0, -1, 8, 0, 0, 1, 2, -1, false, false},
                     {0, -1, 8, 0, 0, 1, 2, -1, false, true}}};
    struct spread spread[2] = {{0}};
    const struct ko_rows *rows = wave_rows(&plan);
    struct inputs x = make_inputs(rows, &heads, 2.0F);
    check_wave(all, plan.name, rows, &heads, spread);
    for (int32_t k = 0; k < all->n; k++) {
        float *out = attend_rows(&all->list[k], rows, 0, &x);
        const float *branch[] = {out + 12 * 64, out + 16 * 64, out + 20 * 64, out + 24 * 64};
        for (int32_t c = 0; c < 64; c++) {
            assert_true(branch[0][c] == 0.0F && branch[0][64 + c] == 0.0F);
            assert_true(branch[0][128 + c] != 0.0F);
            assert_true(branch[1][c] != 0.0F && branch[1][64 + c] == 0.0F);
        }
        /* Nothing within reach is removed: the trunk's bits. */
        assert_memory_equal(branch[2], out + 8 * 64, 4 * 64 * sizeof *out);
        assert_memory_equal(branch[3], out + 8 * 64, 4 * 64 * sizeof *out);
        free(out);
    }
    free_inputs(&x);
}

/* A value that is not finite does not change the rows whose edges to it are removed: it is omitted,
   not multiplied by 0. */
static void removed_sources_need_not_be_finite(void **state)
{
    struct spread spread[2] = {{0}};
    int64_t n_spared = 0;
    for (uint32_t seed = 0; seed < 40; seed++) {
        const struct ko_rows *rows = wave_random_rows(seed);
        const struct heads heads = {.n = 4,
                                    .n_kv = 2,
                                    .d_head = 16,
                                    .d_value = seed % 5 == 0 ? 11 : 0,
                                    .reach = seed % 2 ? INT32_MAX : 4,
                                    .cap = seed % 3 == 0 ? 2.0F : 0.0F,
                                    .sinks = seed % 4 < 2};
        struct inputs x = make_inputs(rows, &heads, 2.0F);
        const struct mixing mixing = mixing_of("random", rows, &x);
        const struct layout at = layout_of(&heads);
        spoil_rows(values_of(&x), rows->n_rows, (size_t)at.ld_v, (size_t)at.v,
                   (size_t)(heads.n_kv * at.stride_v - (at.stride_v - value_width(&heads))),
                   INFINITY);
        check_mixing(*state, rows, &mixing, spread, &n_spared);
        free_inputs(&x);
    }
    assert_true(n_spared > 100);
}

int run_attention(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(removed_sources_need_not_be_finite),
        cmocka_unit_test(one_head_loses_its_edges),
        cmocka_unit_test(attention_without_the_removed_edges),
        cmocka_unit_test(heads_lie_side_by_side_or_apart),
        cmocka_unit_test(values_may_have_a_width_of_their_own),
        cmocka_unit_test(scores_are_capped_before_edges_go),
        cmocka_unit_test(sinks_take_a_part_of_the_softmax),
        cmocka_unit_test(sinks_of_any_size_are_finite),
        cmocka_unit_test(large_scores_do_not_overflow),
        cmocka_unit_test(nothing_removed_is_the_clean_run),
        cmocka_unit_test(everything_removed_gives_zeros),
        cmocka_unit_test(reach_ends_what_can_be_removed),
    };
    return cmocka_run_group_tests_name("attention", tests, backends_open, backends_close) +
           cmocka_run_group_tests_name("attention by tiles", tests, backends_open_tiled,
                                       backends_close);
}
