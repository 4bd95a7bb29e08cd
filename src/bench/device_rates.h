/* SPDX-License-Identifier: Apache-2.0 */
/* Rates that were measured on GPUs, to predict the time of a run on a GPU that is not here. */
#ifndef KO_BENCH_DEVICE_RATES_H
#define KO_BENCH_DEVICE_RATES_H

#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"

struct ko_device_rate {
    const char *device; /* "h200": the name for --device */
    const char *title;  /* "NVIDIA H200" */
    enum ko_precision precision;
    const char *architecture; /* of the model, as in the cube; "": every other */
    int32_t width;            /* of its residual stream */
    double gemm_flops;        /* FLOP/s of matrix products at the layers' shapes */
    double fraction;          /* of gemm_flops, reached from the embedding to the metrics */
    /* bf16x3: FLOP/s reached from the embedding to the metrics where all weights are exactly
       bfloat16 and take two products instead of three. 0 in the other precisions. */
    double exact_flops;
    const char *measured; /* date */
};

/* Finds the rate of a device for a model of this architecture and width: that of the widest
   measured model which is not wider, else of the narrowest. KO_E_INPUT for an unknown device (the
   error names the known ones), and for a precision that was not measured on it. *out is borrowed.
   */
KO_MUST_CHECK enum ko_code ko_device_rate_find(const char *device, enum ko_precision precision,
                                               const char *architecture, int32_t width,
                                               const struct ko_device_rate **out,
                                               struct ko_error *err);

/* A device as a whole. */
struct ko_device_facts {
    const char *device;
    double memory_bytes;
    double stream_rate; /* bytes a second of weights that stream, see ko_stream_rate_measure */
};
/* Of a device that ko_device_rate_find knows. Borrowed. */
const struct ko_device_facts *ko_device_facts_of(const char *device);

/* FLOP/s from the embedding to the metrics for a model with this share of exactly bfloat16 numbers
   in its matrices (ko_model_exact_share). */
double ko_device_rate_flops(const struct ko_device_rate *rate, double exact_share);

#endif
