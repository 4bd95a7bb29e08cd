/* SPDX-License-Identifier: Apache-2.0 */
/* The predicted time of a run: who computes what when, what weights and commit rounds add. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/tree/makespan.h"

static struct ko_prediction predict(const struct ko_batches *batches, int32_t n_workers,
                                    const struct ko_pace *pace)
{
    struct ko_prediction p = {0};
    struct ko_error err = {0};
    assert_int_equal(ko_plan_predict(batches, n_workers, pace, &p, &err), KO_OK);
    return p;
}

static bool near(double got, double want)
{
    return fabs(got - want) <= 1e-9 * fabs(want);
}

/* What the last round adds: nothing but its flushes, as there are no records. */
static const double LAST = KO_ROUND_SECONDS;
static const double flops[] = {10.0, 20.0}, no_load[] = {0.0, 0.0};

static void batches_go_in_order_to_whoever_is_free(void **state)
{
    struct ko_batch batch[] = {{.flop = 30.0}, {.flop = 10.0}, {.flop = 10.0}, {.flop = 20.0}};
    const struct ko_batches batches = {batch, 4};
    const struct ko_pace pace = {flops, no_load, false, 10.0, NULL, 0};
    (void)state;
    assert_true(near(predict(&batches, 1, &pace).seconds, 7.0 + LAST));
    assert_true(near(predict(&batches, 2, &pace).seconds, 4.0 + LAST));
    assert_true(near(predict(&batches, 100, &pace).seconds, 3.0 + LAST));
    assert_true(near(predict(&batches, 2, &pace).work_seconds, 7.0));
    assert_true(near(predict(&batches, 2, &pace).efficiency, 7.0 / (2 * (4.0 + LAST))));
}

static void a_model_waits_for_the_one_before(void **state)
{
    struct ko_batch batch[] = {{.flop = 30.0}, {.flop = 10.0}, {.model = 1, .flop = 20.0}};
    const struct ko_batches batches = {batch, 3};
    const struct ko_pace pace = {flops, no_load, false, 10.0, NULL, 0};
    (void)state;
    /* 3 s and 1 s side by side, then 1 s at the second model's rate, though a worker was free. */
    assert_true(near(predict(&batches, 2, &pace).seconds, 4.0 + LAST));
}

/* Each wave waits for its weights, or they come while it computes. */
static void weights_that_stream_take_a_time_for_each_wave(void **state)
{
    static const double stream[] = {2.0, 1.0};
    struct ko_batch batch[] = {{.flop = 30.0, .n_waves = 1},
                               {.flop = 10.0, .n_waves = 3},
                               {.model = 1, .flop = 20.0, .n_waves = 1}};
    const struct ko_batches batches = {batch, 3};
    const struct ko_pace pace = {flops, no_load, false, 10.0, stream, 0};
    (void)state;
    /* 3 s of computing, 3 waves of 2 s, then 1 s of either. */
    assert_true(near(predict(&batches, 1, &pace).work_seconds, 10.0));
    assert_true(near(predict(&batches, 1, &pace).seconds, 10.0 + LAST));
}

static void weights_are_read_before_or_beside_the_batches(void **state)
{
    static const double load[] = {2.0, 5.0};
    struct ko_batch batch[] = {{.flop = 30.0}, {.model = 1, .flop = 20.0}};
    const struct ko_batches batches = {batch, 2};
    const struct ko_pace after = {flops, load, false, 10.0, NULL, 0},
                         beside = {flops, load, true, 10.0, NULL, 0};
    (void)state;
    assert_true(near(predict(&batches, 1, &after).seconds, 2.0 + 3.0 + 5.0 + 1.0 + LAST));
    assert_true(near(predict(&batches, 1, &after).load_seconds, 7.0));
    assert_true(near(predict(&batches, 1, &beside).seconds, 2.0 + 3.0 + 2.0 + 1.0 + LAST));
    assert_true(near(predict(&batches, 1, &beside).load_seconds, 4.0));
}

static void rounds_follow_time_and_bytes(void **state)
{
    struct ko_batch batch[11];
    const struct ko_batches batches = {batch, 11};
    struct ko_pace pace = {flops, no_load, false, 10.0, NULL, 1e6};
    (void)state;
    for (int b = 0; b < 11; b++) {
        batch[b] = (struct ko_batch){.flop = 25.0};
    }
    /* 27.5 s: two rounds and the last. */
    assert_true(near(predict(&batches, 1, &pace).commit_seconds, 3 * KO_ROUND_SECONDS));
    /* Batches of 40 MB: each second one fills a worker's 64 MiB, and one is left. */
    for (int b = 0; b < 11; b++) {
        batch[b].n_facts = 40;
    }
    pace.commit_seconds = 100.0;
    const struct ko_prediction p = predict(&batches, 1, &pace);
    assert_true(p.n_rounds == 6);
    assert_true(near(p.commit_seconds, 6 * KO_ROUND_SECONDS + 440e6 / KO_ROUND_BYTES_RATE));
    assert_true(near(p.seconds, 27.5 + KO_ROUND_SECONDS + 40e6 / KO_ROUND_BYTES_RATE));
}

/* 980 batches, each 2 s of a worker and 1 MB, on n workers. */
static double rounds_on(int32_t n)
{
    enum { N = 980 };
    static struct ko_batch batch[N];
    const struct ko_batches batches = {batch, N};
    const struct ko_pace pace = {flops, no_load, false, 1e6, NULL, 1e6};
    for (int b = 0; b < N; b++) {
        batch[b] = (struct ko_batch){.flop = 20.0, .n_facts = 1};
    }
    return predict(&batches, n, &pace).n_rounds;
}

/* A round follows when 68 MB wait on all workers, but not before the pause is over, unless they wait
   on one worker. */
static void rounds_of_many_workers_pause(void **state)
{
    (void)state;
    assert_true(rounds_on(1) == 1 + floor(980.0 / 68));
    /* 5 MB/s: 68 MB are there after 13.6 s, and a round takes 0.3 s. */
    assert_true(rounds_on(10) == 1 + floor(980.0 / 68));
    /* 70 MB/s: the second round begins ten times the length of the first after it, 0.28 s, and writes
       196 MB; the third as long after that. */
    assert_true(rounds_on(140) == 1 + 3);
    /* 35 MB/s: rounds come after 1.9, 2.8, 4.1, 5.8 and 8.2 s, and the last at the end. */
    assert_true(rounds_on(70) == 1 + 5);
}

static void nonsense_gives_no_number(void **state)
{
    static const double zero[] = {0.0, 0.0}, negative[] = {-1.0, 0.0};
    struct ko_batch batch[] = {{.flop = 30.0}};
    struct ko_batches batches = {batch, 1};
    const struct ko_pace pace = {flops, no_load, false, 10.0, NULL, 0};
    (void)state;
    assert_true(isnan(predict(&batches, 0, &pace).seconds));
    assert_true(
        isnan(predict(&batches, 1, &(struct ko_pace){zero, no_load, false, 10, NULL, 0}).seconds));
    assert_true(isnan(
        predict(&batches, 1, &(struct ko_pace){flops, negative, false, 10, NULL, 0}).seconds));
    assert_true(
        isnan(predict(&batches, 1, &(struct ko_pace){flops, no_load, false, 0, NULL, 0}).seconds));
    batches.n = 0;
    assert_true(predict(&batches, 3, &pace).seconds == 0.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_go_in_order_to_whoever_is_free),
        cmocka_unit_test(a_model_waits_for_the_one_before),
        cmocka_unit_test(weights_that_stream_take_a_time_for_each_wave),
        cmocka_unit_test(weights_are_read_before_or_beside_the_batches),
        cmocka_unit_test(rounds_follow_time_and_bytes),
        cmocka_unit_test(rounds_of_many_workers_pause),
        cmocka_unit_test(nonsense_gives_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
