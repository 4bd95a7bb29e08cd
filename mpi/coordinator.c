/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of rank 0 in a run with several ranks. It answers the workers' messages, gives them
   batches, and ends the run when all is done or the user stops it. */
#include "mpi/coordinator.h"

#include <stdlib.h>

#include "mpi/world/agree.h"
#include "mpi/world/messages.h"
#include "mpi/world/nap.h"
#include "src/base/clock.h"
#include "src/base/memory.h"
#include "src/forward/record.h"

enum { HELD = 2 /* batches that a worker holds: one in hand, one to go on with */ };

/* A batch that a worker has in hand, as far as it has said. */
struct in_hand {
    int32_t batch; /* -1: none, or nothing has been said */
    double share;  /* of its work that is done */
};

struct coordinator {
    struct ko_sweep *sweep;
    const struct ko_job *job;
    int n_workers;
    int *held;               /* [n_workers] */
    struct in_hand *in_hand; /* [n_workers] */
    int32_t next;            /* first batch that may not have been handed out */
    int32_t left;            /* batches of the model in hand that are not finished */
    int32_t model;
    int n_loaded, n_dropped_replies, n_round_replies;
    bool in_round;
    int64_t staged_bytes, record_bytes;
    double last_round;
    bool stopped, complete;
    bool forbidden;          /* nothing may be written any more */
    bool unloaded;           /* the model in hand cannot be loaded: its batches are given up */
    struct ko_error failure; /* the first that a worker reported */
};

static enum ko_code tell(struct coordinator *c, int worker, enum ko_tag tag, int64_t value,
                         struct ko_error *err)
{
    return ko_message_send(c->sweep->world->all, worker + 1, tag, value, 0, err);
}

static enum ko_code tell_all(struct coordinator *c, enum ko_tag tag, int64_t value,
                             struct ko_error *err)
{
    enum ko_code code = KO_OK;
    for (int w = 0; code == KO_OK && w < c->n_workers; w++) {
        code = tell(c, w, tag, value, err);
    }
    return code;
}

static bool ending(const struct coordinator *c)
{
    return c->stopped || c->failure.code != KO_OK;
}

/* Gives the worker batches of the model in hand until it holds HELD of them. */
static enum ko_code hand_out(struct coordinator *c, int worker, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    while (code == KO_OK && !ending(c) && c->held[worker] < HELD) {
        while (c->next < c->job->batches.n &&
               (!c->job->pending[c->next] && c->job->batches.batch[c->next].model == c->model)) {
            c->next++;
        }
        if (c->next >= c->job->batches.n || c->job->batches.batch[c->next].model != c->model) {
            break;
        }
        code = tell(c, worker, c->unloaded ? KO_TAG_GIVE_UP : KO_TAG_BATCH, c->next++, err);
        c->held[worker]++;
    }
    return code;
}

static enum ko_code finished(struct coordinator *c, const struct ko_message *message,
                             struct ko_error *err)
{
    const struct ko_batch *batch = &c->job->batches.batch[message->value];
    struct ko_progress *progress = &c->sweep->progress;
    c->held[message->rank - 1]--;
    c->left--;
    c->staged_bytes += c->record_bytes * batch->n_facts;
    progress->cells_done += batch->n_cells;
    progress->work_done += batch->flop;
    c->in_hand[message->rank - 1].batch = -1;
    return hand_out(c, message->rank - 1, err);
}

/* A failure that is recorded, once for all workers where it is the model's. */
static void note_failure(struct coordinator *c, const struct ko_message *message)
{
    if (message->tag == KO_TAG_UNLOADED && c->unloaded) {
        return;
    }
    ko_progress_break(&c->sweep->progress);
    ko_failures_add(&c->sweep->failures, c->sweep->log, c->job->plan->model[c->model].name,
                    message->error.text);
}

static enum ko_code handle(struct coordinator *c, const struct ko_message *message,
                           struct ko_error *err)
{
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
        return finished(c, message, err);
    case KO_TAG_DROPPED:
        c->n_dropped_replies++;
        c->held[message->rank - 1] = 0;
        c->in_hand[message->rank - 1].batch = -1;
        return KO_OK;
    case KO_TAG_REACHED:
        c->in_hand[message->rank - 1] =
            (struct in_hand){(int32_t)message->value, 1e-6 * (double)message->extra};
        return KO_OK;
    case KO_TAG_COMMITTED:
        c->n_round_replies++;
        c->sweep->n_committed += (int32_t)message->value;
        c->in_round = c->n_round_replies < c->n_workers;
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
                       (int)message->tag, message->rank);
    }
}

/* Joining a round, workers are told how far the run is: what `status` shows meanwhile. */
static enum ko_code tell_round(struct coordinator *c, struct ko_error *err)
{
    const struct ko_progress *progress = &c->sweep->progress;
    enum ko_code code = KO_OK;
    for (int w = 0; code == KO_OK && w < c->n_workers; w++) {
        code = ko_message_send(c->sweep->world->all, w + 1, KO_TAG_ROUND, progress->cells_done,
                               ko_progress_ppm(progress), err);
    }
    return code;
}

/* The lock may be lost by now: then there is no round any more, and all ranks end. */
static bool may_write(struct coordinator *c)
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

/* Workers write the hash of what they load. */
static enum ko_code begin_model(struct coordinator *c, struct ko_error *err)
{
    return may_write(c) ? tell_all(c, KO_TAG_MODEL, c->model, err) : KO_OK;
}

static enum ko_code begin_round(struct coordinator *c, struct ko_error *err)
{
    if (!may_write(c)) {
        return KO_OK;
    }
    c->in_round = true;
    c->n_round_replies = 0;
    c->staged_bytes = 0;
    c->last_round = ko_now();
    return tell_round(c, err);
}

/* What the workers do, as far as the coordinator knows. */
static void note_workers(struct coordinator *c)
{
    struct ko_progress *progress = &c->sweep->progress;
    progress->n_busy = 0;
    progress->cells_in_hand = progress->work_in_hand = 0;
    for (int w = 0; w < c->n_workers; w++) {
        progress->n_busy += c->held[w] > 0;
        if (c->in_hand[w].batch >= 0) {
            const struct ko_batch *batch = &c->job->batches.batch[c->in_hand[w].batch];
            progress->cells_in_hand += c->in_hand[w].share * (double)batch->n_cells;
            progress->work_in_hand += c->in_hand[w].share * batch->flop;
        }
    }
}

/* One turn: a message if there is one, the commit round if it is due, progress. */
static enum ko_code turn(struct coordinator *c, struct ko_error *err)
{
    struct ko_message message;
    bool got = false;
    enum ko_code code = ko_message_poll(c->sweep->world->all, &message, &got, err);
    if (code == KO_OK && got) {
        code = handle(c, &message, err);
    }
    if (code != KO_OK) {
        return code;
    }
    if (!c->complete && c->sweep->stop_wanted && c->sweep->stop_wanted()) {
        c->stopped = true;
    }
    const bool due = c->staged_bytes > 0 && (ko_now() - c->last_round >= c->job->commit_seconds ||
                                             c->staged_bytes >= KO_STAGED_BYTES);
    const bool beat = ko_now() - c->last_round >= KO_BEAT_SECONDS;
    if ((due || beat) && !c->in_round && !ending(c)) {
        code = begin_round(c, err);
    }
    note_workers(c);
    ko_progress_tick(&c->sweep->progress);
    if (!got) {
        ko_nap(0.001);
    }
    return code;
}

static enum ko_code run_model(struct coordinator *c, struct ko_error *err)
{
    c->sweep->progress.model = c->job->plan->model[c->model].name;
    c->n_loaded = 0;
    c->unloaded = false;
    enum ko_code code = begin_model(c, err);
    while (code == KO_OK && !ending(c) && c->n_loaded < c->n_workers) {
        code = turn(c, err);
    }
    for (int w = 0; code == KO_OK && w < c->n_workers; w++) {
        code = hand_out(c, w, err);
    }
    while (code == KO_OK && !ending(c) && c->left > 0) {
        code = turn(c, err);
    }
    return code;
}

static enum ko_code run_models(struct coordinator *c, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    const struct ko_batches *batches = &c->job->batches;
    for (int32_t b = 0; code == KO_OK && !ending(c) && b < batches->n;) {
        c->model = batches->batch[b].model;
        c->next = b;
        c->left = 0;
        for (; b < batches->n && batches->batch[b].model == c->model; b++) {
            c->left += c->job->pending[b];
        }
        if (c->sweep->stop_wanted && c->sweep->stop_wanted()) {
            c->stopped = c->left > 0;
        }
        if (c->left > 0 && !c->stopped) {
            code = run_model(c, err);
        }
    }
    return code;
}

/* After a stop or a failure: what is in hand is dropped, what is finished is committed. */
static enum ko_code wind_up(struct coordinator *c, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    if (ending(c)) {
        code = tell_all(c, KO_TAG_STOP, 0, err);
        while (code == KO_OK && c->n_dropped_replies < c->n_workers) {
            code = turn(c, err);
        }
    }
    while (code == KO_OK && c->in_round) {
        code = turn(c, err);
    }
    if (code == KO_OK) {
        code = begin_round(c, err);
    }
    while (code == KO_OK && c->in_round) {
        code = turn(c, err);
    }
    return code == KO_OK ? tell_all(c, KO_TAG_END, 0, err) : code;
}

enum ko_code ko_coordinator_run(struct ko_sweep *sweep, struct ko_error *err)
{
    struct ko_world *world = sweep->world;
    struct coordinator c = {.sweep = sweep,
                            .job = sweep->job,
                            .n_workers = world->n_workers,
                            .record_bytes = ko_record_bytes(sweep->job->plan),
                            .last_round = ko_now()};
    c.held = ko_new((size_t)c.n_workers, sizeof *c.held, err);
    c.in_hand = ko_new((size_t)c.n_workers, sizeof *c.in_hand, err);
    for (int w = 0; c.in_hand && w < c.n_workers; w++) {
        c.in_hand[w].batch = -1;
    }
    enum ko_code code = ko_agree(world->all, c.held && c.in_hand ? KO_OK : KO_E_MEMORY, err);
    if (!c.held || !c.in_hand || code != KO_OK) { /* on every rank */
        struct ko_error later = {0};
        free(c.held);
        free(c.in_hand);
        const enum ko_code told = ko_sweep_gather_spent(world, NULL, sweep, &later);
        return told == KO_OK ? code : told;
    }
    code = run_models(&c, err);
    c.complete = code == KO_OK && !ending(&c);
    if (code == KO_OK) {
        code = wind_up(&c, err);
    }
    if (code == KO_OK) {
        code = ko_sweep_gather_spent(world, NULL, sweep, err);
    }
    if (code != KO_OK) {
        ko_error_name_rank(err, world->rank);
        world->broken = true;
    } else if (c.failure.code != KO_OK) {
        *err = c.failure;
        code = c.failure.code;
    } else if (c.stopped) {
        code = ko_fail(err, KO_E_STOPPED, "%s: stopped early, continue with --resume",
                       sweep->job->cube_path);
    }
    free(c.held);
    free(c.in_hand);
    return code;
}
