/* SPDX-License-Identifier: Apache-2.0 */
/* Products at narrower precisions, where a backend offers them. If the operands' type holds their
   numbers exactly, only the sums are rounded. Otherwise each operand is rounded once. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/check.h"
#include "tests/support/gpu.h"

/* bits: of an operand's significand, after the first. */
static const struct mode {
    const char *name;
    enum ko_precision precision;
    int bits;
} modes[] = {{"tf32", KO_TF32, 10}, {"bfloat16", KO_BFLOAT16, 7}};
enum { N_MODES = sizeof modes / sizeof modes[0], M = 70, MOST_IN = 520, MOST_OUT = 300 };

/* Relative to the sum of magnitudes. Sums are in float32, which a tensor core truncates. Observed
   on an H200: 3.6e-7 in tf32, 8.9e-8 in bfloat16. */
static const double SUM_TOLERANCE = 4e-6;

static float cut_bits(float value, int bits)
{
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    word &= ~0U << (23 - bits);
    memcpy(&value, &word, sizeof word);
    return value;
}

static float *random_numbers(uint32_t seed, size_t n, int bits)
{
    float *values = random_floats(seed, n, -1.0F, 1.0F);
    for (size_t k = 0; k < n; k++) {
        values[k] = cut_bits(values[k], bits);
    }
    return values;
}

static void *import_matrix(struct memory *memory, enum ko_element type, const float *values,
                           size_t n)
{
    const struct backend *b = memory->b;
    struct ko_error err = {0};
    int64_t bad = 0;
    void *out = memory_nan(memory, n); /* four bytes for each element, which is enough */
    expect_ok(b->k->import(b->be, out, type, values, KO_ELEMENT_F32, n, &err), &err);
    RUN(b, import_end, &bad);
    assert_true(bad == -1);
    return out;
}

/* Checks one product. bits: of its numbers; loss: bound on the rounding of the operands. Returns
   the largest error, relative to the sum of magnitudes. */
static double check_product(const struct backend *b, enum ko_element type,
                            const struct ko_matrix *shape, int bits, double loss)
{
    const int32_t n_out = shape->n_out, n_in = shape->n_in;
    struct memory m = {.b = b};
    double largest = 0.0;
    float *x = random_numbers(1, (size_t)(M * n_in), bits);
    float *w = random_numbers(2, (size_t)(n_out * n_in), bits);
    struct ko_matrix matrix = *shape;
    matrix.type = type;
    matrix.data = import_matrix(&m, type, w, (size_t)(n_out * n_in));
    const struct ko_linear args = {.n = M,
                                   .x = memory_floats(&m, x, (size_t)(M * n_in)),
                                   .ldx = n_in,
                                   .w = matrix,
                                   .y = memory_nan(&m, (size_t)(M * n_out)),
                                   .ldy = n_out};
    RUN(b, linear, &args);
    float *got = memory_result(&m, args.y, (size_t)(M * n_out));
    for (int32_t r = 0; r < M; r++) {
        for (int32_t out = 0; out < n_out; out++) {
            double want = 0.0, magnitude = 0.0;
            for (int32_t in = 0; in < n_in; in++) {
                int32_t at = shape->in_first ? in * n_out + out : out * n_in + in;
                double term = (double)x[r * n_in + in] * (double)w[at];
                want += term;
                magnitude += fabs(term);
            }
            double error = fabs((double)got[r * n_out + out] - want) / magnitude;
            if (!(error <= loss + SUM_TOLERANCE)) {
                fail_msg("%s: product %dx%d%s, row %d, column %d: %.9g, expected %.9g", b->label,
                         n_in, n_out, shape->in_first ? " in first" : "", r, out,
                         (double)got[r * n_out + out], want);
            }
            largest = error > largest ? error : largest;
        }
    }
    free(x), free(w), free(got);
    return largest;
}

static void check_mode(const struct ko_kernels *k, const struct mode *mode)
{
    static const int32_t shapes[][2] = {{1, 8}, {48, 64}, {33, 520}, {300, 257}, {80, 8}};
    const struct ko_limits limits = {
        .max_rows = M, .max_tokens = 1, .max_in = MOST_IN, .vocabulary = MOST_OUT};
    const struct ko_backend_config config = {.precision = mode->precision};
    const enum ko_element type = k->matrix_type(mode->precision);
    struct backend b = {.k = k};
    struct ko_error err = {0};
    double exact = 0.0, rounded = 0.0;
    snprintf(b.label, sizeof b.label, "%s in %s", k->name, mode->name);
    expect_ok(k->open(&config, &b.be, &err), &err);
    RUN(&b, reserve, &limits);
    for (size_t s = 0; s < 2 * (sizeof shapes / sizeof shapes[0]); s++) {
        const struct ko_matrix shape = {
            .n_out = shapes[s / 2][0], .n_in = shapes[s / 2][1], .in_first = s % 2 == 1};
        exact = fmax(exact, check_product(&b, type, &shape, mode->bits, 0.0));
        /* Truncated or rounded, each operand loses less than a unit in its last place. */
        const double loss = 2.1 * ldexp(1.0, -mode->bits);
        rounded = fmax(rounded, check_product(&b, type, &shape, 23, loss));
    }
    print_message("%s: products %.1e from double precision, of exact operands %.1e\n", b.label,
                  rounded, exact);
    assert_true(rounded > ldexp(0.05, -mode->bits)); /* it is this precision */
    k->close(b.be);
}

static void narrow_products_round_their_operands_alone(void **state)
{
    const char *why = NULL;
    const struct ko_kernels *k = test_gpu(&why);
    (void)state;
    if (!k) {
        print_message("skipped: %s\n", why);
        skip();
    }
    for (size_t mode = 0; mode < N_MODES; mode++) {
        check_mode(k, &modes[mode]);
    }
}

int run_precision(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(narrow_products_round_their_operands_alone),
    };
    return cmocka_run_group_tests_name("precisions", tests, NULL, NULL);
}
