/* SPDX-License-Identifier: Apache-2.0 */
/* Products at other precisions than float32, where a backend offers them. If the operands' types
   hold their numbers exactly, only the sums are rounded. Otherwise each operand is rounded once. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/check.h"
#include "tests/support/gpu.h"

/* Bits of the significands of x and W, after the first. */
struct bits {
    int x, w;
};

/* exact: bits that are not rounded. wide: those of the other numbers, whose products lose at most
   `loss` of the sum of magnitudes, and of all products at least one more than `least`. An expert's
   output loses `hidden_loss`, because its hidden values are rounded. */
static const struct mode {
    const char *name;
    enum ko_precision precision;
    enum ko_element type;
    struct bits exact, wide;
    double loss, least, hidden_loss;
} modes[] = {
    /* Truncated or rounded, each operand loses less than a unit in its last place. */
    {"tf32", KO_TF32, KO_ELEMENT_F32, {10, 10}, {23, 23}, 2.1 * 0x1p-10, 0.05 * 0x1p-10, 0x1p-10},
    {"bfloat16",
     KO_BFLOAT16,
     KO_ELEMENT_BF16,
     {7, 7},
     {23, 23},
     2.1 * 0x1p-7,
     0.05 * 0x1p-7,
     0x1p-7},
    /* Each operand loses 2^-17, and the product of the low parts, each 2^-8 at most, is left out. */
    {"bf16x3", KO_BF16X3, KO_ELEMENT_BF16X2, {7, 15}, {23, 23}, 0x1p-15, 0.05 * 0x1p-16, 0x1p-15},
    /* Only x is split. */
    {"bf16x3 of bfloat16 weights",
     KO_BF16X3,
     KO_ELEMENT_BF16,
     {15, 7},
     {23, 7},
     0x1p-17,
     0.05 * 0x1p-17,
     0x1p-17},
};
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

/* n numbers, of one or more matrices of this shape. They are imported in two pieces. */
static void *import_matrix(struct memory *memory, const struct ko_matrix *shape,
                           const float *values, size_t n)
{
    const struct backend *b = memory->b;
    struct ko_error err = {0};
    int64_t bad = 0;
    void *out = memory_nan(memory, n); /* four bytes for each element, which is enough */
    struct ko_import piece = {
        .to = out,
        .type = shape->type,
        .run = ko_matrix_run(shape->n_out, shape->n_in, shape->in_first),
        .from = values,
        .from_type = KO_ELEMENT_F32,
        .n = n / 3,
    };
    expect_ok(b->k->import(b->be, &piece, &err), &err);
    piece.first = piece.n;
    piece.from = values + piece.n;
    piece.n = n - piece.n;
    expect_ok(b->k->import(b->be, &piece, &err), &err);
    RUN(b, import_end, &bad);
    assert_true(bad == -1);
    return out;
}

/* Checks one product. bits: of its numbers; loss: bound on the rounding of the operands. Returns
   the largest error, relative to the sum of magnitudes. */
static double check_product(const struct backend *b, const struct ko_matrix *shape,
                            struct bits bits, double loss)
{
    const int32_t n_out = shape->n_out, n_in = shape->n_in;
    struct memory m = {.b = b};
    double largest = 0.0;
    float *x = random_numbers(1, (size_t)(M * n_in), bits.x);
    float *w = random_numbers(2, (size_t)(n_out * n_in), bits.w);
    struct ko_matrix matrix = *shape;
    matrix.data = import_matrix(&m, shape, w, (size_t)(n_out * n_in));
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

/* ---- Experts, of inputs and weights that the operands' type holds exactly. */

enum { EXPERTS = 5, CHOSEN = 2, D = 96, FF = 72, PAIRS = M * CHOSEN };

struct narrow_experts {
    float *x, *share, *gate, *up, *down;
    int32_t choice[PAIRS];
};

static void make_experts(struct bits bits, struct narrow_experts *in)
{
    const size_t n = (size_t)EXPERTS * D * FF;
    in->x = random_numbers(1, (size_t)M * D, bits.x);
    in->share = random_floats(2, PAIRS, 0.1F, 1.0F);
    in->gate = random_numbers(3, n, bits.w);
    in->up = random_numbers(4, n, bits.w);
    in->down = random_numbers(5, n, bits.w);
    for (int32_t k = 0; k < PAIRS; k++) { /* two that differ; the first has all rows */
        in->choice[k] = k % CHOSEN == 0 ? 0 : 1 + k / CHOSEN % (EXPERTS - 1);
    }
}

static void free_experts(struct narrow_experts *in)
{
    free(in->x), free(in->share), free(in->gate), free(in->up), free(in->down);
}

/* y [D] of a row, and the sum of its magnitudes. */
static void reference_experts(const struct narrow_experts *in, int32_t row, double *y,
                              double *magnitude)
{
    memset(y, 0, D * sizeof y[0]);
    memset(magnitude, 0, D * sizeof y[0]);
    for (int32_t c = 0; c < CHOSEN; c++) {
        const size_t at = (size_t)in->choice[row * CHOSEN + c] * D * FF;
        for (size_t k = 0; k < FF; k++) {
            double gate = 0.0, up = 0.0;
            for (size_t j = 0; j < D; j++) {
                const double x = (double)in->x[(size_t)row * D + j];
                gate += x * (double)in->gate[at + k * D + j];
                up += x * (double)in->up[at + k * D + j];
            }
            const double hidden = gate / (1.0 + exp(-gate)) * up;
            for (size_t j = 0; j < D; j++) {
                const double term = (double)in->share[row * CHOSEN + c] * hidden *
                                    (double)in->down[at + j * FF + k];
                y[j] += term;
                magnitude[j] += fabs(term);
            }
        }
    }
}

/* How the matrices lie: inputs first, gate and up interleaved. */
struct layout {
    bool in_first, interleaved;
};

/* The n matrices [EXPERTS, n_out, n_in] as one, whose outputs are theirs in turn. */
static struct ko_expert_matrices import_experts(struct memory *m, enum ko_element type,
                                                const float *const *w, int32_t n,
                                                const int32_t size[2], bool in_first)
{
    const int32_t n_out = size[0], n_in = size[1], all = n * n_out;
    const size_t one = (size_t)all * (size_t)n_in;
    float *packed = malloc(EXPERTS * one * sizeof *packed);
    assert_non_null(packed);
    for (size_t k = 0; k < EXPERTS * one; k++) {
        const int32_t e = (int32_t)(k / one), at = (int32_t)(k % one);
        const int32_t out = in_first ? at % all : at / n_in, in = in_first ? at / all : at % n_in;
        packed[k] = w[out % n][(e * n_out + out / n) * n_in + in];
    }
    struct ko_expert_matrices matrices = {
        .first = {.n_out = all, .n_in = n_in, .in_first = in_first, .type = type},
        .stride = one,
    };
    matrices.first.data = import_matrix(m, &matrices.first, packed, EXPERTS * one);
    free(packed);
    return matrices;
}

static float *run_narrow_experts(const struct backend *b, enum ko_element type,
                                 const struct layout *layout, const struct narrow_experts *in)
{
    static const int32_t wide[2] = {FF, D}, back[2] = {D, FF};
    const float *const both[2] = {in->gate, in->up}, *const down[1] = {in->down};
    struct memory m = {.b = b};
    struct ko_experts args = {
        .n = M,
        .n_experts = EXPERTS,
        .n_chosen = CHOSEN,
        .d = D,
        .ff = FF,
        .x = memory_floats(&m, in->x, (size_t)M * D),
        .choice = memory_bytes(&m, in->choice, sizeof in->choice),
        .share = memory_floats(&m, in->share, PAIRS),
        .interleaved = layout->interleaved,
        .work = memory_nan(&m, (size_t)M * ko_experts_work(EXPERTS, CHOSEN, D, FF)),
        .y = memory_nan(&m, (size_t)M * D),
    };
    args.gate = import_experts(&m, type, both, layout->interleaved ? 2 : 1, wide, layout->in_first);
    if (!layout->interleaved) {
        args.up = import_experts(&m, type, both + 1, 1, wide, layout->in_first);
    }
    args.down = import_experts(&m, type, down, 1, back, layout->in_first);
    RUN(b, experts, &args);
    return memory_result(&m, args.y, (size_t)M * D);
}

/* Hidden values are rounded before the last matrix, and nothing else is. */
static void check_experts(const struct backend *b, const struct mode *mode,
                          const struct layout *layout)
{
    const double loss = 1.05 * mode->hidden_loss;
    struct narrow_experts in;
    double largest = 0.0;
    make_experts(mode->exact, &in);
    float *got = run_narrow_experts(b, mode->type, layout, &in);
    for (int32_t r = 0; r < M; r++) {
        double want[D], magnitude[D];
        reference_experts(&in, r, want, magnitude);
        for (int32_t k = 0; k < D; k++) {
            const double error = fabs((double)got[r * D + k] - want[k]) / magnitude[k];
            if (!(error <= loss + SUM_TOLERANCE)) {
                fail_msg("%s: experts, row %d, column %d: %.9g, expected %.9g", b->label, r, k,
                         (double)got[r * D + k], want[k]);
            }
            largest = error > largest ? error : largest;
        }
    }
    print_message("%s: experts %.1e from double precision\n", b->label, largest);
    assert_true(largest > 0.003 * mode->hidden_loss); /* it is this precision */
    free(got);
    free_experts(&in);
}

static void check_mode(const struct ko_kernels *k, const struct mode *mode)
{
    static const int32_t shapes[][2] = {{1, 8}, {48, 64}, {33, 520}, {300, 257}, {80, 8}};
    const struct ko_limits limits = {
        .max_rows = M, .max_tokens = 1, .max_in = MOST_IN, .vocabulary = MOST_OUT};
    const struct ko_backend_config config = {.precision = mode->precision};
    struct backend b = {.k = k};
    struct ko_error err = {0};
    double exact = 0.0, rounded = 0.0;
    snprintf(b.label, sizeof b.label, "%s in %s", k->name, mode->name);
    expect_ok(k->open(&config, &b.be, &err), &err);
    RUN(&b, reserve, &limits);
    for (size_t s = 0; s < 2 * (sizeof shapes / sizeof shapes[0]); s++) {
        const struct ko_matrix shape = {.n_out = shapes[s / 2][0],
                                        .n_in = shapes[s / 2][1],
                                        .in_first = s % 2 == 1,
                                        .type = mode->type};
        exact = fmax(exact, check_product(&b, &shape, mode->exact, 0.0));
        rounded = fmax(rounded, check_product(&b, &shape, mode->wide, mode->loss));
    }
    for (int order = 0; order < 4; order++) {
        check_experts(&b, mode, &(const struct layout){order & 1, order & 2});
    }
    print_message("%s: products %.1e from double precision, of exact operands %.1e\n", b.label,
                  rounded, exact);
    assert_true(rounded > mode->least); /* it is this precision */
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
