/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a job from a plan: divides the plan into batches and marks those with work left. It also
   packs the job for the other ranks and unpacks it there. */
#include "mpi/job.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/world/broadcast.h"
#include "src/base/bytes.h"
#include "src/base/memory.h"
#include "src/plan/pack.h"

/* Marks the batches that have a prompt that is not done. */
static enum ko_code mark_pending(struct ko_job *job, struct ko_error *err)
{
    job->pending = ko_new((size_t)job->batches.n, 1, err);
    if (!job->pending) {
        return KO_E_MEMORY;
    }
    for (int32_t b = 0; b < job->batches.n; b++) {
        const struct ko_batch *batch = &job->batches.batch[b];
        for (int32_t k = 0; k < batch->n_facts; k++) {
            if (!ko_job_is_done(job, batch->model, batch->fact[k])) {
                job->pending[b] = 1;
            }
        }
    }
    return KO_OK;
}

/* The batches of the plan, without cells that were taken. */
static enum ko_code compose_batches(struct ko_job *job, struct ko_error *err)
{
    const enum ko_code code = ko_batches_compose(job->plan, &job->batches, err);
    return code == KO_OK && job->taken ? ko_batches_prune(job->plan, job->taken, &job->batches, err)
                                       : code;
}

enum ko_code ko_job_new(struct ko_plan *plan, const struct ko_job_earlier *earlier,
                        const char *cube_path, const char *backend, struct ko_job *out,
                        struct ko_error *err)
{
    const size_t n_models = (size_t)plan->n_models, n = n_models * (size_t)plan->n_facts;
    struct ko_job job = {
        .plan = plan, .taken = earlier->taken, .commit_seconds = 10, .last_model = -1};
    enum ko_code code = compose_batches(&job, err);
    if (code == KO_OK) {
        job.done = ko_new(n, 1, err);
        job.content_hash = ko_new(n_models, sizeof *job.content_hash, err);
        job.slots = ko_new(n_models, 1, err);
        job.cube_path = ko_copy(cube_path, err);
        job.backend = ko_copy(backend, err);
        code = job.done && job.content_hash && job.slots && job.cube_path && job.backend
                   ? KO_OK
                   : KO_E_MEMORY;
    }
    if (code == KO_OK && earlier->done) {
        memcpy(job.done, earlier->done, n);
    }
    if (code == KO_OK && earlier->content_hash) {
        memcpy(job.content_hash, earlier->content_hash, n_models * sizeof *job.content_hash);
    }
    if (code == KO_OK) {
        code = mark_pending(&job, err);
    }
    if (code != KO_OK) {
        ko_job_free(&job);
    } else {
        *out = job;
    }
    return code;
}

void ko_job_free(struct ko_job *job)
{
    if (!job) {
        return;
    }
    ko_batches_free(&job->batches);
    if (job->owns_plan) {
        ko_plan_free(job->plan);
        ko_taken_free(job->taken);
    }
    free(job->done);
    free(job->pending);
    free(job->content_hash);
    free(job->slots);
    free(job->cube_path);
    free(job->backend);
    *job = (struct ko_job){0};
}

static enum ko_code broadcast_job(const struct ko_world *world, struct ko_bytes *bytes,
                                  struct ko_error *err)
{
    enum ko_code code = ko_text_check(&bytes->data, err);
    size_t n = code == KO_OK ? bytes->data.n : 0; /* the waiting ranks read 0 bytes as a failure */
    const enum ko_code sent = ko_broadcast_bytes(world->all, &bytes->data.data, &n, err);
    ko_text_free(&bytes->data);
    return code == KO_OK ? sent : code;
}

enum ko_code ko_job_send(const struct ko_world *world, const struct ko_job *job,
                         struct ko_error *err)
{
    struct ko_bytes bytes = {0};
    ko_put_int(&bytes, KO_NEXT_JOB);
    ko_put_string(&bytes, job->cube_path);
    ko_put_string(&bytes, job->backend);
    ko_put_int(&bytes, job->precision);
    ko_put_double(&bytes, job->commit_seconds);
    ko_put_int(&bytes, job->last_model);
    ko_plan_pack(job->plan, &bytes);
    ko_taken_pack(job->taken, &bytes);
    ko_batches_pack(&job->batches, &bytes);
    ko_put_blob(&bytes, job->done, (size_t)job->plan->n_models * (size_t)job->plan->n_facts);
    ko_put_blob(&bytes, job->content_hash, (size_t)job->plan->n_models * sizeof *job->content_hash);
    ko_put_blob(&bytes, job->slots, (size_t)job->plan->n_models);
    return broadcast_job(world, &bytes, err);
}

enum ko_code ko_job_send_end(const struct ko_world *world, struct ko_error *err)
{
    struct ko_bytes bytes = {0};
    ko_put_int(&bytes, KO_NEXT_END);
    return broadcast_job(world, &bytes, err);
}

static enum ko_code unpack_job(struct ko_bytes *bytes, struct ko_job *job, struct ko_error *err)
{
    job->cube_path = ko_get_string(bytes, err);
    job->backend = ko_get_string(bytes, err);
    job->precision = (enum ko_precision)ko_get_int(bytes);
    job->commit_seconds = ko_get_double(bytes);
    job->last_model = (int32_t)ko_get_int(bytes);
    job->owns_plan = true;
    enum ko_code code = ko_plan_unpack(bytes, &job->plan, err);
    if (code == KO_OK) {
        code = ko_taken_unpack(bytes, job->plan, &job->taken, err);
    }
    if (code == KO_OK && !bytes->broken) {
        code = ko_batches_unpack(bytes, job->plan, job->taken, &job->batches, err);
    }
    if (code == KO_OK && bytes->broken) {
        code = ko_fail(err, KO_E_FAILED, "the job that rank 0 sent is cut off");
    }
    if (code != KO_OK) {
        return code;
    }
    const size_t n_models = (size_t)job->plan->n_models;
    const size_t n = n_models * (size_t)job->plan->n_facts;
    job->done = ko_new(n, 1, err);
    job->content_hash = ko_new(n_models, sizeof *job->content_hash, err);
    job->slots = ko_new(n_models, 1, err);
    if (!job->done || !job->content_hash || !job->slots) {
        return KO_E_MEMORY;
    }
    ko_get_blob(bytes, job->done, n);
    ko_get_blob(bytes, job->content_hash, n_models * sizeof *job->content_hash);
    ko_get_blob(bytes, job->slots, n_models);
    code = mark_pending(job, err);
    if (code == KO_OK && (!job->cube_path || !job->backend)) {
        bytes->broken = 1;
    }
    if (code != KO_OK) {
        return code;
    }
    return bytes->broken ? ko_fail(err, KO_E_FAILED, "the job that rank 0 sent is cut off") : KO_OK;
}

enum ko_code ko_job_receive(const struct ko_world *world, enum ko_next *next, struct ko_job *out,
                            struct ko_error *err)
{
    char *data = NULL;
    size_t n = 0;
    enum ko_code code = ko_broadcast_bytes(world->all, &data, &n, err);
    if (code != KO_OK) {
        return code;
    }
    struct ko_bytes bytes = {0};
    struct ko_job job = {0};
    ko_bytes_read_from(&bytes, data, n);
    *next = (enum ko_next)ko_get_int(&bytes);
    if (bytes.broken) {
        code = ko_fail(err, KO_E_FAILED, "rank 0 had no memory for the job");
    } else if (*next == KO_NEXT_JOB) {
        code = unpack_job(&bytes, &job, err);
    }
    free(data);
    if (code != KO_OK) {
        ko_job_free(&job);
    } else {
        *out = job;
    }
    return code;
}

/* The place of a model in the order of computing; of -1: before all. */
static int32_t place_of(const struct ko_job *job, int32_t model)
{
    return model >= 0 && model == job->last_model ? job->plan->n_models : model;
}

int32_t ko_job_next_model(const struct ko_job *job, int32_t model)
{
    int32_t next = -1;
    for (int32_t b = 0; b < job->batches.n; b++) {
        const int32_t m = job->batches.batch[b].model, place = place_of(job, m);
        if (job->pending[b] && place > place_of(job, model) &&
            (next < 0 || place < place_of(job, next))) {
            next = m;
        }
    }
    return next;
}

bool ko_job_has_results(const struct ko_job *job, int32_t model)
{
    if (job->taken && ko_taken_of_model(job->taken, model)) {
        return true;
    }
    for (int32_t b = 0; b < job->batches.n; b++) {
        const struct ko_batch *batch = &job->batches.batch[b];
        for (int32_t k = 0; batch->model == model && k < batch->n_facts; k++) {
            if (ko_job_is_done(job, model, batch->fact[k])) {
                return true;
            }
        }
    }
    return false;
}

int32_t ko_job_max_rows(const struct ko_job *job, int32_t model)
{
    const int64_t budget = job->plan->model[model].row_budget;
    int64_t largest = 1;
    for (int32_t b = 0; b < job->batches.n; b++) {
        const struct ko_batch *batch = &job->batches.batch[b];
        if (batch->model == model && batch->n_rows > largest) {
            largest = batch->n_rows;
        }
    }
    const int64_t of_means = ko_plan_reference_rows(job->plan, model);
    largest = of_means > largest ? of_means : largest;
    return (int32_t)(largest < budget ? largest : budget);
}
