/* SPDX-License-Identifier: Apache-2.0 */
/* The compute thread of a worker: it alone touches the backend, while the main thread does MPI and
   HDF5. */
#ifndef KO_MPI_COMPUTE_H
#define KO_MPI_COMPUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/forward/forward.h"

struct ko_compute;

/* A batch that the thread is done with. */
struct ko_finished {
    int32_t batch; /* its number */
    int32_t n_records;
    struct ko_record *records; /* taken by whoever polls: ko_finished_free */
    double seconds;
    struct ko_error error; /* code KO_OK, or why there are no records */
};

/* Starts the thread and opens the backend in it. Stop with ko_compute_stop. */
KO_MUST_CHECK enum ko_code ko_compute_start(const struct ko_kernels *kernels,
                                            const struct ko_backend_config *config,
                                            struct ko_compute **out, struct ko_error *err);
void ko_compute_stop(struct ko_compute *compute);
/* The backend in words. Borrowed. */
const char *ko_compute_description(const struct ko_compute *compute);

const struct ko_kernels *ko_compute_kernels(const struct ko_compute *compute);
enum ko_precision ko_compute_precision(const struct ko_compute *compute);

/* What the thread does with its backend beside batches. It may use no MPI and no HDF5. */
typedef enum ko_code ko_compute_function(const struct ko_kernels *k, struct ko_backend *be,
                                         void *context, struct ko_error *err);
/* Runs a function in the thread, after the batch in hand and before those queued; waits for it and
   returns what it returned. */
KO_MUST_CHECK enum ko_code ko_compute_call(struct ko_compute *compute,
                                           ko_compute_function *function, void *context,
                                           struct ko_error *err);

/* What ko_engine_new needs of a model. All pointers are borrowed until the next bind or the stop. */
struct ko_compute_model {
    const struct ko_plan *plan;
    int32_t plan_model;
    const struct ko_model *model;
    const struct ko_arena *arena;
    int32_t max_rows;
};
/* Frees the model that is bound, then binds this one (NULL: none), and waits for both. */
KO_MUST_CHECK enum ko_code ko_compute_bind(struct ko_compute *compute,
                                           const struct ko_compute_model *model,
                                           struct ko_error *err);

/* Queues a batch (borrowed until finished or dropped). At most KO_COMPUTE_QUEUE at a time. */
enum { KO_COMPUTE_QUEUE = 4 };
void ko_compute_submit(struct ko_compute *compute, int32_t number, const struct ko_batch *batch);
/* Takes the next finished batch, if there is one. */
bool ko_compute_poll(struct ko_compute *compute, struct ko_finished *out);
/* How far the batch in hand is: the share of its work that is done, 0 to 1, and its number in
   *batch; -1 there and 0 where none is in hand. */
double ko_compute_share(struct ko_compute *compute, int32_t *batch);
/* Drops what is queued and in hand (at its next layer), waits, and returns how many were dropped.
   Finished ones stay. */
int32_t ko_compute_drop(struct ko_compute *compute);

void ko_finished_free(struct ko_finished *finished);

#endif
