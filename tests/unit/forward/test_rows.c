/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of waves: paths, parents, active prefixes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "src/forward/rows.h"
#include "src/tree/waves/wave_build.h"
#include "tests/support/every_wave.h"
#include "tests/support/made_plan.h"

/* Nested sizes, equal routes, masks, convolutions and maps over several prompts and odd budgets. */
static const struct made_case made = {
    .spec = "models: [ssm, attention]\n"
            "prompts: {file: facts.jsonl}\n"
            "routes: ['last<-subject', 'relation<-first', 'later<-subject', 'all<-position:1']\n"
            "features: [all, slow-third, all+conv, after-softmax]\n"
            "windows: {sizes: [1, 2, 4], starts: all}\n"
            "sweeps:\n"
            "  - {}\n"
            "  - {routes: ['last<-each'], features: [all]}\n",
    .model = {{.n_layers = 5, .n_features = 12, .d_conv = 4, .row_budget = 260},
              {.n_layers = 4, .row_budget = 0}},
    .n_facts = {6},
};

/* Calls check on every wave of the plan; returns how many there were. */
static int32_t for_every_wave(check_wave *check)
{
    struct ko_plan *plan = NULL;
    struct ko_error err = {0};
    assert_int_equal(made_plan_build(&made, &plan, NULL, &err), KO_OK);
    const int32_t n = check_every_wave(plan, check);
    ko_plan_free(plan);
    return n;
}

static void check_paths(const struct wave_of *w)
{
    const struct ko_rows *rows = &w->set->rows;
    for (int32_t r = 0; r < rows->n_rows; r++) {
        const int32_t before = rows->previous[r], branch = rows->branch[r];
        assert_true((before < 0) == (rows->position[r] == 0));
        if (before < 0) {
            continue;
        }
        assert_int_equal(rows->position[before], rows->position[r] - 1);
        assert_int_equal(rows->prompt[before], rows->prompt[r]);
        if (branch >= 0 && rows->position[r] > rows->branches[branch].first_position) {
            assert_int_equal(rows->branch[before], branch);
        } else {
            assert_int_equal(rows->branch[before], -1);
        }
    }
}

static void every_row_follows_its_own_path_back_to_the_trunk(void **state)
{
    (void)state;
    assert_true(for_every_wave(check_paths) > 3);
}

static void check_parents(const struct wave_of *w)
{
    const struct ko_rows *rows = &w->set->rows;
    for (int32_t r = 0; r < rows->n_rows; r++) {
        const int32_t branch = rows->branch[r], parent = rows->parent_row[r];
        if (branch < 0) {
            assert_int_equal(parent, -1);
            continue;
        }
        assert_int_equal(rows->branch[parent], rows->branches[branch].parent);
        assert_int_equal(rows->position[parent], rows->position[r]);
        assert_int_equal(rows->prompt[parent], rows->prompt[r]);
        /* What is copied in layer l was computed before it. */
        assert_true(parent < rows->n_projected[rows->branches[branch].leaves_at]);
    }
}

static void every_branch_leaves_rows_that_are_active_already(void **state)
{
    (void)state;
    assert_true(for_every_wave(check_parents) > 3);
}

static void check_prefixes(const struct wave_of *w)
{
    const struct ko_rows *rows = &w->set->rows;
    assert_int_equal(rows->n_projected[0], rows->n_trunk_rows);
    assert_int_equal(rows->n_active[rows->n_stages - 1], rows->n_rows);
    for (int32_t l = 0; l < rows->n_stages; l++) {
        assert_true(rows->n_projected[l] <= rows->n_convolved[l]);
        assert_true(rows->n_convolved[l] <= rows->n_active[l]);
        if (l > 0) {
            assert_int_equal(rows->n_projected[l], rows->n_active[l - 1]);
        }
        for (int32_t r = rows->n_trunk_rows; r < rows->n_rows; r++) {
            const struct ko_branch *branch = &rows->branches[rows->branch[r]];
            assert_true((r < rows->n_active[l]) == (branch->leaves_at <= l));
            assert_true((r < rows->n_projected[l]) == (branch->leaves_at < l));
            if (branch->leaves_at == l) {
                assert_true((r < rows->n_convolved[l]) == branch->conv);
            }
        }
    }
}

static void the_active_rows_of_a_layer_are_a_prefix(void **state)
{
    (void)state;
    assert_true(for_every_wave(check_prefixes) > 3);
}

static void check_last(const struct wave_of *w)
{
    const struct ko_rows *rows = &w->set->rows;
    assert_int_equal(w->set->n_last, w->wave->n_prompts + w->wave->n_branches);
    for (int32_t k = 0; k < w->set->n_last; k++) {
        const int32_t row = w->set->last[k], p = rows->prompt[row];
        const struct ko_prompt *prompt = ko_plan_prompt(w->plan, w->wave->model, w->wave->fact[p]);
        assert_int_equal(rows->position[row], prompt->n_tokens - 1);
        assert_int_equal(rows->branch[row], k < w->wave->n_prompts ? -1 : k - w->wave->n_prompts);
        assert_int_equal(w->set->clean[k], p);
        assert_int_equal(w->set->target[k], prompt->target);
        assert_int_equal(w->set->foil[k], prompt->foil);
    }
}

static void metrics_are_taken_at_every_path_s_last_position(void **state)
{
    (void)state;
    assert_true(for_every_wave(check_last) > 3);
}

static void a_full_pass_shares_nothing_with_the_trunk(void **state)
{
    struct ko_plan *plan = NULL;
    struct ko_wave wave = {0};
    struct ko_row_set set = {0};
    struct ko_error err = {0};
    /* Class all+conv, a window of 2 layers that starts at layer 1. */
    const struct ko_cell cell = {.fact = 2, .class = 2, .size = 1, .start = 1};
    (void)state;
    assert_int_equal(made_plan_build(&made, &plan, NULL, &err), KO_OK);
    const struct ko_prompt *prompt = ko_plan_prompt(plan, 0, cell.fact);
    assert_int_equal(ko_wave_of_cell(plan, &cell, 0, &wave, &err), KO_OK);
    assert_int_equal(ko_row_set_build(plan, &wave, &set, &err), KO_OK);
    assert_true(set.rows.branches[0].conv);
    assert_int_equal(set.rows.branches[0].mask, -1);
    assert_int_equal(set.rows.n_edge_sets, 1);
    assert_true(ko_edge_set_has(&set.rows.edges[0], prompt->n_tokens - 1, 1));
    assert_int_equal(set.rows.n_rows, 2 * prompt->n_tokens);
    for (int32_t l = 0; l < set.rows.n_stages; l++) {
        assert_int_equal(set.rows.n_projected[l], set.rows.n_rows);
    }
    for (int32_t i = 1; i < prompt->n_tokens; i++) {
        assert_int_equal(set.rows.branch[set.rows.previous[prompt->n_tokens + i]], 0);
    }
    assert_true(ko_branch_cuts(&set.rows.branches[0], 1, KO_MIXER_SSM));
    assert_true(ko_branch_cuts(&set.rows.branches[0], 2, KO_MIXER_SSM));
    assert_false(ko_branch_cuts(&set.rows.branches[0], 0, KO_MIXER_SSM));
    assert_false(ko_branch_cuts(&set.rows.branches[0], 3, KO_MIXER_SSM));
    ko_row_set_free(&set);
    ko_wave_free(&wave);
    ko_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_follows_its_own_path_back_to_the_trunk),
        cmocka_unit_test(every_branch_leaves_rows_that_are_active_already),
        cmocka_unit_test(the_active_rows_of_a_layer_are_a_prefix),
        cmocka_unit_test(metrics_are_taken_at_every_path_s_last_position),
        cmocka_unit_test(a_full_pass_shares_nothing_with_the_trunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
