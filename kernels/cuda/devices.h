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

/* How many; 0 where there is no driver or none is visible. */
int ko_cuda_device_count(void);
/* Which one it is. */
struct ko_cuda_identity {
    char uuid[64];  /* "GPU-5d3a...", or of a MIG slice its own, "MIG-5d3a...", as nvidia-smi -L
                       prints them; only drivers before 470 (CUDA 11.4) give slices that of their
                       GPU */
    char name[128]; /* "NVIDIA H200" */
    size_t memory_bytes;
    bool slice; /* of a GPU in MIG mode */
};
KO_MUST_CHECK enum ko_code ko_cuda_device_identity(int device, struct ko_cuda_identity *out,
                                                   struct ko_error *err);
/* Of the device, with what other processes hold; makes its context. */
KO_MUST_CHECK enum ko_code ko_cuda_memory(int device, size_t *free_bytes, size_t *total_bytes,
                                          struct ko_error *err);

#ifdef __cplusplus
}
#endif

#endif
