/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/preview/sweep_counts.h"
#include "src/tree/batch.h"
#include "tests/support/made_plan.h"

enum { MAX_BLOCKS = 8 };

/* The counts of a case, whose sum is checked cell by cell against the plan. */
static void count(const struct made_case *made, struct ko_sweep_cells *out)
{
    struct ko_plan *plan = NULL;
    struct ko_error err = {0};
    int64_t sum = 0, cells = 0, planned[MADE_MODELS] = {0};
    if (made_plan_build(made, &plan, NULL, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    assert_true(plan->n_blocks <= MAX_BLOCKS);
    assert_int_equal(ko_sweep_cells_count(plan, out, planned, &err), KO_OK);
    for (int32_t b = 0; b < plan->n_blocks; b++) {
        sum += out[b].new_mean + out[b].new_heat;
    }
    for (int32_t m = 0; m < plan->n_models; m++) {
        for (int32_t f = 0; f < plan->n_facts; f++) {
            for (int32_t r = 0; r < plan->n_routes; r++) {
                for (int32_t c = 0; c < plan->n_classes; c++) {
                    for (int32_t k = 0; k < plan->n_sizes; k++) {
                        for (int32_t s = 0; s < plan->n_starts; s++) {
                            if (ko_plan_prompt(plan, m, f)->reason == KO_RUNNABLE &&
                                ko_plan_has(plan, m, f, r, c, k, s)) {
                                const int64_t n =
                                    plan->route[r].heat ? ko_plan_prompt(plan, m, f)->n_tokens : 1;
                                cells += n;
                                planned[m] -= n;
                            }
                        }
                    }
                }
            }
        }
    }
    assert_int_equal(sum, cells);
    for (int32_t m = 0; m < plan->n_models; m++) {
        assert_int_equal(planned[m], 0); /* the cells of each model */
    }
    ko_plan_free(plan);
}

static void cells_of_two_sweeps_are_new_in_the_first(void **state)
{
    (void)state;
    struct ko_sweep_cells counts[MAX_BLOCKS];
    const struct made_case made = {.spec = "models: [/a, /b]\n"
                                           "prompts: {file: f}\n"
                                           "routes: [last<-subject]\n"
                                           "windows: {sizes: [2]}\n"
                                           "sweeps:\n"
                                           "  - {models: [/a]}\n"
                                           "  - {windows: {sizes: [1, 2]}}\n"
                                           "  - {prompts: {select: {id: ['1']}}}\n",
                                   .model = {{.n_layers = 4}, {.n_layers = 6}},
                                   .n_facts = {5}};
    count(&made, counts);
    assert_int_equal(counts[0].n_models, 1);
    assert_int_equal(counts[0].n_prompts, 5);
    assert_int_equal(counts[0].n_mean, 5 * 3);
    assert_int_equal(counts[0].new_mean, 5 * 3);
    assert_int_equal(counts[1].n_models, 2);
    assert_int_equal(counts[1].n_mean, 5 * (4 + 3 + 6 + 5));
    assert_int_equal(counts[1].new_mean, 5 * (4 + 6 + 5));
    assert_int_equal(counts[2].n_prompts, 1);
    assert_int_equal(counts[2].n_mean, 3 + 5);
    assert_int_equal(counts[2].new_mean, 0);
    assert_int_equal(counts[0].n_heat + counts[1].n_heat + counts[2].n_heat, 0);
}

static void third_cannot_be_run(int32_t model, int32_t fact, struct ko_prompt *prompt)
{
    if (model == 0 && fact == 2) {
        prompt->reason = KO_SUBJECT_NOT_FOUND;
    }
}

/* Prompts of model 0 have 4 + 3 f mod 7 tokens: 4, 7, 10, 6, 9. */
static void heatmaps_have_a_cell_for_each_token(void **state)
{
    (void)state;
    struct ko_sweep_cells counts[MAX_BLOCKS];
    const struct made_case made = {.spec = "models: [/a]\n"
                                           "prompts: {file: f}\n"
                                           "routes: [last<-each, last<-subject]\n"
                                           "features: [all, slow-third]\n"
                                           "windows: {sizes: [3]}\n"
                                           "sweeps:\n"
                                           "  - {prompts: {select: {id: ['0', '1']}}}\n"
                                           "  - {prompts: {select: {id: ['1', '2', '3']}}}\n",
                                   .model = {{.n_layers = 4, .n_features = 6}},
                                   .n_facts = {5},
                                   .shape = third_cannot_be_run};
    count(&made, counts);
    assert_int_equal(counts[0].n_mean, 2 * 2 * 2);
    assert_int_equal(counts[0].n_heat, (4 + 7) * 2 * 2);
    assert_int_equal(counts[0].new_heat, counts[0].n_heat);
    assert_int_equal(counts[1].n_prompts, 2);
    assert_int_equal(counts[1].n_mean, 2 * 2 * 2);
    assert_int_equal(counts[1].new_mean, 2 * 2);
    assert_int_equal(counts[1].n_heat, (7 + 6) * 2 * 2);
    assert_int_equal(counts[1].new_heat, 6 * 2 * 2);
}

static void a_class_that_a_model_lacks_is_not_counted(void **state)
{
    (void)state;
    struct ko_sweep_cells counts[MAX_BLOCKS];
    const struct made_case made = {.spec = "models: [/a, /b]\n"
                                           "prompts: {file: f}\n"
                                           "routes: [last<-subject]\n"
                                           "windows: {sizes: [4]}\n"
                                           "sweeps:\n"
                                           "  - {features: [after-softmax]}\n"
                                           "  - {features: [slow-third, all]}\n",
                                   .model = {{.n_layers = 4, .n_features = 6}, {.n_layers = 4}},
                                   .n_facts = {3}};
    count(&made, counts);
    assert_int_equal(counts[0].n_models, 1);
    assert_int_equal(counts[0].n_mean, 3);
    assert_int_equal(counts[1].n_models, 2);
    assert_int_equal(counts[1].n_mean, 3 * 2 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_of_two_sweeps_are_new_in_the_first),
        cmocka_unit_test(heatmaps_have_a_cell_for_each_token),
        cmocka_unit_test(a_class_that_a_model_lacks_is_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
