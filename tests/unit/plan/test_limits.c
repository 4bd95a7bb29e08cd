/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "src/base/text.h"
#include "src/plan/build.h"
#include "tests/support/made_plan.h"

/* 1600 classes, 5 routes, 100 sizes and about 16,384 starts of 100 prompts are 1.3e12 cells. */
static void cells_of_a_plan_are_bounded(void **state)
{
    struct ko_text spec = {0};
    struct ko_error err = {0};
    struct ko_plan *plan = NULL;
    (void)state;
    ko_text_add(&spec, "models: [a]\nprompts: {file: f}\nroutes: [last<-last, last<-first, "
                       "last<-subject, last<-relation, last<-context]\nwindows: {sizes: [1");
    for (int i = 2; i <= 100; i++) {
        ko_text_add(&spec, ", %d", i);
    }
    ko_text_add(&spec, "]}\nfeatures: [all");
    for (int i = 0; i < 1600; i++) {
        ko_text_add(&spec, ", \"random-third:%d\"", i);
    }
    ko_text_add(&spec, "]\n");
    struct made_case made = {
        .spec = ko_text_str(&spec), .model = {{16384, 24, 4, 0, 0}}, .n_facts = {100}};
    assert_int_equal(made_plan_build(&made, &plan, NULL, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text,
                           ": the axes span 1.31e+12 cells, more than 1e+12, cut the plan into "
                           "several specs"));
    assert_null(plan);
    ko_text_free(&spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_of_a_plan_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
