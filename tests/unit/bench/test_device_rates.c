/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of devices that are not here. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/bench/device_rates.h"

static void every_precision_of_a_device_has_a_rate(void **state)
{
    (void)state;
    double before = 0;
    static const enum ko_precision measured[] = {KO_FLOAT32, KO_BF16X3, KO_TF32, KO_BFLOAT16};
    for (size_t k = 0; k < sizeof measured / sizeof measured[0]; k++) {
        const enum ko_precision p = measured[k];
        const struct ko_device_rate *rate = NULL;
        struct ko_error err = {0};
        assert_int_equal(ko_device_rate_find("h200", p, "mamba", 2560, &rate, &err), KO_OK);
        assert_int_equal(rate->precision, p);
        assert_true(rate->fraction > 0 && rate->fraction <= 1);
        assert_true(rate->gemm_flops > before);
        before = rate->gemm_flops;
    }
}

static void the_widest_measured_model_that_is_no_wider_counts(void **state)
{
    static const struct {
        const char *architecture;
        int32_t width, want;
        const char *from;
    } cases[] = {{"mamba", 96, 768, "mamba"},    {"mamba", 768, 768, "mamba"},
                 {"mamba", 2559, 2048, "mamba"}, {"mamba", 9000, 4096, "mamba"},
                 {"gpt2", 1599, 1280, "gpt2"},   {"llama", 3072, 3072, ""},
                 {"qwen2", 64, 2048, ""},        {"mistral", 64, 4096, "mistral"},
                 {"olmoe", 64, 2048, "olmoe"},   {"gpt_oss", 4096, 2880, "gpt_oss"},
                 {"mixtral", 4096, 4096, ""}};
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const struct ko_device_rate *rate = NULL;
        struct ko_error err = {0};
        assert_int_equal(ko_device_rate_find("h200", KO_TF32, cases[k].architecture, cases[k].width,
                                             &rate, &err),
                         KO_OK);
        assert_int_equal(rate->width, cases[k].want);
        assert_string_equal(rate->architecture, cases[k].from);
    }
}

static void an_unknown_device_is_refused_with_those_known(void **state)
{
    const struct ko_device_rate *rate = NULL;
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(ko_device_rate_find("h2000", KO_FLOAT32, "mamba", 2560, &rate, &err),
                     KO_E_INPUT);
    assert_string_equal(err.text, "--device: unknown device 'h2000', choose one of h200");
    assert_null(rate);
}

/* H200, mamba-2.8b: 24.30 us a cell with weights in float32, 18.78 with weights in bfloat16. */
static void exact_weights_are_faster_in_bf16x3_alone(void **state)
{
    const struct ko_device_rate *split = NULL, *tf32 = NULL;
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(ko_device_rate_find("h200", KO_BF16X3, "mamba", 2560, &split, &err), KO_OK);
    assert_int_equal(ko_device_rate_find("h200", KO_TF32, "mamba", 2560, &tf32, &err), KO_OK);
    const double none = ko_device_rate_flops(split, 0), all = ko_device_rate_flops(split, 1);
    assert_true(fabs(none / 1e12 - 215.2 * 0.658) <= 1e-6);
    assert_true(fabs(all / none - 24.30 / 18.78) <= 0.01);
    /* Half of the work at each rate: the times add up. */
    const double half = 2 / (1 / none + 1 / all);
    assert_true(fabs(ko_device_rate_flops(split, 0.5) - half) <= 1e-3 * none);
    assert_true(fabs(ko_device_rate_flops(tf32, 1) / 1e12 - 371.6 * 0.562) <= 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_precision_of_a_device_has_a_rate),
        cmocka_unit_test(the_widest_measured_model_that_is_no_wider_counts),
        cmocka_unit_test(exact_weights_are_faster_in_bf16x3_alone),
        cmocka_unit_test(an_unknown_device_is_refused_with_those_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
