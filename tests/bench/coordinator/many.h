/* SPDX-License-Identifier: Apache-2.0 */
/* A channel between a coordinator and many simulated workers on few ranks. */
#ifndef TESTS_BENCH_COORDINATOR_MANY_H
#define TESTS_BENCH_COORDINATOR_MANY_H

#include "mpi/world/channel.h"

/* Worker w is party w + 1, as everywhere. Its messages pass between rank 0 and rank
   1 + w % n_players, over the program's own channel; w travels in the upper half of `extra`, whose
   values fit in the lower half. Errors are not passed. */
struct many_channel {
    struct ko_channel channel; /* first member: the end that is handed out */
    struct ko_channel ranks;
    int n_players;
    bool root;
    int64_t n_sent, n_received;
    int64_t n_rounds; /* rank 0: commit rounds that were called */
};

/* comm has 1 + n_players ranks; borrowed. */
void many_open(MPI_Comm comm, int n_players, struct many_channel *out);

#endif
