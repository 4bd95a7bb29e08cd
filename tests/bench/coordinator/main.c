/* SPDX-License-Identifier: Apache-2.0 */
/* The coordinator with thousands of workers. Rank 0 runs the program's coordinator with a job of a
   real plan. The other ranks, one or two, play the workers: they take the messages and answer at the
   times at which GPUs of measured speed would. Nothing is computed, read or written.

   Usage: mpirun -n 3 bench.coordinator [NAME=VALUE...] SPEC [options of `knockout plan`]
   with --device and --precision at least. A model needs a config.json and no weights, and the
   build no backend for GPUs.

     workers=1024   numbers of workers, one simulation for each: workers=64,256
     seconds=10     how long the simulation takes: the clock of the simulated run is stretched or
                    shortened to that
     round=0.012    seconds of a commit round besides its bytes
     file-rate=0.25 GB/s that all workers together write

   Prints a line for each simulation: what was simulated, the efficiency (computing time over workers
   times wall time), how it divides, and how busy the coordinator is. All seconds are those of the simulated
   run, but for those of the coordinator's processor. `late` is how late this machine played the ends
   of batches, as a share of their time: above 0.1 it is too slow for the simulation, which then
   needs more seconds. */
#define _GNU_SOURCE
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mpi/coordinator.h"
#include "mpi/job.h"
#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/bench/device_rates.h"
#include "src/forward/record.h"
#include "src/preview/plan_report.h"
#include "src/run/inputs_plan.h"
#include "src/run/settings.h"
#include "tests/bench/coordinator/many.h"
#include "tests/bench/coordinator/pace.h"
#include "tests/bench/coordinator/player.h"

static const double STORED_BYTES = 2;      /* a weight in the checkpoint */
static const double NAP_SECONDS = 1e-3;    /* as the coordinator's in mpi/sweep_run.c */
static const double COMMIT_SECONDS = 10.0; /* the default of `run` */

/* What is simulated, on rank 0. */
struct subject {
    struct ko_options options;
    struct ko_inputs inputs;
    struct ko_plan *plan;
    struct ko_plan_report report;
    struct ko_job job;
    struct ko_plan_settings settings;
    const char *workers; /* their numbers, with commas between them */
    double wall_seconds; /* that a simulation is to take */
};

/* What the coordinator did. */
struct coordinated {
    double wall, busy; /* seconds here; busy: processor time of steps with a message */
    int64_t n_busy;
};

static double processor_time(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0
               ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec
               : NAN;
}

/* Reads NAME=VALUE words up to the spec. Returns how many there are, -1 after a bad one. */
static int read_numbers(int argc, char **argv, struct subject *subject, struct pace *pace)
{
    int k = 1;
    for (; k < argc && strchr(argv[k], '=') && argv[k][0] != '-'; k++) {
        char *end = NULL;
        const char *value = strchr(argv[k], '=') + 1;
        const double x = strtod(value, &end);
        if (strncmp(argv[k], "workers=", 8) == 0) {
            subject->workers = value;
            continue;
        }
        double *to = strncmp(argv[k], "seconds=", 8) == 0      ? &subject->wall_seconds
                     : strncmp(argv[k], "round=", 6) == 0      ? &pace->round_seconds
                     : strncmp(argv[k], "file-rate=", 10) == 0 ? &pace->file_rate
                                                               : NULL;
        if (!to || end == value || *end != '\0' || !(x > 0)) {
            return -1;
        }
        *to = to == &pace->file_rate ? 1e9 * x : x;
    }
    return k - 1;
}

static enum ko_code parse_options(int argc, char **argv, struct subject *subject,
                                  struct ko_error *err)
{
    bool help = false, version = false;
    char **words = ko_new((size_t)argc + 2, sizeof *words, err);
    if (!words) {
        return KO_E_MEMORY;
    }
    words[0] = argv[0];
    words[1] = (char[]){"plan"};
    memcpy(words + 2, argv + 1, (size_t)(argc - 1) * sizeof *words);
    enum ko_code code = ko_options_parse(argc + 1, words, &subject->options, &help, &version, err);
    free(words);
    if (code == KO_OK && (subject->options.arguments.n != 1 ||
                          !ko_option_string(&subject->options, KO_OPT_DEVICE))) {
        code = ko_fail(err, KO_E_INPUT,
                       "usage: bench.coordinator [NAME=VALUE...] SPEC --device "
                       "NAME --precision P --workers N");
    }
    return code;
}

static enum ko_code make_plan(struct subject *s, struct ko_error *err)
{
    struct ko_options *options = &s->options;
    struct ko_plan_settings *settings = &s->settings;
    *settings = (struct ko_plan_settings){
        .device = ko_option_string(options, KO_OPT_DEVICE),
        .n_workers = (int32_t)ko_option_int(options, KO_OPT_WORKERS),
        .read_rate = 1e9 * ko_option_double(options, KO_OPT_READ_RATE),
        .commit_seconds = COMMIT_SECONDS,
        .backend = "cpu", /* what every build has: no rate is taken from it */
        .threads = 1};
    enum ko_code code =
        ko_inputs_open(options->arguments.item[0], options, KO_MODELS_USED, false, &s->inputs, err);
    if (code == KO_OK) {
        code = ko_cli_precision(options, &settings->precision, err);
    }
    if (code == KO_OK) {
        code = ko_cli_weights(options, &settings->weights, &settings->memory_limit, err);
    }
    if (code == KO_OK) {
        s->inputs.gpu = true; /* every known device is a GPU, whether or not this build has one */
        code = ko_inputs_plan(&s->inputs, KO_PLAN_SWEEP, NULL, NULL, &s->plan, err);
    }
    if (code == KO_OK) {
        code = ko_plan_report_make(&s->inputs, s->plan, &(struct ko_strings){0}, &s->report, err);
    }
    return code == KO_OK ? ko_plan_report_predict(&s->report, settings, false, err) : code;
}

/* The times of `plan`'s model of cost (src/tree/makespan.h). */
static enum ko_code time_batches(const struct subject *s, struct pace *pace, struct ko_error *err)
{
    const struct ko_plan_settings *settings = &s->settings;
    const struct ko_batches *batches = &s->job.batches;
    const double record = (double)ko_plan_n_mean_values(s->plan) *
                          (double)ko_stored_metrics_bytes(s->plan->has_foils);
    enum ko_code code = pace_new(batches->n, s->plan->n_models, pace, err);
    for (int32_t b = 0; code == KO_OK && b < batches->n; b++) {
        const struct ko_batch *batch = &batches->batch[b];
        const struct ko_model *model = s->inputs.model[batch->model];
        const struct ko_plan_model_report *of_model = &s->report.model[batch->model];
        const struct ko_device_rate *rate = NULL;
        code = ko_device_rate_find(settings->device, settings->precision,
                                   s->plan->model[batch->model].architecture, model->shape.d_model,
                                   &rate, err);
        if (code != KO_OK) {
            break;
        }
        const double stream =
            of_model->streams ? of_model->streamed_bytes / s->report.time.stream_rate : 0;
        pace->seconds[b] =
            fmax(batch->flop / ko_device_rate_flops(rate, ko_model_exact_share(model)),
                 batch->n_waves * stream);
        pace->bytes[b] = record * batch->n_facts;
        pace->load[batch->model] =
            (double)ko_model_floats(model) * STORED_BYTES / settings->read_rate;
    }
    return code;
}

static enum ko_code prepare(int argc, char **argv, struct subject *s, struct pace *pace,
                            struct ko_error *err)
{
    const struct ko_job_earlier nothing = {0};
    const int n = read_numbers(argc, argv, s, pace);
    if (n < 0) {
        return ko_fail(err, KO_E_INPUT,
                       "bench.coordinator: expected seconds=, round= or file-rate= with a number");
    }
    enum ko_code code = parse_options(argc - n, argv + n, s, err);
    if (code == KO_OK) {
        code = make_plan(s, err);
    }
    if (code == KO_OK) {
        code = ko_job_new(s->plan, &nothing, "simulated", s->settings.backend, &s->job, err);
    }
    if (code == KO_OK) {
        code = time_batches(s, pace, err);
    }
    return code;
}

/* As the turns of a coordinator in mpi/sweep_run.c, with a watch. */
static enum ko_code coordinate(const struct subject *s, const struct pace *pace,
                               struct many_channel *many, struct coordinated *out,
                               struct ko_error *err)
{
    struct ko_world world = {.all = MPI_COMM_WORLD, .n_workers = pace->n_workers, .root = true};
    struct ko_sweep sweep = {
        .world = &world, .job = &s->job, .progress = {.mode = KO_PROGRESS_NONE}};
    struct ko_coordinator *coordinator = NULL;
    const double begin = ko_now();
    ko_sweep_count(&s->job, &sweep.progress);
    ko_progress_begin(&sweep.progress, "simulation");
    enum ko_code code = ko_coordinator_new(&sweep, &many->channel, &coordinator, err);
    while (code == KO_OK && !ko_coordinator_has_ended(coordinator)) {
        bool busy = false;
        const double before = processor_time();
        code = ko_coordinator_step(coordinator, &busy, err);
        if (busy) {
            out->busy += processor_time() - before;
            out->n_busy++;
        } else {
            ko_nap(NAP_SECONDS);
        }
    }
    out->wall = ko_now() - begin;
    ko_coordinator_free(coordinator);
    if (code == KO_OK && sweep.n_committed != s->job.batches.n) {
        code = ko_fail(err, KO_E_FAILED, "simulation: %d of %d batches are committed",
                       sweep.n_committed, s->job.batches.n);
    }
    return code;
}

static void print_line(const struct subject *s, const struct pace *pace,
                       const struct many_channel *many, const struct coordinated *c,
                       const struct played *all)
{
    const double x = pace->factor, n = pace->n_workers, wall = c->wall / x;
    double work = 0, load = 0;
    for (int32_t b = 0; b < pace->n_batches; b++) {
        work += pace->seconds[b];
    }
    for (int32_t m = 0; m < pace->n_models; m++) {
        load += pace->load[m];
    }
    printf(
        "model=\"%s\" workers=%d batches=%d cells=%lld batch_ms=%.4g load_seconds=%.3f "
        "wall_seconds=%.3f efficiency=%.3f idle=%.3f rounds=%lld "
        "round_seconds=%.3f messages=%lld us_per_message=%.2f coordinator_busy=%.4f stretched=%.4g "
        "late=%.4f\n",
        s->plan->n_models == 1 ? s->plan->model[0].name : "several", pace->n_workers,
        pace->n_batches, (long long)s->report.cost.n_cells, 1e3 * work / pace->n_batches, load,
        wall, work / (n * wall), all->idle / x / (n * wall), (long long)many->n_rounds,
        all->round / x / (many->n_rounds > 0 ? (double)many->n_rounds : 1),
        (long long)(many->n_sent + many->n_received),
        1e6 * c->busy / (double)(many->n_sent + many->n_received), c->busy / wall, x,
        all->late / all->compute);
}

/* The sums and the largest numbers of all players. Collective. */
static struct played gather(const struct played *mine)
{
    const double number[] = {mine->compute, mine->idle, mine->round, mine->late};
    double sum[4] = {0}, most[4] = {0};
    MPI_Reduce(number, sum, 4, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Reduce(number, most, 4, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
    return (struct played){.compute = sum[0], .idle = sum[1], .round = most[2], .late = sum[3]};
}

/* Rank 0: one simulation. */
static enum ko_code simulate(struct subject *s, struct pace *pace, int n_players, int32_t n_workers,
                             struct ko_error *err)
{
    struct many_channel many;
    struct coordinated coordinated = {0};
    s->settings.n_workers = n_workers;
    enum ko_code code = ko_plan_report_predict(&s->report, &s->settings, false, err);
    if (code != KO_OK) {
        return code;
    }
    pace->n_workers = n_workers;
    pace->factor = s->wall_seconds / s->report.time.sweep.seconds;
    s->job.commit_seconds = COMMIT_SECONDS * pace->factor;
    many_open(MPI_COMM_WORLD, n_players, &many);
    pace_share(pace, MPI_COMM_WORLD);
    code = coordinate(s, pace, &many, &coordinated, err);
    if (code == KO_OK) {
        const struct played all = gather(&(struct played){0});
        print_line(s, pace, &many, &coordinated, &all);
        fflush(stdout);
    }
    return code;
}

static enum ko_code lead(int argc, char **argv, int n_players, struct ko_error *err)
{
    struct subject s = {.wall_seconds = 10, .workers = "1024"};
    struct pace pace = {.round_seconds = KO_ROUND_SECONDS, .file_rate = KO_ROUND_BYTES_RATE};
    enum ko_code code = prepare(argc, argv, &s, &pace, err);
    for (const char *at = s.workers; code == KO_OK && at; at = strchr(at, ',')) {
        at += *at == ',';
        const int n = atoi(at);
        code = n < 1 ? ko_fail(err, KO_E_INPUT, "workers=: expected 1 or more, got '%s'", at)
                     : simulate(&s, &pace, n_players, n, err);
    }
    if (code == KO_OK) {
        pace.n_workers = 0; /* the players end */
        pace_share(&pace, MPI_COMM_WORLD);
    }
    pace_free(&pace);
    ko_job_free(&s.job);
    ko_plan_report_free(&s.report);
    ko_plan_free(s.plan);
    ko_inputs_close(&s.inputs);
    ko_options_free(&s.options);
    return code;
}

static enum ko_code play(int rank, int n_players, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    bool ends = false;
    while (code == KO_OK && !ends) {
        struct pace pace = {0};
        struct many_channel many;
        struct played played = {0};
        many_open(MPI_COMM_WORLD, n_players, &many);
        pace_share(&pace, MPI_COMM_WORLD);
        ends = pace.n_workers == 0;
        if (!ends) {
            code = player_run(&pace, &many, rank - 1, &played, err);
        }
        if (!ends && code == KO_OK) {
            (void)gather(&played);
        }
        pace_free(&pace);
    }
    return code;
}

int main(int argc, char **argv)
{
    struct ko_error err = {0};
    enum ko_code code = KO_OK;
    int rank = 0, n_ranks = 1;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    if (n_ranks < 2) {
        code = ko_fail(&err, KO_E_INPUT, "bench.coordinator: needs mpirun -n 2 or more");
    } else {
        code = rank == 0 ? lead(argc, argv, n_ranks - 1, &err) : play(rank, n_ranks - 1, &err);
    }
    if (code != KO_OK) {
        fprintf(stderr, "%s\n", err.text);
        MPI_Abort(MPI_COMM_WORLD, code == KO_E_INPUT ? 2 : 1);
    }
    MPI_Finalize();
    return 0;
}
