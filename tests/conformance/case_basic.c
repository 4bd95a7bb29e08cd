/* SPDX-License-Identifier: Apache-2.0 */
/* Products, norms, activations, and the operations that move rows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/check.h"

static void check_product(const struct backend *b, const int32_t shape[5], struct spread *spread)
{
    int32_t m = shape[0], n_out = shape[1], n_in = shape[2], ldx = n_in + 3, ldy = n_out + 2;
    bool in_first = shape[3] & 1, biased = shape[3] & 2, accumulate = shape[3] & 4;
    struct memory memory = {.b = b};
    float *x = random_floats(1, (size_t)(m * ldx), -1.0F, 1.0F);
    float *w = random_floats(2, (size_t)(n_out * n_in), -1.0F, 1.0F);
    float *bias = random_floats(3, (size_t)n_out, -1.0F, 1.0F);
    float *y = random_floats(4, (size_t)(m * ldy), -1.0F, 1.0F);
    struct ko_matrix matrix = {.data = memory_floats(&memory, w, (size_t)(n_out * n_in)),
                               .n_out = n_out,
                               .n_in = n_in,
                               .in_first = in_first};
    const struct ko_linear args = {.n = m,
                                   .x = memory_floats(&memory, x, (size_t)(m * ldx)),
                                   .ldx = ldx,
                                   .w = matrix,
                                   .bias =
                                       biased ? memory_floats(&memory, bias, (size_t)n_out) : NULL,
                                   .accumulate = accumulate,
                                   .y = memory_floats(&memory, y, (size_t)(m * ldy)),
                                   .ldy = ldy};
    RUN(b, linear, &args);
    float *got = memory_result(&memory, args.y, (size_t)(m * ldy));
    for (int32_t r = 0; r < m; r++) {
        for (int32_t out = 0; out < ldy; out++) {
            double want = (double)y[r * ldy + out];
            if (out < n_out) {
                want = (accumulate ? want : 0.0) + (biased ? (double)bias[out] : 0.0);
                for (int32_t in = 0; in < n_in; in++) {
                    int32_t at = in_first ? in * n_out + out : out * n_in + in;
                    want += (double)x[r * ldx + in] * (double)w[at];
                }
            }
            expect_near("linear", b->label, &got[r * ldy + out], &want, 1, 1e-5, spread);
        }
    }
    free(x), free(w), free(bias), free(y), free(got);
}

static void products_of_rows_and_weights(void **state)
{
    const struct backends *all = *state;
    struct spread spread = {0};
    for (int32_t k = 0; k < all->n; k++) {
        for (int32_t options = 0; options < 8; options++) {
            const int32_t shapes[][5] = {
                {1, 1, 1, options}, {5, 70, 33, options}, {64, 7, 257, options}};
            for (size_t s = 0; s < 3; s++) {
                check_product(&all->list[k], shapes[s], &spread);
            }
        }
    }
    print_message("linear: %.1e from double precision\n", spread.largest);
}

static double norm_of(const float *x, int32_t d, double eps, bool centred, double *mean)
{
    double sum = 0.0, squares = 0.0;
    for (int32_t c = 0; c < d; c++) {
        sum += (double)x[c];
    }
    *mean = centred ? sum / d : 0.0;
    for (int32_t c = 0; c < d; c++) {
        squares += ((double)x[c] - *mean) * ((double)x[c] - *mean);
    }
    return 1.0 / sqrt(squares / d + eps);
}

static void check_norms(const struct backend *b, int32_t d, float eps, struct spread *spread)
{
    enum { N = 5 };
    int32_t ldx = d + 1;
    struct memory m = {.b = b};
    float *x = random_floats(1, (size_t)(N * ldx), 1.0F, 3.0F);
    float *w = random_floats(2, (size_t)d, -2.0F, 2.0F),
          *v = random_floats(3, (size_t)d, -1.0F, 1.0F);
    float *bx = memory_floats(&m, x, (size_t)(N * ldx)), *bw = memory_floats(&m, w, (size_t)d);
    float *bv = memory_floats(&m, v, (size_t)d), *by = memory_nan(&m, (size_t)(N * d));
    const struct ko_layer_norm layer = {.n = N,
                                        .d = d,
                                        .x = bx,
                                        .ldx = ldx,
                                        .weight = bw,
                                        .bias = bv,
                                        .eps = eps,
                                        .y = by,
                                        .ldy = d};
    const struct ko_rms_norm rms = {
        .n = N, .d = d, .x = bx, .ldx = ldx, .weight = bw, .eps = eps, .y = bx, .ldy = ldx};
    RUN(b, layer_norm, &layer);
    RUN(b, rms_norm, &rms);
    float *centred = memory_read(&m, by, (size_t)(N * d));
    float *in_place = memory_result(&m, bx, (size_t)(N * ldx));
    for (int32_t at = 0; at < N * d; at++) {
        double mean = 0.0;
        const float *row = x + at / d * ldx;
        int32_t c = at % d;
        double want = norm_of(row, d, (double)eps, false, &mean) * (double)row[c] * (double)w[c];
        expect_near("rms_norm", b->label, &in_place[at / d * ldx + c], &want, 1, 2e-6, spread);
        want = norm_of(row, d, (double)eps, true, &mean);
        want = ((double)row[c] - mean) * want * (double)w[c] + (double)v[c];
        expect_near("layer_norm", b->label, &centred[at], &want, 1, 1e-5, spread);
    }
    free(x), free(w), free(v), free(centred), free(in_place);
}

static void norms_equal_their_definitions(void **state)
{
    const struct backends *all = *state;
    struct spread spread = {0};
    for (int32_t k = 0; k < all->n; k++) {
        check_norms(&all->list[k], 7, 1e-5F, &spread);
        check_norms(&all->list[k], 33, 0.25F, &spread);
        check_norms(&all->list[k], 768, 1e-5F, &spread);
    }
    print_message("norms: %.1e from double precision\n", spread.largest);
}

static double softplus_of(double x)
{
    return x > 20.0 ? x : log1p(exp(x));
}

static double gelu_of(double x)
{
    return 0.5 * x * erfc(-x / sqrt(2.0));
}

static double gelu_tanh_of(double x)
{
    return 0.5 * x * (1.0 + tanh(sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double relu_of(double x)
{
    return x > 0.0 ? x : 0.0;
}

static double relu2_of(double x)
{
    return relu_of(x) * relu_of(x);
}

enum { N_ACTIVATIONS = 5 };
static const struct activation {
    const char *name;
    double (*f)(double x);
} activations[N_ACTIVATIONS] = {{"softplus", softplus_of},
                                {"gelu", gelu_of},
                                {"gelu_tanh", gelu_tanh_of},
                                {"relu", relu_of},
                                {"relu2", relu2_of}};

/* Activation number `which` of x [n, d] in rows of ld; free with free(). */
static float *activate_rows(const struct backend *b, size_t which, const float *x, int32_t n,
                            int32_t d, int32_t ld)
{
    struct memory m = {.b = b};
    float *out = memory_floats(&m, x, (size_t)(n * ld));
    const struct ko_activation args = {.n = n, .d = d, .x = out, .ld = ld};
    if (which == 0) {
        RUN(b, softplus, &args);
    } else if (which == 1) {
        RUN(b, gelu, &args);
    } else if (which == 2) {
        RUN(b, gelu_tanh, &args);
    } else if (which == 3) {
        RUN(b, relu, &args);
    } else {
        RUN(b, relu2, &args);
    }
    return memory_result(&m, out, (size_t)(n * ld));
}

static void activations_equal_their_definitions(void **state)
{
    const struct backends *all = *state;
    static const int32_t shapes[][2] = {{1, 1}, {3, 7}, {4, 1001}, {3, 1028}};
    float *x = random_floats(1, 4 * 1032, -30.0F, 30.0F);
    struct spread spread[N_ACTIVATIONS] = {{0}};
    x[0] = 0.0F;
    x[1] = 20.0F;
    for (size_t at = 0; at < (size_t)all->n * N_ACTIVATIONS * 4; at++) {
        const struct backend *b = &all->list[at / N_ACTIVATIONS / 4];
        const size_t which = at / 4 % N_ACTIVATIONS;
        const int32_t n = shapes[at % 4][0], d = shapes[at % 4][1];
        const int32_t ld = d + (d % 4 == 0 ? 4 : 2); /* rows of whole float4s, or not */
        float *got = activate_rows(b, which, x, n, d, ld);
        for (int32_t k = 0; k < n * ld; k++) {
            double v = (double)x[k];
            double want = k % ld < d ? activations[which].f(v) : v; /* beside: untouched */
            expect_near(activations[which].name, b->label, &got[k], &want, 1, 1e-6, &spread[which]);
        }
        free(got);
    }
    for (size_t which = 0; which < N_ACTIVATIONS; which++) {
        print_message("%s: %.1e from double precision\n", activations[which].name,
                      spread[which].largest);
    }
    free(x);
}

static void activations_keep_what_is_not_a_number(void **state)
{
    const struct backends *all = *state;
    enum { D = 9 };
    const float x[D] = {1.0F, NAN, -2.0F, 3.0F, NAN, -1.0F, 0.0F, 5.0F, NAN};
    for (size_t at = 0; at < (size_t)all->n * N_ACTIVATIONS; at++) {
        float *got = activate_rows(&all->list[at / N_ACTIVATIONS], at % N_ACTIVATIONS, x, 1, D, D);
        for (size_t k = 0; k < D; k++) {
            assert_int_equal(isnan(got[k]) != 0, isnan(x[k]) != 0);
        }
        free(got);
    }
}

static void check_sum(const struct backend *b, int32_t n, int32_t d, float scale,
                      struct spread *spread)
{
    const int32_t ldx = d + 3, ldy = d + 2;
    struct memory m = {.b = b};
    float *x = random_floats(1, (size_t)(n * ldx), -2.0F, 2.0F);
    float *y = random_floats(2, (size_t)(n * ldy), -2.0F, 2.0F);
    const struct ko_add_scaled args = {.n = n,
                                       .d = d,
                                       .x = memory_floats(&m, x, (size_t)(n * ldx)),
                                       .ldx = ldx,
                                       .scale = scale,
                                       .y = memory_floats(&m, y, (size_t)(n * ldy)),
                                       .ldy = ldy};
    RUN(b, add_scaled, &args);
    float *got = memory_result(&m, args.y, (size_t)(n * ldy));
    for (int32_t at = 0; at < n * ldy; at++) {
        const int32_t r = at / ldy, c = at % ldy;
        double want = (double)y[at] + (c < d ? (double)scale * (double)x[r * ldx + c] : 0.0);
        /* Observed: 4.2e-08. */
        expect_near("add_scaled", b->label, &got[at], &want, 1, 3e-7, spread);
    }
    free(x), free(y), free(got);
}

static void scaled_rows_are_added(void **state)
{
    static const int32_t shapes[][2] = {{1, 1}, {1, 768}, {5, 33}, {64, 7}};
    const struct backends *all = *state;
    struct spread spread = {0};
    for (int32_t k = 0; k < all->n; k++) {
        for (size_t s = 0; s < 4; s++) {
            check_sum(&all->list[k], shapes[s][0], shapes[s][1], 1.0F, &spread);
            check_sum(&all->list[k], shapes[s][0], shapes[s][1], -0.22F, &spread);
        }
    }
    print_message("add_scaled: %.1e from double precision\n", spread.largest);
}

enum { ROW = 9, VOCABULARY = 11, PLACES = WAVE_TOKENS + 3, GATHERED = 4, LD_GATHERED = ROW + 2 };
static const int32_t gathered_rows[GATHERED] = {5, 0, 5, 9};

/* NULL: none. */
struct embedding {
    const float *tokens, *places; /* [VOCABULARY, ROW], [PLACES, ROW] */
    float scale;
    int32_t first;
};

/* x [n_rows, ROW] with all branches copied from their parents, and some of its rows without their
   first number in gathered [GATHERED, LD_GATHERED]. Free both with free(). */
static void move_rows(const struct backend *b, const struct ko_rows *rows,
                      const struct embedding *e, float **x, float **gathered)
{
    struct memory m = {.b = b};
    const struct ko_embed embed = {
        .tokens = {.data =
                       e->tokens ? memory_floats(&m, e->tokens, (size_t)VOCABULARY * ROW) : NULL,
                   .n_out = e->tokens ? VOCABULARY : 0,
                   .n_in = e->tokens ? ROW : 0},
        .scale = e->scale,
        .positions = {.data = e->places ? memory_floats(&m, e->places, (size_t)PLACES * ROW) : NULL,
                      .n_out = PLACES,
                      .n_in = ROW},
        .first_position = e->first,
        .x = memory_nan(&m, (size_t)rows->n_rows * ROW),
    };
    const struct ko_gather gather = {.from = embed.x + 1,
                                     .ld_from = ROW,
                                     .index = gathered_rows,
                                     .n = GATHERED,
                                     .d = ROW - 1,
                                     .to = memory_nan(&m, (size_t)GATHERED * LD_GATHERED),
                                     .ld_to = LD_GATHERED};
    RUN(b, set_rows, rows);
    RUN(b, embed, &embed);
    for (int32_t layer = 0; layer < rows->n_stages; layer++) {
        int32_t first = layer ? rows->n_active[layer - 1] : rows->n_embedded;
        const struct ko_branch_rows leave = {
            .x = embed.x, .d = ROW, .first = first, .n = rows->n_active[layer] - first};
        RUN(b, branch_rows, &leave);
    }
    RUN(b, gather, &gather);
    *x = memory_read(&m, embed.x, (size_t)rows->n_rows * ROW);
    *gathered = memory_result(&m, gather.to, (size_t)GATHERED * LD_GATHERED);
}

/* Parts of rows are written, and nothing else. */
static void scattered_parts_are_where_they_belong(void **state)
{
    enum { PARTS = 3, WIDTH = 4, ROWS = 7 };
    static const int32_t row[PARTS] = {5, 0, 5}, column[PARTS] = {0, 3, 4};
    const struct backends *all = *state;
    float *from = random_floats(3, (size_t)PARTS * ROW, -1.0F, 1.0F);
    float *before = random_floats(4, (size_t)ROWS * ROW, -1.0F, 1.0F);
    for (int32_t k = 0; k < 2 * all->n; k++) {
        const struct backend *b = &all->list[k / 2];
        const bool zeros = k % 2;
        struct memory m = {.b = b};
        const struct ko_scatter scatter = {
            .from = zeros ? NULL : memory_floats(&m, from, (size_t)PARTS * ROW),
            .ld_from = ROW,
            .row = row,
            .column = column,
            .n = PARTS,
            .d = WIDTH,
            .to = memory_floats(&m, before, (size_t)ROWS * ROW),
            .ld_to = ROW};
        size_t n_plans = 0;
        RUN(b, set_rows, wave_rows(&wave_plans(&n_plans)[6]));
        RUN(b, scatter, &scatter);
        float *after = memory_result(&m, scatter.to, (size_t)ROWS * ROW);
        for (int32_t at = 0; at < ROWS * ROW; at++) {
            float expected = before[at];
            for (int32_t p = 0; p < PARTS; p++) {
                const int32_t c = at - row[p] * ROW - column[p];
                if (c >= 0 && c < WIDTH) {
                    expected = zeros ? 0.0F : from[p * ROW + c];
                }
            }
            assert_true(after[at] == expected);
        }
        free(after);
    }
    free(from), free(before);
}

static void check_rows(const struct backend *b, const struct ko_rows *rows,
                       const struct embedding *e)
{
    float *x = NULL, *gathered = NULL;
    move_rows(b, rows, e, &x, &gathered);
    for (int32_t at = 0; at < rows->n_rows * ROW; at++) {
        const int32_t r = at / ROW, i = rows->position[r], c = at % ROW;
        const int32_t token = rows->token[rows->trunk_first[rows->prompt[r]] + i];
        const float scaled = e->tokens ? e->scale * e->tokens[token * ROW + c] : 0.0F;
        assert_true(x[at] == scaled + (e->places ? e->places[(e->first + i) * ROW + c] : 0.0F));
    }
    for (int32_t at = 0; at < GATHERED * (ROW - 1); at++) {
        const int32_t r = at / (ROW - 1), c = at % (ROW - 1);
        assert_true(gathered[r * LD_GATHERED + c] == x[gathered_rows[r] * ROW + 1 + c]);
    }
    assert_true(isnan(gathered[ROW]));
    free(x), free(gathered);
}

/* With positions the scales are powers of two, whose products are exact, so that fused sums have
   the same bits. */
static void rows_are_embedded_copied_and_gathered(void **state)
{
    const struct backends *all = *state;
    size_t n_plans = 0;
    const struct ko_rows *rows = wave_rows(&wave_plans(&n_plans)[6]);
    float *tokens = random_floats(1, (size_t)VOCABULARY * ROW, -1.0F, 1.0F);
    float *places = random_floats(2, (size_t)PLACES * ROW, -1.0F, 1.0F);
    const struct embedding cases[] = {{tokens, places, 1.0F, 0}, {tokens, NULL, 1.0F, 0},
                                      {tokens, places, 1.0F, 2}, {tokens, NULL, sqrtf(ROW + 2), 0},
                                      {tokens, places, 0.5F, 3}, {NULL, places, 1.0F, 2}};
    for (int32_t k = 0; k < all->n; k++) {
        for (size_t at = 0; at < sizeof cases / sizeof cases[0]; at++) {
            check_rows(&all->list[k], rows, &cases[at]);
        }
    }
    free(tokens), free(places);
}

static void other_precisions_are_refused(void **state)
{
    (void)state;
    const struct ko_kernels *all[] = {&ko_kernels_plain, &ko_kernels_cpu};
    static const char *const words[] = {
        [KO_BF16X3] = "bf16x3", [KO_TF32] = "tf32", [KO_BFLOAT16] = "bfloat16"};
    for (size_t k = 0; k < 6; k++) {
        const enum ko_precision precision = (enum ko_precision)(KO_BF16X3 + k / 2);
        struct ko_error err = {0};
        struct ko_backend *be = NULL;
        char want[128];
        struct ko_backend_config config = {.threads = 1, .precision = precision};
        assert_int_equal(all[k % 2]->open(&config, &be, &err), KO_E_INPUT);
        snprintf(want, sizeof want,
                 "precision: %s computes in float32, got %s, choose float32 or a GPU",
                 all[k % 2]->name, words[precision]);
        assert_string_equal(err.text, want);
        assert_null(be);
    }
    struct ko_error err = {0};
    struct ko_backend *be = NULL;
    struct ko_backend_config config = {.threads = 0};
    assert_int_equal(ko_kernels_cpu.open(&config, &be, &err), KO_E_INPUT);
    assert_string_equal(err.text,
                        "threads: expected at least 1, got 0, choose the number of cores");
}

/* x [n_embedded, ROW]; either table may be NULL. free(). */
static float *embed_tables(const struct backend *b, const struct ko_rows *rows, const float *tokens,
                           const float *places)
{
    struct memory m = {.b = b};
    struct ko_embed embed = {
        .scale = 3.0F,
        .first_position = 2,
        .x = memory_nan(&m, (size_t)rows->n_embedded * ROW),
    };
    if (tokens) {
        embed.tokens = (struct ko_matrix){
            .data = memory_floats(&m, tokens, VOCABULARY * ROW), .n_out = VOCABULARY, .n_in = ROW};
    }
    if (places) {
        embed.positions = (struct ko_matrix){
            .data = memory_floats(&m, places, PLACES * ROW), .n_out = PLACES, .n_in = ROW};
    }
    RUN(b, set_rows, rows);
    RUN(b, embed, &embed);
    return memory_result(&m, embed.x, (size_t)rows->n_embedded * ROW);
}

static void tokens_or_positions_may_be_missing(void **state)
{
    const struct backends *all = *state;
    size_t n_plans = 0;
    const struct ko_rows *rows = wave_rows(&wave_plans(&n_plans)[6]);
    float *tokens = random_floats(1, VOCABULARY * ROW, -1.0F, 1.0F);
    float *places = random_floats(2, PLACES * ROW, -1.0F, 1.0F);
    for (int32_t k = 0; k < 3 * all->n; k++) {
        const bool token = k % 3 != 0, place = k % 3 != 1;
        float *x =
            embed_tables(&all->list[k / 3], rows, token ? tokens : NULL, place ? places : NULL);
        for (int32_t at = 0; at < rows->n_embedded * ROW; at++) {
            const int32_t r = at / ROW, c = at % ROW;
            float want = token ? 3 * tokens[rows->token[r] * ROW + c] : 0.0F;
            want += place ? places[(2 + rows->position[r]) * ROW + c] : 0.0F;
            assert_true(fabsf(x[at] - want) <= 1e-6F); /* observed: at most 2.4e-7 */
        }
        free(x);
    }
    free(tokens), free(places);
}

int run_basic(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_rows_and_weights),
        cmocka_unit_test(norms_equal_their_definitions),
        cmocka_unit_test(activations_equal_their_definitions),
        cmocka_unit_test(activations_keep_what_is_not_a_number),
        cmocka_unit_test(scaled_rows_are_added),
        cmocka_unit_test(rows_are_embedded_copied_and_gathered),
        cmocka_unit_test(scattered_parts_are_where_they_belong),
        cmocka_unit_test(tokens_or_positions_may_be_missing),
        cmocka_unit_test(other_precisions_are_refused),
    };
    return cmocka_run_group_tests_name("basic", tests, backends_open, backends_close);
}
