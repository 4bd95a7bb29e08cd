/* SPDX-License-Identifier: Apache-2.0 */
/* How long a run takes on a number of workers: model by model, batches handed out as the
   coordinator does, weights and commit rounds included. */
#ifndef KO_TREE_MAKESPAN_H
#define KO_TREE_MAKESPAN_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/tree/batch.h"

/* A worker and what is around it. */
struct ko_pace {
    const double *flops;        /* [n_models] of batches, from the embedding to the metrics */
    const double *load_seconds; /* [n_models] until a model's weights are with every worker */
    bool reads_ahead;           /* the next model is read while this one is computed */
    double commit_seconds;      /* between commit rounds */
};

/* What a commit round costs, whatever is in it (its flushes reach the disk), and what its bytes do.
 */
#define KO_ROUND_SECONDS    0.012
#define KO_ROUND_BYTES_RATE 250e6

struct ko_prediction {
    double seconds;        /* from the first weight to the last commit */
    double work_seconds;   /* of all batches on one worker, without waiting */
    double load_seconds;   /* that workers wait for weights */
    double commit_seconds; /* in commit rounds; but for the last they run beside the batches */
    double efficiency;     /* work_seconds a worker, over seconds */
};

/* Of a plan's batches on n_workers. Within a model each batch, in order, goes to the worker that is
   free first; a model begins when the one before is through. Numbers that are not positive give
   NAN. KO_E_MEMORY. */
KO_MUST_CHECK enum ko_code ko_plan_predict(const struct ko_plan *plan,
                                           const struct ko_batches *batches, int32_t n_workers,
                                           const struct ko_pace *pace, struct ko_prediction *out,
                                           struct ko_error *err);

#endif
