/* SPDX-License-Identifier: Apache-2.0 */
/* Which prompts ~mean and ~resample take values from, and where the means of a model lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/plan/plan.h"
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

enum { ATTENTION, MLP, EDGES, N_ROUTES };
enum { A, B };

/* Blocks of two models with attention. Only the pairs of a component route and a class with a suffix
   take values. */
static struct ko_plan *two_models(void)
{
    static const struct made_case made = {
        .spec =
            "models: [a, b]\nprompts: {file: f}\nwindows: {sizes: [1]}\nsweeps:\n"
            "  - {models: [a], routes: [attention@last], features: ['all~resample:3'],\n"
            "     prompts: {select: {relation: [R0, R1]}}}\n"
            "  - {models: [b], routes: [mlp@last], features: [all]}\n"
            "  - {models: [a], routes: [mlp@last, last<-last], features: [all~mean],\n"
            "     prompts: {select: {id: ['2']}}}\n"
            "  - {models: [b], routes: [attention@last], features: ['head:1~resample:0', all],\n"
            "     prompts: {select: {id: ['0', '1', '2', '3']}}}\n"
            "  - {models: [b], routes: [attention@last, mlp@last], features: ['head:0~mean'],\n"
            "     prompts: {select: {id: ['3', '4', '5']}}}\n",
        .model = {{4, 0, 0, 0, 0}, {3, 0, 0, 0, 0}},
        .n_facts = {12}};
    return built(&made);
}

static void references_are_the_prompts_of_a_class_that_takes_values(void **state)
{
    struct ko_plan *plan = two_models();
    const char *const marks[2][N_ROUTES] = {
        {"xx.xx.xx.xx.", "..x.........", "............"},  /* relations R0 and R1 */
        {"xxxxxx......", "............", "............"}}; /* heads have no meaning with mlp@ */
    (void)state;
    assert_int_equal(plan->n_routes, N_ROUTES);
    for (int32_t m = A; m <= B; m++) {
        for (int32_t r = 0; r < N_ROUTES; r++) {
            for (int32_t f = 0; f < plan->n_facts; f++) {
                assert_int_equal(ko_plan_is_reference(plan, m, r, f), marks[m][r][f] == 'x');
            }
        }
    }
    ko_plan_free(plan);
}

/* A block without a window that fits the model plans nothing there. */
static void blocks_without_a_window_have_no_references(void **state)
{
    static const struct made_case made = {
        .spec = "models: [a, b]\nprompts: {file: f}\nroutes: [mlp@last]\nfeatures: [all~mean]\n"
                "sweeps:\n"
                "  - {windows: {sizes: [1]}, prompts: {select: {id: ['0', '1']}}}\n"
                "  - {windows: {sizes: [4]}, prompts: {select: {id: ['2']}}}\n"
                "  - {windows: {sizes: [3], starts: [1]}, prompts: {select: {id: ['3']}}}\n",
        .model = {{4, 0, 0, 0, 0}, {3, 0, 0, 0, 0}},
        .n_facts = {4}};
    struct ko_plan *plan = built(&made);
    const char *const marks[2] = {"xxxx", "xx.."};
    (void)state;
    for (int32_t m = A; m <= B; m++) {
        for (int32_t f = 0; f < plan->n_facts; f++) {
            assert_int_equal(ko_plan_is_reference(plan, m, 0, f), marks[m][f] == 'x');
        }
    }
    ko_plan_free(plan);
}

/* Prompts of model a have 4 + 3 fact mod 7 tokens: 4, 7, 10, 6, 9, 5. */
static void references_of_means_are_counted_with_their_tokens(void **state)
{
    static const struct made_case made = {
        .spec =
            "models: [a]\nprompts: {file: f}\nwindows: {sizes: [1]}\nsweeps:\n"
            "  - {routes: [mlp@last], features: [all~mean], prompts: {select: {id: ['1', '4']}}}\n"
            "  - {routes: [attention@last], features: [all~mean],\n"
            "     prompts: {select: {id: ['0', '1']}}}\n"
            "  - {routes: [last<-last]}\n",
        .model = {{4, 0, 0, 0, 0}},
        .n_facts = {6}};
    struct ko_plan *plan = built(&made);
    (void)state;
    assert_int_equal(ko_plan_reference_rows(plan, 0), 4 + 7 + 9);
    for (int32_t f = 0; f < plan->n_facts; f++) {
        assert_int_equal(ko_plan_gives_means(plan, 0, f), f == 0 || f == 1 || f == 4);
    }
    for (int32_t c = 0; c < plan->n_classes; c++) {
        plan->class[c].replacement = KO_REPLACE_RESAMPLE;
    }
    assert_int_equal(ko_plan_reference_rows(plan, 0), 0);
    assert_false(ko_plan_gives_means(plan, 0, 0));
    ko_plan_free(plan);
}

/* Made by tests/oracle/knockout_oracle.py:
       [draw([f for f in references if f != x], 1, seed, fnv1a64(str(x)))[0] for x in references] */
static void donors_are_those_of_the_oracle(void **state)
{
    static const struct {
        int32_t model, n;
        int32_t reference[8];
        uint64_t seed;
        int32_t donor[8];
    } rows[] = {
        {A, 8, {0, 1, 3, 4, 6, 7, 9, 10}, 0, {4, 9, 10, 0, 0, 3, 10, 3}},
        {A, 8, {0, 1, 3, 4, 6, 7, 9, 10}, 1, {1, 3, 6, 10, 0, 6, 7, 0}},
        {A, 8, {0, 1, 3, 4, 6, 7, 9, 10}, 3, {10, 6, 6, 10, 1, 10, 1, 7}},
        {A, 8, {0, 1, 3, 4, 6, 7, 9, 10}, INT64_MAX, {1, 6, 9, 7, 4, 9, 1, 3}},
        {B, 6, {0, 1, 2, 3, 4, 5}, 0, {3, 4, 3, 0, 0, 2}},
        {B, 6, {0, 1, 2, 3, 4, 5}, 1, {4, 2, 3, 2, 1, 4}},
        {B, 6, {0, 1, 2, 3, 4, 5}, 3, {3, 3, 1, 2, 0, 2}},
        {B, 6, {0, 1, 2, 3, 4, 5}, INT64_MAX, {3, 3, 1, 1, 5, 0}},
    };
    struct ko_plan *plan = two_models();
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int32_t k = 0; k < rows[i].n; k++) {
            assert_int_equal(
                ko_plan_donor(plan, rows[i].model, ATTENTION, rows[i].reference[k], rows[i].seed),
                rows[i].donor[k]);
        }
    }
    ko_plan_free(plan);
}

static void a_prompt_alone_has_no_donor(void **state)
{
    struct ko_plan *plan = two_models();
    (void)state;
    assert_int_equal(ko_plan_donor(plan, A, MLP, 2, 7), -1);
    assert_int_equal(ko_plan_donor(plan, A, MLP, 5, 7), 2); /* no reference itself */
    assert_int_equal(ko_plan_donor(plan, A, EDGES, 2, 7), -1);
    ko_plan_free(plan);
}

static void plans_without_a_suffix_have_no_references(void **state)
{
    static const struct made_case made = {
        .spec = "models: [a]\nprompts: {file: f}\nwindows: {sizes: [1]}\n"
                "routes: [attention@last, last<-last]\nfeatures: [all, head:1]\n",
        .model = {{4, 0, 0, 0, 0}},
        .n_facts = {3}};
    struct ko_plan *plan = built(&made);
    (void)state;
    assert_null(plan->reference);
    assert_false(ko_plan_is_reference(plan, 0, 0, 0));
    assert_int_equal(ko_plan_donor(plan, 0, 0, 0, 1), -1);
    assert_int_equal(ko_plan_n_means(plan), 0);
    assert_int_equal(ko_plan_mean(plan, 0), -1);
    assert_int_equal(ko_plan_most_mean_values(plan), 0);
    ko_plan_free(plan);
}

/* The parts of a model's means fill the array without a gap. */
static void means_lie_side_by_side(void **state)
{
    static const struct made_case made = {
        .spec = "models: [a, b]\nprompts: {file: f}\nwindows: {sizes: [1]}\n"
                "routes: [last<-last, attention@last, mlp@each]\nfeatures: [all, all~mean]\n",
        .model = {{4, 0, 0, 0, 0}, {3, 0, 0, 0, 0}},
        .n_facts = {3}};
    struct ko_plan *plan = built(&made);
    const struct ko_plan_model *model = &plan->model[A];
    size_t at = 0;
    (void)state;
    assert_int_equal(ko_plan_n_means(plan), 2);
    assert_int_equal(ko_plan_mean(plan, 0), -1);
    assert_int_equal(ko_plan_mean(plan, 1), 0);
    assert_int_equal(ko_plan_mean(plan, 2), 1);
    assert_int_equal(model->n_sublayers, 8);
    for (int32_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_plan_sublayer *s = &model->sublayer[i];
        assert_int_equal(ko_plan_mean_place(model, 2, i, s->components, false), at);
        at += 2 * (size_t)model->d_model;
        assert_int_equal(ko_plan_mean_place(model, 2, i, s->components, true), at);
        at += 2 * (size_t)s->width; /* an MLP has no heads: 0 */
    }
    assert_int_equal(at, 4 * (2 * 8 + 2 * 6 + 2 * 8));
    assert_int_equal(ko_plan_mean_values(model, 2), at);
    assert_int_equal(ko_plan_mean_values(model, 0), 0);
    assert_int_equal(ko_plan_most_mean_values(plan), at);
    ko_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_the_prompts_of_a_class_that_takes_values),
        cmocka_unit_test(blocks_without_a_window_have_no_references),
        cmocka_unit_test(references_of_means_are_counted_with_their_tokens),
        cmocka_unit_test(donors_are_those_of_the_oracle),
        cmocka_unit_test(a_prompt_alone_has_no_donor),
        cmocka_unit_test(plans_without_a_suffix_have_no_references),
        cmocka_unit_test(means_lie_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
