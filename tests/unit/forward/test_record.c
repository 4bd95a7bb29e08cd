/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "src/forward/record.h"
#include "tests/support/small_plan.h"

static struct ko_error err;

/* A record with a number in every value of a done cell. */
static void fill(const struct ko_plan *plan, struct ko_record *record)
{
    assert_int_equal(ko_record_new(plan, 0, 0, record, &err), KO_OK);
    record->clean = (struct ko_metrics){.logprob = -1, .target_rank = 1, .top1_id = 5};
    for (int64_t i = 0; i < record->n_values; i++) {
        if (record->status[i / plan->n_starts] == KO_DONE) {
            record->value[i] = (struct ko_metrics){.logprob = -2, .kl = 1, .target_rank = 3};
        }
    }
}

static bool is_empty(const struct ko_metrics *metrics)
{
    return isnan(metrics->logprob) && isnan(metrics->kl) && isnan(metrics->foil_logprob) &&
           metrics->target_rank == -1 && metrics->top1_id == -1;
}

static void a_failed_record_fails_what_was_to_be_done_and_nothing_else(void **state)
{
    struct ko_plan *plan = small_plan_sweep(false);
    struct ko_record before, record;
    int64_t n_failed = 0;
    (void)state;
    fill(plan, &before);
    fill(plan, &record);
    ko_record_fail(&record, KO_FAILED_MEMORY);
    assert_int_equal(record.failure, KO_FAILED_MEMORY);
    assert_true(is_empty(&record.clean));
    for (int64_t s = 0; s < record.n_statuses; s++) {
        const bool failed = before.status[s] == KO_DONE;
        assert_int_equal(record.status[s], failed ? KO_CELL_FAILED : before.status[s]);
        n_failed += failed;
    }
    for (int64_t i = 0; i < record.n_values; i++) {
        assert_true(is_empty(&record.value[i]));
    }
    assert_true(n_failed > 0);
    ko_record_free(&before);
    ko_record_free(&record);
    ko_plan_free(plan);
}

static void a_failed_cell_takes_the_starts_of_its_size_alone(void **state)
{
    struct ko_plan *plan = small_plan_sweep(false);
    struct ko_record record;
    int64_t at = 0, n_left = 0;
    (void)state;
    fill(plan, &record);
    while (record.status[at] != KO_DONE) {
        at++;
    }
    record.status[at] = KO_CELL_FAILED;
    ko_record_clear_failed(&record);
    for (int64_t i = 0; i < record.n_values; i++) {
        const int64_t s = i / plan->n_starts;
        assert_int_equal(is_empty(&record.value[i]), record.status[s] != KO_DONE);
        n_left += record.status[s] == KO_DONE;
    }
    assert_true(n_left > 0);
    assert_int_equal(record.clean.target_rank, 1);
    ko_record_free(&record);
    ko_plan_free(plan);
}

static void a_failure_is_told_with_model_prompt_and_reason(void **state)
{
    struct ko_plan *plan = small_plan_sweep(false);
    struct ko_record record;
    char expected[512];
    (void)state;
    fill(plan, &record);
    assert_int_equal(ko_record_check(plan, &record, &err), KO_OK);
    record.failure = KO_FAILED_NOT_FINITE;
    assert_int_equal(ko_record_check(plan, &record, &err), KO_E_FAILED);
    snprintf(expected, sizeof expected,
             "%s: prompt '%s': the distribution over the vocabulary is not finite",
             plan->model[0].name, plan->fact[0].id);
    assert_string_equal(err.text, expected);
    ko_record_free(&record);
    ko_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_record_fails_what_was_to_be_done_and_nothing_else),
        cmocka_unit_test(a_failed_cell_takes_the_starts_of_its_size_alone),
        cmocka_unit_test(a_failure_is_told_with_model_prompt_and_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
