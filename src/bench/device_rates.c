/* SPDX-License-Identifier: Apache-2.0 */
/* The table of rates that were measured on GPUs, and the search in it. The table is updated by hand
   from the output of `knockout bench`. */
#include "src/bench/device_rates.h"

#include <string.h>

#include "src/base/text.h"
#include "src/run/settings.h"

/* `knockout bench --shape all --precision float32,bf16x3,tf32,bfloat16 --json` printed these
   gemm_flops_layers and fraction_of_gemm (docs/performance.md). Widths in ascending order. */
#define RATE(date, precision, architecture, width, tflops, fraction)                               \
    {                                                                                              \
        "h200", "NVIDIA H200", precision, architecture, width, (tflops)*1e12, fraction, 0, date    \
    }
#define RATES(date, architecture, width, f32, f32_part, tf32, tf32_part, bf16, bf16_part)          \
    RATE(date, KO_FLOAT32, architecture, width, f32, f32_part),                                    \
        RATE(date, KO_TF32, architecture, width, tf32, tf32_part),                                 \
        RATE(date, KO_BFLOAT16, architecture, width, bf16, bf16_part)
/* bf16x3, with weights in float32 and in bfloat16 (--stored). */
#define SPLIT(architecture, width, tflops, fraction, exact, exact_fraction)                        \
    {                                                                                              \
        "h200", "NVIDIA H200", KO_BF16X3, architecture, width, (tflops)*1e12, fraction,            \
            (exact) * (exact_fraction)*1e12, "2026-11-30"                                          \
    }
#define H200(...)     RATES("2026-11-22", __VA_ARGS__)
#define H200_MOE(...) RATES("2026-11-30", __VA_ARGS__)

static const struct ko_device_rate rates[] = {
    H200("mamba", 768, 43.4, 0.739, 287.3, 0.266, 322.1, 0.258),
    H200("mamba", 2048, 49.1, 0.803, 376.6, 0.507, 571.4, 0.426),
    H200("mamba", 2560, 50.5, 0.892, 371.6, 0.562, 599.0, 0.469),
    H200("mamba", 4096, 50.8, 0.888, 397.2, 0.654, 686.3, 0.556),
    H200("falcon_mamba", 4096, 50.3, 0.878, 380.2, 0.645, 664.0, 0.544),
    H200("mamba2", 768, 46.6, 0.730, 345.2, 0.248, 447.6, 0.212),
    H200("mamba2", 2048, 49.7, 0.786, 387.4, 0.464, 638.4, 0.359),
    H200("mamba2", 2560, 50.8, 0.878, 374.1, 0.522, 651.4, 0.408),
    H200("gpt2", 1024, 49.8, 0.857, 374.8, 0.437, 499.1, 0.411),
    H200("gpt2", 1280, 49.1, 0.869, 367.8, 0.530, 539.7, 0.474),
    H200("gpt2", 1600, 47.6, 0.884, 350.7, 0.579, 562.1, 0.524),
    H200("mistral", 4096, 50.8, 0.963, 391.3, 0.795, 707.9, 0.729),
    H200_MOE("olmoe", 2048, 45.7, 0.736, 245.2, 0.308, 368.0, 0.274),
    H200_MOE("qwen3_moe", 2048, 40.8, 0.787, 176.2, 0.442, 177.1, 0.576),
    H200_MOE("gpt_oss", 2880, 47.2, 0.802, 315.9, 0.247, 582.5, 0.189),
    /* Mixtral's float32 weights are larger than this GPU. */
    RATE("2026-11-30", KO_BFLOAT16, "mixtral", 4096, 710.5, 0.139),
    H200("", 2048, 50.4, 0.763, 366.4, 0.636, 608.4, 0.544), /* Llama's */
    H200("", 3072, 51.1, 0.809, 367.5, 0.695, 650.2, 0.610),
    H200("", 4096, 50.1, 0.902, 379.1, 0.752, 671.1, 0.703),
    SPLIT("mamba", 768, 127.5, 0.422, 151.0, 0.383),
    SPLIT("mamba", 2048, 201.2, 0.614, 268.2, 0.573),
    SPLIT("mamba", 2560, 215.2, 0.658, 292.3, 0.626),
    SPLIT("mamba", 4096, 233.8, 0.694, 332.2, 0.668),
    SPLIT("falcon_mamba", 4096, 234.7, 0.673, 332.2, 0.659),
    SPLIT("mamba2", 768, 150.0, 0.359, 184.2, 0.315),
    SPLIT("mamba2", 2048, 224.2, 0.538, 313.4, 0.472),
    SPLIT("mamba2", 2560, 236.0, 0.585, 330.2, 0.528),
    SPLIT("gpt2", 1024, 168.3, 0.575, 214.4, 0.535),
    SPLIT("gpt2", 1280, 188.6, 0.662, 250.0, 0.630),
    SPLIT("gpt2", 1600, 202.6, 0.673, 274.7, 0.628),
    SPLIT("mistral", 4096, 241.9, 0.795, 347.3, 0.779),
    SPLIT("olmoe", 2048, 145.7, 0.273, 180.3, 0.245),
    SPLIT("gpt_oss", 2880, 208.8, 0.192, 274.0, 0.173),
    SPLIT("", 2048, 201.3, 0.671, 277.4, 0.613), /* Llama's */
    SPLIT("", 3072, 221.9, 0.715, 317.7, 0.682),
    SPLIT("", 4096, 240.5, 0.743, 341.4, 0.735),
};
enum { N_RATES = sizeof rates / sizeof rates[0] };

/* The rate is what `plan --backend cuda` measured there with 16 processors on 2026-11-30. */
static const struct ko_device_facts facts[] = {{"h200", 139.0 * 0x1p30, 51.7e9}};

const struct ko_device_facts *ko_device_facts_of(const char *device)
{
    size_t k = 0;
    while (k + 1 < sizeof facts / sizeof facts[0] && strcmp(facts[k].device, device) != 0) {
        k++;
    }
    return &facts[k];
}

static enum ko_code fail_unmeasured(const char *device, enum ko_precision precision, bool known,
                                    struct ko_error *err)
{
    struct ko_text names = {0};
    for (size_t k = 0; k < N_RATES; k++) {
        if (k == 0 || strcmp(rates[k].device, rates[k - 1].device) != 0) {
            ko_text_add(&names, "%s%s", names.n ? ", " : "", rates[k].device);
        }
    }
    if (known) {
        (void)ko_fail(err, KO_E_INPUT,
                      "--device: %s was not measured in %s, choose another precision", device,
                      ko_cli_precision_name(precision));
    } else {
        (void)ko_fail(err, KO_E_INPUT, "--device: unknown device '%s', choose one of %s", device,
                      ko_text_str(&names));
    }
    ko_text_free(&names);
    return KO_E_INPUT;
}

enum ko_code ko_device_rate_find(const char *device, enum ko_precision precision,
                                 const char *architecture, int32_t width,
                                 const struct ko_device_rate **out, struct ko_error *err)
{
    const struct ko_device_rate *best = NULL;
    bool known = false;
    for (size_t k = 0; k < N_RATES; k++) {
        if (strcmp(rates[k].device, device) != 0) {
            continue;
        }
        known = true;
        const bool exact = strcmp(rates[k].architecture, architecture) == 0;
        if (rates[k].precision != precision || (!exact && rates[k].architecture[0])) {
            continue;
        }
        const bool best_exact = best && strcmp(best->architecture, architecture) == 0;
        if (!best || (exact && !best_exact) || (exact == best_exact && rates[k].width <= width)) {
            best = &rates[k];
        }
    }
    if (!best) {
        return fail_unmeasured(device, precision, known, err);
    }
    *out = best;
    return KO_OK;
}

double ko_device_rate_flops(const struct ko_device_rate *rate, double exact_share)
{
    const double reached = rate->gemm_flops * rate->fraction;
    return rate->exact_flops > 0
               ? 1 / ((1 - exact_share) / reached + exact_share / rate->exact_flops)
               : reached;
}
