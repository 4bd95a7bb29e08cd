/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/conformance/check.h"

enum { N_MASKS = 2 };

/* From row to row; of as many channels as go by four, a multiple of four too. */
static size_t stride(int32_t n_channels)
{
    return (size_t)n_channels + (n_channels % 4 == 0 ? 4 : 3);
}

struct inputs {
    int32_t n_channels, n_taps;
    float *in, *weight, *bias;
    uint8_t *masks;
};

static struct inputs make(const struct ko_rows *rows, int32_t n_channels, int32_t n_taps)
{
    size_t width = (size_t)n_channels, layers = (size_t)rows->n_layers;
    struct inputs x = {.n_channels = n_channels, .n_taps = n_taps};
    x.in = random_floats(1, (size_t)rows->n_rows * stride(n_channels), -2.0F, 2.0F);
    x.weight = random_floats(2, width * (size_t)n_taps, -1.0F, 1.0F);
    x.bias = random_floats(3, width, -0.5F, 0.5F);
    x.masks = random_masks(4, N_MASKS * layers * width);
    return x;
}

static void drop(struct inputs *x)
{
    free(x->in);
    free(x->weight);
    free(x->bias);
    free(x->masks);
}

/* out [n_convolved, n_channels], free with free(). */
static float *convolve(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                       const struct inputs *x)
{
    struct ko_error err = {0};
    size_t width = (size_t)x->n_channels, n = (size_t)rows->n_convolved[layer] * width;
    size_t ld = stride(x->n_channels);
    float *clean = poisoned(x->in, (size_t)rows->n_rows, ld, rows->n_projected[layer]);
    struct ko_conv args = {
        .layer = layer,
        .n_channels = x->n_channels,
        .n_taps = x->n_taps,
        .in = backend_copy(b, clean, (size_t)rows->n_rows * ld * sizeof *clean),
        .ld_in = (int32_t)ld,
        .weight = backend_copy(b, x->weight, width * (size_t)x->n_taps * sizeof *x->weight),
        .bias = backend_copy(b, x->bias, width * sizeof *x->bias),
        .out = backend_floats(b, n)};
    args.masks =
        (const uint8_t *)backend_copy(b, x->masks, N_MASKS * (size_t)rows->n_layers * width);
    expect_ok(b->k->set_rows(b->be, rows, &err), &err);
    expect_ok(b->k->conv(b->be, &args, &err), &err);
    float *out = backend_read(b, args.out, n);
    backend_release(b, args.in);
    backend_release(b, args.weight);
    backend_release(b, args.bias);
    backend_release(b, args.masks);
    backend_release(b, args.out);
    free(clean);
    return out;
}

static double *reference(const struct ko_rows *rows, int32_t layer, const struct inputs *x)
{
    size_t width = (size_t)x->n_channels, ld = stride(x->n_channels);
    double *out = calloc((size_t)rows->n_convolved[layer] * width + 1, sizeof *out);
    int32_t path[WAVE_TOKENS];
    assert_non_null(out);
    for (int32_t r = 0; r < rows->n_convolved[layer]; r++) {
        int32_t i = wave_path(rows, r, layer, ko_rows_source, path), b = rows->branch[r];
        for (int32_t c = 0; c < x->n_channels; c++) {
            double sum = (double)x->bias[c];
            for (int32_t j = i - x->n_taps + 1; j <= i; j++) {
                bool gone = j >= 0 && b >= 0 && rows->branches[b].conv &&
                            wave_removed(rows, r, layer, i, j);
                if (gone && rows->branches[b].mask >= 0) {
                    size_t at = (size_t)(rows->branches[b].mask * rows->n_layers + layer);
                    gone = x->masks[at * width + (size_t)c];
                }
                if (j >= 0 && !gone) {
                    size_t tap = (size_t)(x->n_taps - 1 - (i - j));
                    sum += (double)x->weight[tap * width + (size_t)c] *
                           (double)x->in[(size_t)path[j] * ld + (size_t)c];
                }
            }
            out[(size_t)r * width + (size_t)c] = sum / (1.0 + exp(-sum));
        }
    }
    return out;
}

/* All backends at every layer of one wave. n_spared: NULL, or bad rows are among the sources, and
   what they did not reach is added. */
static void check_wave(const struct backend *backends, int32_t n_backends,
                       const struct wave_plan *plan, int32_t n_channels, struct spread spread[2],
                       int64_t *n_spared)
{
    static struct wave wave;
    wave_build(plan, &wave);
    struct inputs x = make(&wave.rows, n_channels, 4);
    if (n_spared) {
        spoil_rows(x.in, wave.rows.n_rows, stride(n_channels), 0, (size_t)n_channels, NAN);
    }
    for (int32_t layer = 0; layer < plan->n_layers; layer++) {
        size_t n = (size_t)wave.rows.n_convolved[layer] * (size_t)n_channels;
        double *want = reference(&wave.rows, layer, &x);
        if (n_spared) {
            *n_spared += count_spared(&wave.rows, layer, wave.rows.n_convolved[layer],
                                      ko_rows_source, x.n_taps, want, (size_t)n_channels);
        }
        for (int32_t k = 0; k < n_backends; k++) {
            float *got = convolve(&backends[k], &wave.rows, layer, &x);
            (n_spared ? expect_near_or_neither : expect_near)(
                plan->name, backends[k].label, got, want, n, k ? 2e-6 : 1e-7, &spread[k > 0]);
            if (k == 0) {
                widen(got, n, want);
            }
            free(got);
        }
        free(want);
    }
    drop(&x);
}

static void convolution_without_the_removed_taps(void **state)
{
    (void)state;
    struct backend backends[MAX_BACKENDS];
    int32_t n_backends = backends_open(backends);
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    struct spread spread[2] = {{0}};
    for (size_t p = 0; p < n_plans; p++) {
        check_wave(backends, n_backends, &plans[p], 7, spread, NULL);
        check_wave(backends, n_backends, &plans[p], 600, spread, NULL);
    }
    for (uint32_t seed = 0; seed < 30; seed++) {
        struct wave_plan plan;
        wave_random(seed, &plan);
        check_wave(backends, n_backends, &plan, 33, spread, NULL);
    }
    print_message("conv: plain from double precision %.1e, others from plain %.1e\n",
                  spread[0].largest, spread[1].largest);
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
        check_wave(backends, n_backends, &plan, 8, spread, &n_spared);
        check_wave(backends, n_backends, &plan, 33, spread, &n_spared);
    }
    assert_true(n_spared > 100);
    backends_close(backends, n_backends);
}

int run_conv(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(removed_sources_need_not_be_finite),
        cmocka_unit_test(convolution_without_the_removed_taps),
    };
    return cmocka_run_group_tests_name("conv", tests, NULL, NULL);
}
