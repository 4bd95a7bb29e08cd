/* SPDX-License-Identifier: Apache-2.0 */
/* Copies weights that stream. The copies go to a stream of their own, which has no kernels, so that
   they never wait for a multiprocessor. Events order them with the operations: `ready` after the
   copies into a slot, `left` after the operations that read it. */
#include <stdlib.h>

#include "kernels/cuda/cuda.h"
#include "src/base/memory.h"

/* Two pinned buffers: one is filled while the other is copied. */
struct lane {
    unsigned char *host[2];
    cudaEvent_t sent[2]; /* after the latest copy from the buffer */
    int next;
};

struct copier {
    struct ko_copier functions; /* first, so that both have one address */
    struct ko_backend *be;      /* borrowed */
    cudaStream_t stream;
    cudaEvent_t ready[KO_COPIER_MOST_SLOTS], left[KO_COPIER_MOST_SLOTS];
    struct lane *lane; /* [n_lanes] owned */
    int n_lanes;
    unsigned char *pinned; /* all buffers */
};

static struct copier *copier_of(struct ko_copier *functions)
{
    return (struct copier *)functions;
}

/* Every thread has a current device of its own. */
static enum ko_code enter_device(const struct copier *copier, struct ko_error *err)
{
    return ko_cuda_check(copier->be, cudaSetDevice(copier->be->device), "cudaSetDevice", err);
}

static enum ko_code next_buffer(struct ko_copier *functions, int lane, void **host,
                                struct ko_error *err)
{
    struct copier *copier = copier_of(functions);
    struct lane *own = &copier->lane[lane];
    enum ko_code code = enter_device(copier, err);
    if (code == KO_OK) {
        code = ko_cuda_check(copier->be, cudaEventSynchronize(own->sent[own->next]),
                             "a copy of weights", err);
    }
    if (code == KO_OK) {
        *host = own->host[own->next];
    }
    return code;
}

static enum ko_code send_buffer(struct ko_copier *functions, int lane, void *to, size_t bytes,
                                struct ko_error *err)
{
    struct copier *copier = copier_of(functions);
    struct lane *own = &copier->lane[lane];
    enum ko_code code = ko_cuda_check(
        copier->be,
        cudaMemcpyAsync(to, own->host[own->next], bytes, cudaMemcpyHostToDevice, copier->stream),
        "a copy of weights", err);
    if (code == KO_OK) {
        code = ko_cuda_check(copier->be, cudaEventRecord(own->sent[own->next], copier->stream),
                             "cudaEventRecord", err);
    }
    own->next = 1 - own->next;
    return code;
}

static enum ko_code begin_slot(struct ko_copier *functions, int slot, struct ko_error *err)
{
    const struct copier *copier = copier_of(functions);
    const enum ko_code code = enter_device(copier, err);
    return code == KO_OK ? ko_cuda_check(copier->be,
                                         cudaStreamWaitEvent(copier->stream, copier->left[slot], 0),
                                         "cudaStreamWaitEvent", err)
                         : code;
}

static enum ko_code end_slot(struct ko_copier *functions, int slot, struct ko_error *err)
{
    const struct copier *copier = copier_of(functions);
    return ko_cuda_check(copier->be, cudaEventRecord(copier->ready[slot], copier->stream),
                         "cudaEventRecord", err);
}

static enum ko_code take_slot(struct ko_copier *functions, int slot, struct ko_error *err)
{
    const struct copier *copier = copier_of(functions);
    return ko_cuda_check(copier->be,
                         cudaStreamWaitEvent(copier->be->stream, copier->ready[slot], 0),
                         "cudaStreamWaitEvent", err);
}

static enum ko_code leave_slot(struct ko_copier *functions, int slot, struct ko_error *err)
{
    const struct copier *copier = copier_of(functions);
    return ko_cuda_check(copier->be, cudaEventRecord(copier->left[slot], copier->be->stream),
                         "cudaEventRecord", err);
}

static void close_copier(struct ko_copier *functions)
{
    struct copier *copier = copier_of(functions);
    (void)cudaSetDevice(copier->be->device);
    if (copier->stream) {
        (void)cudaStreamSynchronize(copier->stream);
        (void)cudaStreamDestroy(copier->stream);
    }
    for (int s = 0; s < KO_COPIER_MOST_SLOTS; s++) {
        if (copier->ready[s]) {
            (void)cudaEventDestroy(copier->ready[s]);
        }
        if (copier->left[s]) {
            (void)cudaEventDestroy(copier->left[s]);
        }
    }
    for (int l = 0; copier->lane && l < copier->n_lanes; l++) {
        for (int b = 0; b < 2; b++) {
            if (copier->lane[l].sent[b]) {
                (void)cudaEventDestroy(copier->lane[l].sent[b]);
            }
        }
    }
    (void)cudaFreeHost(copier->pinned);
    free(copier->lane);
    free(copier);
}

/* Waiting threads sleep: they share the processors with the one that launches operations. */
static enum ko_code make_event(const struct copier *copier, cudaEvent_t *out, struct ko_error *err)
{
    return ko_cuda_check(
        copier->be, cudaEventCreateWithFlags(out, cudaEventDisableTiming | cudaEventBlockingSync),
        "cudaEventCreate", err);
}

static enum ko_code make_lanes(struct copier *copier, size_t piece_bytes, struct ko_error *err)
{
    const size_t n = (size_t)copier->n_lanes;
    copier->lane = ko_new(n, sizeof *copier->lane, err);
    if (!copier->lane) {
        return KO_E_MEMORY;
    }
    enum ko_code code =
        ko_cuda_check(copier->be, cudaMallocHost((void **)&copier->pinned, 2 * n * piece_bytes),
                      "pinned memory of the host", err);
    for (size_t k = 0; code == KO_OK && k < 2 * n; k++) {
        struct lane *lane = &copier->lane[k / 2];
        lane->host[k % 2] = copier->pinned + k * piece_bytes;
        code = make_event(copier, &lane->sent[k % 2], err);
    }
    return code;
}

static enum ko_code make_stream(struct copier *copier, struct ko_error *err)
{
    enum ko_code code = enter_device(copier, err);
    if (code == KO_OK) {
        code = ko_cuda_check(copier->be,
                             cudaStreamCreateWithFlags(&copier->stream, cudaStreamNonBlocking),
                             "cudaStreamCreate", err);
    }
    for (int s = 0; code == KO_OK && s < KO_COPIER_MOST_SLOTS; s++) {
        code = make_event(copier, &copier->ready[s], err);
        if (code == KO_OK) {
            code = make_event(copier, &copier->left[s], err);
        }
    }
    return code;
}

enum ko_code ko_cuda_copier_open(struct ko_backend *be, int n_lanes, size_t piece_bytes,
                                 struct ko_copier **out, struct ko_error *err)
{
    struct copier *copier = ko_new(1, sizeof *copier, err);
    if (!copier) {
        return KO_E_MEMORY;
    }
    *copier = (struct copier){.functions = {.buffer = next_buffer,
                                            .send = send_buffer,
                                            .begin = begin_slot,
                                            .end = end_slot,
                                            .take = take_slot,
                                            .leave = leave_slot,
                                            .close = close_copier},
                              .be = be,
                              .n_lanes = n_lanes};
    enum ko_code code = make_stream(copier, err);
    if (code == KO_OK) {
        code = make_lanes(copier, piece_bytes, err);
    }
    if (code != KO_OK) {
        close_copier(&copier->functions);
        return code;
    }
    *out = &copier->functions;
    return KO_OK;
}
