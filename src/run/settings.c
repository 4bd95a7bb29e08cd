/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the text of --log-level, --threads, --precision and --backend into values, and rejects
   values that this build or machine does not support. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/backends/backends.h"
#include "mpi/world/gpus.h"
#include "mpi/world/sight.h"
#include "src/base/text.h"
#include "src/run/settings.h"

enum { MOST_THREADS = 4096 };

static const char *const precisions[] = {"float32", "bf16x3", "tf32", "bfloat16"};

const char *ko_cli_precision_name(enum ko_precision precision)
{
    return precisions[precision];
}

enum ko_code ko_cli_log_level(const struct ko_options *options, enum ko_log_level *out,
                              struct ko_error *err)
{
    static const char *const words[] = {"error", "warn", "info", "debug"};
    const char *text = ko_option_string(options, KO_OPT_LOG_LEVEL);
    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
        if (strcmp(text, words[k]) == 0) {
            *out = (enum ko_log_level)k;
            return KO_OK;
        }
    }
    return ko_fail(err, KO_E_INPUT,
                   "--log-level: unknown level '%s', choose error, warn, info or debug", text);
}

enum ko_code ko_cli_check_threads(const struct ko_options *options, struct ko_error *err)
{
    const int64_t threads = ko_option_int(options, KO_OPT_THREADS);
    if (threads <= MOST_THREADS) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_INPUT, "--threads: %lld is out of range, choose at most %d",
                   (long long)threads, MOST_THREADS);
}

enum ko_code ko_cli_threads(const struct ko_options *options, struct ko_threads *out,
                            struct ko_error *err)
{
    const enum ko_code code = ko_cli_check_threads(options, err);
    return code == KO_OK ? ko_threads_here((int)ko_option_int(options, KO_OPT_THREADS), out, err)
                         : code;
}

enum ko_code ko_cli_precision(const struct ko_options *options, enum ko_precision *out,
                              struct ko_error *err)
{
    return ko_cli_precision_named(ko_option_string(options, KO_OPT_PRECISION), out, err);
}

enum ko_code ko_cli_precision_named(const char *text, enum ko_precision *out, struct ko_error *err)
{
    for (size_t k = 0; k < sizeof precisions / sizeof precisions[0]; k++) {
        if (strcmp(text, precisions[k]) == 0) {
            *out = (enum ko_precision)k;
            return KO_OK;
        }
    }
    return ko_fail(err, KO_E_INPUT, "precision: this build does not offer '%s', choose %s", text,
                   ko_backend_cuda() ? "float32, or with cuda bf16x3, tf32 or bfloat16"
                                     : "float32");
}

enum ko_code ko_cli_check_precision(const char *backend, enum ko_precision precision,
                                    struct ko_error *err)
{
    if (precision == KO_FLOAT32 || !ko_backend_find(backend) ||
        ko_backend_find(backend)->own_memory) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_INPUT,
                   "precision: %s computes in float32, got %s, choose float32 or a GPU", backend,
                   precisions[precision]);
}

static enum ko_code parse_size(const char *text, double *bytes, struct ko_error *err)
{
    static const struct {
        const char *name;
        double bytes;
    } units[] = {{"", 1},      {"B", 1},        {"kB", 1e3},     {"MB", 1e6},     {"GB", 1e9},
                 {"TB", 1e12}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
    char *unit = NULL;
    const double number = strtod(text, &unit);
    unit += strspn(unit, " ");
    for (size_t k = 0; unit != text && k < sizeof units / sizeof units[0]; k++) {
        if (strcmp(unit, units[k].name) == 0 && number > 0 && isfinite(number)) {
            *bytes = number * units[k].bytes;
            return KO_OK;
        }
    }
    return ko_fail(err, KO_E_INPUT,
                   "--memory-limit: expected a size such as 6GiB or 24GB, got '%s'", text);
}

enum ko_code ko_cli_weights(const struct ko_options *options, enum ko_weights_mode *mode,
                            double *limit, struct ko_error *err)
{
    const char *word = ko_option_string(options, KO_OPT_WEIGHTS);
    *mode = strcmp(word, "stream") == 0     ? KO_WEIGHTS_STREAM
            : strcmp(word, "resident") == 0 ? KO_WEIGHTS_RESIDENT
                                            : KO_WEIGHTS_AUTO;
    *limit = 0;
    return ko_option_given(options, KO_OPT_MEMORY_LIMIT)
               ? parse_size(ko_option_string(options, KO_OPT_MEMORY_LIMIT), limit, err)
               : KO_OK;
}

enum ko_code ko_cli_backend(const struct ko_options *options, const char **out,
                            struct ko_error *err)
{
    struct ko_sight sight;
    ko_sight_look("this machine", 0, &sight);
    return ko_backend_choose(ko_option_string(options, KO_OPT_BACKEND), ko_backend_cuda() != NULL,
                             &sight, 1, out, err);
}

enum ko_code ko_cli_backend_elsewhere(const struct ko_options *options, const char **out,
                                      struct ko_error *err)
{
    const char *wanted = ko_option_string(options, KO_OPT_BACKEND);
    const struct ko_sight sight = {.n_visible = 1};
    if (wanted && strcmp(wanted, "cpu") == 0) {
        return ko_fail(err, KO_E_INPUT,
                       "--device: names a GPU, and the backend is cpu, leave one of the two out");
    }
    return ko_backend_choose("cuda", ko_backend_cuda() != NULL, &sight, 1, out, err);
}
