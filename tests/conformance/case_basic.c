/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/conformance/check.h"

static void products(const struct backend *b, const int32_t shape[5], struct spread *spread)
{
    int32_t m = shape[0], n_out = shape[1], n_in = shape[2], ldx = n_in + 3, ldy = n_out + 2;
    bool in_first = shape[3] & 1, biased = shape[3] & 2, accumulate = shape[3] & 4;
    struct ko_error err = {0};
    float *x = random_floats(1, (size_t)(m * ldx), -1.0F, 1.0F);
    float *w = random_floats(2, (size_t)(n_out * n_in), -1.0F, 1.0F);
    float *bias = random_floats(3, (size_t)n_out, -1.0F, 1.0F);
    float *y = random_floats(4, (size_t)(m * ldy), -1.0F, 1.0F);
    struct ko_matrix matrix = {.data = backend_copy(b, w, (size_t)(n_out * n_in) * 4),
                               .n_out = n_out,
                               .n_in = n_in,
                               .in_first = in_first};
    float *bx = backend_copy(b, x, (size_t)(m * ldx) * 4);
    float *by = backend_copy(b, y, (size_t)(m * ldy) * 4);
    float *bb = backend_copy(b, bias, (size_t)n_out * 4);
    const struct ko_linear args = {.n = m,
                                   .x = bx,
                                   .ldx = ldx,
                                   .w = matrix,
                                   .bias = biased ? bb : NULL,
                                   .accumulate = accumulate,
                                   .y = by,
                                   .ldy = ldy};
    expect_ok(b->k->linear(b->be, &args, &err), &err);
    float *got = backend_read(b, by, (size_t)(m * ldy));
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
    const void *memory[] = {matrix.data, bx, by, bb};
    for (size_t k = 0; k < 4; k++) {
        backend_release(b, memory[k]);
    }
    free(x), free(w), free(bias), free(y), free(got);
}

static void products_of_rows_and_weights(void **state)
{
    (void)state;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    struct spread spread = {0};
    for (int32_t k = 0; k < n_backends; k++) {
        for (int32_t options = 0; options < 8; options++) {
            const int32_t shapes[][5] = {
                {1, 1, 1, options}, {5, 70, 33, options}, {64, 7, 257, options}};
            for (size_t s = 0; s < 3; s++) {
                products(&backends[k], shapes[s], &spread);
            }
        }
    }
    print_message("linear: %.1e from double precision\n", spread.largest);
    backends_close(backends, n_backends);
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
    struct ko_error err = {0};
    float *x = random_floats(1, (size_t)(N * ldx), 1.0F, 3.0F);
    float *w = random_floats(2, (size_t)d, -2.0F, 2.0F),
          *v = random_floats(3, (size_t)d, -1.0F, 1.0F);
    float *bx = backend_copy(b, x, (size_t)(N * ldx) * 4), *bw = backend_copy(b, w, (size_t)d * 4);
    float *bv = backend_copy(b, v, (size_t)d * 4), *by = backend_floats(b, (size_t)(N * d));
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
    expect_ok(b->k->layer_norm(b->be, &layer, &err), &err);
    expect_ok(b->k->rms_norm(b->be, &rms, &err), &err);
    float *centred = backend_read(b, by, (size_t)(N * d));
    float *in_place = backend_read(b, bx, (size_t)(N * ldx));
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
    const void *memory[] = {bx, bw, bv, by};
    for (size_t k = 0; k < 4; k++) {
        backend_release(b, memory[k]);
    }
    free(x), free(w), free(v), free(centred), free(in_place);
}

static void norms_equal_their_definitions(void **state)
{
    (void)state;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    struct spread spread = {0};
    for (int32_t k = 0; k < n_backends; k++) {
        check_norms(&backends[k], 7, 1e-5F, &spread);
        check_norms(&backends[k], 33, 0.25F, &spread);
        check_norms(&backends[k], 768, 1e-5F, &spread);
    }
    print_message("norms: %.1e from double precision\n", spread.largest);
    backends_close(backends, n_backends);
}

static void activations_equal_their_definitions(void **state)
{
    (void)state;
    enum { N = 4, D = 1001, LD = 1003 };
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    float *x = random_floats(1, N * LD, -30.0F, 30.0F);
    struct spread spread = {0};
    x[0] = 0.0F;
    x[1] = 20.0F;
    for (int32_t k = 0; k < n_backends; k++) {
        struct ko_error err = {0};
        const struct backend *b = &backends[k];
        float *plus = backend_copy(b, x, N * LD * 4), *gelu = backend_copy(b, x, N * LD * 4);
        const struct ko_activation on_plus = {.n = N, .d = D, .x = plus, .ld = LD};
        const struct ko_activation on_gelu = {.n = N, .d = D, .x = gelu, .ld = LD};
        expect_ok(b->k->softplus(b->be, &on_plus, &err), &err);
        expect_ok(b->k->gelu_tanh(b->be, &on_gelu, &err), &err);
        float *got_plus = backend_read(b, plus, N * LD), *got_gelu = backend_read(b, gelu, N * LD);
        for (int32_t at = 0; at < N * LD; at++) {
            double v = (double)x[at], t = sqrt(2.0 / M_PI) * (v + 0.044715 * v * v * v);
            double want[2] = {v > 20.0 ? v : log1p(exp(v)), 0.5 * v * (1.0 + tanh(t))};
            if (at % LD >= D) {
                want[0] = want[1] = v; /* beside the rows: untouched */
            }
            expect_near("softplus", b->label, &got_plus[at], &want[0], 1, 1e-6, &spread);
            expect_near("gelu", b->label, &got_gelu[at], &want[1], 1, 1e-6, &spread);
        }
        backend_release(b, plus);
        backend_release(b, gelu);
        free(got_plus), free(got_gelu);
    }
    print_message("activations: %.1e from double precision\n", spread.largest);
    free(x);
    backends_close(backends, n_backends);
}

static void rows_are_embedded_copied_and_gathered(void **state)
{
    (void)state;
    enum { D = 9 };
    static struct wave wave;
    size_t n_plans = 0;
    const struct wave_plan *plan = &wave_plans(&n_plans)[6];
    wave_build(plan, &wave);
    const struct ko_rows *rows = &wave.rows;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    float *tokens = random_floats(1, 11 * D, -1.0F, 1.0F);
    float *places = random_floats(2, WAVE_TOKENS * D, -1.0F, 1.0F);
    const int32_t index[] = {5, 0, 5, 9};
    for (int32_t k = 0; k < n_backends; k++) {
        struct ko_error err = {0};
        const struct backend *b = &backends[k];
        float *bt = backend_copy(b, tokens, 11 * D * 4),
              *bp = backend_copy(b, places, WAVE_TOKENS * D * 4);
        float *x = backend_floats(b, (size_t)rows->n_rows * D),
              *to = backend_floats(b, 4 * (D + 2));
        expect_ok(b->k->set_rows(b->be, rows, &err), &err);
        const struct ko_embed embed = {
            .tokens = {.data = bt, .n_out = 11, .n_in = D},
            .positions = {.data = bp, .n_out = WAVE_TOKENS, .n_in = D},
            .x = x,
        };
        expect_ok(b->k->embed(b->be, &embed, &err), &err);
        for (int32_t layer = 0; layer < plan->n_layers; layer++) {
            int32_t first = layer ? rows->n_active[layer - 1] : rows->n_trunk_rows;
            const struct ko_branch_rows leave = {
                .x = x, .d = D, .first = first, .n = rows->n_active[layer] - first};
            expect_ok(b->k->branch_rows(b->be, &leave, &err), &err);
        }
        const struct ko_gather gather = {.from = x + 1,
                                         .ld_from = D,
                                         .index = index,
                                         .n = 4,
                                         .d = D - 1,
                                         .to = to,
                                         .ld_to = D + 2};
        expect_ok(b->k->gather(b->be, &gather, &err), &err);
        float *got = backend_read(b, x, (size_t)rows->n_rows * D);
        float *gathered = backend_read(b, to, 4 * (D + 2));
        for (int32_t at = 0; at < rows->n_rows * D; at++) {
            int32_t r = at / D, i = rows->position[r];
            int32_t token = rows->token[rows->trunk_first[rows->prompt[r]] + i];
            float want = tokens[token * D + at % D] + places[i * D + at % D];
            assert_true(got[at] == want);
        }
        for (int32_t at = 0; at < 4 * (D - 1); at++) {
            float want = got[index[at / (D - 1)] * D + 1 + at % (D - 1)];
            assert_true(gathered[at / (D - 1) * (D + 2) + at % (D - 1)] == want);
        }
        assert_true(isnan(gathered[D]));
        const void *memory[] = {bt, bp, x, to};
        for (size_t m = 0; m < 4; m++) {
            backend_release(b, memory[m]);
        }
        free(got), free(gathered);
    }
    free(tokens), free(places);
    backends_close(backends, n_backends);
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
    return cmocka_run_group_tests_name("basic", tests, NULL, NULL);
}
