/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads weights in the type that the file has, and converts them on the device. Threads do so at
   once, each in a lane with buffers of its own. All lanes use the backend's stream. */
#include <string.h>

#include "kernels/cuda/cuda.h"

static const unsigned long long none_bad = ~0ULL;

enum ko_code ko_cuda_import_open(struct ko_backend *be, struct ko_error *err)
{
    void *bad = NULL;
    enum ko_code code = ko_cuda_alloc(be, sizeof none_bad, &bad, err);
    be->import_bad = bad;
    return code == KO_OK ? ko_cuda_upload(be, bad, &none_bad, sizeof none_bad, err) : code;
}

/* One of the lane's buffers, on the host and on the device, and its event. A thread that waits for
   the event sleeps: it shares the processors with others. */
static enum ko_code allocate_buffer(const struct ko_backend *be, struct ko_cuda_import_lane *lane,
                                    int k, struct ko_error *err)
{
    enum ko_code code =
        ko_cuda_check(be, cudaMallocHost((void **)&lane->host[k], KO_CUDA_IMPORT_BYTES),
                      "pinned memory of the host", err);
    if (code == KO_OK) {
        code = ko_cuda_check(be, cudaMalloc((void **)&lane->device[k], KO_CUDA_IMPORT_BYTES),
                             "memory for loading weights", err);
    }
    if (code == KO_OK) {
        code = ko_cuda_check(be,
                             cudaEventCreateWithFlags(&lane->done[k], cudaEventDisableTiming |
                                                                          cudaEventBlockingSync),
                             "cudaEventCreate", err);
    }
    return code;
}

static void free_lane(struct ko_cuda_import_lane *lane)
{
    for (int k = 0; k < 2; k++) {
        (void)cudaFreeHost(lane->host[k]);
        (void)cudaFree(lane->device[k]);
        if (lane->done[k]) {
            (void)cudaEventDestroy(lane->done[k]);
        }
    }
    *lane = (struct ko_cuda_import_lane){0};
}

/* Allocates the lane's buffers at its first import. */
static enum ko_code start_lane(const struct ko_backend *be, struct ko_cuda_import_lane *lane,
                               struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int k = 0; code == KO_OK && k < 2; k++) {
        code = lane->done[k] ? KO_OK : allocate_buffer(be, lane, k, err);
    }
    if (code != KO_OK) {
        free_lane(lane);
    }
    return code;
}

void ko_cuda_import_free(struct ko_backend *be)
{
    (void)cudaSetDevice(be->device);
    for (int k = 0; k < KO_IMPORT_LANES; k++) {
        free_lane(&be->import_lane[k]);
    }
    (void)cudaFree(be->import_bad);
    be->import_bad = NULL;
}

/* As many elements as a buffer holds, at most. args->from is host memory. */
static enum ko_code import_piece(struct ko_backend *be, struct ko_cuda_import_lane *lane,
                                 const struct ko_import *args, struct ko_error *err)
{
    const int k = lane->next;
    const size_t bytes = args->n * ko_element_bytes(args->from_type);
    struct ko_import on_device = *args;
    on_device.from = lane->device[k];
    enum ko_code code = ko_cuda_check(be, cudaEventSynchronize(lane->done[k]), "an operation", err);
    if (code != KO_OK) {
        return code;
    }
    memcpy(lane->host[k], args->from, bytes);
    code = ko_cuda_check(
        be,
        cudaMemcpyAsync(lane->device[k], lane->host[k], bytes, cudaMemcpyHostToDevice, be->stream),
        "upload", err);
    if (code == KO_OK) {
        code = ko_cuda_convert_checked(be, &on_device, err);
    }
    if (code == KO_OK) {
        code =
            ko_cuda_check(be, cudaEventRecord(lane->done[k], be->stream), "cudaEventRecord", err);
    }
    lane->next = 1 - k;
    return code;
}

enum ko_code ko_cuda_import(struct ko_backend *be, const struct ko_import *args,
                            struct ko_error *err)
{
    struct ko_cuda_import_lane *lane = &be->import_lane[args->lane];
    const size_t size = ko_element_bytes(args->from_type), most = KO_CUDA_IMPORT_BYTES / size;
    /* Every thread has a current device of its own. */
    enum ko_code code = ko_cuda_check(be, cudaSetDevice(be->device), "cudaSetDevice", err);
    if (code == KO_OK) {
        code = start_lane(be, lane, err);
    }
    for (size_t done = 0; code == KO_OK && done < args->n; done += most) {
        struct ko_import piece = *args;
        piece.first = args->first + done;
        piece.number = args->number + (int64_t)done;
        piece.from = (const unsigned char *)args->from + done * size;
        piece.n = args->n - done < most ? args->n - done : most;
        code = import_piece(be, lane, &piece, err);
    }
    return code;
}

enum ko_code ko_cuda_import_end(struct ko_backend *be, int64_t *bad, struct ko_error *err)
{
    unsigned long long found = none_bad;
    enum ko_code code = ko_cuda_download(be, &found, be->import_bad, sizeof found, err);
    if (code == KO_OK && found != none_bad) {
        code = ko_cuda_upload(be, be->import_bad, &none_bad, sizeof none_bad, err);
    }
    *bad = found == none_bad ? -1 : (int64_t)found;
    return code;
}
