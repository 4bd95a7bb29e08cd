/* SPDX-License-Identifier: Apache-2.0 */
/* A job: one plan to be computed into one cube. Rank 0 makes it and sends it to the workers. */
#ifndef KO_MPI_JOB_H
#define KO_MPI_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "mpi/world/world.h"
#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/tree/batch.h"
#include "src/tree/taken.h"

/* Results that the cube has before the job begins. All borrowed. */
struct ko_job_earlier {
    const uint8_t *done;            /* [n_models * n_facts] 1: complete prompts; NULL: no results */
    const char (*content_hash)[33]; /* [n_models] as in struct ko_job; NULL: not known */
    struct ko_taken *taken;         /* cells taken from an earlier cube; may be NULL */
};

struct ko_job {
    bool owns_plan; /* not on the root: plan and taken are owned, else borrowed */
    struct ko_plan *plan;
    struct ko_batches batches; /* owned */
    uint8_t *done;             /* [n_models * n_facts] 1: done before, not written again; owned */
    uint8_t *pending;          /* [batches.n] 1: has a prompt that is not done; owned */
    /* [n_models] of the weights of earlier results; "": no results yet; owned */
    char (*content_hash)[33];
    struct ko_taken *taken; /* cells from an earlier cube, which no batch computes; may be NULL */
    char *cube_path;        /* owned */
    char *backend;          /* "cpu"; owned */
    enum ko_precision precision;
    double commit_seconds;
    int32_t last_model; /* this model is computed last; -1: the plan's order */
    uint8_t *slots;     /* [n_models] its weights stream through so many slots
                           (src/forward/layer_layout.h); 0: they stay; owned */
};

/* Seconds that workers spent; a worker computes on while it commits. */
struct ko_spent {
    double load, compute, commit;
};

/* The root's answer to what the ranks do next. */
enum ko_next { KO_NEXT_JOB, KO_NEXT_END };

/* Root: composes the batches and marks what is to do. plan and earlier->taken are borrowed, of the
   rest copies are taken. Free with ko_job_free. */
KO_MUST_CHECK enum ko_code ko_job_new(struct ko_plan *plan, const struct ko_job_earlier *earlier,
                                      const char *cube_path, const char *backend,
                                      struct ko_job *out, struct ko_error *err);
void ko_job_free(struct ko_job *job); /* leaves {0} */

/* Collective over all ranks. The root sends a job or the end; the other ranks receive it. */
KO_MUST_CHECK enum ko_code ko_job_send(const struct ko_world *world, const struct ko_job *job,
                                       struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_job_send_end(const struct ko_world *world, struct ko_error *err);
KO_MUST_CHECK enum ko_code ko_job_receive(const struct ko_world *world, enum ko_next *next,
                                          struct ko_job *out, struct ko_error *err);

static inline bool ko_job_is_done(const struct ko_job *job, int32_t model, int32_t fact)
{
    return job->done[(size_t)model * (size_t)job->plan->n_facts + (size_t)fact];
}

/* The model to compute after this one (-1: the first), among those with pending batches; -1: there
   are no more. */
int32_t ko_job_next_model(const struct ko_job *job, int32_t model);

/* Whether the cube has results of the model from an earlier run or an earlier cube. */
bool ko_job_has_results(const struct ko_job *job, int32_t model);

/* Rows that a worker's workspace must hold for this model's batches. */
int32_t ko_job_max_rows(const struct ko_job *job, int32_t model);

#endif
