/* SPDX-License-Identifier: Apache-2.0 */
/* An exchange of weights in far memory (tests/support/far.h), through memory that the workers of one
   node share. */
#ifndef TESTS_MPI_EXCHANGE_H
#define TESTS_MPI_EXCHANGE_H

#include <mpi.h>
#include <pthread.h>
#include <stdbool.h>

#include "mpi/compute/exchange.h"
#include "mpi/world/world.h"

struct test_exchange {
    struct ko_exchange exchange;  /* first; close does nothing */
    const struct ko_world *world; /* borrowed */
    pthread_barrier_t *barrier;   /* in the shared window, then the bytes */
    unsigned char *bytes;
    MPI_Win window;
    int n_calls; /* of share */
    bool fails;  /* share does */
};

/* Collective over the workers, in the main thread. */
void test_exchange_open(struct test_exchange *exchange, const struct ko_world *world);
void test_exchange_close(struct test_exchange *exchange);

#endif
