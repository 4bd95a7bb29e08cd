/* SPDX-License-Identifier: Apache-2.0 */
/* A worker has two threads. The compute thread takes one batch after the other from those that it
   holds. The main thread reports finished batches and takes messages, except in a commit round. */
#include "tests/bench/coordinator/player.h"

#include <stdlib.h>

#include "src/base/clock.h"
#include "src/base/memory.h"

enum { MOST = 4 }; /* batches at one place; the coordinator lets a worker hold fewer */

static const double NAP_SECONDS = 5e-5;

/* Batches in order. */
struct row {
    int32_t batch[MOST];
    int n;
};

struct worker {
    struct row held;  /* the compute thread has them, and computes the first */
    struct row done;  /* computed, not reported yet */
    struct row inbox; /* sent, while the main thread is in a commit round */
    double begin;     /* of the first held batch */
    double idle_since, in_rounds;
    double
        loaded_at; /* when it had the last model: it reads the next one since then; 0: none yet */
    int32_t n_staged;
    double staged_bytes;
    bool loaded, in_round, ended;
};

enum kind { LOADED, COMPUTED, SHARE, ROUND_OVER };

struct event {
    double when;
    enum kind kind;
    int32_t worker; /* number among the player's */
    int64_t value;
};

struct player {
    const struct pace *pace;
    struct many_channel *many;
    int first, step;
    struct worker *worker; /* [n] */
    int32_t n, n_ended;
    struct event *heap; /* the earliest is the first */
    size_t n_events, capacity;
    double round_end; /* of the round under way */
    struct played played;
    struct ko_error *err;
};

static enum ko_code add_event(struct player *p, double when, enum kind kind, int32_t worker,
                              int64_t value)
{
    struct event *heap = ko_grow(p->heap, &p->capacity, p->n_events + 1, sizeof *heap, p->err);
    if (!heap) {
        return KO_E_MEMORY;
    }
    p->heap = heap;
    size_t at = p->n_events++;
    for (; at > 0 && when < heap[(at - 1) / 2].when; at = (at - 1) / 2) {
        heap[at] = heap[(at - 1) / 2];
    }
    heap[at] = (struct event){when, kind, worker, value};
    return KO_OK;
}

static struct event take_event(struct player *p)
{
    struct event *heap = p->heap;
    const struct event first = heap[0], last = heap[--p->n_events];
    size_t at = 0;
    for (size_t child = 1; child < p->n_events; child = 2 * at + 1) {
        child += child + 1 < p->n_events && heap[child + 1].when < heap[child].when;
        if (last.when <= heap[child].when) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

static int32_t take_first(struct row *row)
{
    const int32_t batch = row->batch[0];
    row->n--;
    for (int k = 0; k < row->n; k++) {
        row->batch[k] = row->batch[k + 1];
    }
    return batch;
}

static enum ko_code add_last(struct row *row, int32_t batch, struct ko_error *err)
{
    if (row->n == MOST) {
        return ko_fail(err, KO_E_FAILED, "simulation: a worker was given more than %d batches",
                       MOST);
    }
    row->batch[row->n++] = batch;
    return KO_OK;
}

static enum ko_code report(struct player *p, int32_t worker, enum ko_tag tag, int64_t value,
                           int64_t extra)
{
    return ko_channel_send(&p->many->channel, p->first + worker * p->step + 1, tag, value, extra,
                           p->err);
}

/* The first held batch begins. */
static enum ko_code begin_batch(struct player *p, int32_t w, double when)
{
    struct worker *worker = &p->worker[w];
    const double seconds = p->pace->seconds[worker->held.batch[0]] * p->pace->factor;
    worker->begin = when;
    p->played.compute += seconds;
    return add_event(p, when + seconds, COMPUTED, w, worker->held.batch[0]);
}

static enum ko_code submit(struct player *p, int32_t w, int32_t batch, double now)
{
    struct worker *worker = &p->worker[w];
    enum ko_code code = add_last(&worker->held, batch, p->err);
    if (code != KO_OK || worker->held.n > 1) {
        return code;
    }
    p->played.idle += now - worker->idle_since;
    return begin_batch(p, w, now);
}

/* The main thread stages and reports what is computed. */
static enum ko_code report_done(struct player *p, int32_t w)
{
    struct worker *worker = &p->worker[w];
    enum ko_code code = KO_OK;
    while (code == KO_OK && worker->done.n > 0) {
        const int32_t batch = take_first(&worker->done);
        worker->n_staged++;
        worker->staged_bytes += p->pace->bytes[batch];
        code = report(p, w, KO_TAG_FINISHED, batch, 0);
    }
    return code;
}

static enum ko_code end_batch(struct player *p, const struct event *event, double now)
{
    struct worker *worker = &p->worker[event->worker];
    p->played.late += now - event->when;
    enum ko_code code = add_last(&worker->done, take_first(&worker->held), p->err);
    if (code == KO_OK && worker->held.n > 0) {
        code = begin_batch(p, event->worker, event->when);
    } else {
        worker->idle_since = event->when;
    }
    return code == KO_OK && !worker->in_round ? report_done(p, event->worker) : code;
}

static enum ko_code end_round(struct player *p, int32_t w, double now)
{
    struct worker *worker = &p->worker[w];
    worker->in_round = false;
    enum ko_code code = report(p, w, KO_TAG_COMMITTED, worker->n_staged, 0);
    worker->n_staged = 0;
    worker->staged_bytes = 0;
    if (code == KO_OK) {
        code = report_done(p, w);
    }
    while (code == KO_OK && worker->inbox.n > 0) {
        code = submit(p, w, take_first(&worker->inbox), now);
    }
    return code;
}

/* As report_share of a worker's step: which share of its batch is computed. */
static enum ko_code report_share(struct player *p, int32_t w, double now)
{
    struct worker *worker = &p->worker[w];
    enum ko_code code = KO_OK;
    if (worker->ended) {
        return code;
    }
    if (worker->held.n > 0 && !worker->in_round) {
        const int32_t batch = worker->held.batch[0];
        const double seconds = p->pace->seconds[batch] * p->pace->factor;
        const double share = seconds > 0 ? (now - worker->begin) / seconds : 1;
        code = report(p, w, KO_TAG_REACHED, batch, (int64_t)(1e6 * (share < 1 ? share : 1)));
    }
    return code == KO_OK
               ? add_event(p, now + p->many->channel.report_seconds * p->pace->factor, SHARE, w, 0)
               : code;
}

static enum ko_code follow_event(struct player *p, const struct event *event, double now)
{
    struct worker *worker = &p->worker[event->worker];
    switch (event->kind) {
    case LOADED:
        worker->loaded = true;
        worker->idle_since = event->when;
        worker->loaded_at = event->when;
        return report(p, event->worker, KO_TAG_LOADED, event->value, 0);
    case COMPUTED:
        return end_batch(p, event, now);
    case SHARE:
        return report_share(p, event->worker, now);
    case ROUND_OVER:
        return end_round(p, event->worker, now);
    }
    return KO_OK;
}

/* The bytes of a round are this player's times the number of players. */
static double round_time(const struct player *p)
{
    double bytes = 0;
    for (int32_t w = 0; w < p->n; w++) {
        bytes += p->worker[w].staged_bytes;
    }
    return p->pace->round_seconds + bytes * p->step / p->pace->file_rate;
}

/* All workers of a round end it at the same time, for they write together: the first to be told
   begins it. */
static enum ko_code begin_round(struct player *p, int32_t w, double now)
{
    if (w == 0) {
        p->round_end = now + round_time(p) * p->pace->factor;
    }
    p->worker[w].in_round = true;
    p->worker[w].in_rounds += p->round_end > now ? p->round_end - now : 0;
    if (p->worker[w].in_rounds > p->played.round) {
        p->played.round = p->worker[w].in_rounds;
    }
    return add_event(p, p->round_end, ROUND_OVER, w, 0);
}

/* GPUs read the next model while they compute. */
static enum ko_code begin_load(struct player *p, int32_t w, int64_t model, double now)
{
    const double seconds = p->pace->load[model] * p->pace->factor;
    struct worker *worker = &p->worker[w];
    const double since = worker->loaded_at > 0 ? worker->loaded_at : now;
    if (worker->loaded) {
        p->played.idle += now - worker->idle_since;
    }
    worker->loaded = false;
    return add_event(p, since + seconds > now ? since + seconds : now, LOADED, w, model);
}

static enum ko_code follow_message(struct player *p, const struct ko_message *message, double now)
{
    const int32_t w = (message->party - 1 - p->first) / p->step;
    struct worker *worker = &p->worker[w];
    switch (message->tag) {
    case KO_TAG_MODEL:
        return begin_load(p, w, message->value, now);
    case KO_TAG_BATCH:
        return worker->in_round ? add_last(&worker->inbox, (int32_t)message->value, p->err)
                                : submit(p, w, (int32_t)message->value, now);
    case KO_TAG_ROUND:
        return begin_round(p, w, now);
    case KO_TAG_END:
        worker->ended = true;
        p->played.idle += now - worker->idle_since;
        p->n_ended++;
        return KO_OK;
    default:
        return ko_fail(p->err, KO_E_FAILED, "simulation: a worker got a message with tag %d",
                       (int)message->tag);
    }
}

/* Follows what waits: events whose time has come, and one message. */
static enum ko_code take_turn(struct player *p, bool *busy)
{
    struct ko_message message;
    bool got = false;
    enum ko_code code = KO_OK;
    for (double now = ko_now(); code == KO_OK && p->n_events > 0 && p->heap[0].when <= now;) {
        const struct event event = take_event(p);
        code = follow_event(p, &event, now);
        *busy = true;
    }
    if (code == KO_OK) {
        code = p->many->channel.poll(&p->many->channel, &message, &got, p->err);
    }
    if (code == KO_OK && got) {
        *busy = true;
        code = follow_message(p, &message, ko_now());
    }
    return code;
}

enum ko_code player_run(const struct pace *pace, struct many_channel *many, int first,
                        struct played *out, struct ko_error *err)
{
    const int step = many->n_players;
    struct player p = {.pace = pace, .many = many, .first = first, .step = step, .err = err};
    p.n = pace->n_workers > first ? (pace->n_workers - first + step - 1) / step : 0;
    p.worker = ko_new((size_t)p.n, sizeof *p.worker, err);
    enum ko_code code = p.worker ? KO_OK : KO_E_MEMORY;
    const double now = ko_now(), every = many->channel.report_seconds * pace->factor;
    for (int32_t w = 0; code == KO_OK && w < p.n; w++) {
        code = add_event(&p, now + every * (w + 1) / p.n, SHARE, w, 0); /* not all at once */
    }
    while (code == KO_OK && p.n_ended < p.n) {
        bool busy = false;
        code = take_turn(&p, &busy);
        if (!busy) {
            ko_nap(NAP_SECONDS);
        }
    }
    *out = p.played;
    free(p.heap);
    free(p.worker);
    return code;
}
