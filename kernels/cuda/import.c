/* SPDX-License-Identifier: Apache-2.0 */
/* Weights on their way to the device, in the type that the file has them in: two pinned buffers, so
   that one is filled while the other is on its way. */
#include <string.h>

#include "kernels/cuda/cuda.h"

static const unsigned long long none_bad = ~0ULL;

static enum ko_code start(struct ko_backend *be, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    if (be->import_bad) {
        return KO_OK;
    }
    for (int k = 0; code == KO_OK && k < 2; k++) {
        code = ko_cuda_check(be, cudaMallocHost((void **)&be->import_host[k], KO_CUDA_IMPORT_BYTES),
                             "pinned memory of the host", err);
        void *device = NULL;
        if (code == KO_OK) {
            code = ko_cuda_alloc(be, KO_CUDA_IMPORT_BYTES, &device, err);
            be->import_device[k] = device;
        }
        if (code == KO_OK) {
            code = ko_cuda_check(
                be, cudaEventCreateWithFlags(&be->import_done[k], cudaEventDisableTiming),
                "cudaEventCreate", err);
        }
    }
    void *bad = NULL;
    if (code == KO_OK) {
        code = ko_cuda_alloc(be, sizeof none_bad, &bad, err);
    }
    if (code == KO_OK) {
        code = ko_cuda_upload(be, bad, &none_bad, sizeof none_bad, err);
        be->import_bad = bad;
    }
    if (code != KO_OK) {
        ko_cuda_import_free(be);
    }
    return code;
}

void ko_cuda_import_free(struct ko_backend *be)
{
    (void)cudaSetDevice(be->device);
    for (int k = 0; k < 2; k++) {
        (void)cudaFreeHost(be->import_host[k]);
        (void)cudaFree(be->import_device[k]);
        if (be->import_done[k]) {
            (void)cudaEventDestroy(be->import_done[k]);
        }
        be->import_host[k] = be->import_device[k] = NULL;
        be->import_done[k] = NULL;
    }
    (void)cudaFree(be->import_bad);
    be->import_bad = NULL;
}

static enum ko_code import_piece(struct ko_backend *be, void *to, enum ko_element to_type,
                                 const void *from, enum ko_element from_type, size_t n,
                                 struct ko_error *err)
{
    const int k = be->import_next;
    const size_t bytes = n * ko_element_bytes(from_type);
    enum ko_code code =
        ko_cuda_check(be, cudaEventSynchronize(be->import_done[k]), "an operation", err);
    if (code != KO_OK) {
        return code;
    }
    memcpy(be->import_host[k], from, bytes);
    code = ko_cuda_check(be,
                         cudaMemcpyAsync(be->import_device[k], be->import_host[k], bytes,
                                         cudaMemcpyHostToDevice, be->stream),
                         "upload", err);
    if (code == KO_OK) {
        code = ko_cuda_convert(be, to, to_type, be->import_device[k], from_type, n,
                               be->import_count, err);
    }
    if (code == KO_OK) {
        code = ko_cuda_check(be, cudaEventRecord(be->import_done[k], be->stream), "cudaEventRecord",
                             err);
    }
    be->import_count += (int64_t)n;
    be->import_next = 1 - k;
    return code;
}

enum ko_code ko_cuda_import(struct ko_backend *be, void *to, enum ko_element to_type,
                            const void *from_host, enum ko_element from_type, size_t n,
                            struct ko_error *err)
{
    const size_t piece = KO_CUDA_IMPORT_BYTES / ko_element_bytes(from_type);
    enum ko_code code = ko_cuda_check(be, cudaSetDevice(be->device), "cudaSetDevice", err);
    if (code == KO_OK) {
        code = start(be, err);
    }
    for (size_t first = 0; code == KO_OK && first < n; first += piece) {
        code = import_piece(be, (unsigned char *)to + first * ko_element_bytes(to_type), to_type,
                            (const unsigned char *)from_host + first * ko_element_bytes(from_type),
                            from_type, n - first < piece ? n - first : piece, err);
    }
    return code;
}

enum ko_code ko_cuda_import_end(struct ko_backend *be, int64_t *bad, struct ko_error *err)
{
    unsigned long long found = none_bad;
    enum ko_code code = start(be, err);
    if (code == KO_OK) {
        code = ko_cuda_download(be, &found, be->import_bad, sizeof found, err);
    }
    if (code == KO_OK && found != none_bad) {
        code = ko_cuda_upload(be, be->import_bad, &none_bad, sizeof none_bad, err);
    }
    *bad = found == none_bad ? -1 : (int64_t)found;
    be->import_count = 0;
    return code;
}
