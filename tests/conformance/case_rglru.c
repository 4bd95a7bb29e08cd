/* SPDX-License-Identifier: Apache-2.0 */
/* The real-gated linear recurrent unit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/at.h"
#include "tests/conformance/check.h"

enum { PAD = 5 };

/* The two gates of a row lie side by side, as the products leave them. */
struct inputs {
    int32_t d;
    size_t width, ld;
    float *u, *gates, *param;
};

/* A vector's remainder, a block's, and several blocks. */
static const int32_t widths[] = {7, 33, 130, 300};
enum { N_WIDTHS = sizeof widths / sizeof widths[0] };

static struct inputs make_inputs(const struct ko_rows *rows, int32_t d)
{
    size_t n = (size_t)rows->n_rows;
    struct inputs x = {.d = d, .width = (size_t)d, .ld = 2 * (size_t)d + PAD};
    x.u = random_floats(1, n * x.width, -1.0F, 2.0F);
    x.gates = random_floats(2, n * x.ld, -4.0F, 4.0F);
    x.param = random_floats(3, x.width, -9.0F, 1.0F);
    x.param[0] = -16.0F; /* a is nearly 1, and m small */
    x.param[1] = 25.0F;  /* beyond softplus's threshold: the row remembers nothing */
    return x;
}

static void free_inputs(struct inputs *x)
{
    free(x->u), free(x->gates), free(x->param);
}

static float *mix_rows(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                       const void *inputs)
{
    const struct inputs *x = inputs;
    struct memory m = {.b = b};
    size_t n = (size_t)rows->n_active[layer] * x->width;
    int32_t own = rows->n_convolved[layer];
    struct ko_rglru args = {.stage = layer,
                            .d = x->d,
                            .u = memory_rows(&m, rows, x->u, x->width, own),
                            .input = memory_rows(&m, rows, x->gates, x->ld, own),
                            .ld = (int32_t)x->ld,
                            .param = memory_floats(&m, x->param, x->width),
                            .out = memory_nan(&m, n)};
    args.decay = args.input + x->width;
    RUN(b, set_rows, rows);
    RUN(b, rglru, &args);
    return memory_result(&m, args.out, n);
}

static double sigmoid_of(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* One channel of one row as a recurrence. Where an edge is removed, the input is zero. */
static double recur_channel(const struct ko_rows *rows, int32_t row, int32_t layer,
                            const struct inputs *x, const int32_t *path, int32_t c)
{
    int32_t i = rows->position[row];
    double h = 0.0;
    for (int32_t j = 0; j <= i; j++) {
        const float *gates = x->gates + (size_t)path[j] * x->ld + c;
        double log_a = -8.0 * sigmoid_of((double)gates[x->width]) * log1p(exp((double)x->param[c]));
        double m = j == 0 ? 1.0 : sqrt(1.0 - exp(2.0 * log_a));
        h *= exp(log_a);
        if (!wave_removed(rows, row, layer, KO_MIXER_SSM, i, j)) {
            h += m * sigmoid_of((double)gates[0]) * (double)x->u[ko_at(path[j], x->d, c)];
        }
    }
    return h;
}

static void recur_row(const struct ko_rows *rows, int32_t row, int32_t layer, const void *inputs,
                      double *out)
{
    const struct inputs *x = inputs;
    int32_t path[WAVE_LONG];
    wave_path(rows, row, layer, ko_rows_source_after_conv, path);
    for (int32_t c = 0; c < x->d; c++) {
        out[c] = recur_channel(rows, row, layer, x, path, c);
    }
}

static struct mixing mixing_of(const char *name, const struct ko_rows *rows, const struct inputs *x)
{
    return (struct mixing){name,     x,         rows->n_active, x->width,
                           mix_rows, recur_row, {1e-7, 2e-6},   ko_rows_source_after_conv,
                           INT32_MAX};
}

static void check_rows(const struct backends *all, const char *name, const struct ko_rows *rows,
                       int32_t d, struct spread spread[2])
{
    struct inputs x = make_inputs(rows, d);
    const struct mixing mixing = mixing_of(name, rows, &x);
    check_mixing(all, rows, &mixing, spread, NULL);
    free_inputs(&x);
}

static void mixing_without_the_removed_edges(void **state)
{
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        for (size_t w = 0; w < N_WIDTHS; w++) {
            check_rows(*state, plans[p].name, wave_rows(&plans[p]), widths[w], spread);
        }
    }
    for (uint32_t seed = 0; seed < 60; seed++) {
        check_rows(*state, "random", wave_random_rows(seed), widths[seed % N_WIDTHS], spread);
    }
    print_message("rglru: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

static void long_prompts_keep_their_precision(void **state)
{
    struct spread spread[2] = {{0}};
    check_rows(*state, "long prompt", wave_long_rows(WAVE_LONG), 130, spread);
    print_message("rglru, %d tokens: plain from double precision %.1e, others from plain %.1e\n",
                  WAVE_LONG, spread[0].largest, spread[1].largest);
}

/* Gives every branch row the inputs of its parent's row, as in the layer where it leaves. */
static void equal_inputs(const struct ko_rows *rows, struct inputs *x)
{
    for (int32_t r = rows->n_trunk_rows; r < rows->n_rows; r++) {
        size_t to = (size_t)r, from = (size_t)rows->parent_row[r];
        memcpy(x->u + to * x->width, x->u + from * x->width, x->width * sizeof *x->u);
        memcpy(x->gates + to * x->ld, x->gates + from * x->ld, x->ld * sizeof *x->gates);
    }
}

static void nothing_removed_is_the_clean_run(void **state)
{
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread worst = {0};
    for (size_t p = 0; p < n_plans; p++) {
        const struct wave_plan plan = wave_without_windows(&plans[p]);
        const struct ko_rows *rows = wave_rows(&plan);
        struct inputs x = make_inputs(rows, 33);
        const struct mixing mixing = mixing_of(plan.name, rows, &x);
        equal_inputs(rows, &x);
        check_clean(*state, rows, &mixing, &worst);
        free_inputs(&x);
    }
    print_message("rglru, nothing removed: at most %.1e from the clean run\n", worst.largest);
}

static void everything_removed_leaves_exactly_zero(void **state)
{
    const struct backends *all = *state;
    const struct ko_rows *rows = wave_rows(&wave_all_removed);
    struct inputs x = make_inputs(rows, 33);
    for (int32_t k = 0; k < all->n; k++) {
        float *out = mix_rows(&all->list[k], rows, 1, &x);
        for (size_t at = 6 * x.width; at < 18 * x.width; at++) {
            assert_true(out[at] == 0.0F);
        }
        free(out);
    }
    free_inputs(&x);
}

static void threads_do_not_change_a_bit(void **state)
{
    for (uint32_t seed = 100; seed < 110; seed++) {
        const struct ko_rows *rows = wave_random_rows(seed);
        struct inputs x = make_inputs(rows, 300);
        const struct mixing mixing = mixing_of("random", rows, &x);
        check_threads(*state, rows, &mixing);
        free_inputs(&x);
    }
}

/* A u that is not finite does not change the rows whose edges to it are removed: it is omitted, not
   multiplied by 0. The gates stay finite, since every row decays. */
static void removed_sources_need_not_be_finite(void **state)
{
    struct spread spread[2] = {{0}};
    int64_t n_spared = 0;
    for (uint32_t seed = 0; seed < 40; seed++) {
        const struct ko_rows *rows = wave_random_rows(seed);
        struct inputs x = make_inputs(rows, 33);
        const struct mixing mixing = mixing_of("bad sources", rows, &x);
        x.param[1] = 0.5F; /* an infinite state times an a of 0 is not a number */
        spoil_rows(x.u, rows->n_rows, x.width, 0, x.width, INFINITY);
        check_mixing(*state, rows, &mixing, spread, &n_spared);
        free_inputs(&x);
    }
    assert_true(n_spared > 100);
}

int run_rglru(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(removed_sources_need_not_be_finite),
        cmocka_unit_test(mixing_without_the_removed_edges),
        cmocka_unit_test(long_prompts_keep_their_precision),
        cmocka_unit_test(nothing_removed_is_the_clean_run),
        cmocka_unit_test(everything_removed_leaves_exactly_zero),
        cmocka_unit_test(threads_do_not_change_a_bit),
    };
    return cmocka_run_group_tests_name("rglru", tests, backends_open, backends_close);
}
