/* SPDX-License-Identifier: Apache-2.0 */
/* The GPUs that this process sees. */
#ifndef KO_KERNELS_CUDA_DEVICES_H
#define KO_KERNELS_CUDA_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The number of GPUs; 0 without a driver. */
int ko_cuda_device_count(void);

struct ko_cuda_identity {
    /* "GPU-5d3a...", or "MIG-5d3a..." for a MIG slice, as nvidia-smi -L prints them. Drivers before
       470 (CUDA 11.4) give a slice the UUID of its GPU. */
    char uuid[64];
    char name[128]; /* "NVIDIA H200" */
    size_t memory_bytes;
    bool slice; /* a slice of a GPU in MIG mode */
};
KO_MUST_CHECK enum ko_code ko_cuda_device_identity(int device, struct ko_cuda_identity *out,
                                                   struct ko_error *err);

/* The free memory of the device, which other processes reduce, and its total. Creates its context.
 */
KO_MUST_CHECK enum ko_code ko_cuda_memory(int device, size_t *free_bytes, size_t *total_bytes,
                                          struct ko_error *err);

#ifdef __cplusplus
}
#endif

#endif
