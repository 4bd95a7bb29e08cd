/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/check.h"

enum { N_MASKS = 2, PAD = 5 };

struct inputs {
    int32_t d_inner, d_state;
    float *u, *delta, *bc, *z, *a, *d;
    uint8_t *masks;
};

static struct inputs make(const struct ko_rows *rows, int32_t d_inner, int32_t d_state)
{
    size_t n = (size_t)rows->n_rows, width = (size_t)d_inner, states = (size_t)d_state;
    struct inputs x = {.d_inner = d_inner, .d_state = d_state};
    x.u = random_floats(1, n * width, -1.0F, 2.0F);
    x.delta = random_floats(2, n * width, 0.001F, 0.9F);
    x.bc = random_floats(3, n * (2 * states + PAD), -1.0F, 1.0F);
    x.z = random_floats(4, n * (width + PAD), -2.0F, 2.0F);
    x.a = random_floats(5, states * width, -8.0F, -0.01F);
    x.d = random_floats(6, width, -1.0F, 1.0F);
    x.masks = random_masks(7, N_MASKS * (size_t)rows->n_layers * width);
    return x;
}

static void drop(struct inputs *x)
{
    free(x->u);
    free(x->delta);
    free(x->bc);
    free(x->z);
    free(x->a);
    free(x->d);
    free(x->masks);
}

static const float *copy_rows(const struct backend *b, const struct ko_rows *rows,
                              const float *values, size_t width, int32_t readable)
{
    float *clean = poisoned(values, (size_t)rows->n_rows, width, readable);
    const float *memory = backend_copy(b, clean, (size_t)rows->n_rows * width * sizeof *clean);
    free(clean);
    return memory;
}

/* out [n_active, d_inner], free with free(). */
static float *scan(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                   const struct inputs *x)
{
    struct ko_error err = {0};
    size_t width = (size_t)x->d_inner, states = (size_t)x->d_state, ld_bc = 2 * states + PAD;
    size_t n = (size_t)rows->n_active[layer] * width;
    int32_t own = rows->n_convolved[layer];
    struct ko_mamba1 args = {.layer = layer,
                             .d_inner = x->d_inner,
                             .d_state = x->d_state,
                             .u = copy_rows(b, rows, x->u, width, own),
                             .delta = copy_rows(b, rows, x->delta, width, own),
                             .b = copy_rows(b, rows, x->bc, ld_bc, own),
                             .ld_bc = (int32_t)ld_bc,
                             .z = copy_rows(b, rows, x->z, width + PAD, rows->n_projected[layer]),
                             .ld_z = x->d_inner + PAD,
                             .a = backend_copy(b, x->a, states * width * sizeof *x->a),
                             .d = backend_copy(b, x->d, width * sizeof *x->d),
                             .out = backend_floats(b, n)};
    args.c = args.b + states;
    args.masks =
        (const uint8_t *)backend_copy(b, x->masks, N_MASKS * (size_t)rows->n_layers * width);
    expect_ok(b->k->set_rows(b->be, rows, &err), &err);
    expect_ok(b->k->mamba1(b->be, &args, &err), &err);
    float *out = backend_read(b, args.out, n);
    const void *memory[] = {args.u, args.delta, args.b,     args.z,
                            args.a, args.d,     args.masks, args.out};
    for (size_t k = 0; k < sizeof memory / sizeof memory[0]; k++) {
        backend_release(b, memory[k]);
    }
    return out;
}

static bool is_masked(const struct ko_rows *rows, const struct inputs *x, int32_t row,
                      int32_t layer, int32_t c)
{
    int32_t mask = rows->branch[row] < 0 ? -1 : rows->branches[rows->branch[row]].mask;
    if (mask < 0) {
        return true;
    }
    size_t at = (size_t)(mask * rows->n_layers + layer) * (size_t)x->d_inner + (size_t)c;
    return x->masks[at] != 0;
}

/* sum_j alpha[i, j, c] u[j, c] of one row and channel, with the sums of delta taken from the front.
 */
static double mixed(const struct ko_rows *rows, const struct inputs *x, int32_t row, int32_t layer,
                    const int32_t *path, int32_t c)
{
    size_t width = (size_t)x->d_inner, ld_bc = 2 * (size_t)x->d_state + PAD;
    int32_t i = rows->position[row];
    double sums[WAVE_TOKENS] = {0.0}, total = 0.0, y = 0.0;
    for (int32_t j = 0; j <= i; j++) {
        total += (double)x->delta[(size_t)path[j] * width + (size_t)c];
        sums[j] = total;
    }
    for (int32_t j = 0; j <= i; j++) {
        if (wave_removed(rows, row, layer, i, j) && is_masked(rows, x, row, layer, c)) {
            continue;
        }
        size_t at = (size_t)path[j] * width + (size_t)c;
        double alpha = 0.0;
        for (size_t n = 0; n < (size_t)x->d_state; n++) {
            alpha += (double)x->bc[(size_t)path[i] * ld_bc + (size_t)x->d_state + n] *
                     exp((double)x->a[n * width + (size_t)c] * (sums[i] - sums[j])) *
                     (double)x->bc[(size_t)path[j] * ld_bc + n];
        }
        y += alpha * (double)x->delta[at] * (double)x->u[at];
    }
    return y;
}

static double *reference(const struct ko_rows *rows, int32_t layer, const struct inputs *x)
{
    size_t width = (size_t)x->d_inner;
    double *out = calloc((size_t)rows->n_active[layer] * width + 1, sizeof *out);
    int32_t path[WAVE_TOKENS];
    assert_non_null(out);
    for (int32_t r = 0; r < rows->n_active[layer]; r++) {
        int32_t i = wave_path(rows, r, layer, ko_rows_source_after_conv, path);
        size_t z = (size_t)ko_rows_source(rows, r, layer) * (width + PAD);
        for (size_t c = 0; c < width; c++) {
            double gate = (double)x->z[z + c], u = (double)x->u[(size_t)path[i] * width + c];
            double y = mixed(rows, x, r, layer, path, (int32_t)c) + (double)x->d[c] * u;
            out[(size_t)r * width + c] = y * gate / (1.0 + exp(-gate));
        }
    }
    return out;
}

/* n_spared: NULL, or u has bad rows, and what they did not reach is added. delta, B and C of every
   row are read, since its decay stays: they are finite. */
static void check_wave(const struct backend *backends, int32_t n_backends,
                       const struct wave_plan *plan, int32_t d_inner, int32_t d_state,
                       struct spread spread[2], int64_t *n_spared)
{
    static struct wave wave;
    wave_build(plan, &wave);
    struct inputs x = make(&wave.rows, d_inner, d_state);
    if (n_spared) {
        spoil_rows(x.u, wave.rows.n_rows, (size_t)d_inner, 0, (size_t)d_inner, INFINITY);
    }
    for (int32_t layer = 0; layer < plan->n_layers; layer++) {
        size_t n = (size_t)wave.rows.n_active[layer] * (size_t)d_inner;
        double *want = reference(&wave.rows, layer, &x);
        if (n_spared) {
            *n_spared += count_spared(&wave.rows, layer, wave.rows.n_active[layer],
                                      ko_rows_source_after_conv, INT32_MAX, want, (size_t)d_inner);
        }
        for (int32_t k = 0; k < n_backends; k++) {
            float *got = scan(&backends[k], &wave.rows, layer, &x);
            (n_spared ? expect_near_or_neither : expect_near)(
                plan->name, backends[k].label, got, want, n, k ? 5e-6 : 1e-7, &spread[k > 0]);
            if (k == 0) {
                widen(got, n, want);
            }
            free(got);
        }
        free(want);
    }
    drop(&x);
}

static void scan_without_the_removed_edges(void **state)
{
    (void)state;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        check_wave(backends, n_backends, &plans[p], 7, 5, spread, NULL);
        check_wave(backends, n_backends, &plans[p], 33, 16, spread, NULL);
        check_wave(backends, n_backends, &plans[p], 130, 16, spread, NULL);
    }
    for (uint32_t seed = 0; seed < 60; seed++) {
        struct wave_plan plan;
        wave_random(seed, &plan);
        check_wave(backends, n_backends, &plan, seed % 2 ? 7 : 33, seed % 3 ? 5 : 16, spread, NULL);
    }
    print_message("mamba1: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
    backends_close(backends, n_backends);
}

/* Gives every branch row the inputs of its parent's row, as in a layer that it has just left in. */
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

/* The wave without windows: branch rows against the trunk's rows of the same positions. */
static void check_clean(const struct backend *b, const struct wave_plan *from, struct spread *worst)
{
    static struct wave wave;
    struct wave_plan plan = *from;
    for (int32_t n = 0; n < plan.n_branches; n++) {
        plan.branches[n].window_end = plan.branches[n].window_begin;
    }
    wave_build(&plan, &wave);
    struct inputs x = make(&wave.rows, 33, 16);
    equal_inputs(&wave.rows, &x);
    for (int32_t layer = 0; layer < plan.n_layers; layer++) {
        float *out = scan(b, &wave.rows, layer, &x);
        double want[33];
        for (int32_t r = wave.rows.n_trunk_rows; r < wave.rows.n_active[layer]; r++) {
            const float *clean =
                out + 33 * (wave.rows.trunk_first[wave.rows.prompt[r]] + wave.rows.position[r]);
            if (b->exact) {
                assert_memory_equal(out + 33 * r, clean, 33 * sizeof *out);
            }
            widen(clean, 33, want);
            expect_near("nothing removed", b->label, out + 33 * r, want, 33, 1e-5, worst);
        }
        free(out);
    }
    drop(&x);
}

static void nothing_removed_is_the_clean_run(void **state)
{
    (void)state;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread worst = {0};
    for (int32_t k = 0; k < n_backends; k++) {
        for (size_t p = 0; p < n_plans; p++) {
            check_clean(&backends[k], &plans[p], &worst);
        }
    }
    print_message("mamba1, nothing removed: at most %.1e from the clean run\n", worst.largest);
    backends_close(backends, n_backends);
}

static void everything_removed_leaves_the_skip(void **state)
{
    (void)state;
    static struct wave wave;
    struct wave_plan plan = {.name = "everything removed",
                             .n_layers = 2,
                             .n_prompts = 1,
                             .n_tokens = {6},
                             .n_sets = 1,
                             .sets = {{false, 63, 63}},
                             .n_branches = 2,
                             .branches = {{0, -1, 0, 0, 0, 2, 0, -1, false, false},
                                          {0, -1, 0, -1, 0, 2, 0, -1, true, false}}};
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    wave_build(&plan, &wave);
    struct inputs x = make(&wave.rows, 33, 16);
    equal_inputs(&wave.rows, &x);
    for (int32_t k = 0; k < n_backends; k++) {
        float *out = scan(&backends[k], &wave.rows, 1, &x);
        struct spread worst = {0};
        for (int32_t r = 6; r < 18; r++) {
            double want[33];
            for (int32_t c = 0; c < 33; c++) {
                double gate = (double)x.z[r * (33 + PAD) + c];
                want[c] = (double)x.d[c] * (double)x.u[r * 33 + c] * gate / (1.0 + exp(-gate));
            }
            expect_near("everything removed", backends[k].label, out + 33 * r, want, 33, 1e-6,
                        &worst);
        }
        free(out);
    }
    drop(&x);
    backends_close(backends, n_backends);
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    static struct wave wave;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    for (uint32_t seed = 100; seed < 110; seed++) {
        struct wave_plan plan;
        wave_random(seed, &plan);
        wave_build(&plan, &wave);
        struct inputs x = make(&wave.rows, 130, 16);
        int32_t layer = plan.n_layers - 1;
        size_t bytes = (size_t)wave.rows.n_active[layer] * 130 * sizeof(float);
        for (int32_t k = 1; k + 1 < n_backends; k += 2) {
            float *one = scan(&backends[k], &wave.rows, layer, &x);
            float *three = scan(&backends[k + 1], &wave.rows, layer, &x);
            assert_memory_equal(one, three, bytes);
            free(one);
            free(three);
        }
        drop(&x);
    }
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
        check_wave(backends, n_backends, &plan, 19, 16, spread, &n_spared);
    }
    assert_true(n_spared > 100);
    backends_close(backends, n_backends);
}

int run_mamba1(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(removed_sources_need_not_be_finite),
        cmocka_unit_test(scan_without_the_removed_edges),
        cmocka_unit_test(nothing_removed_is_the_clean_run),
        cmocka_unit_test(everything_removed_leaves_the_skip),
        cmocka_unit_test(threads_do_not_change_a_bit),
    };
    return cmocka_run_group_tests_name("mamba1", tests, NULL, NULL);
}
