/* SPDX-License-Identifier: Apache-2.0 */
/* When the coordinator calls commit rounds. Its workers are a channel that the test fills, and its
   clock is the test's (`--wrap`). */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_worker_commits_what_fills_its_memory),
        cmocka_unit_test(rounds_of_many_workers_take_a_tenth_of_the_time),
        cmocka_unit_test(a_worker_whose_memory_is_full_does_not_wait_for_that),
        cmocka_unit_test(few_bytes_are_committed_after_commit_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
