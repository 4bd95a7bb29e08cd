#include "src/cli/device_rates.h"

#include <string.h>

#include "src/base/text.h"
#include "src/cli/cli.h"

/* Rates of the products at 4096 rows, from 2026-11-22; fractions are the least that is aimed at,
   not yet measured. `knockout bench --shape ... --precision ... --json` says both. */
#define H200(precision, architecture, tflops, fraction)                                            \
    {                                                                                              \
        "h200", "NVIDIA H200", precision, architecture, (tflops)*1e12, fraction, "2026-11-22"      \
    }

static const struct ko_device_rate rates[] = {
    H200(KO_FLOAT32, "", 45, 0.65),
    H200(KO_TF32, "", 340, 0.45),
    H200(KO_BFLOAT16, "", 700, 0.45),
};
enum { N_RATES = sizeof rates / sizeof rates[0] };

static enum ko_code fail(const char *device, enum ko_precision precision, bool known,
                         struct ko_error *err)
{
    struct ko_text names = {0};
    for (size_t k = 0; k < N_RATES; k++)
        if (k == 0 || strcmp(rates[k].device, rates[k - 1].device) != 0)
            ko_text_add(&names, "%s%s", names.n ? ", " : "", rates[k].device);
    if (known)
        (void)ko_fail(err, KO_E_INPUT, "--device: %s was not measured in %s", device,
                      ko_cli_precision_name(precision));
    else
        (void)ko_fail(err, KO_E_INPUT, "--device: unknown device '%s', choose one of %s", device,
                      ko_text_str(&names));
    ko_text_free(&names);
    return KO_E_INPUT;
}

enum ko_code ko_device_rate(const char *device, enum ko_precision precision,
                            const char *architecture, const struct ko_device_rate **out,
                            struct ko_error *err)
{
    const struct ko_device_rate *best = NULL;
    bool known = false;
    for (size_t k = 0; k < N_RATES; k++) {
        if (strcmp(rates[k].device, device) != 0)
            continue;
        known = true;
        const bool exact = strcmp(rates[k].architecture, architecture) == 0;
        if (rates[k].precision == precision && (exact || (!best && !rates[k].architecture[0])))
            best = &rates[k];
    }
    if (!best)
        return fail(device, precision, known, err);
    *out = best;
    return KO_OK;
}
