/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the compute thread and gives it work: functions to call, models to bind, and batches to
   compute. The main thread asks here what is finished and how far the current batch is. */
#define _GNU_SOURCE
#include "mpi/compute/compute.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "src/base/clock.h"
#include "src/base/memory.h"

static const double STOP_SECONDS = 0.01; /* between two questions whether a call is to stop */

struct task {
    int32_t number;
    const struct ko_batch *batch;
};

struct binding {
    struct ko_compute *compute;
    const struct ko_compute_model *model;
};

struct ko_compute {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const struct ko_kernels *kernels;
    struct ko_backend_config config;
    char description[256];

    /* Guarded by lock. */
    bool ready, quit, computing;
    int32_t number;            /* of the batch being computed */
    ko_compute_function *call; /* to run next; NULL: nothing to call */
    void *call_context;
    struct ko_error call_error; /* of opening the backend, then of the last call */
    struct task queue[KO_COMPUTE_QUEUE];
    int n_queued;
    struct ko_finished done[KO_COMPUTE_QUEUE + 1];
    int n_done;

    atomic_bool drop;
    atomic_int reached;       /* share of the batch that is computed, in millionths */
    atomic_bool call_stops;   /* the current call is to end early */
    struct ko_stop call_stop; /* asks for it; for the thread */

    /* Used by the thread only. */
    struct ko_backend *be;
    struct ko_engine *engine;
};

static bool drop_wanted(void *context)
{
    struct ko_compute *compute = context;
    return atomic_load(&compute->drop);
}

static bool call_stop_wanted(void *context)
{
    struct ko_compute *compute = context;
    return atomic_load(&compute->call_stops);
}

static void note_reached(void *context, double share)
{
    struct ko_compute *compute = context;
    atomic_store(&compute->reached, (int)(1e6 * share));
}

static void run_call(struct ko_compute *compute)
{
    struct ko_error error = {0};
    pthread_mutex_unlock(&compute->lock);
    const enum ko_code code =
        compute->call(compute->kernels, compute->be, compute->call_context, &error);
    error.code = code;
    pthread_mutex_lock(&compute->lock);
    compute->call_error = error;
    compute->call = NULL;
    pthread_cond_broadcast(&compute->changed);
}

static void run_next(struct ko_compute *compute)
{
    const struct task task = compute->queue[0];
    for (int k = 1; k < compute->n_queued; k++) {
        compute->queue[k - 1] = compute->queue[k];
    }
    compute->n_queued--;
    compute->computing = true;
    compute->number = task.number;
    atomic_store(&compute->reached, 0);
    pthread_mutex_unlock(&compute->lock);

    const double begin = ko_now();
    const struct ko_stop stop = {
        .wanted = drop_wanted, .context = compute, .reached = note_reached};
    struct ko_finished finished = {.batch = task.number, .n_records = task.batch->n_facts};
    finished.records =
        ko_new((size_t)task.batch->n_facts, sizeof *finished.records, &finished.error);
    enum ko_code code = finished.records ? ko_engine_run(compute->engine, task.batch, &stop,
                                                         finished.records, &finished.error)
                                         : KO_E_MEMORY;
    finished.error.code = code;
    if (code != KO_OK) {
        free(finished.records);
        finished.records = NULL;
        finished.n_records = 0;
    }
    finished.seconds = ko_now() - begin;

    pthread_mutex_lock(&compute->lock);
    compute->computing = false;
    compute->done[compute->n_done++] = finished;
    pthread_cond_broadcast(&compute->changed);
}

static void *compute_thread(void *argument)
{
    struct ko_compute *compute = argument;
    struct ko_error error = {0};
    const enum ko_code code = compute->kernels->open(&compute->config, &compute->be, &error);
    error.code = code;
    if (code == KO_OK) {
        compute->kernels->describe(compute->be, compute->description, sizeof compute->description);
    }
    pthread_mutex_lock(&compute->lock);
    compute->call_error = error;
    compute->ready = true;
    pthread_cond_broadcast(&compute->changed);
    while (code == KO_OK && !compute->quit) {
        if (compute->call) {
            run_call(compute);
        } else if (compute->n_queued > 0 && compute->n_done <= KO_COMPUTE_QUEUE) {
            run_next(compute);
        } else {
            pthread_cond_wait(&compute->changed, &compute->lock);
        }
    }
    pthread_mutex_unlock(&compute->lock);
    ko_engine_free(compute->engine);
    if (compute->be) {
        compute->kernels->close(compute->be);
    }
    return NULL;
}

enum ko_code ko_compute_start(const struct ko_kernels *kernels,
                              const struct ko_backend_config *config, struct ko_compute **out,
                              struct ko_error *err)
{
    struct ko_compute *compute = ko_new(1, sizeof *compute, err);
    if (!compute) {
        return KO_E_MEMORY;
    }
    compute->kernels = kernels;
    compute->config = *config;
    atomic_init(&compute->drop, false);
    atomic_init(&compute->reached, 0);
    atomic_init(&compute->call_stops, false);
    compute->call_stop = (struct ko_stop){.wanted = call_stop_wanted, .context = compute};
    pthread_mutex_init(&compute->lock, NULL);
    pthread_cond_init(&compute->changed, NULL);
    if (pthread_create(&compute->thread, NULL, compute_thread, compute) != 0) {
        free(compute);
        return ko_fail(err, KO_E_FAILED, "compute thread: cannot be started");
    }
    pthread_mutex_lock(&compute->lock);
    while (!compute->ready) {
        pthread_cond_wait(&compute->changed, &compute->lock);
    }
    const enum ko_code code = compute->call_error.code;
    if (code != KO_OK && err) {
        *err = compute->call_error;
    }
    pthread_mutex_unlock(&compute->lock);
    if (code != KO_OK) {
        ko_compute_stop(compute);
        return code;
    }
    *out = compute;
    return KO_OK;
}

void ko_compute_stop(struct ko_compute *compute)
{
    if (!compute) {
        return;
    }
    (void)ko_compute_drop(compute);
    pthread_mutex_lock(&compute->lock);
    compute->quit = true;
    pthread_cond_broadcast(&compute->changed);
    pthread_mutex_unlock(&compute->lock);
    pthread_join(compute->thread, NULL);
    for (int k = 0; k < compute->n_done; k++) {
        ko_finished_free(&compute->done[k]);
    }
    pthread_cond_destroy(&compute->changed);
    pthread_mutex_destroy(&compute->lock);
    free(compute);
}

const char *ko_compute_description(const struct ko_compute *compute)
{
    return compute->description;
}

const struct ko_kernels *ko_compute_kernels(const struct ko_compute *compute)
{
    return compute->kernels;
}

enum ko_precision ko_compute_precision(const struct ko_compute *compute)
{
    return compute->config.precision;
}

int ko_compute_threads(const struct ko_compute *compute)
{
    return compute->config.threads;
}

const struct ko_stop *ko_compute_call_stop(const struct ko_compute *compute)
{
    return &compute->call_stop;
}

/* Waits for the call with the lock held, and asks `stop` meanwhile. */
static void await_call(struct ko_compute *compute, const struct ko_stop *stop)
{
    while (compute->call && !stop) {
        pthread_cond_wait(&compute->changed, &compute->lock);
    }
    while (compute->call) {
        pthread_mutex_unlock(&compute->lock);
        ko_nap(STOP_SECONDS);
        if (ko_stop_is_wanted(stop)) {
            atomic_store(&compute->call_stops, true);
        }
        pthread_mutex_lock(&compute->lock);
    }
}

enum ko_code ko_compute_call_until(struct ko_compute *compute, const struct ko_stop *stop,
                                   ko_compute_function *function, void *context,
                                   struct ko_error *err)
{
    atomic_store(&compute->call_stops, ko_stop_is_wanted(stop));
    pthread_mutex_lock(&compute->lock);
    compute->call = function;
    compute->call_context = context;
    pthread_cond_broadcast(&compute->changed);
    await_call(compute, stop);
    const enum ko_code code = compute->call_error.code;
    if (code != KO_OK && err) {
        *err = compute->call_error;
    }
    pthread_mutex_unlock(&compute->lock);
    return code;
}

enum ko_code ko_compute_call(struct ko_compute *compute, ko_compute_function *function,
                             void *context, struct ko_error *err)
{
    return ko_compute_call_until(compute, NULL, function, context, err);
}

static enum ko_code bind_model(const struct ko_kernels *k, struct ko_backend *be, void *context,
                               struct ko_error *err)
{
    const struct binding *b = context;
    struct ko_engine **engine = &b->compute->engine;
    ko_engine_free(*engine);
    *engine = NULL;
    const struct ko_compute_model *m = b->model;
    return m ? ko_engine_new(m->plan, m->plan_model, m->model, m->arena, k, be, m->max_rows, engine,
                             err)
             : KO_OK;
}

enum ko_code ko_compute_bind(struct ko_compute *compute, const struct ko_compute_model *model,
                             struct ko_error *err)
{
    struct binding binding = {compute, model};
    return ko_compute_call(compute, bind_model, &binding, err);
}

/* One of the two is asked for. */
struct means_call {
    struct ko_engine *engine;
    const struct ko_mean_groups *groups; /* sums a group */
    int32_t group;
    double *sums;
    const float *means; /* sets them */
};

static enum ko_code call_means(const struct ko_kernels *k, struct ko_backend *be, void *context,
                               struct ko_error *err)
{
    const struct means_call *call = context;
    (void)k;
    (void)be;
    return call->groups
               ? ko_engine_sum_means(call->engine, call->groups, call->group, call->sums, err)
               : ko_engine_set_means(call->engine, call->means, err);
}

enum ko_code ko_compute_sum_means(struct ko_compute *compute, const struct ko_mean_groups *groups,
                                  int32_t group, double *sums, struct ko_error *err)
{
    struct means_call call = {compute->engine, groups, group, sums, NULL};
    return ko_compute_call(compute, call_means, &call, err);
}

enum ko_code ko_compute_set_means(struct ko_compute *compute, const float *means,
                                  struct ko_error *err)
{
    struct means_call call = {.engine = compute->engine, .means = means};
    return ko_compute_call(compute, call_means, &call, err);
}

void ko_compute_submit(struct ko_compute *compute, int32_t number, const struct ko_batch *batch)
{
    pthread_mutex_lock(&compute->lock);
    compute->queue[compute->n_queued++] = (struct task){number, batch};
    pthread_cond_broadcast(&compute->changed);
    pthread_mutex_unlock(&compute->lock);
}

bool ko_compute_poll(struct ko_compute *compute, struct ko_finished *out)
{
    pthread_mutex_lock(&compute->lock);
    const bool got = compute->n_done > 0;
    if (got) {
        *out = compute->done[0];
        for (int k = 1; k < compute->n_done; k++) {
            compute->done[k - 1] = compute->done[k];
        }
        compute->n_done--;
        pthread_cond_broadcast(&compute->changed);
    }
    pthread_mutex_unlock(&compute->lock);
    return got;
}

double ko_compute_share(struct ko_compute *compute, int32_t *batch)
{
    pthread_mutex_lock(&compute->lock);
    const double share = compute->computing ? 1e-6 * atomic_load(&compute->reached) : 0;
    *batch = compute->computing ? compute->number : -1;
    pthread_mutex_unlock(&compute->lock);
    return share;
}

int32_t ko_compute_drop(struct ko_compute *compute)
{
    int32_t n = 0;
    pthread_mutex_lock(&compute->lock);
    n += compute->n_queued;
    compute->n_queued = 0;
    atomic_store(&compute->drop, true);
    while (compute->computing) {
        pthread_cond_wait(&compute->changed, &compute->lock);
    }
    atomic_store(&compute->drop, false);
    int kept = 0;
    for (int k = 0; k < compute->n_done; k++) {
        if (compute->done[k].error.code == KO_E_STOPPED) {
            n++;
        } else {
            compute->done[kept++] = compute->done[k];
        }
    }
    compute->n_done = kept;
    pthread_mutex_unlock(&compute->lock);
    return n;
}

void ko_finished_free(struct ko_finished *finished)
{
    for (int32_t k = 0; k < finished->n_records; k++) {
        ko_record_free(&finished->records[k]);
    }
    free(finished->records);
    *finished = (struct ko_finished){0};
}
