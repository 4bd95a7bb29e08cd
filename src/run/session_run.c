/* SPDX-License-Identifier: Apache-2.0 */
/* Starts MPI and the log, picks the device and locks the output. Rank 0 then runs the steps of the
   command; all other ranks wait here for jobs until it is done. */
#define _GNU_SOURCE
#include "src/run/session_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/backends/backends.h"
#include "ko_version.h"
#include "mpi/compute/station.h"
#include "mpi/compute/warm_up.h"
#include "mpi/cube/probe.h"
#include "mpi/job.h"
#include "mpi/sweep.h"
#include "mpi/sweep_run.h"
#include "mpi/world/agree.h"
#include "mpi/world/broadcast.h"
#include "mpi/world/launch.h"
#include "src/base/clock.h"
#include "src/base/machine/signals.h"
#include "src/base/machine/terminal.h"
#include "src/base/text.h"
#include "src/run/result_line.h"
#include "src/run/session.h"
#include "src/run/settings.h"

static enum ko_code read_settings(struct ko_session *session, struct ko_error *err)
{
    struct ko_options *options = session->cli->options;
    enum ko_log_level level = KO_LOG_INFO;
    enum ko_code code = ko_cli_log_level(options, &level, err);
    session->log = (struct ko_log){.level = level,
                                   .rank = session->world.alone ? -1 : session->world.rank,
                                   .root = session->world.root,
                                   .stream = stderr};
    if (code == KO_OK) {
        code = ko_cli_check_threads(options, err);
    }
    if (code == KO_OK) {
        code = ko_progress_mode_parse(ko_option_string(options, KO_OPT_PROGRESS), stderr,
                                      &session->progress, err);
    }
    /* A redrawn progress line is for people, even under mpirun, where stderr is a pipe. */
    session->log.for_people = !ko_option_given(options, KO_OPT_LOG_LEVEL) &&
                              session->progress != KO_PROGRESS_JSON &&
                              (session->progress == KO_PROGRESS_LINE || ko_is_terminal(stderr));
    return code;
}

/* Rank 0 may lack a GPU or have other processors, so the workers' answers are used. */
static enum ko_code describe_device(struct ko_session *session, struct ko_error *err)
{
    const struct ko_kernels *kernels = ko_backend_find(session->backend);
    const int n = session->world.n_workers;
    if (!kernels->own_memory) {
        return ko_sights_describe_host(session->sight, n, kernels, session->device,
                                       sizeof session->device, err);
    }
    ko_sights_device(session->sight, n, session->device, sizeof session->device);
    ko_sights_log(session->sight, n, &session->log);
    return KO_OK;
}

/* Receives the output's path, probes its folder and reports this rank to the lock. *begun: whether
   the root goes on. */
static enum ko_code join_session(struct ko_session *session, bool *begun, struct ko_error *err)
{
    struct ko_world *world = &session->world;
    char *path = NULL;
    size_t n = 0;
    enum ko_code code = ko_broadcast_bytes(world->all, &path, &n, err);
    if (code == KO_OK && n > 0) {
        code = ko_cube_probe_folder(path, world->all, err);
    }
    if (code == KO_OK && n > 0) {
        struct ko_lock_owner owner;
        code = ko_lock_gather(world, &owner, err);
        if (code == KO_OK) {
            ko_lock_owner_free(&owner);
        }
    }
    free(path);
    *begun = n > 0;
    return code;
}

/* Computes the jobs that the root sends, on every other rank. */
static enum ko_code serve_jobs(struct ko_session *session, struct ko_error *err)
{
    struct ko_world *world = &session->world;
    bool begun = false;
    enum ko_code code = join_session(session, &begun, err);
    while (code == KO_OK && begun && !world->broken) {
        struct ko_job job = {0};
        enum ko_next next = KO_NEXT_END;
        code = ko_job_receive(world, &next, &job, err);
        if (code == KO_OK && next == KO_NEXT_END) {
            break;
        }
        struct ko_sweep sweep = {
            .world = world, .station = &session->station, .job = &job, .log = &session->log};
        code = ko_agree(world->all, code, err);
        if (code == KO_OK) {
            code = ko_sweep_run(&sweep, err);
        }
        ko_job_free(&job);
    }
    return code;
}

/* The session's consent: whether its locks are still held. */
static enum ko_code ask_locks(void *context, struct ko_error *err)
{
    const struct ko_session *session = context;
    enum ko_code code = KO_OK;
    for (int k = 0; code == KO_OK && k < 2; k++) {
        if (session->lock[k]) {
            code = ko_lock_check(session->lock[k], err);
        }
    }
    return code;
}

/* Locks the output, so that no other run writes it, and checks it again. */
static enum ko_code lock_output(struct ko_session *session, const struct ko_output *output,
                                const struct ko_lock_owner *owner, struct ko_error *err)
{
    enum ko_code code = ko_lock_take(output->cube, owner, KO_LOCK_WAIT_SECONDS, ko_stop_wanted,
                                     &session->lock[0], err);
    if (code == KO_OK && output->own_evaluation) {
        code = ko_lock_take(output->evaluation, owner, KO_LOCK_WAIT_SECONDS, ko_stop_wanted,
                            &session->lock[1], err);
    }
    return code == KO_OK ? ko_output_check_again(output, err) : code;
}

enum ko_code ko_session_begin(struct ko_session *session, const struct ko_output *output,
                              struct ko_error *err)
{
    struct ko_world *world = &session->world;
    char *path = output->cube;
    size_t n = strlen(path) + 1;
    struct ko_lock_owner owner = {0};
    enum ko_code code = describe_device(session, err);
    if (code != KO_OK) {
        return code;
    }
    code = ko_broadcast_bytes(world->all, &path, &n, err);
    session->begun = session->sending = true;
    if (code == KO_OK) {
        code = ko_cube_probe_folder(path, world->all, err);
    }
    if (code == KO_OK) {
        code = ko_lock_gather(world, &owner, err);
    }
    if (code != KO_OK) {
        session->sending = false;
        return code;
    }
    session->resume = output->resume;
    session->shard = output->shard;
    code = lock_output(session, output, &owner, err);
    ko_lock_owner_free(&owner);
    if (code == KO_OK) {
        const struct ko_start *start = &session->start;
        ko_log_write(&session->log, KO_LOG_DEBUG,
                     "start mpi_seconds=%.2f gpus_seconds=%.2f inputs_and_plan_seconds=%.2f",
                     start->world - start->begun, start->sights - start->world,
                     ko_now() - start->sights);
        ko_sights_warn(session->sight, world->n_workers, &session->log);
        ko_log_write(&session->log, KO_LOG_INFO,
                     "run version=%s commit=%s ranks=%d workers=%d device=\"%s\" output=\"%s\"",
                     KO_VERSION, KO_COMMIT, world->n_ranks, world->n_workers, session->device,
                     path);
        ko_log_say(&session->log, "%s: %d worker%s, %s", path, world->n_workers,
                   ko_plural(world->n_workers), session->device);
    }
    return code;
}

enum ko_code ko_session_compute(struct ko_session *session, const struct ko_session_job *wanted,
                                struct ko_error *err)
{
    const struct ko_options *options = session->cli->options;
    struct ko_job job = {0};
    enum ko_code code =
        ko_job_new(wanted->plan, wanted->earlier, wanted->cube_path, session->backend, &job, err);
    if (code != KO_OK) {
        return code;
    }
    job.precision = session->precision;
    job.last_model = wanted->last_model;
    memcpy(job.slots, wanted->slots, (size_t)wanted->plan->n_models);
    job.commit_seconds = ko_option_double(options, KO_OPT_COMMIT_SECONDS);
    struct ko_sweep sweep = {.world = &session->world,
                             .station = &session->station,
                             .job = &job,
                             .log = &session->log,
                             .progress = {.mode = session->progress, .stream = stderr},
                             .title = wanted->title,
                             .stop_wanted = ko_stop_wanted,
                             .consent = &session->consent};
    if (session->resume) {
        ko_session_log_left(session, &job, wanted->title);
    }
    const double start = ko_wall_clock();
    code = ko_consent_ask(&session->consent, err);
    if (code == KO_OK) {
        code = ko_cube_begin_run(job.cube_path, start, session->world.host, ko_session_slurm_job(),
                                 err);
    }
    if (code != KO_OK) {
        ko_job_free(&job);
        return code;
    }
    if (!session->world.alone) {
        code = ko_job_send(&session->world, &job, err);
        code = ko_agree(session->world.all, code, err);
    }
    if (code == KO_OK) {
        ko_log_write(&session->log, KO_LOG_DEBUG, "%s prepare_seconds=%.2f", wanted->title,
                     ko_now() - session->idle_since);
        code = ko_sweep_run(&sweep, err);
        session->idle_since = ko_now();
    }
    if (code == KO_OK || code == KO_E_STOPPED) {
        ko_session_log_end(session, &sweep, code == KO_E_STOPPED);
    }
    /* A failed run is logged too, or `status` would report it as running. */
    if (!session->world.broken && ko_consent_ask(&session->consent, NULL) == KO_OK) {
        ko_session_log_run(session, &sweep, start, code);
    }
    session->n_failures += sweep.failures.n;
    ko_failures_free(&sweep.failures);
    ko_job_free(&job);
    if (code != KO_OK) {
        session->sending = false; /* every rank has agreed to leave */
    }
    return code;
}

/* The root: leads, then tells the other ranks that there are no more jobs. */
static enum ko_code lead_and_end(struct ko_session *session, ko_session_lead *lead, void *context,
                                 struct ko_error *err)
{
    struct ko_world *world = &session->world;
    enum ko_code code = lead(session, context, err);
    struct ko_error later = {0};
    /* If another run has taken the output, report that: it caused the failure. */
    if (code != KO_OK && ko_consent_ask(&session->consent, &later) != KO_OK) {
        code = later.code;
        *err = later;
    }
    enum ko_code end = KO_OK;
    if (!world->broken && session->sending) {
        end = ko_job_send_end(world, &later);
    } else if (!world->broken && !session->begun) {
        char *nothing = NULL;
        size_t n = 0;
        end = ko_broadcast_bytes(world->all, &nothing, &n, &later);
    }
    world->broken = world->broken || end != KO_OK;
    return code;
}

/* Whether this rank prints the error: the root, every process without MPI, and a rank whose report
   to the root went unanswered. */
static bool prints_error(const struct ko_world *world)
{
    return world->root || world->n_ranks == 0 || world->broken;
}

/* Every rank ends with the root's status, so that the launcher reports recorded failures. */
static void agree_on_status(struct ko_session *session, int *status)
{
    int failures = session->n_failures > 0;
    MPI_Bcast(&failures, 1, MPI_INT, 0, session->world.all);
    if (failures) {
        *status = KO_EXIT_FAILURES;
    }
}

static enum ko_code open_session(struct ko_session *session, struct ko_error *err)
{
    const struct ko_cli *cli = session->cli;
    enum ko_code code = ko_launch_check_step(err);
    if (code == KO_OK) {
        code = ko_launch_prepare(err);
    }
    if (code == KO_OK) {
        code = ko_world_open(cli->argc, cli->argv, &session->world, err);
    }
    session->start.world = ko_now();
    if (code == KO_OK) {
        code = ko_launch_check(session->world.n_ranks, err);
    }
    if (code == KO_OK) {
        code = read_settings(session, err);
    }
    if (code == KO_OK) {
        code = ko_sights_gather(&session->world, (int)ko_option_int(cli->options, KO_OPT_THREADS),
                                &session->sight, err);
    }
    session->start.sights = session->idle_since = ko_now();
    return code;
}

/* Logs how long the root took from its last job to here, and since its start. */
static void log_end(const struct ko_session *session)
{
    const double now = ko_now();
    if (session->world.root) {
        ko_log_write(&session->log, KO_LOG_DEBUG, "end seconds=%.2f total_seconds=%.2f",
                     now - session->idle_since, now - session->start.begun);
    }
}

/* Prints the error and closes the session. */
static void close_session(struct ko_session *session, enum ko_code code, struct ko_error *err)
{
    struct ko_world *world = &session->world;
    for (int k = 0; k < 2 && !world->broken; k++) {
        ko_lock_release(session->lock[k]);
    }
    if (code != KO_OK && prints_error(world)) {
        fprintf(stderr, "knockout: %s\n", err->text);
        fflush(stderr);
    }
    err->text[0] = '\0';
    free(session->sight);
    if (world->broken) {
        MPI_Abort(MPI_COMM_WORLD, ko_exit_status(code));
    }
    /* A launcher kills the other ranks when one ends with a failure, so all wait until the root has
       printed the error. */
    if (world->all != MPI_COMM_NULL) {
        struct ko_error later = {0};
        const enum ko_code met = ko_meet(world->all, &later);
        (void)met; /* the rank ends in any case */
        ko_station_close(&session->station);
        log_end(session);
    }
    ko_world_close(world);
}

enum ko_code ko_session_run(struct ko_cli *cli, ko_session_lead *lead, void *context, int *status,
                            struct ko_error *err)
{
    struct ko_session session = {
        .cli = cli, .world = {.all = MPI_COMM_NULL}, .start.begun = ko_now()};
    struct ko_warm_up warm_up = {0};
    session.consent = (struct ko_consent){ask_locks, &session};
    ko_stop_install(ko_option_int(cli->options, KO_OPT_STOP_AT));
    enum ko_code code = open_session(&session, err);
    if (code == KO_OK) {
        ko_warm_up_start(&session.world, ko_option_string(cli->options, KO_OPT_BACKEND), &warm_up);
        code = session.world.root ? lead_and_end(&session, lead, context, err)
                                  : serve_jobs(&session, err);
        if (!session.world.broken) {
            code = ko_agree(session.world.all, code, err);
        }
        if (code == KO_OK) {
            agree_on_status(&session, status);
        }
    }
    ko_warm_up_end(&warm_up);
    close_session(&session, code, err);
    return code;
}
