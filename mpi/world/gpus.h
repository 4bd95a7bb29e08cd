/* SPDX-License-Identifier: Apache-2.0 */
/* The GPUs that this process sees. */
#ifndef KO_MPI_WORLD_GPUS_H
#define KO_MPI_WORLD_GPUS_H

#include <stdbool.h>

#include "src/base/error.h"

struct ko_gpu {
    int device;          /* index among the GPUs that the process sees */
    char uuid[64];       /* "GPU-5d3a...", of a MIG slice its own "MIG-5d3a..." */
    char name[128];      /* "NVIDIA H200" */
    double memory_bytes; /* all of it */
    bool slice;          /* a slice of a GPU in MIG mode, on which NCCL does not work */
};

/* The number of visible GPUs; 0 without a driver or in a build without CUDA. */
int ko_gpus_visible(void);
KO_MUST_CHECK enum ko_code ko_gpu_identify(int device, struct ko_gpu *out, struct ko_error *err);
/* Memory in use by all processes. Creates the device's context, which is included. */
KO_MUST_CHECK enum ko_code ko_gpu_used_bytes(int device, double *bytes, struct ko_error *err);

#endif
