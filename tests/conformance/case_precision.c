/* SPDX-License-Identifier: Apache-2.0 */
/* Products at narrower precisions, where a backend offers them: of numbers that the operands' type
   holds exactly they are exact but for their sums; of others each operand is rounded once. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/check.h"
#include "tests/support/gpu.h"

/* Bits of the significand after the first, of an operand. */
static const struct {
    const char *name;
    enum ko_precision precision;
    int bits;
} modes[] = {{"tf32", KO_TF32, 10}, {"bfloat16", KO_BFLOAT16, 7}};
enum { N_MODES = sizeof modes / sizeof modes[0], M = 70, MOST_IN = 520, MOST_OUT = 300 };

/* Of the sum of magnitudes: sums are taken in float32, which a tensor core truncates. Seen on an
   H200: 3.6e-7 in tf32, 8.9e-8 in bfloat16. */
static const double SUM_TOLERANCE = 4e-6;

static float cut(float value, int bits)
{
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    word &= ~0U << (23 - bits);
    memcpy(&value, &word, sizeof word);
    return value;
}

static float *numbers(uint32_t seed, size_t n, int bits)
{
    float *values = random_floats(seed, n, -1.0F, 1.0F);
    for (size_t k = 0; k < n; k++) {
        values[k] = cut(values[k], bits);
    }
    return values;
}

static void *import(const struct backend *b, enum ko_precision precision, const float *values,
                    size_t n, enum ko_element *type)
{
    struct ko_error err = {0};
    void *memory = NULL;
    int64_t bad = 0;
    *type = b->k->matrix_type(precision);
    expect_ok(b->k->alloc(b->be, n * ko_element_bytes(*type), &memory, &err), &err);
    expect_ok(b->k->import(b->be, memory, *type, values, KO_ELEMENT_F32, n, &err), &err);
    expect_ok(b->k->import_end(b->be, &bad, &err), &err);
    assert_true(bad == -1);
    return memory;
}

/* One product of [M, n_in] and [n_out, n_in]; bits: of its numbers; loss: of an operand's rounding.
 */
static void check_product(const struct backend *b, enum ko_precision precision,
                          const int32_t shape[2], bool in_first, int bits, double loss,
                          double *largest)
{
    const int32_t n_out = shape[0], n_in = shape[1];
    struct ko_error err = {0};
    float *x = numbers(1, (size_t)(M * n_in), bits);
    float *w = numbers(2, (size_t)(n_out * n_in), bits);
    struct ko_matrix matrix = {.n_out = n_out, .n_in = n_in, .in_first = in_first};
    matrix.data = import(b, precision, w, (size_t)(n_out * n_in), &matrix.type);
    float *bx = backend_copy(b, x, (size_t)(M * n_in) * 4);
    float *by = backend_floats(b, (size_t)(M * n_out));
    const struct ko_linear args = {
        .n = M, .x = bx, .ldx = n_in, .w = matrix, .y = by, .ldy = n_out};
    expect_ok(b->k->linear(b->be, &args, &err), &err);
    float *got = backend_read(b, by, (size_t)(M * n_out));
    for (int32_t r = 0; r < M; r++) {
        for (int32_t out = 0; out < n_out; out++) {
            double want = 0.0, magnitude = 0.0;
            for (int32_t in = 0; in < n_in; in++) {
                int32_t at = in_first ? in * n_out + out : out * n_in + in;
                double term = (double)x[r * n_in + in] * (double)w[at];
                want += term;
                magnitude += fabs(term);
            }
            double error = fabs((double)got[r * n_out + out] - want) / magnitude;
            if (!(error <= loss + SUM_TOLERANCE)) {
                fail_msg("%s: product %dx%d%s, row %d, column %d: %.9g, expected %.9g", b->label,
                         n_in, n_out, in_first ? " in first" : "", r, out,
                         (double)got[r * n_out + out], want);
            }
            *largest = error > *largest ? error : *largest;
        }
    }
    backend_release(b, matrix.data);
    backend_release(b, bx);
    backend_release(b, by);
    free(x), free(w), free(got);
}

static void check_mode(const struct ko_kernels *k, size_t mode)
{
    static const int32_t shapes[][2] = {{1, 8}, {48, 64}, {33, 520}, {300, 257}, {80, 8}};
    const struct ko_limits limits = {
        .max_rows = M, .max_tokens = 1, .max_in = MOST_IN, .vocabulary = MOST_OUT};
    const struct ko_backend_config config = {.precision = modes[mode].precision};
    struct backend b = {.k = k};
    struct ko_error err = {0};
    double exact = 0.0, rounded = 0.0;
    snprintf(b.label, sizeof b.label, "%s in %s", k->name, modes[mode].name);
    expect_ok(k->open(&config, &b.be, &err), &err);
    expect_ok(k->reserve(b.be, &limits, &err), &err);
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (int layout = 0; layout < 2; layout++) {
            check_product(&b, modes[mode].precision, shapes[s], layout == 1, modes[mode].bits, 0.0,
                          &exact);
            /* Truncated or rounded: each operand loses less than a unit in its last place. */
            check_product(&b, modes[mode].precision, shapes[s], layout == 1, 23,
                          2.1 * ldexp(1.0, -modes[mode].bits), &rounded);
        }
    }
    print_message("%s: products %.1e from double precision, of exact operands %.1e\n", b.label,
                  rounded, exact);
    assert_true(rounded > ldexp(0.05, -modes[mode].bits)); /* it is this precision */
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
        check_mode(k, mode);
    }
}

int run_precision(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(narrow_products_round_their_operands_alone),
    };
    return cmocka_run_group_tests_name("precisions", tests, NULL, NULL);
}
