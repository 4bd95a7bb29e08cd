#include <string.h>

#include "mpi/job.h"
#include "src/base/text.h"
#include "src/cli/cli.h"

enum ko_code ko_cli_log_level(const struct ko_options *options, enum ko_log_level *out,
                              struct ko_error *err)
{
    static const char *const words[] = {"error", "warn", "info", "debug"};
    const char *text = ko_option_string(options, KO_OPT_LOG_LEVEL);
    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
        if (strcmp(text, words[k]) == 0) {
            *out = (enum ko_log_level)k;
            return KO_OK;
        }
    return ko_fail(err, KO_E_INPUT,
                   "--log-level: unknown level '%s', choose error, warn, info or debug", text);
}

enum ko_code ko_cli_precision(const struct ko_options *options, enum ko_precision *out,
                              struct ko_error *err)
{
    static const char *const words[] = {"float32", "tf32", "bfloat16"};
    const char *text = ko_option_string(options, KO_OPT_PRECISION);
    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++)
        if (strcmp(text, words[k]) == 0) {
            *out = (enum ko_precision)k;
            return KO_OK;
        }
    return ko_fail(err, KO_E_INPUT, "precision: this build does not offer '%s', choose float32",
                   text);
}

enum ko_code ko_cli_backend(const struct ko_options *options, const char **out,
                            struct ko_error *err)
{
    const char *text = ko_option_string(options, KO_OPT_BACKEND);
    const char *name = text && text[0] != '\0' ? text : ko_kernels_cpu.name;
    const struct ko_kernels *kernels = ko_backend_find(name);
    if (!kernels)
        return ko_fail(err, KO_E_INPUT, "backend: this build has no backend '%s', choose cpu",
                       name);
    *out = kernels->name;
    return KO_OK;
}
