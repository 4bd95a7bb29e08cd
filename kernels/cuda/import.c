/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads weights in the type that the file has, and converts them on the device. There are two
   pinned buffers, so that one is filled while the other is copied. */
#include <string.h>

#include "kernels/cuda/cuda.h"

static const unsigned long long none_bad = ~0ULL;

/* One of the two buffers, on the host and on the device, and its event. */
static enum ko_code allocate_buffer(struct ko_backend *be, int k, struct ko_error *err)
{
    void *device = NULL;
    enum ko_code code =
        ko_cuda_check(be, cudaMallocHost((void **)&be->import_host[k], KO_CUDA_IMPORT_BYTES),
                      "pinned memory of the host", err);
    if (code != KO_OK) {
        return code;
    }
    code = ko_cuda_alloc(be, KO_CUDA_IMPORT_BYTES, &device, err);
    be->import_device[k] = device;
    if (code != KO_OK) {
        return code;
    }
    return ko_cuda_check(be, cudaEventCreateWithFlags(&be->import_done[k], cudaEventDisableTiming),
                         "cudaEventCreate", err);
}

/* Allocates the buffers at the first import. */
static enum ko_code start_imports(struct ko_backend *be, struct ko_error *err)
{
    void *bad = NULL;
    if (be->import_bad) {
        return KO_OK;
    }
    enum ko_code code = allocate_buffer(be, 0, err);
    if (code == KO_OK) {
        code = allocate_buffer(be, 1, err);
    }
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

/* As many elements as a buffer holds, at most. args->from is host memory. */
static enum ko_code import_piece(struct ko_backend *be, const struct ko_import *args,
                                 struct ko_error *err)
{
    const int k = be->import_next;
    const size_t bytes = args->n * ko_element_bytes(args->from_type);
    struct ko_import on_device = *args;
    on_device.from = be->import_device[k];
    enum ko_code code =
        ko_cuda_check(be, cudaEventSynchronize(be->import_done[k]), "an operation", err);
    if (code != KO_OK) {
        return code;
    }
    memcpy(be->import_host[k], args->from, bytes);
    code = ko_cuda_check(be,
                         cudaMemcpyAsync(be->import_device[k], be->import_host[k], bytes,
                                         cudaMemcpyHostToDevice, be->stream),
                         "upload", err);
    if (code == KO_OK) {
        code = ko_cuda_convert_checked(be, &on_device, err);
    }
    if (code == KO_OK) {
        code = ko_cuda_check(be, cudaEventRecord(be->import_done[k], be->stream), "cudaEventRecord",
                             err);
    }
    be->import_count += (int64_t)args->n;
    be->import_next = 1 - k;
    return code;
}

enum ko_code ko_cuda_import(struct ko_backend *be, const struct ko_import *args,
                            struct ko_error *err)
{
    const size_t size = ko_element_bytes(args->from_type), most = KO_CUDA_IMPORT_BYTES / size;
    enum ko_code code = ko_cuda_check(be, cudaSetDevice(be->device), "cudaSetDevice", err);
    if (code == KO_OK) {
        code = start_imports(be, err);
    }
    for (size_t done = 0; code == KO_OK && done < args->n; done += most) {
        struct ko_import piece = *args;
        piece.first = args->first + done;
        piece.from = (const unsigned char *)args->from + done * size;
        piece.n = args->n - done < most ? args->n - done : most;
        code = import_piece(be, &piece, err);
    }
    return code;
}

enum ko_code ko_cuda_import_end(struct ko_backend *be, int64_t *bad, struct ko_error *err)
{
    unsigned long long found = none_bad;
    enum ko_code code = start_imports(be, err);
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
