/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/plan/pack.h"
#include "src/tree/waves/wave_build.h"
#include "tests/support/made_plan.h"

static struct ko_plan *built(const struct made_case *made)
{
    struct ko_plan *plan = NULL;
    struct ko_error err = {0};
    if (made_plan_build(made, &plan, NULL, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return plan;
}

static struct ko_wave only_wave(const struct ko_plan *plan)
{
    struct ko_batches batches = {0};
    struct ko_wave wave = {0};
    struct ko_error err = {0};
    if (ko_batches_compose(plan, &batches, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(batches.n, 1);
    assert_int_equal(batches.batch[0].n_waves, 1);
    assert_int_equal(ko_wave_build(plan, &batches.batch[0], 0, &wave, &err), KO_OK);
    ko_batches_free(&batches);
    return wave;
}

static void ten_tokens(int32_t model, int32_t fact, struct ko_prompt *prompt)
{
    (void)model;
    (void)fact;
    prompt->n_tokens = 10;
    prompt->n_special = 0;
    prompt->subject_begin = 1;
    prompt->subject_end = 5;
}

static void equal_routes_are_one_branch(void **state)
{
    (void)state;
    struct made_case made = {.spec = "models: [a]\nprompts: {file: f}\n"
                                     "routes: [last<-first, last<-position:0]\n"
                                     "windows: {sizes: [2]}\n",
                             .model = {{6, 24, 4, 0, 0}},
                             .n_facts = {1},
                             .shape = ten_tokens};
    struct ko_plan *plan = built(&made);
    struct ko_wave wave = only_wave(plan);
    assert_int_equal(wave.n_branches, 5);
    assert_int_equal(wave.n_edge_sets, 1);
    assert_int_equal(wave.n_cells, 10);
    assert_int_equal(wave.n_rows, 15);
    ko_wave_free(&wave);
    ko_plan_free(plan);
}

static void shorter_windows_leave_the_longest(void **state)
{
    (void)state;
    struct made_case made = {.spec = "models: [a]\nprompts: {file: f}\nroutes: [last<-subject]\n"
                                     "windows: {sizes: [1, 3, 4], starts: [0, 2, 3]}\n",
                             .model = {{6, 24, 4, 0, 0}},
                             .n_facts = {1},
                             .shape = ten_tokens};
    static const int32_t expected[][5] = {/* leaves_at, window, parent */
                                          {0, 0, 4, -1, 0}, {1, 1, 1, 0, 0}, {2, 2, 6, -1, 0},
                                          {3, 3, 3, 0, 0},  {3, 3, 3, 2, 0}, {3, 3, 6, -1, 0},
                                          {4, 4, 4, 5, 0},  {5, 5, 5, 2, 0}};
    struct ko_plan *plan = built(&made);
    struct ko_wave wave = only_wave(plan);
    assert_int_equal(wave.n_branches, 8);
    assert_int_equal(wave.n_cells, 8);
    int found = 0;
    for (int32_t k = 0; k < wave.n_branches; k++) {
        const struct ko_branch *b = &wave.branch[k];
        int32_t parent = b->parent < 0 ? -1 : wave.branch[b->parent].window_begin;
        for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
            int32_t up = expected[i][3] < 0 ? -1 : expected[expected[i][3]][1];
            found += b->leaves_at == expected[i][0] && b->window_begin == expected[i][1] &&
                     b->window_end == expected[i][2] && parent == up;
        }
    }
    assert_int_equal(found, 8);
    ko_wave_free(&wave);
    ko_plan_free(plan);
}

static void conv_is_plain_where_every_edge_spans_it(void **state)
{
    (void)state;
    struct made_case made = {.spec = "models: [a]\nprompts: {file: f}\n"
                                     "routes: [last<-position:5, last<-last]\n"
                                     "features: [all+conv, all]\nwindows: {sizes: [2]}\n",
                             .model = {{3, 24, 4, 0, 0}},
                             .n_facts = {1},
                             .shape = ten_tokens};
    struct ko_plan *plan = built(&made);
    struct ko_wave wave = only_wave(plan);
    /* Position 5 is 4 taps before the last: two starts, shared by both classes; last<-last has tap
       0: two starts a class. */
    assert_int_equal(wave.n_branches, 6);
    assert_int_equal(wave.n_cells, 8);
    int shared = 0, conv = 0;
    for (int32_t k = 0; k < wave.n_branches; k++) {
        int cells = 0;
        for (int64_t c = 0; c < wave.n_cells; c++) {
            cells += wave.cell[c].branch == k;
        }
        shared += cells == 2 && !wave.branch[k].conv;
        conv += wave.branch[k].conv;
    }
    assert_int_equal(shared, 2);
    assert_int_equal(conv, 2);
    ko_wave_free(&wave);
    ko_plan_free(plan);
}

static void the_last_layer_alone_is_clean_for_other_targets(void **state)
{
    (void)state;
    struct made_case made = {.spec = "models: [a]\nprompts: {file: f}\n"
                                     "routes: [subject<-first, last<-first]\n"
                                     "features: [all, all+conv]\n"
                                     "windows: {sizes: [1], starts: [4, 5]}\n",
                             .model = {{6, 24, 4, 0, 0}},
                             .n_facts = {1},
                             .shape = ten_tokens};
    struct ko_plan *plan = built(&made);
    struct ko_wave wave = only_wave(plan);
    /* Route 0, class 0, size 0, start 1 (layer 5). */
    int64_t clean = ko_plan_value_slot(plan, 0, 0, 0, 0, 1);
    int n_clean = 0;
    for (int64_t c = 0; c < wave.n_cells; c++) {
        assert_int_equal(wave.cell[c].branch < 0, wave.cell[c].slot == clean);
        n_clean += wave.cell[c].branch < 0;
    }
    assert_int_equal(n_clean, 1);
    assert_int_equal(wave.n_cells, 8);
    ko_wave_free(&wave);
    ko_plan_free(plan);
}

static void a_budget_below_one_family_names_the_smallest(void **state)
{
    (void)state;
    struct made_case made = {.spec = "models: [a]\nprompts: {file: f}\nroutes: [all<-first]\n"
                                     "windows: {sizes: [1, 2, 3]}\n",
                             .model = {{6, 24, 4, 0, 39}},
                             .n_facts = {3},
                             .shape = ten_tokens};
    struct ko_plan *plan = built(&made);
    struct ko_batches batches = {0};
    struct ko_error err = {0};
    assert_int_equal(ko_batches_compose(plan, &batches, &err), KO_E_INPUT);
    assert_string_equal(err.text, "a: row budget 39 is too small: prompt '0' needs 40, set "
                                  "row-budget to at least 40");
    assert_null(batches.batch);
    plan->model[0].row_budget = 40;
    assert_int_equal(ko_batches_compose(plan, &batches, &err), KO_OK);
    assert_int_equal(batches.n, 3);
    /* Starts 0 to 3 have three windows, start 4 two and 5 one: these share a wave. */
    assert_int_equal(batches.batch[0].n_waves, 5);
    assert_int_equal(batches.batch[0].n_rows, 5 * 10 + 15 * 10);
    ko_batches_free(&batches);
    ko_plan_free(plan);
}

static void two_longer_ones(int32_t model, int32_t fact, struct ko_prompt *prompt)
{
    ten_tokens(model, fact, prompt);
    if (fact == 2) {
        prompt->n_tokens = 13; /* 13 * (1 + 3 sizes) */
    }
}

/* As for a budget that nobody chose: no prompt keeps the sweep from running. */
static void a_budget_is_raised_to_the_longest_prompts_need(void **state)
{
    static const int32_t budgets[][2] = {{1, 52}, {40, 52}, {51, 52}, {52, 52}, {60, 60}};
    (void)state;
    for (size_t i = 0; i < sizeof budgets / sizeof budgets[0]; i++) {
        struct made_case made = {.spec = "models: [a]\nprompts: {file: f}\nroutes: [all<-first]\n"
                                         "windows: {sizes: [1, 2, 3]}\n",
                                 .model = {{6, 24, 4, 0, budgets[i][0]}},
                                 .n_facts = {3},
                                 .shape = two_longer_ones};
        struct ko_plan *plan = built(&made);
        struct ko_batches batches = {0};
        struct ko_error err = {0};
        bool raised = false;
        assert_int_equal(ko_batches_raise_budget(plan, 0, &raised, &err), KO_OK);
        assert_int_equal(plan->model[0].row_budget, budgets[i][1]);
        assert_int_equal(raised, budgets[i][0] != budgets[i][1]);
        assert_int_equal(ko_batches_compose(plan, &batches, &err), KO_OK);
        ko_batches_free(&batches);
        ko_plan_free(plan);
    }
}

static void one_unrunnable(int32_t model, int32_t fact, struct ko_prompt *prompt)
{
    if (model == 1 && fact == 2) {
        *prompt = (struct ko_prompt){.reason = KO_TARGET_MERGES, .id = prompt->id};
    }
}

static void an_evaluation_is_trunks_alone(void **state)
{
    (void)state;
    struct made_case made = {.spec = "models: [a, b]\nprompts: {file: f}\n"
                                     "routes: [last<-first]\nwindows: {sizes: [1]}\n",
                             .model = {{6, 24, 4, 0, 25}, {3, 0, 0, 0, 0}},
                             .n_facts = {6},
                             .shape = one_unrunnable,
                             .evaluation = true};
    struct ko_plan *plan = built(&made);
    struct ko_batches batches = {0};
    struct ko_error err = {0};
    assert_int_equal(plan->n_positions, 10);
    assert_int_equal(ko_plan_n_values(plan), 0);
    assert_int_equal(ko_batches_compose(plan, &batches, &err), KO_OK);
    int64_t cells[2] = {0, 0};
    for (int32_t i = 0; i < batches.n; i++) {
        struct ko_wave wave = {0};
        assert_int_equal(ko_wave_build(plan, &batches.batch[i], 0, &wave, &err), KO_OK);
        assert_int_equal(wave.n_branches, 0);
        assert_int_equal(wave.n_cells, 0);
        assert_int_equal(wave.n_rows, batches.batch[i].n_rows);
        assert_true(wave.n_rows <= plan->model[wave.model].row_budget);
        assert_int_equal(batches.batch[i].n_cells, wave.n_prompts);
        cells[wave.model] += batches.batch[i].n_cells;
        ko_wave_free(&wave);
    }
    assert_int_equal(cells[0], 6);
    assert_int_equal(cells[1], 5); /* one cannot be run */
    assert_true(batches.n > 2);
    ko_batches_free(&batches);
    ko_plan_free(plan);
}

static void batches_survive_packing(void **state)
{
    (void)state;
    struct made_case made = {.spec = "models: [a, b]\nprompts: {file: f}\n"
                                     "routes: [last<-subject, later<-each, all<-first]\n"
                                     "features: [all, slow-third+conv]\n"
                                     "windows: {sizes: [1, 3]}\n",
                             .model = {{6, 24, 4, 0, 90}, {5, 9, 4, 0, 300}},
                             .n_facts = {9}};
    struct ko_plan *plan = built(&made), *copy = NULL;
    struct ko_bytes bytes = {0};
    struct ko_error err = {0};
    ko_plan_pack(plan, &bytes);
    ko_bytes_read_from(&bytes, bytes.data.data, bytes.data.n);
    assert_int_equal(ko_plan_unpack(&bytes, &copy, &err), KO_OK);
    struct ko_batches a = {0}, b = {0};
    assert_int_equal(ko_batches_compose(plan, &a, &err), KO_OK);
    assert_int_equal(ko_batches_compose(copy, &b, &err), KO_OK);
    assert_int_equal(a.n, b.n);
    assert_true(a.n > 2);
    for (int32_t i = 0; i < a.n; i++) {
        assert_int_equal(a.batch[i].n_facts, b.batch[i].n_facts);
        assert_memory_equal(a.batch[i].fact, b.batch[i].fact,
                            (size_t)a.batch[i].n_facts * sizeof *a.batch[i].fact);
        for (int32_t w = 0; w < a.batch[i].n_waves; w++) {
            struct ko_wave x = {0}, y = {0};
            assert_int_equal(ko_wave_build(plan, &a.batch[i], w, &x, &err), KO_OK);
            assert_int_equal(ko_wave_build(copy, &b.batch[i], w, &y, &err), KO_OK);
            assert_int_equal(x.n_branches, y.n_branches);
            assert_int_equal(x.n_cells, y.n_cells);
            assert_memory_equal(x.branch, y.branch, (size_t)x.n_branches * sizeof *x.branch);
            for (int64_t c = 0; c < x.n_cells; c++) {
                assert_int_equal(x.cell[c].slot, y.cell[c].slot);
                assert_int_equal(x.cell[c].branch, y.cell[c].branch);
            }
            ko_wave_free(&x);
            ko_wave_free(&y);
        }
    }
    ko_batches_free(&a);
    ko_batches_free(&b);
    ko_text_free(&bytes.data);
    ko_plan_free(copy);
    ko_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_routes_are_one_branch),
        cmocka_unit_test(shorter_windows_leave_the_longest),
        cmocka_unit_test(conv_is_plain_where_every_edge_spans_it),
        cmocka_unit_test(the_last_layer_alone_is_clean_for_other_targets),
        cmocka_unit_test(a_budget_below_one_family_names_the_smallest),
        cmocka_unit_test(a_budget_is_raised_to_the_longest_prompts_need),
        cmocka_unit_test(an_evaluation_is_trunks_alone),
        cmocka_unit_test(batches_survive_packing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
