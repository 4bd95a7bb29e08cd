/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the CUDA backend for its GPUs. In a build without CUDA there are no GPUs. */
#include "mpi/world/gpus.h"

#if KO_HAVE_CUDA

#include <string.h>

#include "kernels/cuda/devices.h"

int ko_gpus_visible(void)
{
    return ko_cuda_device_count();
}

enum ko_code ko_gpu_identify(int device, struct ko_gpu *out, struct ko_error *err)
{
    struct ko_cuda_identity identity;
    const enum ko_code code = ko_cuda_device_identity(device, &identity, err);
    if (code != KO_OK) {
        return code;
    }
    *out = (struct ko_gpu){
        .device = device, .memory_bytes = (double)identity.memory_bytes, .slice = identity.slice};
    memcpy(out->uuid, identity.uuid, sizeof out->uuid);
    memcpy(out->name, identity.name, sizeof out->name);
    return KO_OK;
}

enum ko_code ko_gpu_used_bytes(int device, double *bytes, struct ko_error *err)
{
    size_t free_bytes = 0, total_bytes = 0;
    const enum ko_code code = ko_cuda_memory(device, &free_bytes, &total_bytes, err);
    if (code == KO_OK) {
        *bytes = (double)(total_bytes - free_bytes);
    }
    return code;
}

#else

int ko_gpus_visible(void)
{
    return 0;
}

static enum ko_code not_built(struct ko_error *err)
{
    return ko_fail(err, KO_E_INPUT, "backend: this build has no backend 'cuda'");
}

enum ko_code ko_gpu_identify(int device, struct ko_gpu *out, struct ko_error *err)
{
    (void)device;
    (void)out;
    return not_built(err);
}

enum ko_code ko_gpu_used_bytes(int device, double *bytes, struct ko_error *err)
{
    (void)device;
    (void)bytes;
    return not_built(err);
}

#endif
