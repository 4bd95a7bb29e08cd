/* SPDX-License-Identifier: Apache-2.0 */
/* A rank that plays many workers: it answers the coordinator's messages as workers do, at the times
   at which workers would have loaded, computed and committed. It computes nothing. */
#ifndef TESTS_BENCH_COORDINATOR_PLAYER_H
#define TESTS_BENCH_COORDINATOR_PLAYER_H

#include "src/base/error.h"
#include "tests/bench/coordinator/many.h"
#include "tests/bench/coordinator/pace.h"

/* What a player's workers did, in seconds of this machine. */
struct played {
    double compute, idle; /* idle: a model is loaded and there is no batch to compute */
    double round;         /* longest time in commit rounds, of one worker */
    double late;          /* how late the player was at the ends of batches: sum */
};

/* Plays until the coordinator has ended every worker. Every n_players-th worker from `first` on is
   this player's. */
KO_MUST_CHECK enum ko_code player_run(const struct pace *pace, struct many_channel *many, int first,
                                      struct played *out, struct ko_error *err);

#endif
