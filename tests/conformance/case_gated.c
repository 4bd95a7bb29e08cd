/* SPDX-License-Identifier: Apache-2.0 */
/* Gates of outputs with their norms, gated activations, scaled columns and gated rows. */
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

static double sigmoid_of(double x)
{
    return 1.0 / (1.0 + exp(-x));
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

/* What the operation is to do, and its inputs. */
struct form {
    int32_t d, n_groups, gap; /* gap: numbers of a row of z between the groups' */
    enum ko_gate_order order;
    enum ko_gate_function function;
    bool shared_weight;
};

struct gated {
    struct form form;
    float *x;      /* [n_rows, d] */
    float *z;      /* [n_rows, width_of_z]; the gap of a group comes first */
    float *weight; /* [d] */
};

static const float epsilon = 1e-3F;
static double (*const gate_functions[])(double) = {[KO_GATE_SILU] = silu_of,
                                                   [KO_GATE_SIGMOID] = sigmoid_of,
                                                   [KO_GATE_GELU_TANH] = gelu_tanh_of,
                                                   [KO_GATE_IDENTITY] = identity_of};

static int32_t group_of(const struct form *form)
{
    return form->d / form->n_groups;
}

static size_t width_of_z(const struct form *form)
{
    return (size_t)(form->n_groups * (group_of(form) + form->gap) + PAD);
}

static float *gate_rows(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                        const struct gated *in)
{
    struct memory m = {.b = b};
    const struct form *form = &in->form;
    const size_t n = (size_t)rows->n_rows * (size_t)form->d, ld = width_of_z(form);
    const size_t n_weights = (size_t)(form->shared_weight ? group_of(form) : form->d);
    const struct ko_output_gate args = {
        .stage = layer,
        .d = form->d,
        .n_groups = form->n_groups,
        .order = form->order,
        .function = form->function,
        .z = memory_rows(&m, rows, in->z, ld, rows->n_projected[layer]) + form->gap,
        .ld_z = (int32_t)ld,
        .z_stride = group_of(form) + form->gap,
        .weight = form->order == KO_GATE_ALONE ? NULL : memory_floats(&m, in->weight, n_weights),
        .shared_weight = form->shared_weight,
        .eps = epsilon,
        .x = memory_floats(&m, in->x, n)};
    RUN(b, set_rows, rows);
    RUN(b, output_gate, &args);
    return memory_result(&m, args.x, n);
}

/* One group of n channels; weight NULL: no norm. */
static void reference_group(const struct form *form, int32_t n, const float *x, const float *z,
                            const float *weight, double *out)
{
    double (*f)(double) = gate_functions[form->function];
    double squares = 0.0;
    for (int32_t c = 0; c < n; c++) {
        out[c] = (double)x[c] * f((double)z[c]);
        squares += pow(form->order == KO_GATE_THEN_NORM ? out[c] : (double)x[c], 2.0);
    }
    for (int32_t c = 0; weight && c < n; c++) {
        out[c] *= (double)weight[c] / sqrt(squares / n + (double)epsilon);
    }
}

static void reference_row(const struct ko_rows *rows, int32_t row, int32_t layer,
                          const struct gated *in, double *out)
{
    const struct form *form = &in->form;
    const int32_t n = group_of(form);
    const float *x = in->x + (size_t)row * (size_t)form->d;
    const float *z = in->z + (size_t)ko_rows_source(rows, row, layer) * width_of_z(form);
    for (int32_t g = 0; g < form->n_groups; g++, x += n, out += n) {
        const float *weight = form->order == KO_GATE_ALONE ? NULL
                              : form->shared_weight        ? in->weight
                                                           : in->weight + g * n;
        reference_group(form, n, x, z + g * (n + form->gap) + form->gap, weight, out);
    }
}

static void check_form(const struct backends *all, const struct ko_rows *rows,
                       const struct form *form, struct spread *spread)
{
    const size_t width = (size_t)form->d, n = (size_t)rows->n_rows, ld = width_of_z(form);
    struct gated in = {.form = *form};
    in.x = random_floats(1, n * width, -3.0F, 3.0F);
    in.z = random_floats(2, n * ld, -4.0F, 4.0F);
    in.weight = random_floats(3, width, -2.0F, 2.0F);
    double *want = calloc(n * width, sizeof *want);
    assert_non_null(want);
    for (size_t k = 0; k < n * ld; k += 7) {
        in.z[k] *= 30.0F; /* exp(-z) may be infinite */
    }
    for (int32_t layer = 0; layer < rows->n_stages; layer++) {
        widen(in.x, n * width, want); /* beyond the active rows: untouched */
        for (int32_t r = 0; r < rows->n_active[layer]; r++) {
            reference_row(rows, r, layer, &in, want + (size_t)r * width);
        }
        for (int32_t k = 0; k < all->n; k++) {
            float *got = gate_rows(&all->list[k], rows, layer, &in);
            /* Observed: 2.9e-07. */
            expect_near("output_gate", all->list[k].label, got, want, n * width, 2e-6, spread);
            free(got);
        }
    }
    free(want), free(in.x), free(in.z), free(in.weight);
}

/* All forms, in waves and shapes that take turns. */
static void outputs_are_gated_and_normed_by_groups(void **state)
{
    static const int32_t shapes[][2] = {{7, 1}, {66, 2}, {35, 5}, {600, 2}, {384, 3}};
    const size_t n_forms = 48;
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[3] = {{0}};
    for (size_t at = 0; at < 5 * n_forms; at++) {
        const size_t form = at % n_forms, turn = at / n_forms;
        const struct form f = {.d = shapes[turn][0],
                               .n_groups = shapes[turn][1],
                               .gap = form / 12 % 2 ? shapes[turn][0] / shapes[turn][1] : 0,
                               .order = (enum ko_gate_order)(form % 3),
                               .function = (enum ko_gate_function)(form / 3 % 4),
                               .shared_weight = form / 24};
        for (size_t p = 0; p < n_plans; p++) {
            check_form(*state, wave_rows(&plans[p]), &f, &spread[f.order]);
        }
    }
    print_message("output_gate: gate, norm %.1e, norm, gate %.1e, gate alone %.1e from double "
                  "precision\n",
                  spread[0].largest, spread[1].largest, spread[2].largest);
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

static void check_row_gates(const struct backend *b, int32_t n, int32_t d, struct spread *spread)
{
    const int32_t ld = d + PAD;
    struct memory m = {.b = b};
    float *x = random_floats(1, (size_t)(n * ld), -3.0F, 3.0F);
    float *gate = random_floats(2, (size_t)n, -6.0F, 6.0F);
    for (int32_t r = 0; r < n; r += 3) {
        gate[r] *= 30.0F; /* exp(-gate) may be infinite */
    }
    const struct ko_gate_rows args = {.n = n,
                                      .d = d,
                                      .gate = memory_floats(&m, gate, (size_t)n),
                                      .x = memory_floats(&m, x, (size_t)(n * ld)),
                                      .ld = ld};
    RUN(b, gate_rows, &args);
    float *got = memory_result(&m, args.x, (size_t)(n * ld));
    for (int32_t at = 0; at < n * ld; at++) {
        const int32_t r = at / ld, c = at % ld;
        double want = (double)x[at];
        want *= c < d ? sigmoid_of((double)gate[r]) : 1.0; /* beside: untouched */
        /* Observed: 7.1e-08. */
        expect_near("gate_rows", b->label, &got[at], &want, 1, 5e-7, spread);
    }
    free(x), free(gate), free(got);
}

static void rows_have_their_own_gates(void **state)
{
    static const int32_t shapes[][2] = {{0, 4}, {1, 1}, {5, 33}, {64, 7}, {3, 1028}};
    const struct backends *all = *state;
    struct spread spread = {0};
    for (int32_t k = 0; k < all->n; k++) {
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            check_row_gates(&all->list[k], shapes[s][0], shapes[s][1], &spread);
        }
    }
    print_message("gate_rows: %.1e from double precision\n", spread.largest);
}

int run_gated(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_are_gated_and_normed_by_groups),
        cmocka_unit_test(gates_multiply_beside_and_in_place),
        cmocka_unit_test(columns_have_their_own_scales),
        cmocka_unit_test(rows_have_their_own_gates),
    };
    return cmocka_run_group_tests_name("gated", tests, backends_open, backends_close);
}
