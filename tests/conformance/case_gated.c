/* SPDX-License-Identifier: Apache-2.0 */
/* Gated norm, gated activation and rotary positions. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/check.h"

enum { PAD = 3 };

static double silu(double x)
{
    return x / (1.0 + exp(-x));
}

struct norm {
    int32_t d, n_groups;
    float *x, *z, *weight;
};

/* x [n_active, d] in place, free with free(). */
static float *normed(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                     const struct norm *norm)
{
    struct ko_error err = {0};
    size_t width = (size_t)norm->d, n = (size_t)rows->n_rows;
    float *z = poisoned(norm->z, n, width + PAD, rows->n_projected[layer]);
    struct ko_gated_norm args = {.layer = layer,
                                 .d = norm->d,
                                 .n_groups = norm->n_groups,
                                 .z = backend_copy(b, z, n * (width + PAD) * sizeof *z),
                                 .ld_z = norm->d + PAD,
                                 .weight = backend_copy(b, norm->weight, width * sizeof *z),
                                 .eps = 1e-3F,
                                 .x = backend_copy(b, norm->x, n * width * sizeof *z)};
    expect_ok(b->k->set_rows(b->be, rows, &err), &err);
    expect_ok(b->k->gated_norm(b->be, &args, &err), &err);
    float *out = backend_read(b, args.x, n * width);
    const void *memory[] = {args.z, args.weight, args.x};
    for (size_t k = 0; k < 3; k++) {
        backend_release(b, memory[k]);
    }
    free(z);
    return out;
}

static void reference_norm(const struct ko_rows *rows, int32_t row, int32_t layer,
                           const struct norm *norm, double *out)
{
    size_t width = (size_t)norm->d, group = width / (size_t)norm->n_groups;
    const float *x = norm->x + (size_t)row * width;
    const float *z = norm->z + (size_t)ko_rows_source(rows, row, layer) * (width + PAD);
    for (size_t c = 0; c < width; c++) {
        double squares = 0.0;
        for (size_t k = c / group * group; k < (c / group + 1) * group; k++) {
            squares += pow((double)x[k] * silu((double)z[k]), 2.0);
        }
        out[c] = (double)x[c] * silu((double)z[c]) / sqrt(squares / (double)group + (double)1e-3F) *
                 (double)norm->weight[c];
    }
}

static void check_norm(const struct backend *backends, int32_t n_backends,
                       const struct ko_rows *rows, int32_t d, int32_t n_groups,
                       struct spread *spread)
{
    size_t width = (size_t)d, n = (size_t)rows->n_rows;
    struct norm norm = {.d = d, .n_groups = n_groups};
    norm.x = random_floats(1, n * width, -3.0F, 3.0F);
    norm.z = random_floats(2, n * (width + PAD), -4.0F, 4.0F);
    norm.weight = random_floats(3, width, -2.0F, 2.0F);
    double *want = calloc(n * width, sizeof *want);
    assert_non_null(want);
    for (int32_t layer = 0; layer < rows->n_layers; layer++) {
        widen(norm.x, n * width, want); /* beyond the active rows: untouched */
        for (int32_t r = 0; r < rows->n_active[layer]; r++) {
            reference_norm(rows, r, layer, &norm, want + (size_t)r * width);
        }
        for (int32_t k = 0; k < n_backends; k++) {
            float *got = normed(&backends[k], rows, layer, &norm);
            expect_near("gated_norm", backends[k].label, got, want, n * width, 2e-6, spread);
            free(got);
        }
    }
    free(want), free(norm.x), free(norm.z), free(norm.weight);
}

static void groups_are_gated_and_normed_apart(void **state)
{
    (void)state;
    static struct wave wave;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread = {0};
    for (size_t p = 0; p < n_plans; p++) {
        wave_build(&plans[p], &wave);
        check_norm(backends, n_backends, &wave.rows, 7, 1, &spread);
        check_norm(backends, n_backends, &wave.rows, 66, 2, &spread);
        check_norm(backends, n_backends, &wave.rows, 35, 5, &spread);
    }
    print_message("gated_norm: %.1e from double precision\n", spread.largest);
    backends_close(backends, n_backends);
}

/* y [n, d] in its own rows, or (in_place) in those of the gate, which lie before `up`. */
static void check_silu_mul(const struct backend *b, int32_t d, bool in_place, struct spread *spread)
{
    enum { N = 5 };
    struct ko_error err = {0};
    int32_t ld = 2 * d + PAD, ldy = in_place ? ld : d + 1;
    float *x = random_floats(1, (size_t)(N * ld), -20.0F, 20.0F);
    float *y = random_floats(2, (size_t)(N * ldy), -1.0F, 1.0F);
    float *bx = backend_copy(b, x, (size_t)(N * ld) * 4);
    float *by = backend_copy(b, y, (size_t)(N * ldy) * 4);
    const struct ko_silu_mul args = {
        .n = N, .d = d, .gate = bx, .up = bx + d, .ld = ld, .y = in_place ? bx : by, .ldy = ldy};
    expect_ok(b->k->silu_mul(b->be, &args, &err), &err);
    float *got = backend_read(b, in_place ? bx : by, (size_t)(N * ldy));
    for (int32_t at = 0; at < N * ldy; at++) {
        int32_t r = at / ldy, c = at % ldy;
        double want = (double)(in_place ? x[at] : y[at]); /* beside the results: untouched */
        if (c < d) {
            want = silu((double)x[r * ld + c]) * (double)x[r * ld + d + c];
        }
        expect_near("silu_mul", b->label, &got[at], &want, 1, 1e-6, spread);
    }
    backend_release(b, bx);
    backend_release(b, by);
    free(x), free(y), free(got);
}

static void gates_multiply_beside_and_in_place(void **state)
{
    (void)state;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    struct spread spread = {0};
    for (int32_t k = 0; k < n_backends; k++) {
        const int32_t widths[] = {1, 7, 33, 1001};
        for (size_t w = 0; w < 4; w++) {
            check_silu_mul(&backends[k], widths[w], false, &spread);
            check_silu_mul(&backends[k], widths[w], true, &spread);
        }
    }
    print_message("silu_mul: %.1e from double precision\n", spread.largest);
    backends_close(backends, n_backends);
}

/* Turns pair (k, k + half) of every head of row r by its position's angles. */
static void reference_rope(const struct ko_rows *rows, int32_t r, int32_t n_heads, int32_t half,
                           const float *cosine, const float *sine, const float *x, double *out)
{
    for (int32_t at = 0; at < n_heads * half; at++) {
        int32_t k = at % half, first = at / half * 2 * half + k;
        double c = (double)cosine[rows->position[r] * half + k];
        double s = (double)sine[rows->position[r] * half + k];
        out[first] = (double)x[first] * c - (double)x[first + half] * s;
        out[first + half] = (double)x[first + half] * c + (double)x[first] * s;
    }
}

static void check_rope(const struct backend *backends, int32_t n_backends,
                       const struct ko_rows *rows, int32_t n_heads, int32_t d_head,
                       struct spread *spread)
{
    int32_t half = d_head / 2, width = n_heads * d_head + PAD;
    size_t n = (size_t)rows->n_rows * (size_t)width;
    float *x = random_floats(1, n, -2.0F, 2.0F);
    float *cosine = random_floats(2, (size_t)(WAVE_TOKENS * half), -1.0F, 1.0F);
    float *sine = random_floats(3, (size_t)(WAVE_TOKENS * half), -1.0F, 1.0F);
    double *want = calloc(n, sizeof *want);
    assert_non_null(want);
    for (int32_t layer = 0; layer < rows->n_layers; layer++) {
        widen(x, n, want);
        for (int32_t r = 0; r < rows->n_projected[layer]; r++) {
            reference_rope(rows, r, n_heads, half, cosine, sine, x + r * width, want + r * width);
        }
        for (int32_t k = 0; k < n_backends; k++) {
            struct ko_error err = {0};
            const struct backend *b = &backends[k];
            struct ko_rope args = {
                .layer = layer,
                .n_heads = n_heads,
                .d_head = d_head,
                .cos = backend_copy(b, cosine, (size_t)(WAVE_TOKENS * half) * sizeof *x),
                .sin = backend_copy(b, sine, (size_t)(WAVE_TOKENS * half) * sizeof *x),
                .x = backend_copy(b, x, n * sizeof *x),
                .ld = width};
            expect_ok(b->k->set_rows(b->be, rows, &err), &err);
            expect_ok(b->k->rope(b->be, &args, &err), &err);
            float *got = backend_read(b, args.x, n);
            expect_near("rope", b->label, got, want, n, 2e-7, spread);
            for (size_t at = (size_t)(rows->n_projected[layer] * width); at < n; at++) {
                assert_true(got[at] == x[at]);
            }
            backend_release(b, args.cos);
            backend_release(b, args.sin);
            backend_release(b, args.x);
            free(got);
        }
    }
    free(x), free(cosine), free(sine), free(want);
}

static void projected_rows_turn_by_their_positions(void **state)
{
    (void)state;
    static struct wave wave;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread = {0};
    for (size_t p = 0; p < n_plans; p++) {
        wave_build(&plans[p], &wave);
        check_rope(backends, n_backends, &wave.rows, 1, 2, &spread);
        check_rope(backends, n_backends, &wave.rows, 3, 14, &spread);
        check_rope(backends, n_backends, &wave.rows, 2, 64, &spread);
    }
    print_message("rope: %.1e from double precision\n", spread.largest);
    backends_close(backends, n_backends);
}

int run_gated(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_gated_and_normed_apart),
        cmocka_unit_test(gates_multiply_beside_and_in_place),
        cmocka_unit_test(projected_rows_turn_by_their_positions),
    };
    return cmocka_run_group_tests_name("gated", tests, NULL, NULL);
}
