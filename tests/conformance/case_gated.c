/* SPDX-License-Identifier: Apache-2.0 */
/* Gated norm, gated activations and scaled columns. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/check.h"

enum { PAD = 3 };

static double silu_of(double x)
{
    return x / (1.0 + exp(-x));
}

struct norm {
    int32_t d, n_groups;
    float *x, *z, *weight;
};

static float *norm_rows(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                        const struct norm *norm)
{
    struct memory m = {.b = b};
    size_t width = (size_t)norm->d, n = (size_t)rows->n_rows * width;
    const struct ko_gated_norm args = {
        .layer = layer,
        .d = norm->d,
        .n_groups = norm->n_groups,
        .z = memory_rows(&m, rows, norm->z, width + PAD, rows->n_projected[layer]),
        .ld_z = norm->d + PAD,
        .weight = memory_floats(&m, norm->weight, width),
        .eps = 1e-3F,
        .x = memory_floats(&m, norm->x, n)};
    RUN(b, set_rows, rows);
    RUN(b, gated_norm, &args);
    return memory_result(&m, args.x, n);
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
            squares += pow((double)x[k] * silu_of((double)z[k]), 2.0);
        }
        out[c] = (double)x[c] * silu_of((double)z[c]) /
                 sqrt(squares / (double)group + (double)1e-3F) * (double)norm->weight[c];
    }
}

static void check_norm(const struct backends *all, const struct ko_rows *rows, int32_t d,
                       int32_t n_groups, struct spread *spread)
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
        for (int32_t k = 0; k < all->n; k++) {
            float *got = norm_rows(&all->list[k], rows, layer, &norm);
            expect_near("gated_norm", all->list[k].label, got, want, n * width, 2e-6, spread);
            free(got);
        }
    }
    free(want), free(norm.x), free(norm.z), free(norm.weight);
}

static void groups_are_gated_and_normed_apart(void **state)
{
    const struct backends *all = *state;
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread = {0};
    for (size_t p = 0; p < n_plans; p++) {
        const struct ko_rows *rows = wave_rows(&plans[p]);
        check_norm(all, rows, 7, 1, &spread);
        check_norm(all, rows, 66, 2, &spread);
        check_norm(all, rows, 35, 5, &spread);
    }
    print_message("gated_norm: %.1e from double precision\n", spread.largest);
}

static double gelu_of(double x)
{
    return 0.5 * x * erfc(-x / sqrt(2.0));
}

static double gelu_tanh_of(double x)
{
    return 0.5 * x * (1.0 + tanh(sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double identity_of(double x)
{
    return x;
}

enum { N_GATES = 4 };
static const struct gate {
    const char *name;
    double (*f)(double x);
} gates[N_GATES] = {{"silu_mul", silu_of},
                    {"gelu_mul", gelu_of},
                    {"gelu_tanh_mul", gelu_tanh_of},
                    {"mul", identity_of}};

static void run_gate(const struct backend *b, size_t which, const struct ko_gate *args)
{
    if (which == 0) {
        RUN(b, silu_mul, args);
    } else if (which == 1) {
        RUN(b, gelu_mul, args);
    } else if (which == 2) {
        RUN(b, gelu_tanh_mul, args);
    } else {
        RUN(b, mul, args);
    }
}

/* y [n, d] in its own rows, or (in_place) in those of the gate, which lie before `up`. */
static void check_gate(const struct backend *b, size_t which, int32_t d, bool in_place,
                       struct spread *spread)
{
    enum { N = 5 };
    struct memory m = {.b = b};
    int32_t pad = d % 4 == 0 ? 4 : PAD; /* rows of whole float4s, or not */
    int32_t ld = 2 * d + pad, ldy = in_place ? ld : d + pad;
    float *x = random_floats(1, (size_t)(N * ld), -20.0F, 20.0F);
    float *y = random_floats(2, (size_t)(N * ldy), -1.0F, 1.0F);
    float *bx = memory_floats(&m, x, (size_t)(N * ld));
    float *by = memory_floats(&m, y, (size_t)(N * ldy));
    const struct ko_gate args = {
        .n = N, .d = d, .gate = bx, .up = bx + d, .ld = ld, .y = in_place ? bx : by, .ldy = ldy};
    run_gate(b, which, &args);
    float *got = memory_result(&m, args.y, (size_t)(N * ldy));
    for (int32_t at = 0; at < N * ldy; at++) {
        int32_t r = at / ldy, c = at % ldy;
        double want = (double)(in_place ? x[at] : y[at]); /* beside the results: untouched */
        if (c < d) {
            want = gates[which].f((double)x[r * ld + c]) * (double)x[r * ld + d + c];
        }
        /* Observed: 1.9e-07. */
        expect_near(gates[which].name, b->label, &got[at], &want, 1, 1e-6, spread);
    }
    free(x), free(y), free(got);
}

static void gates_multiply_beside_and_in_place(void **state)
{
    const struct backends *all = *state;
    static const int32_t widths[] = {1, 7, 33, 1001, 1028};
    struct spread spread[N_GATES] = {{0}};
    for (size_t at = 0; at < (size_t)all->n * N_GATES * 10; at++) {
        const size_t which = at / 10 % N_GATES;
        check_gate(&all->list[at / 10 / N_GATES], which, widths[at % 5], at / 5 % 2,
                   &spread[which]);
    }
    for (size_t which = 0; which < N_GATES; which++) {
        print_message("%s: %.1e from double precision\n", gates[which].name, spread[which].largest);
    }
}

static void check_columns(const struct backend *b, int32_t n, int32_t d, struct spread *spread)
{
    const int32_t ld = d + (d % 4 == 0 ? 4 : PAD); /* rows of whole float4s, or not */
    struct memory m = {.b = b};
    float *x = random_floats(1, (size_t)(n * ld), -3.0F, 3.0F);
    float *scale = random_floats(2, (size_t)d, -2.0F, 2.0F);
    const struct ko_scale_columns args = {.n = n,
                                          .d = d,
                                          .scale = memory_floats(&m, scale, (size_t)d),
                                          .x = memory_floats(&m, x, (size_t)(n * ld)),
                                          .ld = ld};
    RUN(b, scale_columns, &args);
    float *got = memory_result(&m, args.x, (size_t)(n * ld));
    for (int32_t at = 0; at < n * ld; at++) {
        const int32_t c = at % ld;
        double want = (double)x[at] * (c < d ? (double)scale[c] : 1.0); /* beside: untouched */
        /* Observed: 4.6e-08. */
        expect_near("scale_columns", b->label, &got[at], &want, 1, 2e-7, spread);
    }
    free(x), free(scale), free(got);
}

static void columns_have_their_own_scales(void **state)
{
    static const int32_t shapes[][2] = {{0, 4}, {1, 1}, {5, 33}, {64, 7}, {3, 1028}};
    const struct backends *all = *state;
    struct spread spread = {0};
    for (int32_t k = 0; k < all->n; k++) {
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            check_columns(&all->list[k], shapes[s][0], shapes[s][1], &spread);
        }
    }
    print_message("scale_columns: %.1e from double precision\n", spread.largest);
}

int run_gated(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_gated_and_normed_apart),
        cmocka_unit_test(gates_multiply_beside_and_in_place),
        cmocka_unit_test(columns_have_their_own_scales),
    };
    return cmocka_run_group_tests_name("gated", tests, backends_open, backends_close);
}
