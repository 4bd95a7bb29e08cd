/* SPDX-License-Identifier: Apache-2.0 */
/* Options as the settings that they stand for: log level, threads, precision, backend. */
#ifndef KO_RUN_SETTINGS_H
#define KO_RUN_SETTINGS_H

#include "kernels/kernels.h"
#include "src/base/cpus.h"
#include "src/base/error.h"
#include "src/base/log.h"
#include "src/options/options.h"

/* Option --log-level as a level. */
KO_MUST_CHECK enum ko_code ko_cli_log_level(const struct ko_options *options,
                                            enum ko_log_level *out, struct ko_error *err);
/* KO_E_INPUT for a --threads beyond what anybody means. */
KO_MUST_CHECK enum ko_code ko_cli_check_threads(const struct ko_options *options,
                                                struct ko_error *err);
/* The threads of a process that is alone on this machine: --threads, or what follows from it and
   the environment (src/base/cpus.h). */
KO_MUST_CHECK enum ko_code ko_cli_threads(const struct ko_options *options, struct ko_threads *out,
                                          struct ko_error *err);
/* Option --precision as a precision, a precision by its name, and its name. KO_E_INPUT for one that
   this build does not offer. */
KO_MUST_CHECK enum ko_code ko_cli_precision(const struct ko_options *options,
                                            enum ko_precision *out, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cli_precision_named(const char *name, enum ko_precision *out,
                                                  struct ko_error *err);
const char *ko_cli_precision_name(enum ko_precision precision);
/* Option --backend for what this process sees alone: what was asked for, else cuda where a GPU is
   visible, else cpu. KO_E_INPUT for one that this build lacks, and for cuda without a GPU. */
KO_MUST_CHECK enum ko_code ko_cli_backend(const struct ko_options *options, const char **out,
                                          struct ko_error *err);
/* For what computes elsewhere, on GPUs: --backend, by default cuda. */
KO_MUST_CHECK enum ko_code ko_cli_backend_elsewhere(const struct ko_options *options,
                                                    const char **out, struct ko_error *err);
/* KO_E_INPUT where the backend does not compute at this precision. */
KO_MUST_CHECK enum ko_code ko_cli_check_precision(const char *backend, enum ko_precision precision,
                                                  struct ko_error *err);

#endif
