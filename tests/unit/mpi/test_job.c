/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mpi/job.h"
#include "mpi/sweep.h"
#include "tests/support/small_plan.h"

enum { FACTS = 5 };

static struct ko_error err;

/* All cells of prompt 1 under the first model, and its first two values of prompt 0. */
static struct ko_taken *take(const struct ko_plan *plan)
{
    const int64_t n = ko_plan_n_values(plan);
    struct ko_taken *taken = NULL;
    uint8_t *all = malloc((size_t)n);
    assert_non_null(all);
    memset(all, 1, (size_t)n);
    assert_int_equal(ko_taken_new(plan, &taken, &err), KO_OK);
    assert_int_equal(ko_taken_add(taken, 0, 1, all, 0, n, &err), KO_OK);
    assert_int_equal(ko_taken_add(taken, 0, 0, all, 0, 2, &err), KO_OK);
    free(all);
    return taken;
}

static void taken_cells_are_neither_computed_nor_forgotten(void **state)
{
    struct ko_plan *plan = small_plan_sweep(false);
    struct ko_taken *taken = take(plan);
    const struct ko_job_earlier nothing = {0}, some = {.taken = taken};
    struct ko_progress plain = {0}, left = {0};
    struct ko_job whole = {0}, job = {0};
    int64_t n_taken = 0;
    (void)state;

    assert_int_equal(ko_job_new(plan, &nothing, "x.h5", "cpu", &whole, &err), KO_OK);
    assert_int_equal(ko_job_new(plan, &some, "x.h5", "cpu", &job, &err), KO_OK);
    ko_sweep_count(&whole, &plain);
    ko_sweep_count(&job, &left);
    for (int32_t b = 0; b < job.batches.n; b++) {
        n_taken += job.batches.batch[b].n_taken;
    }
    assert_true(n_taken > 10);
    assert_int_equal(left.cells_total, plain.cells_total);
    assert_int_equal(left.cells_before, n_taken);
    assert_int_equal(plain.cells_before, 0);
    assert_true(left.work_total < plain.work_total);
    /* Weights that the taken cells did not come from must not be mixed with them. */
    assert_false(ko_job_has_results(&whole, 0));
    assert_true(ko_job_has_results(&job, 0));
    assert_false(ko_job_has_results(&job, 1));
    ko_job_free(&job);
    ko_job_free(&whole);
    ko_taken_free(taken);
    ko_plan_free(plan);
}

/* The models in the order in which a job computes them, "0 1". */
static const char *order_of(const struct ko_job *job)
{
    static char text[64];
    size_t n = 0;
    text[0] = '\0';
    for (int32_t m = -1; (m = ko_job_next_model(job, m)) >= 0 && n < sizeof text - 12;) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%d", n > 0 ? " " : "", m);
    }
    return text;
}

static void the_last_model_is_computed_last_and_done_ones_not_at_all(void **state)
{
    enum { MODELS = 3 };
    static const struct {
        int32_t last;
        bool done[MODELS];
        const char *order;
    } rows[] = {
        {-1, {false}, "0 1 2"},        {0, {false}, "1 2 0"},      {1, {false}, "0 2 1"},
        {2, {false}, "0 1 2"},         {0, {true}, "1 2"},         {0, {false, true, true}, "0"},
        {1, {true, false, true}, "1"}, {1, {true, true, true}, ""}};
    struct ko_plan_model model[MODELS] = {{.row_budget = 0}};
    struct ko_plan plan = {.model = model, .n_models = MODELS};
    struct ko_batch batch[2 * MODELS] = {{.model = 0}, {.model = 0}, {.model = 1},
                                         {.model = 1}, {.model = 2}, {.model = 2}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t pending[2 * MODELS] = {0};
        for (int m = 0; m < MODELS; m++) {
            pending[2 * m + 1] = !rows[i].done[m];
        }
        struct ko_job job = {.plan = &plan,
                             .batches = {batch, 2 * MODELS},
                             .pending = pending,
                             .last_model = rows[i].last};
        assert_string_equal(order_of(&job), rows[i].order);
    }
}

static void a_message_that_is_cut_short_is_not_believed(void **state)
{
    struct ko_plan *plan = small_plan_sweep(false);
    struct ko_taken *taken = take(plan), *copy = NULL;
    struct ko_bytes to = {0};
    (void)state;

    ko_taken_pack(taken, &to);
    for (size_t n = 8; n < to.data.n; n += 7) {
        struct ko_bytes from = {0};
        ko_bytes_read_from(&from, to.data.data, n);
        assert_int_equal(ko_taken_unpack(&from, plan, &copy, &err), KO_OK);
        assert_true(from.broken);
        ko_taken_free(copy);
    }
    ko_text_free(&to.data);
    ko_taken_pack(NULL, &to);
    struct ko_bytes from = {0};
    ko_bytes_read_from(&from, to.data.data, to.data.n);
    assert_int_equal(ko_taken_unpack(&from, plan, &copy, &err), KO_OK);
    assert_null(copy);
    ko_text_free(&to.data);
    ko_taken_free(taken);
    ko_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken_cells_are_neither_computed_nor_forgotten),
        cmocka_unit_test(the_last_model_is_computed_last_and_done_ones_not_at_all),
        cmocka_unit_test(a_message_that_is_cut_short_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
