/* SPDX-License-Identifier: Apache-2.0 */
/* Opens what this rank needs: the coordinator, a worker, or both. Lets them take turns until the
   job ends, and adds up the time that the workers have spent. */
#include "mpi/sweep_run.h"

#include "mpi/coordinator.h"
#include "mpi/worker_step.h"
#include "mpi/world/agree.h"
#include "mpi/world/channel.h"
#include "mpi/world/check.h"
#include "src/base/clock.h"

/* Between two polls. The worker's is shorter: its compute thread waits for the next batch. */
static const double COORDINATOR_NAP_SECONDS = 1e-3, WORKER_NAP_SECONDS = 5e-4;
/* A rank that has failed for good leaves the coordinator this time to end the job for all. */
static const double BROKEN_WAIT_SECONDS = 5;

/* Of this rank. With one rank both, joined by two queues. */
struct roles {
    struct ko_sweep *sweep;
    struct ko_coordinator *coordinator; /* NULL on a worker's rank */
    bool works;
    struct ko_worker worker; /* where `works` */
    struct ko_channel to_workers, to_coordinator;
    struct ko_message_queue down, up; /* to the worker, to the coordinator */
    struct ko_stop load_stop;
};

/* Whether a load is to be dropped. Alone, the coordinator cannot send anything meanwhile. */
static bool load_stop_is_wanted(void *context)
{
    struct roles *roles = context;
    const struct ko_sweep *sweep = roles->sweep;
    return (sweep->stop_wanted && sweep->stop_wanted()) ||
           roles->to_coordinator.has(&roles->to_coordinator, KO_TAG_STOP);
}

/* Collective over the workers where this rank works. Close with close_roles, also after a
   failure. */
static enum ko_code open_roles(struct ko_sweep *sweep, struct roles *roles, struct ko_error *err)
{
    struct ko_world *world = sweep->world;
    enum ko_code code = KO_OK;
    *roles = (struct roles){.sweep = sweep, .works = world->alone || !world->root};
    if (world->alone) {
        roles->to_workers = ko_channel_in_process(&roles->up, &roles->down, 1);
        roles->to_coordinator = ko_channel_in_process(&roles->down, &roles->up, KO_COORDINATOR);
    } else {
        roles->to_workers = roles->to_coordinator = ko_channel_over_mpi(world->all);
    }
    if (roles->works) {
        roles->load_stop = (struct ko_stop){.wanted = load_stop_is_wanted, .context = roles};
        world->load_stop = &roles->load_stop;
        code = ko_worker_open(world, sweep->station, sweep->job, sweep->log, &roles->worker, err);
    }
    if (code == KO_OK && world->root) {
        code = ko_coordinator_new(sweep, &roles->to_workers, &roles->coordinator, err);
    }
    return code;
}

static enum ko_code take_turns(struct roles *roles, struct ko_error *err)
{
    const double nap = roles->works ? WORKER_NAP_SECONDS : COORDINATOR_NAP_SECONDS;
    enum ko_code code = KO_OK;
    bool ended = false;
    while (code == KO_OK && !ended) {
        bool busy = false;
        if (roles->coordinator) {
            code = ko_coordinator_step(roles->coordinator, &busy, err);
            ended = ko_coordinator_has_ended(roles->coordinator);
        }
        if (code == KO_OK && roles->works) {
            code = ko_worker_step(&roles->worker, &roles->to_coordinator, &busy, err);
            ended = roles->worker.ended;
        }
        if (code == KO_OK && !ended && !busy) {
            ko_nap(nap);
        }
    }
    return code;
}

/* This rank does not take part any more; the others may wait for it for ever, in a commit round for
   example. The coordinator ends the job for all: a worker reports to it and waits for that. */
static void break_off(struct roles *roles, enum ko_code code, struct ko_error *err)
{
    struct ko_world *world = roles->sweep->world;
    struct ko_error later = {0};
    world->broken = true;
    err->code = code;
    ko_error_name_rank(err, world->rank);
    if (roles->works && ko_channel_send_failure(&roles->to_coordinator, KO_COORDINATOR,
                                                KO_TAG_BROKEN, err, &later) == KO_OK) {
        ko_nap(BROKEN_WAIT_SECONDS);
    }
}

/* Sums what the workers spent into the root's sweep. Collective over all ranks; a failure sets
   world->broken. */
static enum ko_code gather_spent(const struct roles *roles, struct ko_error *err)
{
    struct ko_world *world = roles->sweep->world;
    const struct ko_spent spent = roles->worker.spent;
    const double mine[3] = {spent.load, spent.compute, spent.commit};
    double all[3] = {0, 0, 0};
    const enum ko_code code = ko_mpi_check(
        MPI_Reduce(mine, all, 3, MPI_DOUBLE, MPI_SUM, 0, world->all), "MPI_Reduce", err);
    world->broken = world->broken || code != KO_OK;
    roles->sweep->spent = (struct ko_spent){all[0], all[1], all[2]};
    return code;
}

/* Collective over the workers where this rank works. */
static enum ko_code close_roles(struct roles *roles, struct ko_error *err)
{
    roles->sweep->world->load_stop = NULL;
    ko_coordinator_free(roles->coordinator);
    ko_message_queue_free(&roles->down);
    ko_message_queue_free(&roles->up);
    return roles->works ? ko_worker_close(&roles->worker, err) : KO_OK;
}

/* Keeps the first error. */
static enum ko_code keep_first(enum ko_code code, enum ko_code later_code,
                               const struct ko_error *later, struct ko_error *err)
{
    if (code == KO_OK && later_code != KO_OK) {
        *err = *later;
        return later_code;
    }
    return code;
}

static enum ko_code run_roles(struct ko_sweep *sweep, struct ko_error *err)
{
    struct ko_world *world = sweep->world;
    struct roles roles;
    struct ko_error later = {0};
    enum ko_code code = open_roles(sweep, &roles, err);
    code = ko_agree(world->all, code, err);
    if (code == KO_OK) {
        code = take_turns(&roles, err);
        if (code != KO_OK && !world->alone) {
            break_off(&roles, code, err);
            return code;
        }
        if (code == KO_OK && roles.coordinator) {
            code = ko_coordinator_result(roles.coordinator, err);
        }
    }
    code = keep_first(code, gather_spent(&roles, &later), &later, err);
    if (world->broken && !world->alone) {
        return code;
    }
    return keep_first(code, close_roles(&roles, &later), &later, err);
}

enum ko_code ko_sweep_run(struct ko_sweep *sweep, struct ko_error *err)
{
    struct ko_world *world = sweep->world;
    const double begin = ko_now();
    if (world->root) {
        ko_sweep_count(sweep->job, &sweep->progress);
        sweep->progress.n_workers = world->n_workers;
        ko_progress_begin(&sweep->progress, sweep->title);
    }
    enum ko_code code = run_roles(sweep, err);
    if (world->root) {
        ko_failures_end(&sweep->failures, sweep->log);
        if (code == KO_OK || code == KO_E_STOPPED) {
            ko_progress_end(&sweep->progress);
        } else {
            ko_progress_break(&sweep->progress);
        }
        sweep->cells_done = sweep->progress.cells_done;
    }
    if (!world->broken) {
        code = ko_agree(world->all, code, err);
    }
    sweep->wall_seconds = ko_now() - begin;
    return code;
}
