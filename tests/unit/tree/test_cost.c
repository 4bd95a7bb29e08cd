/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "src/tree/cost.h"
#include "src/tree/waves/wave_build.h"
#include "tests/support/made_plan.h"

static void the_row_budget_follows_the_row(void **state)
{
    (void)state;
    static const struct {
        double row_bytes;
        int32_t rows;
    } rows[] = {{0.0, 4096},     {100.0, 4096},   {24576.0, 4096},
                {24577.0, 4095}, {65536.0, 1536}, {100000.0, 1006},
                {196608.0, 512}, {196609.0, 512}, {1e12, 512}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(ko_default_row_budget(rows[i].row_bytes, false), rows[i].rows);
    }
    static const struct {
        double row_bytes;
        int32_t rows;
    } on_gpus[] = {{0.0, 8192},       {150000.0, 8192}, {524288.0, 8192}, {524289.0, 8191},
                   {1048576.0, 4096}, {8388608.0, 512}, {1e12, 512}};
    for (size_t i = 0; i < sizeof on_gpus / sizeof on_gpus[0]; i++) {
        assert_int_equal(ko_default_row_budget(on_gpus[i].row_bytes, true), on_gpus[i].rows);
    }
}

static void ten_tokens(int32_t model, int32_t fact, struct ko_prompt *prompt)
{
    (void)model;
    (void)fact;
    prompt->n_tokens = 10;
    prompt->n_special = 0;
    prompt->subject_begin = 2;
    prompt->subject_end = 5;
}

static void flop_is_that_of_the_rows(void **state)
{
    (void)state;
    struct made_case made = {.spec = "models: [a]\nprompts: {file: f}\nroutes: [last<-last]\n"
                                     "features: [all, all+conv]\n"
                                     "windows: {sizes: [1, 2], starts: [1]}\n",
                             .model = {{4, 24, 4, 0, 0}},
                             .n_facts = {2},
                             .shape = ten_tokens};
    struct ko_plan *plan = NULL;
    struct ko_batches batches = {0};
    struct ko_cost cost;
    struct ko_error err = {0};
    assert_int_equal(made_plan_build(&made, &plan, NULL, &err), KO_OK);
    assert_int_equal(ko_batches_compose(plan, &batches, &err), KO_OK);
    ko_plan_cost(plan, &batches, &cost);
    /* A row and layer: 100 before the convolution, 10 after it, 1 past the mixing. */
    double unembedding = 2.0 * 50 * 8;
    double trunk = 10 * (4 * 110 + 3) + 1 + unembedding;
    double from_1 = 2 * 111 + 1 + unembedding, from_2 = 111 + 1 + unembedding;
    double prompt = trunk + 2 * (from_1 + from_2) + 2 * 10;
    assert_int_equal(cost.n_batches, 1);
    assert_int_equal(cost.n_cells, 8);
    assert_int_equal(cost.n_rows, 2 * (10 + 4));
    assert_true(fabs(cost.flop - 2 * prompt) < 1e-6);
    assert_true(fabs(cost.separate_flop - 8 * trunk) < 1e-6);
    /* 28 rows are all that is ever in the workspace, whatever the budget. */
    double fixed = 54.0 * 1024 * 1024;
    assert_true(fabs(cost.peak_bytes - (5000.0 + 28 * 100.0 + fixed)) < 1.0);
    assert_true(cost.cube_bytes > 8 * 20.0);
    /* A buffer holds the largest matrix of embeddings: 7 rows of 8 numbers. */
    plan->prompt[0].n_embedded = 3;
    plan->prompt[1].n_embedded = 7;
    const double before = cost.peak_bytes;
    ko_plan_cost(plan, &batches, &cost);
    assert_true(cost.peak_bytes - before == 7 * 8 * 4.0);
    ko_batches_free(&batches);
    ko_plan_free(plan);
}

/* Rows times layers of the waves of one prompt of 10 tokens and four routes into the last position:
   one full forward pass a cell and the clean run, against the tree. */
static double saving(int32_t n_layers, const char *sizes)
{
    char text[300];
    snprintf(text, sizeof text,
             "models: [a]\nprompts: {file: f}\n"
             "routes: [last<-subject, last<-relation, last<-last, last<-first]\n"
             "windows: {sizes: %s}\n",
             sizes);
    struct made_case made = {
        .spec = text, .model = {{n_layers, 24, 4, 0, 0}}, .n_facts = {1}, .shape = ten_tokens};
    struct ko_plan *plan = NULL;
    struct ko_batches batches = {0};
    struct ko_wave wave = {0};
    struct ko_error err = {0};
    assert_int_equal(made_plan_build(&made, &plan, NULL, &err), KO_OK);
    assert_int_equal(ko_batches_compose(plan, &batches, &err), KO_OK);
    assert_int_equal(batches.batch[0].n_waves, 1);
    assert_int_equal(ko_wave_build(plan, &batches.batch[0], 0, &wave, &err), KO_OK);
    double trunk = 10.0 * n_layers, tree = trunk;
    for (int32_t k = 0; k < wave.n_branches; k++) {
        tree += n_layers - wave.branch[k].leaves_at;
    }
    double ratio = (double)(wave.n_cells + 1) * trunk / tree;
    ko_wave_free(&wave);
    ko_batches_free(&batches);
    ko_plan_free(plan);
    return ratio;
}

static void the_tree_saves_what_it_should(void **state)
{
    (void)state;
    /* By the sums over starts and sizes; a prompt whose subject is its first token saves a quarter
       more. */
    assert_true(fabs(saving(24, "[9]") - 12.04) < 0.01);
    assert_true(fabs(saving(64, "[9]") - 16.33) < 0.01);
    assert_true(fabs(saving(24, "[1, 3, 5, 9, 12, 15]") - 20.35) < 0.01);
    assert_true(fabs(saving(64, "[1, 3, 5, 9, 12, 15]") - 20.42) < 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_row_budget_follows_the_row),
        cmocka_unit_test(flop_is_that_of_the_rows),
        cmocka_unit_test(the_tree_saves_what_it_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
