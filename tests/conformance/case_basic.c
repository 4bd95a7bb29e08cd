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

static void activations_equal_their_definitions(void **state)
{
    const struct backends *all = *state;
    enum { N = 4, D = 1001, LD = 1003 };
    float *x = random_floats(1, N * LD, -30.0F, 30.0F);
    struct spread spread = {0};
    x[0] = 0.0F;
    x[1] = 20.0F;
    for (int32_t k = 0; k < all->n; k++) {
        const struct backend *b = &all->list[k];
        struct memory m = {.b = b};
        float *plus = memory_floats(&m, x, N * LD), *gelu = memory_floats(&m, x, N * LD);
        const struct ko_activation on_plus = {.n = N, .d = D, .x = plus, .ld = LD};
        const struct ko_activation on_gelu = {.n = N, .d = D, .x = gelu, .ld = LD};
        RUN(b, softplus, &on_plus);
        RUN(b, gelu_tanh, &on_gelu);
        float *got_plus = memory_read(&m, plus, N * LD);
        float *got_gelu = memory_result(&m, gelu, N * LD);
        for (int32_t at = 0; at < N * LD; at++) {
            double v = (double)x[at], t = sqrt(2.0 / M_PI) * (v + 0.044715 * v * v * v);
            double want[2] = {v > 20.0 ? v : log1p(exp(v)), 0.5 * v * (1.0 + tanh(t))};
            if (at % LD >= D) {
                want[0] = want[1] = v; /* beside the rows: untouched */
            }
            expect_near("softplus", b->label, &got_plus[at], &want[0], 1, 1e-6, &spread);
            expect_near("gelu", b->label, &got_gelu[at], &want[1], 1, 1e-6, &spread);
        }
        free(got_plus), free(got_gelu);
    }
    print_message("activations: %.1e from double precision\n", spread.largest);
    free(x);
}

enum { ROW = 9, VOCABULARY = 11, GATHERED = 4, LD_GATHERED = ROW + 2 };
static const int32_t gathered_rows[GATHERED] = {5, 0, 5, 9};

/* x [n_rows, ROW] with all branches copied from their parents, and some of its rows without their
   first number in gathered [GATHERED, LD_GATHERED]. Free both with free(). */
static void move_rows(const struct backend *b, const struct ko_rows *rows, const float *tokens,
                      const float *places, float **x, float **gathered)
{
    struct memory m = {.b = b};
    const struct ko_embed embed = {
        .tokens = {.data = memory_floats(&m, tokens, (size_t)VOCABULARY * ROW),
                   .n_out = VOCABULARY,
                   .n_in = ROW},
        .positions = {.data = memory_floats(&m, places, (size_t)WAVE_TOKENS * ROW),
                      .n_out = WAVE_TOKENS,
                      .n_in = ROW},
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
    for (int32_t layer = 0; layer < rows->n_layers; layer++) {
        int32_t first = layer ? rows->n_active[layer - 1] : rows->n_trunk_rows;
        const struct ko_branch_rows leave = {
            .x = embed.x, .d = ROW, .first = first, .n = rows->n_active[layer] - first};
        RUN(b, branch_rows, &leave);
    }
    RUN(b, gather, &gather);
    *x = memory_read(&m, embed.x, (size_t)rows->n_rows * ROW);
    *gathered = memory_result(&m, gather.to, (size_t)GATHERED * LD_GATHERED);
}

static void rows_are_embedded_copied_and_gathered(void **state)
{
    const struct backends *all = *state;
    size_t n_plans = 0;
    const struct ko_rows *rows = wave_rows(&wave_plans(&n_plans)[6]);
    float *tokens = random_floats(1, (size_t)VOCABULARY * ROW, -1.0F, 1.0F);
    float *places = random_floats(2, (size_t)WAVE_TOKENS * ROW, -1.0F, 1.0F);
    for (int32_t k = 0; k < all->n; k++) {
        float *x = NULL, *gathered = NULL;
        move_rows(&all->list[k], rows, tokens, places, &x, &gathered);
        for (int32_t at = 0; at < rows->n_rows * ROW; at++) {
            int32_t r = at / ROW, i = rows->position[r];
            int32_t token = rows->token[rows->trunk_first[rows->prompt[r]] + i];
            float want = tokens[token * ROW + at % ROW] + places[i * ROW + at % ROW];
            assert_true(x[at] == want);
        }
        for (int32_t at = 0; at < GATHERED * (ROW - 1); at++) {
            int32_t r = at / (ROW - 1), c = at % (ROW - 1);
            assert_true(gathered[r * LD_GATHERED + c] == x[gathered_rows[r] * ROW + 1 + c]);
        }
        assert_true(isnan(gathered[ROW]));
        free(x), free(gathered);
    }
    free(tokens), free(places);
}

static void other_precisions_are_refused(void **state)
{
    (void)state;
    const struct ko_kernels *all[] = {&ko_kernels_plain, &ko_kernels_cpu};
    for (size_t k = 0; k < 2; k++) {
        struct ko_error err = {0};
        struct ko_backend *be = NULL;
        char want[128];
        struct ko_backend_config config = {.threads = 1, .precision = KO_TF32};
        assert_int_equal(all[k]->open(&config, &be, &err), KO_E_INPUT);
        snprintf(want, sizeof want,
                 "precision: %s computes in float32, got tf32, choose float32 or a GPU",
                 all[k]->name);
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

int run_basic(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_rows_and_weights),
        cmocka_unit_test(norms_equal_their_definitions),
        cmocka_unit_test(activations_equal_their_definitions),
        cmocka_unit_test(rows_are_embedded_copied_and_gathered),
        cmocka_unit_test(other_precisions_are_refused),
    };
    return cmocka_run_group_tests_name("basic", tests, backends_open, backends_close);
}
