/* SPDX-License-Identifier: Apache-2.0 */
/* What the tree asks of removed edges: where they begin, which are equal, which classes and windows
   change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/tree/interventions.h"
#include "tests/support/made_plan.h"

/* Ten tokens, the subject at 1 ... 4. */
static void ten_tokens(int32_t model, int32_t fact, struct ko_prompt *prompt)
{
    (void)model;
    (void)fact;
    prompt->n_tokens = 10;
    prompt->n_special = 0;
    prompt->subject_begin = 1;
    prompt->subject_end = 5;
}

/* Indices of `routes` and `features` in the spec of every test. */
enum { LAST_FIRST, LAST_POSITION_0, SIX_SUBJECT, SUBJECT_LAST, N_ROUTES };
enum { ALL, ALL_CONV, SLOW_CONV };

struct subject {
    struct ko_plan *plan;
    struct ko_tree_model model;
    struct ko_intervention of[N_ROUTES];
};

static int begin(void **state)
{
    static struct subject subject;
    const struct made_case made = {
        .spec = "models: [a]\nprompts: {file: f}\n"
                "routes: [last<-first, 'last<-position:0', 'position:6<-subject', subject<-last]\n"
                "features: [all, all+conv, slow-third+conv]\n"
                "windows: {sizes: [1, 2]}\n",
        .model = {{6, 24, 4, 0, 0}},
        .n_facts = {1},
        .shape = ten_tokens};
    struct ko_error err = {0};
    subject = (struct subject){0};
    assert_int_equal(made_plan_build(&made, &subject.plan, NULL, &err), KO_OK);
    assert_int_equal(ko_tree_model_open(subject.plan, 0, &subject.model, &err), KO_OK);
    for (int32_t r = 0; r < N_ROUTES; r++) {
        assert_int_equal(ko_intervention_make(&subject.model, 0, r, 0, &subject.of[r], &err),
                         KO_OK);
    }
    *state = &subject;
    return 0;
}

static int end(void **state)
{
    struct subject *s = *state;
    for (int32_t r = 0; r < N_ROUTES; r++) {
        ko_intervention_free(&s->of[r]);
    }
    ko_tree_model_close(&s->model);
    ko_plan_free(s->plan);
    return 0;
}

static void rows_before_the_first_target_stay_the_trunk_s(void **state)
{
    const struct subject *s = *state;
    assert_int_equal(s->of[LAST_FIRST].first_position, 9);
    assert_int_equal(s->of[SIX_SUBJECT].first_position, 6);
    assert_false(ko_intervention_is_vacuous(&s->of[LAST_FIRST]));
    /* The subject cannot read the last position, which comes after it. */
    assert_true(ko_intervention_is_vacuous(&s->of[SUBJECT_LAST]));
}

static void routes_that_remove_the_same_edges_are_equal(void **state)
{
    const struct subject *s = *state;
    assert_true(ko_intervention_equal(&s->of[LAST_FIRST], &s->of[LAST_POSITION_0]));
    assert_false(ko_intervention_equal(&s->of[LAST_FIRST], &s->of[SIX_SUBJECT]));
}

static int32_t same_class(const struct subject *s, int32_t route, int32_t class)
{
    const struct ko_intervention *x = &s->of[route];
    return x->kind->same_class(x, &s->model, class);
}

static void conv_is_the_class_without_it_where_every_edge_spans_the_convolution(void **state)
{
    const struct subject *s = *state;
    assert_int_equal(same_class(s, LAST_FIRST, ALL_CONV), ALL); /* spans 9 of 4 taps */
    assert_int_equal(same_class(s, LAST_FIRST, ALL), ALL);
    assert_int_equal(same_class(s, LAST_FIRST, SLOW_CONV),
                     SLOW_CONV); /* slow-third is not on the axis */
    assert_int_equal(same_class(s, SIX_SUBJECT, ALL_CONV), ALL_CONV); /* 6 - 4 < 4 */
}

static bool is_clean(const struct subject *s, int32_t route, int32_t class, int32_t first,
                     int32_t last)
{
    const struct ko_intervention *x = &s->of[route];
    const struct ko_tree_range range = {first, last + 1};
    return x->kind->is_clean(x, &s->model, class, &range);
}

static void the_last_layer_alone_is_clean_where_the_last_position_is_spared(void **state)
{
    const struct subject *s = *state;
    assert_true(is_clean(s, SIX_SUBJECT, ALL, 5, 5));
    assert_false(is_clean(s, SIX_SUBJECT, ALL, 4, 5));
    assert_false(is_clean(s, SIX_SUBJECT, ALL, 4, 4));
    assert_false(is_clean(s, SIX_SUBJECT, ALL_CONV, 5, 5)); /* taps reach the last position */
    assert_false(is_clean(s, LAST_FIRST, ALL, 5, 5));
}

static void the_kernels_are_told_mask_and_convolution(void **state)
{
    const struct subject *s = *state;
    const struct ko_intervention_kind *kind = s->of[SIX_SUBJECT].kind;
    struct ko_branch branch = {0};
    kind->describe(&s->model, ALL, &branch);
    assert_int_equal(branch.mask, -1);
    assert_false(branch.conv);
    kind->describe(&s->model, SLOW_CONV, &branch);
    assert_int_equal(branch.mask, 0);
    assert_true(branch.conv);
    assert_false(branch.after_softmax);
    const struct ko_edge_set set = kind->edge_set(&s->of[SIX_SUBJECT], 0);
    for (int32_t i = 0; i < 10; i++) {
        for (int32_t j = 0; j <= i; j++) {
            assert_int_equal(ko_edge_set_has(&set, i, j), i == 6 && j >= 1 && j <= 4);
        }
    }
}

/* Layers 1 and 4 of a Transformer see everything, the others four positions. */
static void an_edge_exists_where_a_layer_of_the_window_sees_so_far(void **state)
{
    static const int32_t reach[6] = {4, INT32_MAX, 4, 4, INT32_MAX, 4};
    const struct made_case made = {
        .spec = "models: [a]\nprompts: {file: f}\n"
                "routes: [last<-first, 'position:6<-subject', 'position:5<-position:1']\n"
                "features: [all, after-softmax]\nwindows: {sizes: [1, 2, 3]}\n",
        .model = {{6, 0, 0, 0, 0}},
        .layer_reach = {reach},
        .n_facts = {1},
        .shape = ten_tokens};
    /* The smallest spans: 9, 6 - 4 and 4. The first layers, and the windows' ends. */
    static const struct {
        int32_t route, begin, end;
        bool vacuous;
    } rows[] = {
        {0, 0, 1, true}, {0, 0, 2, false}, {0, 1, 2, false}, {0, 2, 4, true}, {0, 2, 5, false},
        {0, 5, 6, true}, {1, 0, 1, false}, {1, 2, 4, false}, {2, 2, 4, true}, {2, 4, 5, false},
    };
    struct ko_plan *plan = NULL;
    struct ko_tree_model model = {0};
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(made_plan_build(&made, &plan, NULL, &err), KO_OK);
    assert_int_equal(plan->model[0].reach, INT32_MAX);
    assert_int_equal(ko_tree_model_open(plan, 0, &model, &err), KO_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_intervention x = {0};
        assert_int_equal(ko_intervention_make(&model, 0, rows[i].route, 0, &x, &err), KO_OK);
        assert_false(ko_intervention_is_vacuous(&x));
        for (int32_t class = 0; class < 2; class ++) {
            const int32_t size = rows[i].end - rows[i].begin - 1; /* on the axis 1, 2, 3 */
            const struct ko_tree_range range =
                x.kind->layout(&x, &model, class)->range[rows[i].begin * 3 + size];
            if ((range.begin == range.end) != rows[i].vacuous) {
                fail_msg("row %zu", i);
            }
        }
        ko_intervention_free(&x);
    }
    ko_tree_model_close(&model);
    ko_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_before_the_first_target_stay_the_trunk_s),
        cmocka_unit_test(routes_that_remove_the_same_edges_are_equal),
        cmocka_unit_test(conv_is_the_class_without_it_where_every_edge_spans_the_convolution),
        cmocka_unit_test(the_last_layer_alone_is_clean_where_the_last_position_is_spared),
        cmocka_unit_test(the_kernels_are_told_mask_and_convolution),
        cmocka_unit_test(an_edge_exists_where_a_layer_of_the_window_sees_so_far),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
