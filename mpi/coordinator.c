/* SPDX-License-Identifier: Apache-2.0 */
/* Answers the workers' messages, gives them batches model by model, and ends the job when all is
   done, a worker fails or the user stops it. */
#include "mpi/coordinator.h"

#include <stdlib.h>

#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/forward/record.h"
#include "src/tree/commit_rounds.h"

enum { HELD = 2 /* batches that a worker holds: it computes one, the other waits */ };

/* A round is called at least this often, even with nothing to write: `status` takes its time in the
   cube as a sign that the run is alive. */
enum { BEAT_SECONDS = 30 };

enum phase {
    LOADING,    /* the workers load a model */
    COMPUTING,  /* they compute its batches */
    DROPPING,   /* after a stop or an error: they drop what is not finished */
    SETTLING,   /* waits for the round under way */
    LAST_ROUND, /* commits the rest */
    ENDED
};

/* What the coordinator knows of a worker. */
struct worker_state {
    int held;             /* batches */
    int32_t batch;        /* that it computes; -1: not reported */
    double share;         /* of that batch's work that is done */
    int64_t staged_bytes; /* of finished batches that are not committed */
};

struct ko_coordinator {
    struct ko_sweep *sweep;
    const struct ko_job *job;
    struct ko_channel *channel;
    struct worker_state *worker; /* [n_workers] */
    int n_workers;
    enum phase phase;
    int32_t model; /* -1: none yet */
    int32_t next;  /* first batch that may not have been handed out */
    int32_t end;   /* of the model's batches */
    int32_t left;  /* batches of the model that are not finished */
    int n_loaded, n_dropped_replies, n_round_replies;
    bool in_round;
    int64_t staged_bytes, record_bytes; /* staged: on all workers */
    int64_t most_staged_bytes;          /* on one worker */
    double last_round, last_round_end;  /* when it began and ended */
    bool stopped;
    bool forbidden;          /* the output must not be written any more */
    bool unloaded;           /* the model cannot be loaded: its batches are recorded as failed */
    struct ko_error failure; /* the first that ended the job */
};

static enum ko_code send_to(struct ko_coordinator *c, int worker, enum ko_tag tag, int64_t value,
                            struct ko_error *err)
{
    return ko_channel_send(c->channel, worker + 1, tag, value, 0, err);
}

static enum ko_code send_to_all(struct ko_coordinator *c, enum ko_tag tag, int64_t value,
                                int64_t extra, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int w = 0; code == KO_OK && w < c->n_workers; w++) {
        code = ko_channel_send(c->channel, w + 1, tag, value, extra, err);
    }
    return code;
}

/* A stop waits until the batches of a model that cannot be loaded are recorded, which takes no
   time: --resume would only try to load it again. */
static bool is_ending(const struct ko_coordinator *c)
{
    const bool gives_up = c->unloaded && c->left > 0;
    return c->failure.code != KO_OK || (c->stopped && !gives_up);
}

/* Gives the worker batches of the model until it holds HELD of them. */
static enum ko_code hand_out(struct ko_coordinator *c, int worker, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    while (code == KO_OK && !is_ending(c) && c->worker[worker].held < HELD) {
        while (c->next < c->end && !c->job->pending[c->next]) {
            c->next++;
        }
        if (c->next == c->end) {
            break;
        }
        code = send_to(c, worker, c->unloaded ? KO_TAG_GIVE_UP : KO_TAG_BATCH, c->next++, err);
        c->worker[worker].held++;
    }
    return code;
}

static void stage_bytes(struct ko_coordinator *c, struct worker_state *worker, int64_t n)
{
    c->staged_bytes += n;
    worker->staged_bytes += n;
    if (worker->staged_bytes > c->most_staged_bytes) {
        c->most_staged_bytes = worker->staged_bytes;
    }
}

/* What the worker has reported before was in its commit. */
static void note_committed(struct ko_coordinator *c, struct worker_state *worker, int32_t n_batches)
{
    c->staged_bytes -= worker->staged_bytes;
    worker->staged_bytes = 0;
    c->sweep->n_committed += n_batches;
    c->n_round_replies++;
    c->in_round = c->n_round_replies < c->n_workers;
    if (c->in_round) {
        return;
    }
    c->last_round_end = ko_now();
    c->most_staged_bytes = 0;
    for (int w = 0; w < c->n_workers; w++) {
        if (c->worker[w].staged_bytes > c->most_staged_bytes) {
            c->most_staged_bytes = c->worker[w].staged_bytes;
        }
    }
}

static enum ko_code note_finished(struct ko_coordinator *c, const struct ko_message *message,
                                  struct ko_error *err)
{
    const struct ko_batch *batch = &c->job->batches.batch[message->value];
    struct worker_state *worker = &c->worker[message->party - 1];
    worker->held--;
    worker->batch = -1;
    c->left--;
    stage_bytes(c, worker, c->record_bytes * batch->n_facts);
    c->sweep->progress.cells_done += batch->n_cells;
    c->sweep->progress.work_done += batch->flop;
    return hand_out(c, message->party - 1, err);
}

/* Every worker reports a model that cannot be loaded: it is noted once. */
static void note_failure(struct ko_coordinator *c, const struct ko_message *message)
{
    if (message->tag == KO_TAG_UNLOADED && c->unloaded) {
        return;
    }
    ko_progress_break(&c->sweep->progress);
    ko_failures_add(&c->sweep->failures, c->sweep->log, c->job->plan->model[c->model].name,
                    message->error.text);
}

static enum ko_code handle_message(struct ko_coordinator *c, const struct ko_message *message,
                                   struct ko_error *err)
{
    struct worker_state *worker = &c->worker[message->party - 1];
    switch (message->tag) {
    case KO_TAG_LOADED:
        c->n_loaded++;
        return KO_OK;
    case KO_TAG_UNLOADED:
        note_failure(c, message);
        c->unloaded = true;
        c->n_loaded++;
        return KO_OK;
    case KO_TAG_FAILED:
        note_failure(c, message);
        return KO_OK;
    case KO_TAG_FINISHED:
        return note_finished(c, message, err);
    case KO_TAG_DROPPED:
        c->n_dropped_replies++;
        worker->held = 0;
        worker->batch = -1;
        return KO_OK;
    case KO_TAG_REACHED:
        worker->batch = (int32_t)message->value;
        worker->share = 1e-6 * (double)message->extra;
        return KO_OK;
    case KO_TAG_COMMITTED:
        note_committed(c, worker, (int32_t)message->value);
        return KO_OK;
    case KO_TAG_ERROR:
        if (c->failure.code == KO_OK) {
            c->failure = message->error;
        }
        return KO_OK;
    case KO_TAG_BROKEN:
        *err = message->error;
        return message->error.code;
    default:
        return ko_fail(err, KO_E_FAILED,
                       "MPI: the coordinator got a message with tag %d from rank %d",
                       (int)message->tag, message->party);
    }
}

/* Asked before every write. If the lock is lost, nothing may be written and the job ends. */
static bool may_write(struct ko_coordinator *c)
{
    struct ko_error refusal = {0};
    if (c->forbidden) {
        return false;
    }
    c->forbidden = ko_consent_ask(c->sweep->consent, &refusal) != KO_OK;
    if (c->forbidden && c->failure.code == KO_OK) {
        c->failure = refusal;
    }
    return !c->forbidden;
}

/* Adds up what the workers compute: for the progress line, and for the cube. */
static void note_workers(struct ko_coordinator *c)
{
    struct ko_progress *progress = &c->sweep->progress;
    progress->n_busy = 0;
    progress->cells_partial = progress->work_partial = 0;
    for (int w = 0; w < c->n_workers; w++) {
        const struct worker_state *worker = &c->worker[w];
        progress->n_busy += worker->held > 0;
        if (worker->batch >= 0) {
            const struct ko_batch *batch = &c->job->batches.batch[worker->batch];
            progress->cells_partial += worker->share * (double)batch->n_cells;
            progress->work_partial += worker->share * batch->flop;
        }
    }
}

/* The round's message carries the progress of the run, which the cube stores for `status`. */
static enum ko_code begin_round(struct ko_coordinator *c, struct ko_error *err)
{
    const struct ko_progress *progress = &c->sweep->progress;
    if (!may_write(c)) {
        return KO_OK;
    }
    c->in_round = true;
    c->n_round_replies = 0;
    c->last_round = ko_now();
    note_workers(c);
    return send_to_all(c, KO_TAG_ROUND, progress->cells_done, ko_progress_ppm(progress), err);
}

/* Whether so many bytes wait that a round is worth its time (commit_rounds.h). */
static bool is_full(const struct ko_coordinator *c, double now)
{
    const double took = c->last_round_end - c->last_round;
    return c->most_staged_bytes >= KO_STAGED_BYTES ||
           (c->staged_bytes >= KO_STAGED_BYTES && now - c->last_round_end >= KO_ROUND_PAUSE * took);
}

static bool round_is_due(const struct ko_coordinator *c)
{
    const double now = ko_now(), since = now - c->last_round;
    const bool due = c->staged_bytes > 0 && (since >= c->job->commit_seconds || is_full(c, now));
    return (due || since >= BEAT_SECONDS) && !c->in_round && !is_ending(c) && c->phase < DROPPING;
}

static bool stop_is_wanted(const struct ko_coordinator *c)
{
    return c->left > 0 && c->sweep->stop_wanted && c->sweep->stop_wanted();
}

/* Lets the workers load the next model that has batches left, or ends the job. */
static enum ko_code begin_model(struct ko_coordinator *c, struct ko_error *err)
{
    const struct ko_batches *batches = &c->job->batches;
    const int32_t model = ko_job_next_model(c->job, c->model);
    if (model < 0) {
        c->phase = SETTLING;
        return KO_OK;
    }
    c->model = model;
    c->next = 0;
    while (batches->batch[c->next].model != model) {
        c->next++;
    }
    for (c->end = c->next; c->end < batches->n && batches->batch[c->end].model == model; c->end++) {
        c->left += c->job->pending[c->end];
    }
    c->unloaded = false;
    c->stopped = stop_is_wanted(c);
    if (c->stopped) {
        return KO_OK;
    }
    c->phase = LOADING;
    c->n_loaded = 0;
    c->sweep->progress.model = c->job->plan->model[c->model].name;
    /* a load writes the content hash */
    return may_write(c) ? send_to_all(c, KO_TAG_MODEL, c->model, 0, err) : KO_OK;
}

static enum ko_code begin_batches(struct ko_coordinator *c, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    c->phase = COMPUTING;
    for (int w = 0; code == KO_OK && w < c->n_workers; w++) {
        code = hand_out(c, w, err);
    }
    return code;
}

/* Begins the next phase where this one is over. */
static enum ko_code advance_phase(struct ko_coordinator *c, struct ko_error *err)
{
    if (c->phase < DROPPING && is_ending(c)) {
        c->phase = DROPPING;
        return send_to_all(c, KO_TAG_STOP, 0, 0, err);
    }
    switch (c->phase) {
    case LOADING:
        return c->n_loaded < c->n_workers ? KO_OK : begin_batches(c, err);
    case COMPUTING:
        return c->left > 0 ? KO_OK : begin_model(c, err);
    case DROPPING:
        c->phase = c->n_dropped_replies < c->n_workers ? DROPPING : SETTLING;
        return KO_OK;
    case SETTLING:
        if (c->in_round) {
            return KO_OK;
        }
        c->phase = LAST_ROUND;
        return c->staged_bytes > 0 ? begin_round(c, err) : KO_OK;
    case LAST_ROUND:
        if (c->in_round) {
            return KO_OK;
        }
        c->phase = ENDED;
        return send_to_all(c, KO_TAG_END, 0, 0, err);
    case ENDED:
        break;
    }
    return KO_OK;
}

enum ko_code ko_coordinator_step(struct ko_coordinator *coordinator, bool *busy,
                                 struct ko_error *err)
{
    struct ko_coordinator *c = coordinator;
    struct ko_message message;
    bool got = false;
    enum ko_code code = c->channel->poll(c->channel, &message, &got, err);
    if (code == KO_OK && got) {
        *busy = true;
        code = handle_message(c, &message, err);
    }
    if (code != KO_OK) {
        return code;
    }
    c->stopped = c->stopped || (c->phase < DROPPING && stop_is_wanted(c));
    if (round_is_due(c)) {
        code = begin_round(c, err);
    }
    if (code == KO_OK) {
        code = advance_phase(c, err);
    }
    if (ko_progress_is_due(&c->sweep->progress)) {
        note_workers(c);
        ko_progress_print(&c->sweep->progress);
    }
    return code;
}

bool ko_coordinator_has_ended(const struct ko_coordinator *coordinator)
{
    return coordinator->phase == ENDED;
}

enum ko_code ko_coordinator_result(const struct ko_coordinator *coordinator, struct ko_error *err)
{
    if (coordinator->failure.code != KO_OK) {
        *err = coordinator->failure;
        return err->code;
    }
    return coordinator->stopped
               ? ko_fail(err, KO_E_STOPPED, "%s: stopped early, continue with --resume",
                         coordinator->job->cube_path)
               : KO_OK;
}

enum ko_code ko_coordinator_new(struct ko_sweep *sweep, struct ko_channel *channel,
                                struct ko_coordinator **out, struct ko_error *err)
{
    const int n_workers = sweep->world->n_workers;
    struct ko_coordinator *c = ko_new(1, sizeof *c, err);
    struct worker_state *worker = ko_new((size_t)n_workers, sizeof *worker, err);
    if (!c || !worker) {
        free(c);
        free(worker);
        return KO_E_MEMORY;
    }
    for (int w = 0; w < n_workers; w++) {
        worker[w].batch = -1;
    }
    *c = (struct ko_coordinator){.sweep = sweep,
                                 .job = sweep->job,
                                 .channel = channel,
                                 .worker = worker,
                                 .n_workers = n_workers,
                                 .phase = COMPUTING, /* no model: the first step begins one */
                                 .model = -1,
                                 .record_bytes = ko_record_bytes(sweep->job->plan)};
    c->last_round = c->last_round_end = ko_now();
    *out = c;
    return KO_OK;
}

void ko_coordinator_free(struct ko_coordinator *coordinator)
{
    if (coordinator) {
        free(coordinator->worker);
        free(coordinator);
    }
}
