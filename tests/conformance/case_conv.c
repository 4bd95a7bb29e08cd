/* SPDX-License-Identifier: Apache-2.0 */
/* The causal convolution. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernels/at.h"
#include "tests/conformance/check.h"

enum { N_MASKS = 2 };

/* Floats between rows; a multiple of four if the number of channels is one. */
static size_t stride_of(int32_t n_channels)
{
    return (size_t)n_channels + (n_channels % 4 == 0 ? 4 : 3);
}

/* What the convolution is to do. */
struct form {
    bool linear, mixer, masked; /* masked: the channels' masks are given */
};

struct inputs {
    struct form form;
    int32_t n_channels, n_taps;
    float *in, *weight, *bias;
    uint8_t *masks;
};

static struct inputs make_inputs(const struct ko_rows *rows, const struct form *form,
                                 int32_t n_channels, int32_t n_taps)
{
    size_t width = (size_t)n_channels, layers = (size_t)rows->n_stages;
    struct inputs x = {.form = *form, .n_channels = n_channels, .n_taps = n_taps};
    x.in = random_floats(1, (size_t)rows->n_rows * stride_of(n_channels), -2.0F, 2.0F);
    x.weight = random_floats(2, width * (size_t)n_taps, -1.0F, 1.0F);
    x.bias = random_floats(3, width, -0.5F, 0.5F);
    x.masks = random_masks(4, N_MASKS * layers * width);
    return x;
}

static void free_inputs(struct inputs *x)
{
    free(x->in), free(x->weight), free(x->bias), free(x->masks);
}

/* The counts of computed rows [n_stages]. */
static const int32_t *computed_rows(const struct ko_rows *rows, const struct form *form)
{
    return form->mixer ? rows->n_active : rows->n_convolved;
}

static float *convolve_rows(const struct backend *b, const struct ko_rows *rows, int32_t layer,
                            const void *inputs)
{
    const struct inputs *x = inputs;
    struct memory m = {.b = b};
    size_t width = (size_t)x->n_channels, ld = stride_of(x->n_channels);
    size_t n = (size_t)computed_rows(rows, &x->form)[layer] * width;
    size_t n_masks = N_MASKS * (size_t)rows->n_stages * width;
    const struct ko_conv args = {.stage = layer,
                                 .n_channels = x->n_channels,
                                 .n_taps = x->n_taps,
                                 .linear = x->form.linear,
                                 .mixer = x->form.mixer,
                                 .in = memory_rows(&m, rows, x->in, ld, rows->n_projected[layer]),
                                 .ld_in = (int32_t)ld,
                                 .weight = memory_floats(&m, x->weight, width * (size_t)x->n_taps),
                                 .bias = memory_floats(&m, x->bias, width),
                                 .masks =
                                     x->form.masked ? memory_bytes(&m, x->masks, n_masks) : NULL,
                                 .out = memory_nan(&m, n)};
    RUN(b, set_rows, rows);
    RUN(b, conv, &args);
    return memory_result(&m, args.out, n);
}

static void convolve_row(const struct ko_rows *rows, int32_t row, int32_t layer, const void *inputs,
                         double *out)
{
    const struct inputs *x = inputs;
    int32_t path[WAVE_TOKENS], i = wave_path(rows, row, layer, ko_rows_source, path);
    int32_t ld = (int32_t)stride_of(x->n_channels), b = rows->branch[row];
    for (int32_t c = 0; c < x->n_channels; c++) {
        bool masked =
            b >= 0 && (x->form.mixer || rows->branches[b].conv) &&
            (!x->form.masked || wave_masked(rows, row, layer, x->masks, x->n_channels, c));
        const enum ko_mixer mixer = x->form.mixer ? KO_MIXER_CONV : KO_MIXER_SSM;
        double sum = (double)x->bias[c];
        for (int32_t j = i - x->n_taps + 1; j <= i; j++) {
            if (j >= 0 && !(masked && wave_removed(rows, row, layer, mixer, i, j))) {
                int32_t tap = x->n_taps - 1 - (i - j);
                sum += (double)x->weight[ko_at(tap, x->n_channels, c)] *
                       (double)x->in[ko_at(path[j], ld, c)];
            }
        }
        out[c] = x->form.linear ? sum : sum / (1.0 + exp(-sum));
    }
}

static void check_wave(const struct backends *all, const char *name, const struct ko_rows *rows,
                       const struct form *form, int32_t n_channels, struct spread spread[2],
                       int64_t *n_spared)
{
    struct inputs x = make_inputs(rows, form, n_channels, 4);
    const struct mixing mixing = {.name = name,
                                  .inputs = &x,
                                  .n_rows = computed_rows(rows, form),
                                  .width = (size_t)n_channels,
                                  .compute = convolve_rows,
                                  .reference = convolve_row,
                                  .tolerance = {1e-7, 2e-6},
                                  .source = ko_rows_source,
                                  .reach = x.n_taps};
    if (n_spared) {
        spoil_rows(x.in, rows->n_rows, stride_of(n_channels), 0, (size_t)n_channels, NAN);
    }
    check_mixing(all, rows, &mixing, spread, n_spared);
    free_inputs(&x);
}

/* Mamba's; DeltaNet's without a class of channels; RecurrentGemma's; LFM2's; and a mixer whose
   classes are channels. */
static const struct form forms[] = {{false, false, true},
                                    {false, false, false},
                                    {true, false, true},
                                    {true, true, false},
                                    {false, true, true}};
enum { N_FORMS = sizeof forms / sizeof forms[0] };

static void convolution_without_the_removed_taps(void **state)
{
    size_t n_plans = 0;
    const struct wave_plan *plans = wave_plans(&n_plans);
    for (size_t f = 0; f < N_FORMS; f++) {
        struct spread spread[2] = {{0}};
        for (size_t p = 0; p < n_plans; p++) {
            check_wave(*state, plans[p].name, wave_rows(&plans[p]), &forms[f], 7, spread, NULL);
            check_wave(*state, plans[p].name, wave_rows(&plans[p]), &forms[f], 600, spread, NULL);
        }
        for (uint32_t seed = 0; seed < 30; seed++) {
            check_wave(*state, "random", wave_random_rows(seed), &forms[f], 33, spread, NULL);
        }
        print_message("conv%s%s%s: plain from double precision %.1e, others from plain %.1e\n",
                      forms[f].linear ? ", linear" : "", forms[f].mixer ? ", mixer" : "",
                      forms[f].masked ? ", masked" : "", spread[0].largest, spread[1].largest);
    }
}

/* An input that is not finite does not change the rows whose edges to it are removed: it is
   omitted, not multiplied by 0. */
static void removed_sources_need_not_be_finite(void **state)
{
    for (size_t f = 0; f < N_FORMS; f++) {
        struct spread spread[2] = {{0}};
        int64_t n_spared = 0;
        for (uint32_t seed = 0; seed < 40; seed++) {
            check_wave(*state, "random", wave_random_rows(seed), &forms[f], 8, spread, &n_spared);
            check_wave(*state, "random", wave_random_rows(seed), &forms[f], 33, spread, &n_spared);
        }
        assert_true(n_spared > 100);
    }
}

/* With every edge removed, of all channels the bias alone is left, in branches that leave in this
   layer as in others. */
static void a_mixer_without_edges_has_its_bias_alone(void **state)
{
    const struct backends *all = *state;
    const struct ko_rows *rows = wave_rows(&wave_all_removed);
    const struct form form = {.linear = true, .mixer = true};
    enum { WIDTH = 8 };
    struct inputs x = make_inputs(rows, &form, WIDTH, 3);
    for (int32_t k = 0; k < all->n * rows->n_stages; k++) {
        const int32_t layer = k % rows->n_stages;
        float *got = convolve_rows(&all->list[k / rows->n_stages], rows, layer, &x);
        assert_int_equal(rows->n_active[layer], rows->n_rows);
        for (int32_t at = rows->n_trunk_rows * WIDTH; at < rows->n_rows * WIDTH; at++) {
            assert_true(got[at] == x.bias[at % WIDTH]);
        }
        free(got);
    }
    free_inputs(&x);
}

int run_conv(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(removed_sources_need_not_be_finite),
        cmocka_unit_test(convolution_without_the_removed_taps),
        cmocka_unit_test(a_mixer_without_edges_has_its_bias_alone),
    };
    return cmocka_run_group_tests_name("conv", tests, backends_open, backends_close);
}
