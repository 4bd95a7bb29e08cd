/* SPDX-License-Identifier: Apache-2.0 */
/* Opens NCCL between the workers and sends their parts of the weights in rounds. It gives up after
   a while without progress. Builds without NCCL get functions that return an error. */
#include "mpi/compute/nccl_exchange.h"

#if KO_HAVE_NCCL

#include <cuda_runtime.h>
#include <nccl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/memory.h"

_Static_assert(sizeof(ncclUniqueId) == KO_NCCL_ID_BYTES, "the id travels as these bytes");

static const double POLL_SECONDS = 2e-4;
static const double patience_seconds =
    60;                         /* without progress, then another worker is taken for lost */
enum { ROUND_BYTES = 1 << 30 }; /* of all workers together */

struct nccl_exchange {
    struct ko_exchange exchange; /* first member: callers see only this */
    int n_workers;
    bool failed;
    ncclComm_t comm;
    cudaStream_t stream;
    cudaEvent_t done;
};

static enum ko_code fail_nccl(const struct nccl_exchange *x, ncclResult_t result, const char *what,
                              struct ko_error *err)
{
    const char *detail = ncclGetLastError(x ? x->comm : NULL);
    const int n = detail ? (int)strcspn(detail, "\n") : 0;
    return ko_fail(err, KO_E_FAILED, "NCCL: %s: %s%s%.*s", what, ncclGetErrorString(result),
                   n > 0 ? ": " : "", n, n > 0 ? detail : "");
}

static enum ko_code check_cuda(cudaError_t result, const char *what, struct ko_error *err)
{
    if (result == cudaSuccess) {
        return KO_OK;
    }
    (void)cudaGetLastError();
    return ko_fail(err, KO_E_FAILED, "NCCL: %s: %s", what, cudaGetErrorString(result));
}

static enum ko_code lose_patience(const char *what, struct ko_error *err)
{
    return ko_fail(err, KO_E_FAILED, "NCCL: %s: no answer from the other workers for %.0f s", what,
                   patience_seconds);
}

/* The communicator does not block: a call returns early, and its result is polled here. */
static enum ko_code wait_for_comm(const struct nccl_exchange *x, ncclResult_t result,
                                  const char *what, struct ko_error *err)
{
    const double begin = ko_now();
    while (result == ncclSuccess || result == ncclInProgress) {
        ncclResult_t state = ncclSuccess;
        result = ncclCommGetAsyncError(x->comm, &state);
        if (result != ncclSuccess) {
            break;
        }
        if (state == ncclSuccess) {
            return KO_OK;
        }
        result = state;
        if (ko_now() - begin > patience_seconds) {
            return lose_patience(what, err);
        }
        ko_nap(POLL_SECONDS);
    }
    return fail_nccl(x, result, what, err);
}

/* Waits for the work on the stream, and checks the communicator for failures. */
static enum ko_code wait_for_stream(const struct nccl_exchange *x, const char *what,
                                    struct ko_error *err)
{
    const double begin = ko_now();
    enum ko_code code = check_cuda(cudaEventRecord(x->done, x->stream), "cudaEventRecord", err);
    while (code == KO_OK) {
        ncclResult_t state = ncclSuccess;
        const cudaError_t query = cudaEventQuery(x->done);
        if (query == cudaSuccess) {
            return KO_OK;
        }
        (void)cudaGetLastError(); /* clears "not ready", or the next check would report it */
        if (query != cudaErrorNotReady) {
            return check_cuda(query, what, err);
        }
        const ncclResult_t asked = ncclCommGetAsyncError(x->comm, &state);
        if (asked != ncclSuccess || (state != ncclSuccess && state != ncclInProgress)) {
            return fail_nccl(x, asked != ncclSuccess ? asked : state, what, err);
        }
        if (ko_now() - begin > patience_seconds) {
            return lose_patience(what, err);
        }
        ko_nap(POLL_SECONDS);
    }
    return code;
}

/* Bytes [at, at + piece) of every worker's part. */
static enum ko_code share_round(const struct nccl_exchange *x, unsigned char *memory,
                                const size_t *begin, size_t at, size_t piece, struct ko_error *err)
{
    static const char what[] = "broadcast of the weights";
    ncclResult_t result = ncclGroupStart();
    for (int w = 0; w < x->n_workers && result == ncclSuccess; w++) {
        const size_t bytes = begin[w + 1] - begin[w];
        if (at >= bytes) {
            continue;
        }
        const size_t n = bytes - at < piece ? bytes - at : piece;
        unsigned char *part = memory + begin[w] + at;
        result = ncclBroadcast(part, part, n, ncclUint8, w, x->comm, x->stream);
        if (result == ncclInProgress) {
            result = ncclSuccess;
        }
    }
    if (result != ncclSuccess) {
        (void)ncclGroupEnd();
        return fail_nccl(x, result, what, err);
    }
    const enum ko_code code = wait_for_comm(x, ncclGroupEnd(), what, err);
    return code == KO_OK ? wait_for_stream(x, what, err) : code;
}

static enum ko_code nccl_share(struct ko_exchange *exchange, void *memory, const size_t *begin,
                               struct ko_error *err)
{
    struct nccl_exchange *x = (struct nccl_exchange *)exchange;
    const size_t piece = ((size_t)ROUND_BYTES / (size_t)x->n_workers + 4095) / 4096 * 4096;
    size_t largest = 0;
    enum ko_code code = KO_OK;
    for (int w = 0; w < x->n_workers; w++) {
        if (begin[w + 1] - begin[w] > largest) {
            largest = begin[w + 1] - begin[w];
        }
    }
    for (size_t at = 0; at < largest && code == KO_OK; at += piece) {
        code = share_round(x, memory, begin, at, piece, err);
    }
    x->failed = x->failed || code != KO_OK;
    return code;
}

static void nccl_close(struct ko_exchange *exchange)
{
    struct nccl_exchange *x = (struct nccl_exchange *)exchange;
    /* After a failure the job ends, and finalizing the communicator might wait for lost workers. */
    if (!x->failed &&
        wait_for_comm(x, ncclCommFinalize(x->comm), "end of the exchange", NULL) == KO_OK) {
        (void)ncclCommDestroy(x->comm);
        (void)cudaEventDestroy(x->done);
        (void)cudaStreamDestroy(x->stream);
    }
    free(x);
}

enum ko_code ko_nccl_available(struct ko_error *err)
{
    int version = 0;
    if (ncclGetVersion(&version) == ncclSuccess && version >= 21800) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_INPUT,
                   "backend: several GPU workers need NCCL 2.18, the library found has version "
                   "code %d, use one worker or another libnccl.so.2",
                   version);
}

enum ko_code ko_nccl_make_id(unsigned char id[KO_NCCL_ID_BYTES], struct ko_error *err)
{
    ncclUniqueId made;
    const ncclResult_t result = ncclGetUniqueId(&made);
    if (result != ncclSuccess) {
        return fail_nccl(NULL, result, "ncclGetUniqueId", err);
    }
    memcpy(id, &made, sizeof made);
    return KO_OK;
}

enum ko_code ko_nccl_exchange_open(const unsigned char id[KO_NCCL_ID_BYTES], int worker,
                                   int n_workers, int device, struct ko_exchange **out,
                                   struct ko_error *err)
{
    static const char what[] = "ncclCommInitRank";
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    ncclUniqueId made;
    memcpy(&made, id, sizeof made);
    config.blocking = 0;
    struct nccl_exchange *x = ko_new(1, sizeof *x, err);
    if (!x) {
        return KO_E_MEMORY;
    }
    x->exchange = (struct ko_exchange){.share = nccl_share, .close = nccl_close};
    x->n_workers = n_workers;
    enum ko_code code = check_cuda(cudaSetDevice(device), "cudaSetDevice", err);
    if (code == KO_OK) {
        code = check_cuda(cudaStreamCreateWithFlags(&x->stream, cudaStreamNonBlocking),
                          "cudaStreamCreate", err);
    }
    if (code == KO_OK) {
        code = check_cuda(cudaEventCreateWithFlags(&x->done, cudaEventDisableTiming),
                          "cudaEventCreate", err);
    }
    if (code == KO_OK) {
        const ncclResult_t result =
            ncclCommInitRankConfig(&x->comm, n_workers, made, worker, &config);
        code = x->comm ? wait_for_comm(x, result, what, err) : fail_nccl(NULL, result, what, err);
    }
    if (code != KO_OK) {
        x->failed = true;
        nccl_close(&x->exchange);
        return code;
    }
    *out = &x->exchange;
    return KO_OK;
}

#else

enum ko_code ko_nccl_available(struct ko_error *err)
{
    return ko_fail(err, KO_E_INPUT,
                   "backend: several GPU workers exchange weights by NCCL, which this program was "
                   "built without, use one worker or build with NCCL 2.18 or later (NCCL_ROOT)");
}

enum ko_code ko_nccl_make_id(unsigned char id[KO_NCCL_ID_BYTES], struct ko_error *err)
{
    (void)id;
    return ko_nccl_available(err);
}

enum ko_code ko_nccl_exchange_open(const unsigned char id[KO_NCCL_ID_BYTES], int worker,
                                   int n_workers, int device, struct ko_exchange **out,
                                   struct ko_error *err)
{
    (void)id;
    (void)worker;
    (void)n_workers;
    (void)device;
    (void)out;
    return ko_nccl_available(err);
}

#endif
