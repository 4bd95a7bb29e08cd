/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the text of options into values: log level, threads, precision, backend. */
#ifndef KO_RUN_SETTINGS_H
#define KO_RUN_SETTINGS_H

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/base/log.h"
#include "src/base/machine/cpus.h"
#include "src/forward/device_memory.h"
#include "src/options/options.h"

/* Option --log-level as a level. */
KO_MUST_CHECK enum ko_code ko_cli_log_level(const struct ko_options *options,
                                            enum ko_log_level *out, struct ko_error *err);
/* KO_E_INPUT for a --threads that is too large. */
KO_MUST_CHECK enum ko_code ko_cli_check_threads(const struct ko_options *options,
                                                struct ko_error *err);
/* The threads of a process that is alone on this machine, from --threads and the environment
   (src/base/machine/cpus.h). */
KO_MUST_CHECK enum ko_code ko_cli_threads(const struct ko_options *options, struct ko_threads *out,
                                          struct ko_error *err);
/* The precision of --precision, or of a name; and a precision's name. KO_E_INPUT for a precision
   that this build lacks. */
KO_MUST_CHECK enum ko_code ko_cli_precision(const struct ko_options *options,
                                            enum ko_precision *out, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_cli_precision_named(const char *name, enum ko_precision *out,
                                                  struct ko_error *err);
const char *ko_cli_precision_name(enum ko_precision precision);
/* Options --weights and --memory-limit (bytes; 0: not given). KO_E_INPUT for a size that is not a
   number with one of the units B, kB, MB, GB, TB, KiB, MiB, GiB and TiB, or not positive. */
KO_MUST_CHECK enum ko_code ko_cli_weights(const struct ko_options *options,
                                          enum ko_weights_mode *mode, double *limit,
                                          struct ko_error *err);
/* The backend of a single process: --backend, else cuda if this process sees a GPU, else cpu.
   KO_E_INPUT for a backend that this build lacks, and for cuda without a GPU. */
KO_MUST_CHECK enum ko_code ko_cli_backend(const struct ko_options *options, const char **out,
                                          struct ko_error *err);
/* The backend of GPUs that this machine may lack: cuda. KO_E_INPUT for --backend cpu. */
KO_MUST_CHECK enum ko_code ko_cli_backend_elsewhere(const struct ko_options *options,
                                                    const char **out, struct ko_error *err);
/* KO_E_INPUT if the backend does not compute in this precision. */
KO_MUST_CHECK enum ko_code ko_cli_check_precision(const char *backend, enum ko_precision precision,
                                                  struct ko_error *err);

#endif
