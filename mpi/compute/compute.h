/* SPDX-License-Identifier: Apache-2.0 */
/* The compute thread of a worker. Only this thread uses the backend; only the main thread uses MPI
   and HDF5. */
#ifndef KO_MPI_COMPUTE_H
#define KO_MPI_COMPUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/error.h"
#include "src/base/stop.h"
#include "src/forward/forward.h"
#include "src/forward/means.h"

struct ko_compute;

/* A batch that is computed, or has failed. */
struct ko_finished {
    int32_t batch; /* its number */
    int32_t n_records;
    struct ko_record *records; /* the caller of ko_compute_poll frees them: ko_finished_free */
    double seconds;
    struct ko_error error; /* code KO_OK, or the reason why there are no records */
};

/* Starts the thread and opens the backend in it. Stop with ko_compute_stop. */
KO_MUST_CHECK enum ko_code ko_compute_start(const struct ko_kernels *kernels,
                                            const struct ko_backend_config *config,
                                            struct ko_compute **out, struct ko_error *err);
void ko_compute_stop(struct ko_compute *compute);
/* The backend's description of itself. Borrowed. */
const char *ko_compute_description(const struct ko_compute *compute);

const struct ko_kernels *ko_compute_kernels(const struct ko_compute *compute);
enum ko_precision ko_compute_precision(const struct ko_compute *compute);
int ko_compute_threads(const struct ko_compute *compute);

/* A function that the thread runs between batches. It must not use MPI or HDF5. */
typedef enum ko_code ko_compute_function(const struct ko_kernels *k, struct ko_backend *be,
                                         void *context, struct ko_error *err);
/* Runs a function in the thread, after the current batch and before the queued ones. Waits for it
   and returns its code. */
KO_MUST_CHECK enum ko_code ko_compute_call(struct ko_compute *compute,
                                           ko_compute_function *function, void *context,
                                           struct ko_error *err);
/* The same. Meanwhile `stop` (NULL: never) is asked in the caller's thread, which alone may use MPI;
   the function learns the answer from ko_compute_call_stop. */
KO_MUST_CHECK enum ko_code ko_compute_call_until(struct ko_compute *compute,
                                                 const struct ko_stop *stop,
                                                 ko_compute_function *function, void *context,
                                                 struct ko_error *err);
/* For the function that is called: whether it is to end early. Borrowed. */
const struct ko_stop *ko_compute_call_stop(const struct ko_compute *compute);

/* What ko_engine_new needs of a model. All pointers are borrowed until the next bind or the
   stop. */
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

/* As ko_engine_sum_means and ko_engine_set_means, of the bound model, in the thread. */
KO_MUST_CHECK enum ko_code ko_compute_sum_means(struct ko_compute *compute,
                                                const struct ko_mean_groups *groups, int32_t group,
                                                double *sums, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_compute_set_means(struct ko_compute *compute, const float *means,
                                                struct ko_error *err);

/* Queues a batch (borrowed until finished or dropped). At most KO_COMPUTE_QUEUE at a time. */
enum { KO_COMPUTE_QUEUE = 4 };
void ko_compute_submit(struct ko_compute *compute, int32_t number, const struct ko_batch *batch);
/* Takes the next finished batch, if there is one. */
bool ko_compute_poll(struct ko_compute *compute, struct ko_finished *out);
/* The share of the current batch's work that is done, 0 to 1, and its number in *batch. Returns 0
   with *batch -1 if no batch is being computed. */
double ko_compute_share(struct ko_compute *compute, int32_t *batch);
/* Drops the queued batches and the current one (at its next layer), waits, and returns how many
   were dropped. Finished batches stay. */
int32_t ko_compute_drop(struct ko_compute *compute);

void ko_finished_free(struct ko_finished *finished);

#endif
