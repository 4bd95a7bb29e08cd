/* SPDX-License-Identifier: Apache-2.0 */
/* The predicted time of a run: who computes what when, what weights and commit rounds add. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/tree/makespan.h"
#include "tests/support/small_plan.h"

static struct ko_plan *plan;

static int setup(void **state)
{
    (void)state;
    plan = small_plan_sweep(false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ko_plan_free(plan);
    return 0;
}

static struct ko_prediction predict(const struct ko_batches *batches, int32_t n_workers,
                                    const struct ko_pace *pace)
{
    struct ko_prediction p = {0};
    struct ko_error err = {0};
    assert_int_equal(ko_plan_predict(plan, batches, n_workers, pace, &p, &err), KO_OK);
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
    const struct ko_pace pace = {flops, no_load, false, 10.0, NULL};
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
    const struct ko_pace pace = {flops, no_load, false, 10.0, NULL};
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
    const struct ko_pace pace = {flops, no_load, false, 10.0, stream};
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
    const struct ko_pace after = {flops, load, false, 10.0, NULL},
                         beside = {flops, load, true, 10.0, NULL};
    (void)state;
    assert_true(near(predict(&batches, 1, &after).seconds, 2.0 + 3.0 + 5.0 + 1.0 + LAST));
    assert_true(near(predict(&batches, 1, &after).load_seconds, 7.0));
    assert_true(near(predict(&batches, 1, &beside).seconds, 2.0 + 3.0 + 2.0 + 1.0 + LAST));
    assert_true(near(predict(&batches, 1, &beside).load_seconds, 4.0));
}

static void rounds_follow_time_and_bytes(void **state)
{
    struct ko_batch batch[] = {{.flop = 250.0}};
    const struct ko_batches batches = {batch, 1};
    const struct ko_pace pace = {flops, no_load, false, 10.0, NULL};
    (void)state;
    /* 25 s: two rounds and the last. */
    assert_true(near(predict(&batches, 1, &pace).commit_seconds, 3 * KO_ROUND_SECONDS));
    batch[0].n_facts = 1000000;
    const double bytes =
        1e6 * (24.0 * (double)ko_plan_n_values(plan) + (double)ko_plan_n_statuses(plan));
    const double rounds = 1 + floor(bytes / (64 << 20));
    const struct ko_prediction p = predict(&batches, 1, &pace);
    assert_true(rounds > 3);
    assert_true(near(p.commit_seconds, rounds * KO_ROUND_SECONDS + bytes / KO_ROUND_BYTES_RATE));
    assert_true(near(p.seconds, 25.0 + p.commit_seconds / rounds));
}

static void nonsense_gives_no_number(void **state)
{
    static const double zero[] = {0.0, 0.0}, negative[] = {-1.0, 0.0};
    struct ko_batch batch[] = {{.flop = 30.0}};
    struct ko_batches batches = {batch, 1};
    const struct ko_pace pace = {flops, no_load, false, 10.0, NULL};
    (void)state;
    assert_true(isnan(predict(&batches, 0, &pace).seconds));
    assert_true(
        isnan(predict(&batches, 1, &(struct ko_pace){zero, no_load, false, 10, NULL}).seconds));
    assert_true(
        isnan(predict(&batches, 1, &(struct ko_pace){flops, negative, false, 10, NULL}).seconds));
    assert_true(
        isnan(predict(&batches, 1, &(struct ko_pace){flops, no_load, false, 0, NULL}).seconds));
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
        cmocka_unit_test(nonsense_gives_no_number),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
