/* SPDX-License-Identifier: Apache-2.0 */
/* What GPUs were measured to reach, for predictions where there is none to measure. */
#ifndef KO_BENCH_DEVICE_RATES_H
#define KO_BENCH_DEVICE_RATES_H

#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"

struct ko_device_rate {
    const char *device; /* "h200": what --device names */
    const char *title;  /* "NVIDIA H200" */
    enum ko_precision precision;
    const char *architecture; /* of the model, as the cube calls it; "": every other */
    int32_t width;            /* of its residual stream */
    double gemm_flops;        /* FLOP/s of matrix products at the layers' shapes */
    double fraction;          /* of it, reached from the embedding to the metrics */
    const char *measured;     /* when */
};

/* The rate of that device for a model of this architecture and width: of the widest measured one
   that is no wider, else of the narrowest. KO_E_INPUT for an unknown device, naming those that are
   known, and for a precision that was not measured on it. *out is borrowed. */
KO_MUST_CHECK enum ko_code ko_device_rate(const char *device, enum ko_precision precision,
                                          const char *architecture, int32_t width,
                                          const struct ko_device_rate **out, struct ko_error *err);

#endif
