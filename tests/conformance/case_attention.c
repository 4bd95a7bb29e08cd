/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/check.h"

struct heads {
    int32_t n, n_kv, d_head, reach;
};

static int32_t width_of(const struct heads *heads)
{
    return (heads->n + 2 * heads->n_kv) * heads->d_head + 1;
}

/* out [n_active, n_heads * d_head], free with free(). */
static float *attend(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                     const struct heads *heads, const float *qkv)
{
    struct ko_error err = {0};
    size_t ld = (size_t)width_of(heads), d_out = (size_t)(heads->n * heads->d_head);
    size_t n = (size_t)rows->n_active[layer] * d_out;
    float *clean = poisoned(qkv, (size_t)rows->n_rows, ld, rows->n_projected[layer]);
    const float *memory = backend_copy(b, clean, (size_t)rows->n_rows * ld * sizeof *clean);
    struct ko_attention args = {.layer = layer,
                                .n_heads = heads->n,
                                .n_kv_heads = heads->n_kv,
                                .d_head = heads->d_head,
                                .reach = heads->reach,
                                .scale = 0.3F,
                                .q = memory,
                                .k = memory + d_out,
                                .v = memory + d_out + heads->n_kv * heads->d_head,
                                .ld = (int32_t)ld,
                                .out = backend_floats(b, n)};
    expect_ok(b->k->set_rows(b->be, rows, &err), &err);
    expect_ok(b->k->attention(b->be, &args, &err), &err);
    float *out = backend_read(b, args.out, n);
    backend_release(b, memory);
    backend_release(b, args.out);
    free(clean);
    return out;
}

/* One row of one head: scores, -inf where there is no edge, softmax, zeros where weights are taken
   out afterwards. */
static void reference_head(const struct ko_rows *rows, int32_t row, int32_t layer, int32_t head,
                           const struct heads *heads, const float *qkv, const int32_t *path,
                           double *out)
{
    size_t ld = (size_t)width_of(heads), d = (size_t)heads->d_head;
    size_t key = (size_t)(heads->n + head / (heads->n / heads->n_kv)) * d;
    size_t value = key + (size_t)heads->n_kv * d;
    int32_t i = rows->position[row], b = rows->branch[row];
    bool after = b >= 0 && rows->branches[b].after_softmax;
    double weight[WAVE_TOKENS] = {0.0}, sum = 0.0;
    for (int32_t j = 0; j <= i; j++) {
        double score = 0.0;
        for (size_t c = 0; c < d; c++) {
            score += (double)qkv[(size_t)path[i] * ld + (size_t)head * d + c] *
                     (double)qkv[(size_t)path[j] * ld + key + c];
        }
        bool removed = wave_removed(rows, row, layer, i, j);
        weight[j] = exp(score * (double)0.3F);
        weight[j] = (removed && !after) || i - j >= heads->reach ? 0.0 : weight[j];
        sum += weight[j];
        weight[j] = removed ? -weight[j] : weight[j];
    }
    for (size_t c = 0; c < d; c++) {
        out[c] = 0.0;
        for (int32_t j = 0; j <= i; j++) {
            if (weight[j] > 0.0) {
                out[c] += weight[j] / sum * (double)qkv[(size_t)path[j] * ld + value + c];
            }
        }
    }
}

static double *reference(const struct ko_rows *rows, int32_t layer, const struct heads *heads,
                         const float *qkv)
{
    size_t d_out = (size_t)(heads->n * heads->d_head);
    double *out = calloc((size_t)rows->n_active[layer] * d_out + 1, sizeof *out);
    int32_t path[WAVE_TOKENS];
    assert_non_null(out);
    for (int32_t r = 0; r < rows->n_active[layer]; r++) {
        wave_path(rows, r, layer, ko_rows_source, path);
        for (int32_t head = 0; head < heads->n; head++) {
            reference_head(rows, r, layer, head, heads, qkv, path,
                           out + (size_t)r * d_out + (size_t)(head * heads->d_head));
        }
    }
    return out;
}

/* Queries, keys and values in [-range, range]; bounds: of plain, of the others. */
struct inputs {
    float range;
    double bounds[2];
};
static const struct inputs usual = {2.0F, {1e-7, 2e-6}};

/* n_spared: NULL, or values have bad rows, and what they did not reach is added. */
static void check_wave(const struct backend *backends, int32_t n_backends,
                       const struct wave_plan *plan, const struct heads *heads,
                       const struct inputs *inputs, struct spread spread[2], int64_t *n_spared)
{
    static struct wave wave;
    wave_build(plan, &wave);
    size_t ld = (size_t)width_of(heads), d_out = (size_t)(heads->n * heads->d_head);
    float *qkv = random_floats(9, (size_t)wave.rows.n_rows * ld, -inputs->range, inputs->range);
    if (n_spared) {
        const size_t keys = (size_t)heads->n_kv * (size_t)heads->d_head;
        spoil_rows(qkv, wave.rows.n_rows, ld, d_out + keys, keys, INFINITY);
    }
    for (int32_t layer = 0; layer < plan->n_layers; layer++) {
        size_t n = (size_t)wave.rows.n_active[layer] * d_out;
        double *want = reference(&wave.rows, layer, heads, qkv);
        if (n_spared) {
            *n_spared += count_spared(&wave.rows, layer, wave.rows.n_active[layer], ko_rows_source,
                                      heads->reach, want, d_out);
        }
        for (int32_t k = 0; k < n_backends; k++) {
            float *got = attend(&backends[k], &wave.rows, layer, heads, qkv);
            (n_spared ? expect_near_or_neither : expect_near)(
                plan->name, backends[k].label, got, want, n, inputs->bounds[k > 0], &spread[k > 0]);
            if (k == 0) {
                widen(got, n, want);
            }
            free(got);
        }
        free(want);
    }
    free(qkv);
}

static void attention_without_the_removed_edges(void **state)
{
    (void)state;
    static const struct heads heads[] = {
        {1, 1, 7, INT32_MAX}, {4, 2, 16, INT32_MAX}, {6, 1, 33, 4}, {3, 3, 64, 1}, {4, 2, 5, 3}};
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        for (size_t h = 0; h < sizeof heads / sizeof heads[0]; h++) {
            check_wave(backends, n_backends, &plans[p], &heads[h], &usual, spread, NULL);
        }
    }
    for (uint32_t seed = 0; seed < 40; seed++) {
        struct wave_plan plan;
        wave_random(seed, &plan);
        check_wave(backends, n_backends, &plan, &heads[seed % 5], &usual, spread, NULL);
    }
    print_message("attention: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
    backends_close(backends, n_backends);
}

/* Scores of several hundreds, whose exponentials are no numbers in float32. */
static void large_scores_do_not_overflow(void **state)
{
    (void)state;
    static const struct heads heads = {4, 2, 16, INT32_MAX};
    static const struct inputs large = {20.0F, {1e-6, 1e-2}};
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        check_wave(backends, n_backends, &plans[p], &heads, &large, spread, NULL);
    }
    print_message("large scores: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
    backends_close(backends, n_backends);
}

/* The rows of a full pass without a window, against the trunk's with the same inputs. */
static void nothing_removed_is_the_clean_run(void **state)
{
    (void)state;
    static struct wave wave;
    const struct heads heads = {4, 2, 16, 5};
    const struct wave_plan plan = {.name = "nothing removed",
                                   .n_layers = 1,
                                   .n_prompts = 2,
                                   .n_tokens = {3, 9},
                                   .n_branches = 2,
                                   .branches = {{1, -1, 0, -1, 0, 0, -1, -1, false, false},
                                                {1, -1, 4, 0, 0, 0, -1, -1, false, true}}};
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    wave_build(&plan, &wave);
    size_t ld = (size_t)width_of(&heads);
    float *qkv = random_floats(9, (size_t)wave.rows.n_rows * ld, -2.0F, 2.0F);
    memcpy(qkv + 12 * ld, qkv + 3 * ld, 9 * ld * sizeof *qkv);
    for (int32_t k = 0; k < n_backends; k++) {
        float *out = attend(&backends[k], &wave.rows, 0, &heads, qkv);
        /* Attention keeps the order of the keys, so all backends give the same bits here. */
        assert_memory_equal(out + 12 * 64, out + 3 * 64, 9 * 64 * sizeof *out);
        assert_memory_equal(out + 21 * 64, out + 7 * 64, 5 * 64 * sizeof *out);
        free(out);
    }
    free(qkv);
    backends_close(backends, n_backends);
}

static void everything_removed_gives_zeros(void **state)
{
    (void)state;
    static struct wave wave;
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
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    wave_build(&plan, &wave);
    float *qkv = random_floats(9, (size_t)(wave.rows.n_rows * width_of(&heads)), -2.0F, 2.0F);
    for (int32_t k = 0; k < n_backends; k++) {
        float *out = attend(&backends[k], &wave.rows, 0, &heads, qkv);
        for (int32_t at = 6 * 64; at < 18 * 64; at++) {
            assert_true(out[at] == 0.0F);
        }
        free(out);
    }
    free(qkv);
    backends_close(backends, n_backends);
}

/* Position i sees (i - 3, i]: rows 8 and 9 lose all of it (set 0), row 9 alone in set 1; set 2's
   sources lie beyond every branch row's reach. */
static void reach_ends_what_can_be_removed(void **state)
{
    (void)state;
    static struct wave wave;
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
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    struct spread spread[2] = {{0}};
    wave_build(&plan, &wave);
    check_wave(backends, n_backends, &plan, &heads, &usual, spread, NULL);
    float *qkv = random_floats(9, (size_t)(wave.rows.n_rows * width_of(&heads)), -2.0F, 2.0F);
    for (int32_t k = 0; k < n_backends; k++) {
        float *out = attend(&backends[k], &wave.rows, 0, &heads, qkv);
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
    free(qkv);
    backends_close(backends, n_backends);
}

/* Where a source is no finite number, the rows whose edges to it are removed stay what they were:
   it is left out, not multiplied by 0. */
static void removed_sources_need_not_be_finite(void **state)
{
    (void)state;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    struct spread spread[2] = {{0}};
    int64_t n_spared = 0;
    for (uint32_t seed = 0; seed < 40; seed++) {
        struct wave_plan plan;
        wave_random(seed, &plan);
        const struct heads heads = {4, 2, 16, seed % 2 ? INT32_MAX : 4};
        check_wave(backends, n_backends, &plan, &heads, &usual, spread, &n_spared);
    }
    assert_true(n_spared > 100);
    backends_close(backends, n_backends);
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
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
