/* The GPUs that this process sees. */
#ifndef KO_KERNELS_CUDA_DEVICES_H
#define KO_KERNELS_CUDA_DEVICES_H

#include <stddef.h>

#include "src/base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How many; 0 where there is no driver or none is visible. */
int ko_cuda_device_count(void);
/* "GPU-5d3a..." as nvidia-smi prints it, "NVIDIA H200", and its memory. */
KO_MUST_CHECK enum ko_code ko_cuda_device_identity(int device, char uuid[64], char name[128],
                                                   size_t *memory_bytes, struct ko_error *err);
/* Of the device, with what other processes hold; makes its context. */
KO_MUST_CHECK enum ko_code ko_cuda_memory(int device, size_t *free_bytes, size_t *total_bytes,
                                          struct ko_error *err);

#ifdef __cplusplus
}
#endif

#endif
