/* SPDX-License-Identifier: Apache-2.0 */
/* Counts the GPUs, and reads their identity and free memory. The identity of a MIG slice comes from
   the driver, because the CUDA runtime only gives that of the whole GPU. */
#include "kernels/cuda/devices.h"

#include <cuda.h>
#include <cuda_runtime.h>
#include <stdio.h>
#include <string.h>

int ko_cuda_device_count(void)
{
    int n = 0;
    if (cudaGetDeviceCount(&n) != cudaSuccess) {
        (void)cudaGetLastError(); /* else the next check would report it */
        return 0;
    }
    return n;
}

static enum ko_code check_device(int device, cudaError_t result, const char *what,
                                 struct ko_error *err)
{
    if (result == cudaSuccess) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_FAILED, "GPU %d: %s: %s", device, what, cudaGetErrorString(result));
}

/* The first CUDA version whose cuDeviceGetUuid tells MIG slices apart. */
enum { UUID_OF_SLICES = 11040 };

/* A function of the driver; NULL if the driver lacks it. The program does not link with the driver,
   so that it starts on machines without one. */
static void *driver_function(const char *name)
{
    void *function = NULL;
    enum cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
    const cudaError_t result = cudaGetDriverEntryPointByVersion(name, &function, UUID_OF_SLICES,
                                                                cudaEnableDefault, &found);
#elif CUDART_VERSION >= 12000
    const cudaError_t result = cudaGetDriverEntryPoint(name, &function, cudaEnableDefault, &found);
#else
    const cudaError_t result = cudaErrorNotSupported;
    (void)name;
#endif
    if (result == cudaSuccess && found == cudaDriverEntryPointSuccess) {
        return function;
    }
    (void)cudaGetLastError(); /* else the next check would report it */
    return NULL;
}

/* The UUID from the driver, which for a MIG slice is the slice's own; the runtime only has that of
   the whole GPU. Returns false if the driver does not have it. */
static bool ask_driver(int device, unsigned char uuid[16])
{
    typedef CUresult get_device(CUdevice *, int);
    typedef CUresult get_uuid(CUuuid *, CUdevice);
    union { /* ISO C has no cast from void * to a function */
        void *object;
        get_device *device;
        get_uuid *uuid;
    } find = {driver_function("cuDeviceGet")}, ask = {driver_function("cuDeviceGetUuid")};
    CUdevice handle = 0;
    CUuuid own;
    if (!find.object || !ask.object || find.device(&handle, device) != CUDA_SUCCESS ||
        ask.uuid(&own, handle) != CUDA_SUCCESS) {
        return false;
    }
    memcpy(uuid, own.bytes, sizeof own.bytes);
    return true;
}

enum ko_code ko_cuda_device_identity(int device, struct ko_cuda_identity *out, struct ko_error *err)
{
    struct cudaDeviceProp properties;
    unsigned char uuid[16];
    const enum ko_code code = check_device(device, cudaGetDeviceProperties(&properties, device),
                                           "cudaGetDeviceProperties", err);
    if (code != KO_OK) {
        return code;
    }
    if (!ask_driver(device, uuid)) {
        memcpy(uuid, properties.uuid.bytes, sizeof uuid);
    }
    struct ko_cuda_identity identity = {.memory_bytes = properties.totalGlobalMem};
    snprintf(identity.name, sizeof identity.name, "%.127s", properties.name);
    identity.slice =
        strstr(identity.name, " MIG ") != NULL; /* "NVIDIA H100 80GB HBM3 MIG 1g.10gb" */
    int n = snprintf(identity.uuid, sizeof identity.uuid, identity.slice ? "MIG-" : "GPU-");
    for (int k = 0; k < 16; k++) {
        const char *dash = k == 4 || k == 6 || k == 8 || k == 10 ? "-" : "";
        n += snprintf(identity.uuid + n, sizeof identity.uuid - (size_t)n, "%s%02x", dash, uuid[k]);
    }
    *out = identity;
    return KO_OK;
}

enum ko_code ko_cuda_memory(int device, size_t *free_bytes, size_t *total_bytes,
                            struct ko_error *err)
{
    enum ko_code code = check_device(device, cudaSetDevice(device), "cudaSetDevice", err);
    if (code == KO_OK) {
        code = check_device(device, cudaMemGetInfo(free_bytes, total_bytes), "cudaMemGetInfo", err);
    }
    return code;
}
