/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of waves whose prompts are longer and shorter than a tile, and on tensor cores. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/conformance/attention.h"

/* Prompts of up to 177 tokens, whose attention backends compute in tiles: queries and keys beyond a
   tile, rows of several branches in one, prompts short and long in one wave; heads of every width that
   the tiles have, and of others. */
static void prompts_are_longer_than_a_tile(void **state)
{
    static const struct heads of[] = {
        {.n = 4, .n_kv = 2, .d_head = 16, .reach = INT32_MAX},
        {.n = 7, .n_kv = 1, .d_head = 64, .reach = INT32_MAX, .gap = 3},
        {.n = 2, .n_kv = 2, .d_head = 80, .reach = 70, .sinks = true},
        {.n = 4, .n_kv = 1, .d_head = 128, .reach = INT32_MAX, .cap = 2.0F},
        {.n = 2, .n_kv = 1, .d_head = 192, .d_value = 128, .reach = 33},
        {.n = 3, .n_kv = 3, .d_head = 33, .d_value = 40, .reach = INT32_MAX, .sinks = true},
        {.n = 2, .n_kv = 2, .d_head = 20, .reach = 64, .by_head = true},
        {.n = 70, .n_kv = 1, .d_head = 8, .reach = INT32_MAX}};
    enum { N_KINDS_OF = sizeof of / sizeof of[0] };
    struct spread spread[2] = {{0}};
    struct wave_plan plan;
    for (uint32_t seed = 0; seed < 3 * N_KINDS_OF; seed++) {
        wave_random(seed, &plan);
        plan.stretch = 6 + (int32_t)(seed % 11);
        const struct heads *heads = &of[seed % N_KINDS_OF];
        const struct ko_rows *rows = wave_rows(&plan);
        struct ko_branch *branches = (struct ko_branch *)(uintptr_t)rows->branches;
        for (int32_t b = 0; b < rows->n_branches; b++) {
            branches[b].only_head = seed % 3 == 2 && b % 2 ? 1 + b % heads->n : 0;
        }
        struct inputs x = make_inputs(rows, heads, 2.0F);
        struct mixing mixing = mixing_of("random and long", rows, &x);
        mixing.tolerance[1] = 6e-6; /* sums of up to 192 products, and of 177 weights */
        check_mixing(*state, rows, &mixing, spread, NULL);
        free_inputs(&x);
    }
    print_message("long prompts: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

/* As removed_sources_need_not_be_finite, where a tile has both rows that see a value and rows that do
   not. */
static void long_prompts_omit_what_is_not_finite(void **state)
{
    struct spread spread[2] = {{0}};
    struct wave_plan plan;
    int64_t n_spared = 0;
    for (uint32_t seed = 0; seed < 12; seed++) {
        wave_random(seed, &plan);
        plan.stretch = 6 + (int32_t)(seed % 7);
        const struct ko_rows *rows = wave_rows(&plan);
        const struct heads heads = {.n = 4,
                                    .n_kv = 2,
                                    .d_head = 16,
                                    .reach = 1 + (int32_t)(seed % 4),
                                    .sinks = seed % 4 < 2};
        struct inputs x = make_inputs(rows, &heads, 2.0F);
        const struct mixing mixing = mixing_of("random and long", rows, &x);
        const struct layout at = layout_of(&heads);
        spoil_rows(values_of(&x), rows->n_rows, (size_t)at.ld_v, (size_t)at.v, 5,
                   seed % 2 ? INFINITY : NAN);
        check_mixing(*state, rows, &mixing, spread, &n_spared);
        free_inputs(&x);
    }
    assert_true(n_spared > 100);
}

/* Scores of these inputs have no rounding but that of their sums: ten bits after the first hold each
   query, key and value, and so does tf32. */
static void cut_inputs(const struct ko_rows *rows, struct inputs *x)
{
    const struct layout at = layout_of(&x->heads);
    for (size_t k = 0; k < (size_t)(rows->n_rows * at.width); k++) {
        x->qkv[k] = roundf(x->qkv[k] * 512.0F) / 512.0F;
    }
    for (size_t k = 0; k < (size_t)(rows->n_rows * at.ld_v); k++) {
        x->apart[k] = roundf(x->apart[k] * 512.0F) / 512.0F;
    }
}

/* Attention on tensor cores, where the machine has them: in tf32 and bfloat16 the weights are rounded to
   tf32 before they multiply the values, and in bf16x3 nothing is. */
static void tensor_cores_attend_alike(void **state)
{
    static const struct {
        enum ko_precision precision;
        const char *name;
        double tolerance;
    } modes[] = {
        {KO_TF32, "tf32", 5e-4}, {KO_BFLOAT16, "bfloat16", 5e-4}, {KO_BF16X3, "bf16x3", 4e-6}};
    static const struct heads of[] = {
        {.n = 7, .n_kv = 1, .d_head = 64, .reach = INT32_MAX},
        {.n = 2, .n_kv = 2, .d_head = 80, .reach = 70, .sinks = true},
        {.n = 4, .n_kv = 1, .d_head = 128, .reach = INT32_MAX, .cap = 2.0F},
        {.n = 2, .n_kv = 1, .d_head = 192, .d_value = 128, .reach = 33}};
    const struct backends *all = *state;
    for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++) {
        struct backends two = {.list = {all->list[0]}, .n = 1};
        struct spread spread[2] = {{0}};
        struct wave_plan plan;
        two.n += backend_open_gpu(modes[m].precision, &two.list[1]);
        for (uint32_t seed = 0; two.n > 1 && seed < 16; seed++) {
            wave_random(seed, &plan);
            plan.stretch = 6 + (int32_t)(seed % 11);
            const struct ko_rows *rows = wave_rows(&plan);
            struct inputs x = make_inputs(rows, &of[seed % 4], 2.0F);
            struct mixing mixing = mixing_of(modes[m].name, rows, &x);
            mixing.tolerance[1] = modes[m].tolerance;
            cut_inputs(rows, &x);
            check_mixing(&two, rows, &mixing, spread, NULL);
            free_inputs(&x);
        }
        if (two.n > 1) {
            print_message("%s: from plain %.1e\n", modes[m].name, spread[1].largest);
            two.list[1].k->close(two.list[1].be);
        }
    }
}

int run_attention_tiles(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_are_longer_than_a_tile),
        cmocka_unit_test(long_prompts_omit_what_is_not_finite),
        cmocka_unit_test(tensor_cores_attend_alike),
    };
    return cmocka_run_group_tests_name("attention in tiles", tests, backends_open, backends_close);
}
