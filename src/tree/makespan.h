/* SPDX-License-Identifier: Apache-2.0 */
/* Predicts how long a run takes on n workers: loading, batches in the coordinator's order, commit
   rounds. */
#ifndef KO_TREE_MAKESPAN_H
#define KO_TREE_MAKESPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/tree/batch.h"

/* How fast a worker and its machine are. */
struct ko_pace {
    const double *flops;        /* [n_models] FLOP a second, over whole batches */
    const double *load_seconds; /* [n_models] to load a model's weights on every worker */
    bool reads_ahead;           /* the next model is read while this one computes */
    double commit_seconds;      /* between commit rounds */
    /* [n_models] that weights which stream take in each wave, behind its computation; 0 for others.
       NULL: no model's stream */
    const double *stream_seconds;
    double record_bytes; /* of one prompt's results, as the coordinator counts them */
};

/* Cost of a commit round: fixed (its flushes reach the disk), and bytes a second. */
#define KO_ROUND_SECONDS    0.012
#define KO_ROUND_BYTES_RATE 250e6

struct ko_prediction {
    double seconds;        /* from the first weight to the last commit */
    double work_seconds;   /* of all batches on one worker that never waits */
    double load_seconds;   /* in which workers wait for weights */
    double commit_seconds; /* in commit rounds; all but the last run beside the batches */
    double n_rounds;       /* commit rounds, when commit_rounds.h says */
    double efficiency;     /* work_seconds / n_workers / seconds */
};

/* Within a model each batch, in order, goes to the worker that is free first. A model begins when
   the one before it has ended. All results are NAN where a rate is not positive. KO_E_MEMORY. */
KO_MUST_CHECK enum ko_code ko_plan_predict(const struct ko_batches *batches, int32_t n_workers,
                                           const struct ko_pace *pace, struct ko_prediction *out,
                                           struct ko_error *err);

#endif
