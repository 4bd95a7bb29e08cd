#include "mpi/job.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/messages.h"
#include "src/base/bytes.h"
#include "src/base/memory.h"

const struct ko_kernels *ko_backend_find(const char *name)
{
    return strcmp(name, ko_kernels_cpu.name) == 0 ? &ko_kernels_cpu : NULL;
}

enum ko_code ko_job_new(struct ko_plan *plan, const uint8_t *done, const char *cube_path,
                        const char *backend, struct ko_job *out, struct ko_error *err)
{
    struct ko_job job = {.plan = plan, .commit_seconds = 10};
    enum ko_code code = ko_batches_compose(plan, &job.batches, err);
    if (code == KO_OK) {
        job.todo = ko_new((size_t)job.batches.n, 1, err);
        job.cube_path = ko_copy(cube_path, err);
        job.backend = ko_copy(backend, err);
        code = job.todo && job.cube_path && job.backend ? KO_OK : KO_E_MEMORY;
    }
    for (int32_t b = 0; code == KO_OK && b < job.batches.n; b++) {
        const struct ko_batch *batch = &job.batches.batch[b];
        for (int32_t k = 0; k < batch->n_facts; k++) {
            const size_t at = (size_t)batch->model * (size_t)plan->n_facts + (size_t)batch->fact[k];
            if (!done || !done[at])
                job.todo[b] = 1;
        }
    }
    if (code != KO_OK)
        ko_job_free(&job);
    else
        *out = job;
    return code;
}

void ko_job_free(struct ko_job *job)
{
    if (!job)
        return;
    ko_batches_free(&job->batches);
    if (job->owns_plan)
        ko_plan_free(job->plan);
    free(job->todo);
    free(job->cube_path);
    free(job->backend);
    *job = (struct ko_job){0};
}

static enum ko_code broadcast(const struct ko_world *world, struct ko_bytes *bytes,
                              struct ko_error *err)
{
    enum ko_code code = ko_text_check(&bytes->data, err);
    if (code == KO_OK)
        code = ko_broadcast_bytes(world->all, &bytes->data.data, &bytes->data.n, err);
    ko_text_free(&bytes->data);
    return code;
}

enum ko_code ko_job_send(const struct ko_world *world, const struct ko_job *job,
                         struct ko_error *err)
{
    struct ko_bytes bytes = {0};
    ko_put_int(&bytes, KO_NEXT_JOB);
    ko_put_string(&bytes, job->cube_path);
    ko_put_string(&bytes, job->backend);
    ko_put_int(&bytes, job->precision);
    ko_put_int(&bytes, job->threads);
    ko_put_double(&bytes, job->commit_seconds);
    ko_plan_pack(job->plan, &bytes);
    ko_put_int(&bytes, job->batches.n);
    ko_put_blob(&bytes, job->todo, (size_t)job->batches.n);
    return broadcast(world, &bytes, err);
}

enum ko_code ko_job_send_end(const struct ko_world *world, struct ko_error *err)
{
    struct ko_bytes bytes = {0};
    ko_put_int(&bytes, KO_NEXT_END);
    return broadcast(world, &bytes, err);
}

static enum ko_code unpack(struct ko_bytes *bytes, struct ko_job *job, struct ko_error *err)
{
    job->cube_path = ko_get_string(bytes, err);
    job->backend = ko_get_string(bytes, err);
    job->precision = (enum ko_precision)ko_get_int(bytes);
    job->threads = (int32_t)ko_get_int(bytes);
    job->commit_seconds = ko_get_double(bytes);
    job->owns_plan = true;
    enum ko_code code = ko_plan_unpack(bytes, &job->plan, err);
    if (code == KO_OK)
        code = ko_batches_compose(job->plan, &job->batches, err);
    if (code != KO_OK)
        return code;
    if (!job->cube_path || !job->backend || ko_get_int(bytes) != job->batches.n)
        return ko_fail(err, KO_E_FAILED, "the job that rank 0 sent does not fit this program");
    job->todo = ko_new((size_t)job->batches.n, 1, err);
    if (!job->todo)
        return KO_E_MEMORY;
    ko_get_blob(bytes, job->todo, (size_t)job->batches.n);
    return bytes->broken ? ko_fail(err, KO_E_FAILED, "the job that rank 0 sent is cut off") : KO_OK;
}

enum ko_code ko_job_receive(const struct ko_world *world, enum ko_next *next, struct ko_job *out,
                            struct ko_error *err)
{
    char *data = NULL;
    size_t n = 0;
    enum ko_code code = ko_broadcast_bytes(world->all, &data, &n, err);
    if (code != KO_OK)
        return code;
    struct ko_bytes bytes = {0};
    struct ko_job job = {0};
    ko_bytes_read_from(&bytes, data, n);
    *next = (enum ko_next)ko_get_int(&bytes);
    if (*next == KO_NEXT_JOB)
        code = unpack(&bytes, &job, err);
    free(data);
    if (code != KO_OK)
        ko_job_free(&job);
    else
        *out = job;
    return code;
}

int32_t ko_job_max_rows(const struct ko_job *job, int32_t model)
{
    const int64_t budget = job->plan->model[model].row_budget;
    int64_t largest = 1;
    for (int32_t b = 0; b < job->batches.n; b++) {
        const struct ko_batch *batch = &job->batches.batch[b];
        if (batch->model == model && batch->n_rows > largest)
            largest = batch->n_rows;
    }
    return (int32_t)(largest < budget ? largest : budget);
}
