#include "kernels/cuda/devices.h"

#include <cuda_runtime.h>
#include <stdio.h>

int ko_cuda_device_count(void)
{
    int n = 0;
    if (cudaGetDeviceCount(&n) != cudaSuccess) {
        (void)cudaGetLastError(); /* it would come out at the next call's check */
        return 0;
    }
    return n;
}

static enum ko_code check(int device, cudaError_t result, const char *what, struct ko_error *err)
{
    if (result == cudaSuccess) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_FAILED, "GPU %d: %s: %s", device, what, cudaGetErrorString(result));
}

enum ko_code ko_cuda_device_identity(int device, char uuid[64], char name[128],
                                     size_t *memory_bytes, struct ko_error *err)
{
    struct cudaDeviceProp properties;
    const enum ko_code code =
        check(device, cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties", err);
    if (code != KO_OK) {
        return code;
    }
    int n = snprintf(uuid, 64, "GPU-");
    for (int k = 0; k < 16; k++) {
        const char *dash = k == 4 || k == 6 || k == 8 || k == 10 ? "-" : "";
        n += snprintf(uuid + n, 64 - (size_t)n, "%s%02x", dash,
                      (unsigned)(unsigned char)properties.uuid.bytes[k]);
    }
    snprintf(name, 128, "%.127s", properties.name);
    *memory_bytes = properties.totalGlobalMem;
    return KO_OK;
}

enum ko_code ko_cuda_memory(int device, size_t *free_bytes, size_t *total_bytes,
                            struct ko_error *err)
{
    enum ko_code code = check(device, cudaSetDevice(device), "cudaSetDevice", err);
    if (code == KO_OK) {
        code = check(device, cudaMemGetInfo(free_bytes, total_bytes), "cudaMemGetInfo", err);
    }
    return code;
}
