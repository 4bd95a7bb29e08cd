/* SPDX-License-Identifier: Apache-2.0 */
/* Measures how fast weights can stream into a backend, from files that the system's cache holds. */
#ifndef KO_BENCH_STREAM_RATE_H
#define KO_BENCH_STREAM_RATE_H

#include "kernels/kernels.h"
#include "src/base/error.h"

/* *rate: bytes of the slots (src/forward/layer_layout.h) a second, with the threads that a worker of
   n_threads has for it. Takes about a third of a second. */
KO_MUST_CHECK enum ko_code ko_stream_rate_measure(const struct ko_kernels *kernels,
                                                  struct ko_backend *be, int n_threads,
                                                  double *rate, struct ko_error *err);

#endif
