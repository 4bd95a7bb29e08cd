/* SPDX-License-Identifier: Apache-2.0 */
/* Turns error codes of CUDA and cuBLAS into our errors. Each message names the GPU and the call
   that failed. */
#include "kernels/cuda/cuda.h"

enum ko_code ko_cuda_check(const struct ko_backend *be, cudaError_t result, const char *what,
                           struct ko_error *err)
{
    if (result == cudaSuccess) {
        return KO_OK;
    }
    (void)cudaGetLastError();
    const enum ko_code code = result == cudaErrorMemoryAllocation ? KO_E_MEMORY : KO_E_FAILED;
    return ko_fail(err, code, "GPU %d (%s): %s: %s", be->device, be->uuid, what,
                   cudaGetErrorString(result));
}

enum ko_code ko_cublas_check(const struct ko_backend *be, cublasStatus_t result, const char *what,
                             struct ko_error *err)
{
    if (result == CUBLAS_STATUS_SUCCESS) {
        return KO_OK;
    }
    const enum ko_code code = result == CUBLAS_STATUS_ALLOC_FAILED ? KO_E_MEMORY : KO_E_FAILED;
    return ko_fail(err, code, "GPU %d (%s): %s: %s", be->device, be->uuid, what,
                   cublasLtGetStatusString(result));
}

enum ko_code ko_cuda_launched(const struct ko_backend *be, const char *what, struct ko_error *err)
{
    return ko_cuda_check(be, cudaGetLastError(), what, err);
}
