/* SPDX-License-Identifier: Apache-2.0 */
/* When the coordinator calls commit rounds, and whether `plan` predicts them. Its workers are a channel that the test fills, and its
   clock is the test's (`--wrap`). */
#include <math.h>
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mpi/coordinator.h"
#include "src/base/clock.h"
#include "src/forward/record.h"
#include "src/tree/makespan.h"
#include "tests/support/small_plan.h"

enum { MOST_WORKERS = 64, BATCHES = 4096, MIB = 1 << 20 };

static double now;
double __wrap_ko_now(void);
double __wrap_ko_now(void)
{
    return now;
}

/* What the coordinator has sent, and the message that it gets next. */
static struct {
    struct ko_message next;
    bool has_next;
    int n_rounds;
    int n_batches[MOST_WORKERS]; /* that the worker holds */
    int32_t batch[MOST_WORKERS]; /* the last one */
} wire;

static enum ko_code take_message(struct ko_channel *channel, const struct ko_message *message,
                                 struct ko_error *err)
{
    const int w = message->party - 1;
    (void)channel;
    (void)err;
    wire.n_rounds += message->tag == KO_TAG_ROUND && w == 0;
    if (message->tag == KO_TAG_BATCH) {
        wire.n_batches[w]++;
        wire.batch[w] = (int32_t)message->value;
    }
    return KO_OK;
}

static enum ko_code give_message(struct ko_channel *channel, struct ko_message *message, bool *got,
                                 struct ko_error *err)
{
    (void)channel;
    (void)err;
    *message = wire.next;
    *got = wire.has_next;
    wire.has_next = false;
    return KO_OK;
}

/* A job of many batches, each with so many prompts that its results take batch_bytes. */
struct play {
    struct ko_plan *plan;
    struct ko_batch *batch;
    uint8_t *pending;
    struct ko_job job;
    struct ko_world world;
    struct ko_sweep sweep;
    struct ko_channel channel;
    struct ko_coordinator *coordinator;
};

static void step(struct play *p)
{
    struct ko_error err = {0};
    bool busy = false;
    assert_int_equal(ko_coordinator_step(p->coordinator, &busy, &err), KO_OK);
}

/* Worker w reports. */
static void report(struct play *p, int w, enum ko_tag tag, int64_t value)
{
    wire.next = (struct ko_message){.tag = tag, .party = w + 1, .value = value};
    wire.has_next = true;
    step(p);
    assert_false(wire.has_next);
}

static void begin(struct play *p, int n_workers, int64_t batch_bytes)
{
    struct ko_error err = {0};
    memset(&wire, 0, sizeof wire);
    now = 1000;
    *p = (struct play){.plan = small_plan_sweep(false)};
    p->batch = calloc(BATCHES, sizeof *p->batch);
    p->pending = calloc(BATCHES, 1);
    assert_true(p->batch && p->pending);
    for (int b = 0; b < BATCHES; b++) {
        p->batch[b].n_facts = (int32_t)(batch_bytes / ko_record_bytes(p->plan)) + 1;
        p->pending[b] = 1;
    }
    p->job = (struct ko_job){.plan = p->plan,
                             .batches = {p->batch, BATCHES},
                             .pending = p->pending,
                             .cube_path = (char *)"cube.h5",
                             .commit_seconds = 10,
                             .last_model = -1};
    p->world = (struct ko_world){.n_workers = n_workers, .root = true};
    p->sweep = (struct ko_sweep){.world = &p->world, .job = &p->job};
    p->channel = (struct ko_channel){.send = take_message, .poll = give_message};
    assert_int_equal(ko_coordinator_new(&p->sweep, &p->channel, &p->coordinator, &err), KO_OK);
    step(p);
    for (int w = 0; w < n_workers; w++) {
        report(p, w, KO_TAG_LOADED, 0);
    }
    assert_int_equal(wire.n_batches[0], 2);
}

static void end(struct play *p)
{
    ko_coordinator_free(p->coordinator);
    ko_plan_free(p->plan);
    free(p->batch);
    free(p->pending);
}

static void finish(struct play *p, int w)
{
    wire.n_batches[w]--;
    report(p, w, KO_TAG_FINISHED, wire.batch[w]);
}

/* All workers commit, `seconds` after the round has begun. */
static void commit(struct play *p, double seconds)
{
    now += seconds;
    for (int w = 0; w < p->world.n_workers; w++) {
        report(p, w, KO_TAG_COMMITTED, 1);
    }
}

/* 65 MiB on 64 workers, 1 MiB and a little on each. */
static void finish_everywhere(struct play *p)
{
    for (int w = 0; w < p->world.n_workers; w++) {
        finish(p, w);
    }
}

static void one_worker_commits_what_fills_its_memory(void **state)
{
    struct play p;
    (void)state;
    begin(&p, 1, 9 * MIB);
    for (int k = 0; k < 7; k++) {
        finish(&p, 0);
    }
    assert_int_equal(wire.n_rounds, 0); /* 63 MiB wait */
    finish(&p, 0);
    assert_int_equal(wire.n_rounds, 1);
    commit(&p, 5);
    /* However long the round took. */
    for (int k = 0; k < 7; k++) {
        finish(&p, 0);
    }
    assert_int_equal(wire.n_rounds, 1);
    finish(&p, 0);
    assert_int_equal(wire.n_rounds, 2);
    end(&p);
}

static void rounds_of_many_workers_take_a_tenth_of_the_time(void **state)
{
    struct play p;
    (void)state;
    begin(&p, 64, MIB);
    finish_everywhere(&p);
    assert_int_equal(wire.n_rounds, 1);
    commit(&p, 0.5);
    finish_everywhere(&p); /* again as much waits, at once */
    finish_everywhere(&p);
    assert_int_equal(wire.n_rounds, 1);
    now += 4.4;
    step(&p);
    assert_int_equal(wire.n_rounds, 1);
    now += 0.2;
    step(&p);
    assert_int_equal(wire.n_rounds, 2);
    end(&p);
}

static void a_worker_whose_memory_is_full_does_not_wait_for_that(void **state)
{
    struct play p;
    (void)state;
    begin(&p, 64, MIB);
    finish_everywhere(&p);
    commit(&p, 0.5);
    for (int k = 0; k < 63; k++) {
        finish(&p, 7);
    }
    assert_int_equal(wire.n_rounds, 1);
    finish(&p, 7);
    assert_int_equal(wire.n_rounds, 2);
    end(&p);
}

static void few_bytes_are_committed_after_commit_seconds(void **state)
{
    struct play p;
    (void)state;
    begin(&p, 64, MIB);
    finish(&p, 3);
    now += 9.9;
    step(&p);
    assert_int_equal(wire.n_rounds, 0);
    now += 0.2;
    step(&p);
    assert_int_equal(wire.n_rounds, 1);
    /* What a worker finishes before it commits is in its commit, and does not wait after it. */
    finish(&p, 5);
    commit(&p, 1);
    now += 20;
    step(&p);
    assert_int_equal(wire.n_rounds, 1);
    now += 15; /* a sign of life */
    step(&p);
    assert_int_equal(wire.n_rounds, 2);
    end(&p);
}

/* Whether worker w's main thread is in a round: what its compute thread finishes is reported after. */
struct watch {
    double round_end; /* of the round under way; 0: there is none */
    int late[MOST_WORKERS];
    int n_seen;          /* rounds */
    double staged_bytes; /* reported since the last round */
};

static void note_round(struct play *p, struct watch *watch)
{
    step(p);
    if (wire.n_rounds > watch->n_seen) {
        watch->n_seen = wire.n_rounds;
        watch->round_end = now + KO_ROUND_SECONDS + watch->staged_bytes / KO_ROUND_BYTES_RATE;
        watch->staged_bytes = 0;
    }
}

static void finish_one(struct play *p, struct watch *watch, int w)
{
    finish(p, w);
    watch->staged_bytes += (double)(ko_record_bytes(p->plan) * p->batch[0].n_facts);
    note_round(p, watch);
}

/* Ends a round that is over at `then`, and reports what was finished in it. */
static void pass_time(struct play *p, struct watch *watch, double then)
{
    if (watch->round_end > 0 && watch->round_end <= then) {
        now = watch->round_end;
        watch->round_end = 0;
        commit(p, 0);
        for (int w = 0; w < p->world.n_workers; w++) {
            for (; watch->late[w] > 0; watch->late[w]--) {
                finish_one(p, watch, w);
            }
        }
    }
    now = then;
    note_round(p, watch);
}

/* The rounds that the coordinator calls, and those that `plan` predicts. Each worker finishes a batch
   every so many seconds. */
static void compare_rounds(int n_workers, double seconds, int64_t batch_bytes)
{
    const double flops[] = {1, 1}, load[] = {0, 0};
    struct ko_prediction predicted = {0};
    struct ko_error err = {0};
    struct watch watch = {0};
    struct play p;
    begin(&p, n_workers, batch_bytes);
    for (int b = 0; b < BATCHES; b++) {
        p.batch[b].flop = seconds;
    }
    const struct ko_pace pace = {.flops = flops,
                                 .load_seconds = load,
                                 .commit_seconds = p.job.commit_seconds,
                                 .record_bytes = (double)ko_record_bytes(p.plan)};
    assert_int_equal(ko_plan_predict(&p.job.batches, n_workers, &pace, &predicted, &err), KO_OK);
    const double start = now;
    for (int k = 0; k < BATCHES - 2 * n_workers; k++) {
        pass_time(&p, &watch, start + seconds * (k + 1) / n_workers);
        if (watch.round_end > 0) {
            watch.late[k % n_workers]++;
        } else {
            finish_one(&p, &watch, k % n_workers);
        }
    }
    end(&p);
    /* One is the last. Observed: 3 of 512. */
    const double called = watch.n_seen + 1;
    if (!(fabs(called - predicted.n_rounds) <= 1 + 0.01 * called)) {
        fail_msg("%d workers: %.0f rounds, predicted %.0f", n_workers, called, predicted.n_rounds);
    }
}

static void the_predicted_rounds_are_those_that_are_called(void **state)
{
    (void)state;
    compare_rounds(1, 0.5, 9 * MIB);
    compare_rounds(1, 20, MIB);
    compare_rounds(16, 20, MIB);
    compare_rounds(64, 4, MIB);
    compare_rounds(64, 2, MIB);
    compare_rounds(64, 1, MIB);
    compare_rounds(8, 0.25, 4 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_worker_commits_what_fills_its_memory),
        cmocka_unit_test(rounds_of_many_workers_take_a_tenth_of_the_time),
        cmocka_unit_test(a_worker_whose_memory_is_full_does_not_wait_for_that),
        cmocka_unit_test(few_bytes_are_committed_after_commit_seconds),
        cmocka_unit_test(the_predicted_rounds_are_those_that_are_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
