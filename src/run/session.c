/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the log lines at the start and end of a job, the result line on the terminal, and the
   run's row in the cube's run table. */
#include "src/run/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ko_version.h"
#include "mpi/job.h"
#include "mpi/sweep.h"
#include "mpi/world/agree.h"
#include "mpi/world/launch.h"
#include "src/base/clock.h"
#include "src/base/machine/terminal.h"
#include "src/base/text.h"
#include "src/cube/run/run_table.h"
#include "src/run/result_line.h"

static const char *threads_text(const struct ko_session *session, char text[32])
{
    return ko_sights_threads(session->sight, session->world.n_workers, text);
}

const char *ko_session_slurm_job(void)
{
    const char *job = getenv("SLURM_JOB_ID");
    return job ? job : "";
}

static void say_result(const struct ko_session *session, const struct ko_result *result)
{
    struct ko_text text = {0};
    ko_result_add(result, &text);
    ko_log_say(&session->log, "%s", ko_text_str(&text));
    ko_text_free(&text);
}

/* The members that do not depend on a sweep. */
static struct ko_result result_of(const struct ko_session *session, const char *path,
                                  bool evaluation)
{
    const struct ko_options *options = session->cli->options;
    return (struct ko_result){.path = path,
                              .evaluation = evaluation,
                              .is_step = evaluation && strcmp(options->command, "evaluate") != 0,
                              .shard = session->shard,
                              .whole_path = ko_option_string(options, KO_OPT_OUTPUT)};
}

void ko_session_log_complete(const struct ko_session *session, const char *title, const char *path,
                             bool evaluation)
{
    struct ko_result result = result_of(session, path, evaluation);
    result.already = true;
    ko_log_write(&session->log, KO_LOG_INFO, "%s complete already cube=\"%s\"", title, path);
    say_result(session, &result);
}

/* Prints how a job ended, for people. */
static void say_end(const struct ko_session *session, const struct ko_sweep *sweep, bool stopped)
{
    struct ko_result result =
        result_of(session, sweep->job->cube_path, sweep->job->plan->kind == KO_PLAN_EVALUATION);
    result.total = sweep->progress.cells_total;
    result.before = sweep->progress.cells_before;
    result.done = sweep->cells_done;
    result.seconds = sweep->wall_seconds;
    result.n_failures = sweep->failures.n;
    result.stopped = stopped;
    say_result(session, &result);
}

void ko_session_log_end(const struct ko_session *session, const struct ko_sweep *sweep,
                        bool stopped)
{
    const double n = session->world.n_workers;
    char cells[32], seconds[32], threads[32];
    ko_log_write(&session->log, KO_LOG_INFO, "%s cells=%s batches=%d threads=%s time=\"%s\"",
                 sweep->title, ko_grouped(sweep->cells_done, cells), sweep->n_committed,
                 threads_text(session, threads), ko_seconds_human(sweep->wall_seconds, seconds));
    ko_log_write(&session->log, KO_LOG_INFO,
                 "%s seconds=%.2f worker_load=%.2f worker_compute=%.2f worker_commit=%.2f",
                 sweep->title, sweep->wall_seconds, sweep->spent.load / n, sweep->spent.compute / n,
                 sweep->spent.commit / n);
    say_end(session, sweep, stopped);
}

void ko_session_log_row(const struct ko_session *session, const char *cube_path,
                        struct ko_cube_run *run)
{
    struct ko_error err = {0};
    run->ranks = session->world.n_ranks;
    run->host = session->world.host;
    run->job = ko_session_slurm_job();
    if (ko_cube_log_run(cube_path, run, &err) != KO_OK) {
        ko_log_warn(&session->log, "run_table", "%s", err.text);
    }
}

void ko_session_log_run(const struct ko_session *session, const struct ko_sweep *sweep,
                        double start, enum ko_code code)
{
    char threads[32];
    struct ko_text text = {0};
    ko_text_add(
        &text,
        "%s version=%s commit=%s ranks=%d threads=%s device=\"%s\" cells=%lld batches=%d %s\n",
        sweep->title, KO_VERSION, KO_COMMIT, session->world.n_ranks, threads_text(session, threads),
        session->device, (long long)sweep->cells_done, sweep->n_committed, ko_code_sentence(code));
    for (int32_t m = 0; m < sweep->job->plan->n_models; m++) {
        if (sweep->job->slots[m] > 0) {
            ko_text_add(&text, "%s model=\"%s\" weights=stream\n", sweep->title,
                        sweep->job->plan->model[m].name);
        }
    }
    if (sweep->failures.log.n > 0) {
        ko_text_add(&text, "%s", ko_text_str(&sweep->failures.log));
    }
    struct ko_cube_run run = {.start_epoch = start,
                              .wall_seconds = sweep->wall_seconds,
                              .device_seconds = sweep->spent.compute,
                              .log = ko_text_str(&text)};
    ko_session_log_row(session, sweep->job->cube_path, &run);
    ko_text_free(&text);
}

void ko_session_log_left(const struct ko_session *session, const struct ko_job *job,
                         const char *title)
{
    struct ko_progress progress = {0};
    char left[32], total[32];
    int32_t n_left = 0;
    ko_sweep_count(job, &progress);
    for (int32_t b = 0; b < job->batches.n; b++) {
        n_left += job->pending[b];
    }
    ko_log_write(&session->log, KO_LOG_INFO, "%s resumes left=\"%s of %s cells, %d of %d batches\"",
                 title, ko_grouped(progress.cells_total - progress.cells_before, left),
                 ko_grouped(progress.cells_total, total), n_left, job->batches.n);
    ko_log_say(&session->log, "%s: continues, %s of %s cells are left", job->cube_path, left,
               total);
}
