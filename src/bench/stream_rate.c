/* SPDX-License-Identifier: Apache-2.0 */
/* Copies numbers of bfloat16 as a stream does: through a copier in several threads, or converted to
   float32 in one. */
#include "src/bench/stream_rate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/checkpoint/mapped/tensor.h"
#include "src/forward/layer_stream.h"
#include "src/forward/streamed_weights.h"

enum { SOURCE_BYTES = 256 << 20, HOST_NUMBERS = 8 << 20, MOST_THREADS = 16 };
static const double SECONDS = 0.3;

/* One measurement through a copier. */
struct copying {
    struct ko_copier *copier;
    const unsigned char *source; /* [SOURCE_BYTES] larger than a processor's cache */
    unsigned char *to;           /* [SOURCE_BYTES] backend memory */
    double end;                  /* when to stop */
    atomic_size_t next;          /* piece */
};

struct lane {
    struct copying *all;
    int number;
    pthread_t thread;
    enum ko_code code;
    struct ko_error error;
};

static void *copy_pieces(void *argument)
{
    enum { PIECES = SOURCE_BYTES / KO_LAYER_PIECE_BYTES };
    struct lane *lane = argument;
    struct copying *all = lane->all;
    while (lane->code == KO_OK && ko_now() < all->end) {
        const size_t at = atomic_fetch_add(&all->next, 1) % PIECES * KO_LAYER_PIECE_BYTES;
        void *host = NULL;
        lane->code = all->copier->buffer(all->copier, lane->number, &host, &lane->error);
        if (lane->code == KO_OK) {
            memcpy(host, all->source + at, KO_LAYER_PIECE_BYTES);
            lane->code = all->copier->send(all->copier, lane->number, all->to + at,
                                           KO_LAYER_PIECE_BYTES, &lane->error);
        }
    }
    return NULL;
}

/* Runs the threads between `begin` and `end` of a slot. */
static enum ko_code run_lanes(struct copying *all, int n, struct ko_error *err)
{
    struct lane lane[MOST_THREADS] = {0};
    int started = 0;
    enum ko_code code = all->copier->begin(all->copier, 0, err);
    while (code == KO_OK && started < n) {
        lane[started].all = all;
        lane[started].number = started;
        if (pthread_create(&lane[started].thread, NULL, copy_pieces, &lane[started]) != 0) {
            code = ko_fail(err, KO_E_FAILED, "thread that copies weights: cannot be started");
        } else {
            started++;
        }
    }
    for (int k = 0; k < started; k++) {
        pthread_join(lane[k].thread, NULL);
        if (code == KO_OK && lane[k].code != KO_OK) {
            code = lane[k].code;
            if (err) {
                *err = lane[k].error;
            }
        }
    }
    return code == KO_OK ? all->copier->end(all->copier, 0, err) : code;
}

static enum ko_code measure_copies(const struct ko_kernels *k, struct ko_backend *be,
                                   struct copying *all, int n, double *rate, struct ko_error *err)
{
    const double begin = ko_now();
    all->end = begin + SECONDS;
    enum ko_code code = run_lanes(all, n, err);
    if (code == KO_OK) { /* operations after `take` wait for the copies */
        code = all->copier->take(all->copier, 0, err);
    }
    if (code == KO_OK) {
        code = k->wait(be, err);
    }
    const double bytes = (double)atomic_load(&all->next) * KO_LAYER_PIECE_BYTES;
    *rate = bytes / (ko_now() - begin);
    return code;
}

static enum ko_code measure_copier(const struct ko_kernels *k, struct ko_backend *be, int n_threads,
                                   double *rate, struct ko_error *err)
{
    const int n = ko_streaming_threads(k, n_threads);
    struct copying all = {0};
    void *to = NULL;
    unsigned char *source = ko_new(SOURCE_BYTES, 1, err);
    enum ko_code code = source ? k->alloc(be, SOURCE_BYTES, &to, err) : KO_E_MEMORY;
    if (code == KO_OK) {
        memset(source, 1, SOURCE_BYTES); /* so that the system gives real pages */
        all.source = source;
        all.to = to;
        atomic_init(&all.next, 0);
        code = k->copier_open(be, n, KO_LAYER_PIECE_BYTES, &all.copier, err);
    }
    if (code == KO_OK) {
        code = measure_copies(k, be, &all, n, rate, err);
        all.copier->close(all.copier);
    }
    k->release(be, to);
    free(source);
    return code;
}

static enum ko_code measure_conversion(double *rate, struct ko_error *err)
{
    uint16_t *source = ko_new(HOST_NUMBERS, sizeof *source, err);
    float *to = ko_new(HOST_NUMBERS, sizeof *to, err);
    struct ko_tensor tensor = {.dtype = KO_BF16,
                               .n = HOST_NUMBERS,
                               .data = source,
                               .data_bytes = HOST_NUMBERS * sizeof *source};
    const bool room = source && to;
    double begin = ko_now(), bytes = 0;
    for (int turn = 0; room && (turn < 2 || ko_now() - begin < SECONDS / 3); turn++) {
        if (turn == 1) { /* the first one brings the pages */
            begin = ko_now();
            bytes = 0;
        }
        (void)ko_tensor_to_float(&tensor, 0, HOST_NUMBERS, to);
        bytes += HOST_NUMBERS * (double)sizeof *to;
    }
    *rate = bytes / (ko_now() - begin);
    free(source);
    free(to);
    return room ? KO_OK : KO_E_MEMORY;
}

enum ko_code ko_stream_rate_measure(const struct ko_kernels *kernels, struct ko_backend *be,
                                    int n_threads, double *rate, struct ko_error *err)
{
    return kernels->own_memory ? measure_copier(kernels, be, n_threads, rate, err)
                               : measure_conversion(rate, err);
}
