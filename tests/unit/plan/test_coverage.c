/* SPDX-License-Identifier: Apache-2.0 */
/* Batches and waves against an enumeration of the spec, cell by cell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/tree/statuses.h"
#include "src/tree/waves/wave_build.h"
#include "tests/support/asked_wave.h"
#include "tests/support/made_plan.h"
#include "tests/support/random_spec.h"

/* What the random plans have of the rarer kinds. */
struct found {
    int n_multi;  /* batches with several waves */
    int n_marked; /* vacuous cells beside others that are not */
    int n_donors; /* branches with values of another prompt */
    int n_short;  /* vacuous cells: the donor's set is too small */
    int n_alone;  /* vacuous cells: there is no other prompt */
};

/* ------------------------------------------------------------------ all cells */

static void check_batch(struct asked_cells *e, const struct ko_batch *batch, struct found *found)
{
    int64_t n_rows = 0, n_cells = 0;
    for (int32_t w = 0; w < batch->n_waves; w++) {
        struct ko_wave wave = {0};
        struct ko_error err = {0};
        assert_int_equal(ko_wave_build(e->plan, batch, w, &wave, &err), KO_OK);
        asked_check_wave(e, batch, &wave, &found->n_donors);
        n_rows += wave.n_rows;
        n_cells += wave.n_cells;
        ko_wave_free(&wave);
    }
    assert_true(batch->n_waves <= 1 || batch->n_facts == 1);
    for (int32_t i = 1; i < batch->n_facts; i++) {
        assert_true(batch->fact[i] > batch->fact[i - 1]);
    }
    assert_int_equal(batch->n_rows, n_rows);
    assert_int_equal(batch->n_cells, n_cells);
}

/* The status of a size, from its starts. */
static int status_of(const struct asked_cells *e, struct asked_place at, int32_t m, int32_t f)
{
    int status = KO_NOT_PLANNED;
    for (int32_t s = 0; s < e->plan->n_starts; s++) {
        int64_t slot = ko_plan_value_slot(e->plan, at.route, at.class, at.source, at.size, s);
        const struct asked_cell *cell = asked_cell_at(e, m, f, slot);
        if (cell->planned && !cell->vacuous) {
            return KO_PENDING;
        }
        status = cell->planned ? KO_VACUOUS : status;
    }
    return status;
}

/* ko_plan_has, ko_plan_has_any_start and ko_tree_statuses against the enumeration, and every cell
   computed once. Returns the vacuous cells beside others that are not. */
static int check_record(const struct asked_cells *e, int32_t m, int32_t f)
{
    const struct ko_plan *plan = e->plan;
    struct ko_error err = {0};
    int n_marked = 0;
    uint8_t *status = malloc((size_t)ko_plan_n_statuses(plan) + 1);
    uint8_t *vacuous = malloc(e->record + 1);
    assert_non_null(status);
    assert_non_null(vacuous);
    assert_int_equal(ko_tree_statuses(plan, m, f, status, vacuous, &err), KO_OK);
    for (size_t slot = 0; slot < e->record; slot++) {
        struct asked_cell *cell = asked_cell_at(e, m, f, (int64_t)slot);
        struct asked_place at = e->place[slot];
        bool beyond =
            plan->route[at.route].heat && at.source >= ko_plan_prompt(plan, m, f)->n_tokens;
        if (!beyond) {
            assert_int_equal(ko_plan_has(plan, m, f, at.route, at.class, at.size, at.start),
                             cell->planned);
            assert_int_equal(ko_plan_has_any_start(plan, m, f, at.route, at.class, at.size),
                             status_of(e, at, m, f) != KO_NOT_PLANNED);
        }
        const int expected = status_of(e, at, m, f);
        int64_t status_slot = ko_plan_status_slot(plan, at.route, at.class, at.source, at.size);
        assert_int_equal(status[status_slot], expected);
        assert_int_equal(vacuous[slot], cell->planned && cell->vacuous && expected == KO_PENDING);
        assert_int_equal(cell->hits, cell->planned && !cell->vacuous);
        n_marked += vacuous[slot];
    }
    free(status);
    free(vacuous);
    assert_true(n_marked == 0 || ko_plan_mixes_vacuous(plan));
    return n_marked;
}

/* The budget that the error of a budget of 1 names, for each model; 1 where it needs no row. */
static void smallest_budgets(struct ko_plan *plan, int32_t *smallest)
{
    for (int32_t m = 0; m < plan->n_models; m++) {
        plan->model[m].row_budget = 1000000;
    }
    for (int32_t m = 0; m < plan->n_models; m++) {
        struct ko_batches batches = {0};
        struct ko_error err = {0};
        smallest[m] = 1;
        plan->model[m].row_budget = 1;
        enum ko_code code = ko_batches_compose(plan, &batches, &err);
        ko_batches_free(&batches);
        if (code != KO_OK) {
            const char *words = "set row-budget to at least ";
            const char *at = strstr(err.text, words);
            assert_int_equal(code, KO_E_INPUT);
            assert_non_null(at);
            smallest[m] = atoi(at + strlen(words));
            plan->model[m].row_budget = smallest[m] - 1;
            assert_int_equal(ko_batches_compose(plan, &batches, &err), KO_E_INPUT);
        }
        plan->model[m].row_budget = 1000000;
    }
}

/* The planned cells of a model that are not vacuous. */
static int64_t count_cells(const struct asked_cells *e, int32_t m)
{
    int64_t n = 0;
    for (int32_t f = 0; f < e->plan->n_facts; f++) {
        for (size_t slot = 0; slot < e->record; slot++) {
            const struct asked_cell *cell = asked_cell_at(e, m, f, (int64_t)slot);
            n += cell->planned && !cell->vacuous;
        }
    }
    return n;
}

/* The planned cells of a model whose class takes values from another prompt, and that are vacuous. */
static void count_without_donor(const struct asked_cells *e, int32_t m, struct found *found)
{
    for (int32_t f = 0; f < e->plan->n_facts; f++) {
        for (size_t slot = 0; slot < e->record; slot++) {
            const struct asked_place at = e->place[slot];
            const struct ko_feature_class *class = &e->plan->class[at.class];
            const struct asked_cell *cell = asked_cell_at(e, m, f, (int64_t)slot);
            if (class->replacement == KO_REPLACE_RESAMPLE && cell->planned && cell->vacuous) {
                const bool alone = asked_donor(e, m, f, at.route, class->donor_seed) < 0;
                found->n_alone += alone;
                found->n_short += !alone;
            }
        }
    }
}

static void check_plan(const struct ko_plan *plan, const struct ko_spec *spec, struct found *found)
{
    struct asked_cells e = asked_cells_of(plan, spec);
    struct ko_batches batches = {0};
    struct ko_error err = {0};
    if (ko_batches_compose(plan, &batches, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    int64_t
        left[MADE_MODELS]; /* cells that are not vacuous: the rest is what `plan` calls vacuous */
    for (int32_t m = 0; m < plan->n_models; m++) {
        left[m] = count_cells(&e, m);
        count_without_donor(&e, m, found);
    }
    for (int32_t i = 0; i < batches.n; i++) {
        const struct ko_batch *batch = &batches.batch[i];
        left[batch->model] -= batch->n_cells;
        assert_true(i == 0 || batch->model > batch[-1].model ||
                    batch->fact[0] > batch[-1].fact[batch[-1].n_facts - 1]);
        check_batch(&e, batch, found);
        found->n_multi += batch->n_waves > 1;
    }
    for (int32_t m = 0; m < plan->n_models; m++) {
        assert_int_equal(left[m], 0);
        for (int32_t f = 0; f < plan->n_facts; f++) {
            found->n_marked += check_record(&e, m, f);
        }
    }
    ko_batches_free(&batches);
    asked_cells_free(&e);
}

/* ------------------------------------------------------------------ cells that are taken */

/* One cell in `of`, chosen anew for every prompt of the plan; of 1: all. */
static struct ko_taken *take_some(const struct ko_plan *plan, const struct asked_cells *e,
                                  int32_t of, uint64_t *state)
{
    struct ko_taken *taken = NULL;
    struct ko_error err = {0};
    uint8_t *marks = calloc(e->record + 1, 1);
    assert_non_null(marks);
    assert_int_equal(ko_taken_new(plan, &taken, &err), KO_OK);
    for (int32_t m = 0; m < plan->n_models; m++) {
        for (int32_t f = 0; f < plan->n_facts; f++) {
            for (size_t slot = 0; slot < e->record; slot++) {
                const struct asked_cell *cell = asked_cell_at(e, m, f, (int64_t)slot);
                marks[slot] = cell->planned && !cell->vacuous && random_pick(state, of) == 0;
            }
            assert_int_equal(ko_taken_add(taken, m, f, marks, 0, (int64_t)e->record, &err), KO_OK);
        }
    }
    free(marks);
    return taken;
}

/* A message brings the same to another rank. */
static struct ko_taken *sent(const struct ko_plan *plan, const struct ko_taken *taken)
{
    struct ko_bytes to = {0}, from = {0};
    struct ko_taken *copy = NULL;
    struct ko_error err = {0};
    ko_taken_pack(taken, &to);
    ko_bytes_read_from(&from, to.data.data, to.data.n);
    assert_int_equal(ko_taken_unpack(&from, plan, &copy, &err), KO_OK);
    assert_false(from.broken);
    ko_text_free(&to.data);
    return copy;
}

static void check_taken(const struct asked_cells *e, const struct ko_taken *taken, int64_t n_taken)
{
    for (int32_t m = 0; m < e->plan->n_models; m++) {
        for (int32_t f = 0; f < e->plan->n_facts; f++) {
            for (size_t slot = 0; slot < e->record; slot++) {
                const struct asked_cell *cell = asked_cell_at(e, m, f, (int64_t)slot);
                const bool gone = ko_taken_has(ko_taken_of(taken, m, f), (int64_t)slot);
                assert_int_equal(cell->hits, cell->planned && !cell->vacuous && !gone);
                n_taken -= gone;
            }
        }
    }
    assert_int_equal(n_taken, 0);
}

/* Whether each prompt of the pruned batch is one of the plan's batch, in its order. */
static void check_members(const struct ko_batch *whole, const struct ko_batch *left)
{
    int32_t k = 0;
    assert_int_equal(left->model, whole->model);
    assert_true(left->n_rows <= whole->n_rows && left->n_waves <= whole->n_waves);
    assert_true(left->flop <= whole->flop);
    assert_int_equal(left->n_cells + left->n_taken, whole->n_cells);
    for (int32_t i = 0; i < whole->n_facts && k < left->n_facts; i++) {
        k += whole->fact[i] == left->fact[k];
    }
    assert_int_equal(k, left->n_facts);
}

static void check_pruned(const struct ko_plan *plan, const struct ko_spec *spec, int32_t of,
                         uint64_t *state, struct found *found)
{
    struct asked_cells e = asked_cells_of(plan, spec);
    struct ko_batches whole = {0}, left = {0};
    struct ko_error err = {0};
    struct ko_taken *taken = take_some(plan, &e, of, state), *copy = sent(plan, taken);
    int64_t n_taken = 0;
    assert_int_equal(ko_batches_compose(plan, &whole, &err), KO_OK);
    assert_int_equal(ko_batches_compose(plan, &left, &err), KO_OK);
    assert_int_equal(ko_batches_prune(plan, copy, &left, &err), KO_OK);
    assert_int_equal(left.n, whole.n);
    for (int32_t i = 0; i < left.n; i++) {
        check_members(&whole.batch[i], &left.batch[i]);
        check_batch(&e, &left.batch[i], found);
        found->n_multi += left.batch[i].n_waves > 1;
        n_taken += left.batch[i].n_taken;
        /* Without a vacuous part beside it, nothing left is no prompt. */
        assert_true(of > 1 || left.batch[i].n_cells == 0);
        assert_true(left.batch[i].n_facts > 0 || left.batch[i].n_waves == 0);
    }
    check_taken(&e, taken, n_taken);
    ko_batches_free(&left);
    ko_batches_free(&whole);
    ko_taken_free(copy);
    ko_taken_free(taken);
    asked_cells_free(&e);
}

/* 50 random specs, each with three row budgets. */
static void try_plans(bool take)
{
    int32_t n_built = 0;
    struct found found = {0};
    for (int32_t round = 0; round < 50; round++) {
        struct random_spec random = random_spec_make(round);
        struct ko_plan *plan = NULL;
        struct ko_error err = {0};
        enum ko_code code = made_plan_build(&random.made, &plan, NULL, &err);
        if (code == KO_OK) {
            struct ko_spec *spec = made_plan_spec(&random.made);
            int32_t smallest[RANDOM_MODELS];
            smallest_budgets(plan, smallest);
            for (int32_t more = 0; more < 3; more++) {
                static const int32_t extra[] = {0, 7, 200};
                for (int32_t m = 0; m < plan->n_models; m++) {
                    plan->model[m].row_budget = smallest[m] + extra[more];
                }
                if (take) {
                    check_pruned(plan, spec, 1 + (round + more) % 3, &random.state, &found);
                } else {
                    check_plan(plan, spec, &found);
                }
            }
            n_built++;
            ko_spec_free(spec);
            ko_plan_free(plan);
        } else {
            assert_int_equal(code, KO_E_INPUT); /* nothing left */
        }
        random_spec_free(&random);
    }
    assert_true(n_built >= 40 && found.n_multi >= 100 && found.n_donors >= 1000);
    assert_true(take || (found.n_marked >= 1000 && found.n_short >= 100 && found.n_alone >= 100));
}

static void plan_covers_every_cell_once(void **state)
{
    (void)state;
    try_plans(false);
}

static void what_is_taken_is_computed_by_no_branch_and_all_else_once(void **state)
{
    (void)state;
    try_plans(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_covers_every_cell_once),
        cmocka_unit_test(what_is_taken_is_computed_by_no_branch_and_all_else_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
