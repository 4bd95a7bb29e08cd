/* SPDX-License-Identifier: Apache-2.0 */
/* Attention. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/at.h"
#include "tests/conformance/check.h"

struct heads {
    int32_t n, n_kv, d_head, reach;
};

static int32_t width_of(const struct heads *heads)
{
    return (heads->n + 2 * heads->n_kv) * heads->d_head + 1;
}

struct inputs {
    struct heads heads;
    float *qkv; /* [n_rows, width_of(heads)] */
};

/* Queries, keys and values in [-range, range]. Free qkv with free(). */
static struct inputs make_inputs(const struct ko_rows *rows, const struct heads *heads, float range)
{
    size_t n = (size_t)(rows->n_rows * width_of(heads));
    return (struct inputs){*heads, random_floats(9, n, -range, range)};
}

static float *attend_rows(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                          const void *inputs)
{
    const struct inputs *x = inputs;
    const struct heads *heads = &x->heads;
    struct memory m = {.b = b};
    size_t ld = (size_t)width_of(heads), d_out = (size_t)(heads->n * heads->d_head);
    size_t n = (size_t)rows->n_active[layer] * d_out;
    const float *qkv = memory_rows(&m, rows, x->qkv, ld, rows->n_projected[layer]);
    const struct ko_attention args = {.layer = layer,
                                      .n_heads = heads->n,
                                      .n_kv_heads = heads->n_kv,
                                      .d_head = heads->d_head,
                                      .reach = heads->reach,
                                      .scale = 0.3F,
                                      .q = qkv,
                                      .k = qkv + d_out,
                                      .v = qkv + d_out + heads->n_kv * heads->d_head,
                                      .ld = (int32_t)ld,
                                      .out = memory_nan(&m, n)};
    RUN(b, set_rows, rows);
    RUN(b, attention, &args);
    return memory_result(&m, args.out, n);
}

/* One row: for each head scores, -inf where there is no edge, softmax, and zeros where weights are
   zeroed afterwards. */
static void attend_row(const struct ko_rows *rows, int32_t row, int32_t layer, const void *inputs,
                       double *out)
{
    const struct inputs *x = inputs;
    int32_t d = x->heads.d_head, ld = width_of(&x->heads), b = rows->branch[row];
    int32_t path[WAVE_TOKENS], i = wave_path(rows, row, layer, ko_rows_source, path);
    bool after = b >= 0 && rows->branches[b].after_softmax;
    for (int32_t head = 0; head < x->heads.n; head++, out += d) {
        int32_t key = (x->heads.n + head / (x->heads.n / x->heads.n_kv)) * d;
        int32_t value = key + x->heads.n_kv * d;
        double weight[WAVE_TOKENS] = {0.0}, sum = 0.0;
        for (int32_t j = 0; j <= i; j++) {
            double score = 0.0;
            for (int32_t c = 0; c < d; c++) {
                score += (double)x->qkv[ko_at(path[i], ld, head * d + c)] *
                         (double)x->qkv[ko_at(path[j], ld, key + c)];
            }
            bool removed = wave_removed(rows, row, layer, i, j);
            weight[j] = exp(score * (double)0.3F);
            weight[j] = (removed && !after) || i - j >= x->heads.reach ? 0.0 : weight[j];
            sum += weight[j];
            weight[j] = removed ? -weight[j] : weight[j];
        }
        for (int32_t c = 0; c < d; c++) {
            out[c] = 0.0;
            for (int32_t j = 0; j <= i; j++) {
                if (weight[j] > 0.0) {
                    out[c] += weight[j] / sum * (double)x->qkv[ko_at(path[j], ld, value + c)];
                }
            }
        }
    }
}

static struct mixing mixing_of(const char *name, const struct ko_rows *rows, const struct inputs *x)
{
    return (struct mixing){
        name,          x,          rows->n_active, (size_t)(x->heads.n * x->heads.d_head),
        attend_rows,   attend_row, {1e-7, 2e-6},   ko_rows_source,
        x->heads.reach};
}

static void check_wave(const struct backends *all, const char *name, const struct ko_rows *rows,
                       const struct heads *heads, struct spread spread[2])
{
    struct inputs x = make_inputs(rows, heads, 2.0F);
    const struct mixing mixing = mixing_of(name, rows, &x);
    check_mixing(all, rows, &mixing, spread, NULL);
    free(x.qkv);
}

static void attention_without_the_removed_edges(void **state)
{
    static const struct heads heads[] = {
        {1, 1, 7, INT32_MAX}, {4, 2, 16, INT32_MAX}, {6, 1, 33, 4}, {3, 3, 64, 1}, {4, 2, 5, 3}};
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        for (size_t h = 0; h < sizeof heads / sizeof heads[0]; h++) {
            check_wave(*state, plans[p].name, wave_rows(&plans[p]), &heads[h], spread);
        }
    }
    for (uint32_t seed = 0; seed < 40; seed++) {
        check_wave(*state, "random", wave_random_rows(seed), &heads[seed % 5], spread);
    }
    print_message("attention: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

/* Scores of several hundreds, whose exponentials overflow in float32. */
static void large_scores_do_not_overflow(void **state)
{
    static const struct heads heads = {4, 2, 16, INT32_MAX};
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
        free(x.qkv);
    }
    print_message("large scores: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

/* The rows of a full pass without a window, against the trunk's with the same inputs. */
static void nothing_removed_is_the_clean_run(void **state)
{
    const struct backends *all = *state;
    const struct heads heads = {4, 2, 16, 5};
    const struct wave_plan plan = {.name = "nothing removed",
                                   .n_layers = 1,
                                   .n_prompts = 2,
                                   .n_tokens = {3, 9},
                                   .n_branches = 2,
                                   .branches = {{1, -1, 0, -1, 0, 0, -1, -1, false, false},
                                                {1, -1, 4, 0, 0, 0, -1, -1, false, true}}};
    const struct ko_rows *rows = wave_rows(&plan);
    struct inputs x = make_inputs(rows, &heads, 2.0F);
    size_t ld = (size_t)width_of(&heads);
    memcpy(x.qkv + 12 * ld, x.qkv + 3 * ld, 9 * ld * sizeof *x.qkv);
    for (int32_t k = 0; k < all->n; k++) {
        float *out = attend_rows(&all->list[k], rows, 0, &x);
        /* Attention keeps the order of the keys, so all backends give the same bits here. */
        assert_memory_equal(out + 12 * 64, out + 3 * 64, 9 * 64 * sizeof *out);
        assert_memory_equal(out + 21 * 64, out + 7 * 64, 5 * 64 * sizeof *out);
        free(out);
    }
    free(x.qkv);
}

static void everything_removed_gives_zeros(void **state)
{
    const struct backends *all = *state;
    const struct heads heads = {4, 2, 16, INT32_MAX};
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
    struct inputs x = make_inputs(rows, &heads, 2.0F);
    for (int32_t k = 0; k < all->n; k++) {
        float *out = attend_rows(&all->list[k], rows, 0, &x);
        for (int32_t at = 6 * 64; at < 18 * 64; at++) {
            assert_true(out[at] == 0.0F);
        }
        free(out);
    }
    free(x.qkv);
}

/* Position i sees (i - 3, i]: rows 8 and 9 lose all of it (set 0), row 9 alone in set 1; set 2's
   sources lie beyond every branch row's reach. */
static void reach_ends_what_can_be_removed(void **state)
{
    const struct backends *all = *state;
    const struct heads heads = {4, 2, 16, 3};
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
    free(x.qkv);
}

/* A value that is not finite does not change the rows whose edges to it are removed: it is omitted,
   not multiplied by 0. */
static void removed_sources_need_not_be_finite(void **state)
{
    struct spread spread[2] = {{0}};
    int64_t n_spared = 0;
    for (uint32_t seed = 0; seed < 40; seed++) {
        const struct ko_rows *rows = wave_random_rows(seed);
        const struct heads heads = {4, 2, 16, seed % 2 ? INT32_MAX : 4};
        struct inputs x = make_inputs(rows, &heads, 2.0F);
        const struct mixing mixing = mixing_of("random", rows, &x);
        const size_t keys = (size_t)(heads.n_kv * heads.d_head);
        spoil_rows(x.qkv, rows->n_rows, (size_t)width_of(&heads), mixing.width + keys, keys,
                   INFINITY);
        check_mixing(*state, rows, &mixing, spread, &n_spared);
        free(x.qkv);
    }
    assert_true(n_spared > 100);
}

int run_attention(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(removed_sources_need_not_be_finite),
        cmocka_unit_test(attention_without_the_removed_edges),
        cmocka_unit_test(large_scores_do_not_overflow),
        cmocka_unit_test(nothing_removed_is_the_clean_run),
        cmocka_unit_test(everything_removed_gives_zeros),
        cmocka_unit_test(reach_ends_what_can_be_removed),
    };
    return cmocka_run_group_tests_name("attention", tests, backends_open, backends_close);
}
