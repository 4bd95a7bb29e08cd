/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/mpi/exchange.h"

#include <string.h>

#include "tests/support/far.h"

enum { HEAD_BYTES = 4096, SHARED_BYTES = 64 << 20 };

static enum ko_code share(struct ko_exchange *exchange, void *memory, const size_t *begin,
                          struct ko_error *err)
{
    struct test_exchange *x = (struct test_exchange *)exchange;
    const int me = x->world->worker, n = x->world->n_workers;
    unsigned char *to = memory;
    x->n_calls++;
    if (x->fails) {
        return ko_fail(err, KO_E_FAILED, "exchange: lost");
    }
    if (begin[n] > SHARED_BYTES || !test_far_has(memory, begin[n])) {
        return ko_fail(err, KO_E_FAILED, "exchange: wrong memory");
    }
    memcpy(x->bytes + begin[me], to + begin[me], begin[me + 1] - begin[me]);
    pthread_barrier_wait(x->barrier);
    for (int w = 0; w < n; w++) {
        if (w != me) {
            memcpy(to + begin[w], x->bytes + begin[w], begin[w + 1] - begin[w]);
        }
    }
    pthread_barrier_wait(x->barrier);
    return KO_OK;
}

static void leave(struct ko_exchange *exchange)
{
    (void)exchange;
}

void test_exchange_open(struct test_exchange *exchange, const struct ko_world *world)
{
    const MPI_Aint bytes = world->node_worker == 0 ? HEAD_BYTES + SHARED_BYTES : 0;
    MPI_Aint size = 0;
    int unit = 0;
    void *base = NULL;
    *exchange =
        (struct test_exchange){.exchange = {.share = share, .close = leave}, .world = world};
    MPI_Win_allocate_shared(bytes, 1, MPI_INFO_NULL, world->node, &base, &exchange->window);
    MPI_Win_shared_query(exchange->window, 0, &size, &unit, &base);
    exchange->barrier = base;
    exchange->bytes = (unsigned char *)base + HEAD_BYTES;
    if (world->node_worker == 0) {
        pthread_barrierattr_t shared;
        pthread_barrierattr_init(&shared);
        pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
        pthread_barrier_init(exchange->barrier, &shared, (unsigned)world->n_workers);
    }
    MPI_Barrier(world->node);
}

void test_exchange_close(struct test_exchange *exchange)
{
    MPI_Win_free(&exchange->window);
}
