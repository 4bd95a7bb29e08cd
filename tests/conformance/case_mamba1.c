/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-1's selective scan. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/at.h"
#include "tests/conformance/check.h"

enum { N_MASKS = 2, PAD = 5 };

struct inputs {
    int32_t d_inner, d_state;
    float *u, *delta, *bc, *z, *a, *d;
    uint8_t *masks;
};

static struct inputs make_inputs(const struct ko_rows *rows, int32_t d_inner, int32_t d_state)
{
    size_t n = (size_t)rows->n_rows, width = (size_t)d_inner, states = (size_t)d_state;
    struct inputs x = {.d_inner = d_inner, .d_state = d_state};
    x.u = random_floats(1, n * width, -1.0F, 2.0F);
    x.delta = random_floats(2, n * width, 0.001F, 0.9F);
    x.bc = random_floats(3, n * (2 * states + PAD), -1.0F, 1.0F);
    x.z = random_floats(4, n * (width + PAD), -2.0F, 2.0F);
    x.a = random_floats(5, states * width, -8.0F, -0.01F);
    x.d = random_floats(6, width, -1.0F, 1.0F);
    x.masks = random_masks(7, N_MASKS * (size_t)rows->n_stages * width);
    return x;
}

static void free_inputs(struct inputs *x)
{
    free(x->u), free(x->delta), free(x->bc), free(x->z), free(x->a), free(x->d), free(x->masks);
}

static float *scan_rows(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                        const void *inputs)
{
    const struct inputs *x = inputs;
    struct memory m = {.b = b};
    size_t width = (size_t)x->d_inner, states = (size_t)x->d_state, ld_bc = 2 * states + PAD;
    size_t n = (size_t)rows->n_active[layer] * width;
    int32_t own = rows->n_convolved[layer];
    struct ko_mamba1 args = {
        .stage = layer,
        .d_inner = x->d_inner,
        .d_state = x->d_state,
        .u = memory_rows(&m, rows, x->u, width, own),
        .delta = memory_rows(&m, rows, x->delta, width, own),
        .b = memory_rows(&m, rows, x->bc, ld_bc, own),
        .ld_bc = (int32_t)ld_bc,
        .z = memory_rows(&m, rows, x->z, width + PAD, rows->n_projected[layer]),
        .ld_z = x->d_inner + PAD,
        .a = memory_floats(&m, x->a, states * width),
        .d = memory_floats(&m, x->d, width),
        .masks = memory_bytes(&m, x->masks, N_MASKS * (size_t)rows->n_stages * width),
        .out = memory_nan(&m, n)};
    args.c = args.b + states;
    RUN(b, set_rows, rows);
    RUN(b, mamba1, &args);
    return memory_result(&m, args.out, n);
}

/* sum_j alpha[i, j, c] u[j, c], where the sums of delta are taken from position 0. */
static double mix_channel(const struct ko_rows *rows, const struct inputs *x, int32_t row,
                          int32_t layer, const int32_t *path, int32_t c)
{
    int32_t i = rows->position[row], d_inner = x->d_inner, ld_bc = 2 * x->d_state + PAD;
    bool masked = wave_masked(rows, row, layer, x->masks, d_inner, c);
    double sums[WAVE_LONGEST] = {0.0}, total = 0.0, y = 0.0;
    for (int32_t j = 0; j <= i; j++) {
        total += (double)x->delta[ko_at(path[j], d_inner, c)];
        sums[j] = total;
    }
    for (int32_t j = 0; j <= i; j++) {
        if (masked && wave_removed(rows, row, layer, KO_MIXER_SSM, i, j)) {
            continue;
        }
        size_t at = ko_at(path[j], d_inner, c);
        double alpha = 0.0;
        for (int32_t n = 0; n < x->d_state; n++) {
            alpha += (double)x->bc[ko_at(path[i], ld_bc, x->d_state + n)] *
                     exp((double)x->a[ko_at(n, d_inner, c)] * (sums[i] - sums[j])) *
                     (double)x->bc[ko_at(path[j], ld_bc, n)];
        }
        y += alpha * (double)x->delta[at] * (double)x->u[at];
    }
    return y;
}

static void mix_row(const struct ko_rows *rows, int32_t row, int32_t layer, const void *inputs,
                    double *out)
{
    const struct inputs *x = inputs;
    int32_t path[WAVE_LONGEST], i = wave_path(rows, row, layer, ko_rows_source_after_conv, path);
    int32_t projected = ko_rows_source(rows, row, layer);
    for (int32_t c = 0; c < x->d_inner; c++) {
        double gate = (double)x->z[ko_at(projected, x->d_inner + PAD, c)];
        double u = (double)x->u[ko_at(path[i], x->d_inner, c)];
        double y = mix_channel(rows, x, row, layer, path, c) + (double)x->d[c] * u;
        out[c] = y * gate / (1.0 + exp(-gate));
    }
}

static struct mixing mixing_of(const char *name, const struct ko_rows *rows, const struct inputs *x)
{
    return (struct mixing){name,      x,       rows->n_active, (size_t)x->d_inner,
                           scan_rows, mix_row, {1e-7, 5e-6},   ko_rows_source_after_conv,
                           INT32_MAX};
}

static void check_wave(const struct backends *all, const char *name, const struct ko_rows *rows,
                       int32_t d_inner, int32_t d_state, struct spread spread[2])
{
    struct inputs x = make_inputs(rows, d_inner, d_state);
    const struct mixing mixing = mixing_of(name, rows, &x);
    check_mixing(all, rows, &mixing, spread, NULL);
    free_inputs(&x);
}

static void scan_without_the_removed_edges(void **state)
{
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        check_wave(*state, plans[p].name, wave_rows(&plans[p]), 7, 5, spread);
        check_wave(*state, plans[p].name, wave_rows(&plans[p]), 33, 16, spread);
        check_wave(*state, plans[p].name, wave_rows(&plans[p]), 130, 16, spread);
    }
    for (uint32_t seed = 0; seed < 60; seed++) {
        check_wave(*state, "random", wave_random_rows(seed), seed % 2 ? 7 : 33, seed % 3 ? 5 : 16,
                   spread);
    }
    print_message("mamba1: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

/* Trunks that some backends cut into chunks. */
static void chunks_without_the_removed_edges(void **state)
{
    struct spread spread[2] = {{0}};
    for (uint32_t seed = 0; seed < 13; seed++) {
        check_wave(*state, "chunks", wave_chunked_rows(seed), seed % 4 ? 5 : 131,
                   seed % 4 ? 3 + 4 * (int32_t)(seed % 3) : 2, spread);
    }
    print_message("mamba1, chunks: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
}

/* Gives every branch row the inputs of its parent's row, as in the layer where it leaves. */
static void equal_inputs(const struct ko_rows *rows, struct inputs *x)
{
    size_t width = (size_t)x->d_inner, ld_bc = 2 * (size_t)x->d_state + PAD;
    for (int32_t r = rows->n_trunk_rows; r < rows->n_rows; r++) {
        size_t to = (size_t)r, from = (size_t)rows->parent_row[r];
        memcpy(x->u + to * width, x->u + from * width, width * sizeof *x->u);
        memcpy(x->delta + to * width, x->delta + from * width, width * sizeof *x->u);
        memcpy(x->bc + to * ld_bc, x->bc + from * ld_bc, ld_bc * sizeof *x->bc);
        memcpy(x->z + to * (width + PAD), x->z + from * (width + PAD),
               (width + PAD) * sizeof *x->z);
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
        struct inputs x = make_inputs(rows, 33, 16);
        const struct mixing mixing = mixing_of(plan.name, rows, &x);
        equal_inputs(rows, &x);
        check_clean(*state, rows, &mixing, &worst);
        free_inputs(&x);
    }
    print_message("mamba1, nothing removed: at most %.1e from the clean run\n", worst.largest);
}

static void everything_removed_leaves_the_skip(void **state)
{
    const struct backends *all = *state;
    const struct ko_rows *rows = wave_rows(&wave_all_removed);
    struct inputs x = make_inputs(rows, 33, 16);
    equal_inputs(rows, &x);
    for (int32_t k = 0; k < all->n; k++) {
        float *out = scan_rows(&all->list[k], rows, 1, &x);
        struct spread worst = {0};
        for (int32_t r = 6; r < 18; r++) {
            double want[33];
            for (int32_t c = 0; c < 33; c++) {
                double gate = (double)x.z[r * (33 + PAD) + c];
                want[c] = (double)x.d[c] * (double)x.u[r * 33 + c] * gate / (1.0 + exp(-gate));
            }
            expect_near("everything removed", all->list[k].label, out + 33 * r, want, 33, 1e-6,
                        &worst);
        }
        free(out);
    }
    free_inputs(&x);
}

static void threads_do_not_change_a_bit(void **state)
{
    for (uint32_t seed = 100; seed < 110; seed++) {
        const struct ko_rows *rows = wave_random_rows(seed);
        struct inputs x = make_inputs(rows, 130, 16);
        const struct mixing mixing = mixing_of("random", rows, &x);
        check_threads(*state, rows, &mixing);
        free_inputs(&x);
    }
}

/* A u that is not finite does not change the rows whose edges to it are removed: it is omitted, not
   multiplied by 0. delta, B and C stay finite, since every row's decay is read. */
static void removed_sources_need_not_be_finite(void **state)
{
    struct spread spread[2] = {{0}};
    int64_t n_spared = 0;
    for (uint32_t seed = 0; seed < 40; seed++) {
        const struct ko_rows *rows = wave_random_rows(seed);
        struct inputs x = make_inputs(rows, 19, 16);
        const struct mixing mixing = mixing_of("random", rows, &x);
        spoil_rows(x.u, rows->n_rows, 19, 0, 19, INFINITY);
        check_mixing(*state, rows, &mixing, spread, &n_spared);
        free_inputs(&x);
    }
    assert_true(n_spared > 100);
    const int64_t n_short = n_spared;
    for (uint32_t seed = 20; seed < 26; seed++) {
        const struct ko_rows *rows = wave_chunked_rows(seed);
        struct inputs x = make_inputs(rows, 3, 3);
        const struct mixing mixing = mixing_of("chunks", rows, &x);
        spoil_rows(x.u, rows->n_rows, 3, 0, 3, INFINITY);
        check_mixing(*state, rows, &mixing, spread, &n_spared);
        free_inputs(&x);
    }
    assert_true(n_spared > n_short);
}

int run_mamba1(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(removed_sources_need_not_be_finite),
        cmocka_unit_test(scan_without_the_removed_edges),
        cmocka_unit_test(chunks_without_the_removed_edges),
        cmocka_unit_test(nothing_removed_is_the_clean_run),
        cmocka_unit_test(everything_removed_leaves_the_skip),
        cmocka_unit_test(threads_do_not_change_a_bit),
    };
    return cmocka_run_group_tests_name("mamba1", tests, backends_open, backends_close);
}
