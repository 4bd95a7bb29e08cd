/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and closes one GPU, with its stream and its cuBLAS handle, and lists the functions of the
   GPU backend in ko_kernels_cuda. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/devices.h"
#include "src/base/memory.h"

static enum ko_code open_device(struct ko_backend *be, struct ko_error *err)
{
    struct ko_cuda_identity identity;
    enum ko_code code = ko_cuda_device_identity(be->device, &identity, err);
    if (code != KO_OK) {
        return code;
    }
    snprintf(be->uuid, sizeof be->uuid, "%s", identity.uuid);
    const int blas = (int)cublasLtGetVersion();
    snprintf(be->name, sizeof be->name, "%s, CUDA %d.%d, cuBLAS %d.%d.%d", identity.name,
             CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10, blas / 10000, blas % 10000 / 100,
             blas % 100);
    code = ko_cuda_check(be, cudaSetDevice(be->device), "cudaSetDevice", err);
    if (code == KO_OK) {
        code = ko_cuda_check(be, cudaStreamCreateWithFlags(&be->stream, cudaStreamNonBlocking),
                             "cudaStreamCreate", err);
    }
    if (code == KO_OK) {
        code = ko_cublas_check(be, cublasLtCreate(&be->blas), "cublasLtCreate", err);
    }
    if (code == KO_OK) {
        code = ko_cuda_import_open(be, err);
    }
    return code == KO_OK ? ko_cuda_algorithms_new(&be->algorithms, err) : code;
}

static void cuda_close(struct ko_backend *be)
{
    if (!be) {
        return;
    }
    (void)cudaSetDevice(be->device);
    ko_cuda_unreserve(be);
    ko_cuda_import_free(be);
    ko_cuda_tables_free(&be->tables);
    ko_cuda_algorithms_free(be->algorithms);
    if (be->blas) {
        (void)cublasLtDestroy(be->blas);
    }
    if (be->stream) {
        (void)cudaStreamDestroy(be->stream);
    }
    free(be);
}

static enum ko_code cuda_open(const struct ko_backend_config *config, struct ko_backend **out,
                              struct ko_error *err)
{
    const int n = ko_cuda_device_count();
    if (n == 0) {
        return ko_fail(err, KO_E_INPUT, "backend: cuda: no GPU is visible, choose --backend cpu");
    }
    if (config->device < 0 || config->device >= n) {
        return ko_fail(err, KO_E_INPUT, "backend: cuda: GPU %d was asked for, %d are visible",
                       config->device, n);
    }
    struct ko_backend *be = ko_new(1, sizeof *be, err);
    if (!be) {
        return KO_E_MEMORY;
    }
    be->device = config->device;
    be->precision = config->precision;
    const enum ko_code code = open_device(be, err);
    if (code != KO_OK) {
        cuda_close(be);
        return code;
    }
    *out = be;
    return KO_OK;
}

static void cuda_describe(const struct ko_backend *be, char *text, size_t n)
{
    snprintf(text, n, "%s", be->name);
}

static enum ko_element cuda_matrix_type(enum ko_precision precision)
{
    return precision == KO_BFLOAT16 ? KO_ELEMENT_BF16
           : precision == KO_BF16X3 ? KO_ELEMENT_BF16X2
                                    : KO_ELEMENT_F32;
}

const struct ko_kernels ko_kernels_cuda = {.name = "cuda",
                                           .own_memory = true,
                                           .open = cuda_open,
                                           .close = cuda_close,
                                           .describe = cuda_describe,
                                           .alloc = ko_cuda_alloc,
                                           .release = ko_cuda_release,
                                           .upload = ko_cuda_upload,
                                           .download = ko_cuda_download,
                                           .matrix_type = cuda_matrix_type,
                                           .reserved_bytes = ko_cuda_reserved_bytes,
                                           .reserve = ko_cuda_reserve,
                                           .import = ko_cuda_import,
                                           .import_end = ko_cuda_import_end,
                                           .convert = ko_cuda_convert,
                                           .copier_open = ko_cuda_copier_open,
                                           .wait = ko_cuda_wait,
                                           .set_rows = ko_cuda_set_rows,
#define KO_ENTRY(name, args) .name = ko_cuda_##name,
                                           KO_OPERATIONS(KO_ENTRY)
#undef KO_ENTRY
};
