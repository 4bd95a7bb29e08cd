/* SPDX-License-Identifier: Apache-2.0 */
/* Plans from axes alone, beside plans from a spec that selects everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/plan/from_axes.h"
#include "src/plan/pack.h"
#include "tests/support/made_plan.h"

enum { N_FACTS = 4 };

static void skip_one(int32_t model, int32_t fact, struct ko_prompt *prompt)
{
    if (model == 0 && fact == 2) {
        prompt->reason = KO_SUBJECT_NOT_FOUND;
    }
}

static const struct made_case everything = {
    .spec = "models: [a, b]\nprompts: {file: f}\nroutes: [last<-subject, last<-each]\n"
            "features: [all, slow-third]\nwindows: {sizes: [2, 5], starts: all}\n",
    .model = {{4, 24, 4, 0, 0}, {6, 0, 0, 0, 0}},
    .n_facts = {N_FACTS},
    .shape = skip_one};

static struct ko_plan *made(void)
{
    struct ko_plan *plan = NULL;
    struct ko_error err = {0};
    if (made_plan_build(&everything, &plan, NULL, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    return plan;
}

/* Builds a plan from the axes of `from`, with its models and prompts, and the given class. */
static enum ko_code build(struct ko_plan *from, const char *class, struct ko_plan **out,
                          struct ko_error *err)
{
    struct ko_fact fact[N_FACTS];
    const struct ko_facts facts = {.fact = fact, .n = N_FACTS, .file = (char[]){"f"}};
    struct ko_strings mean = {0}, heat = {0}, classes = {0};
    for (int32_t f = 0; f < N_FACTS; f++) {
        const struct ko_plan_fact *own = &from->fact[f];
        fact[f] = (struct ko_fact){.id = own->id,
                                   .text = own->text,
                                   .subject = own->subject,
                                   .target = own->target,
                                   .foil = own->foil,
                                   .relation = own->relation};
    }
    assert_int_equal(ko_strings_add(&mean, "last<-subject", err), KO_OK);
    assert_int_equal(ko_strings_add(&heat, "last<-each", err), KO_OK);
    assert_int_equal(ko_strings_add(&classes, "all", err), KO_OK);
    assert_int_equal(ko_strings_add(&classes, class, err), KO_OK);
    struct ko_plan_axes axes = {.model = from->model,
                                .n_models = from->n_models,
                                .prompt = from->prompt,
                                .score = from->score,
                                .facts = &facts,
                                .n_files = 1,
                                .routes = {&mean, &heat},
                                .classes = &classes,
                                .size = from->size,
                                .start = from->start,
                                .n_sizes = from->n_sizes,
                                .n_starts = from->n_starts};
    const enum ko_code code = ko_plan_from_axes(&axes, out, err);
    from->model = axes.model;
    from->prompt = axes.prompt;
    ko_strings_free(&mean);
    ko_strings_free(&heat);
    ko_strings_free(&classes);
    return code;
}

static void axes_give_the_plan_of_a_spec_that_selects_everything(void **state)
{
    struct ko_plan *spec = made(), *parts = made(), *plan = NULL;
    struct ko_error err = {0};
    char expected[33], hash[33];
    (void)state;
    assert_int_equal(build(parts, "slow-third", &plan, &err), KO_OK);
    assert_null(parts->model);
    assert_null(parts->prompt);
    assert_int_equal(ko_plan_hash(spec, expected, &err), KO_OK);
    assert_int_equal(ko_plan_hash(plan, hash, &err), KO_OK);
    assert_string_equal(hash, expected);
    ko_plan_free(spec);
    ko_plan_free(parts);
    ko_plan_free(plan);
}

static void a_failure_leaves_models_and_prompts_with_the_caller(void **state)
{
    struct ko_plan *parts = made(), *plan = NULL;
    struct ko_error err = {0};
    (void)state;
    assert_int_equal(build(parts, "no-such-class", &plan, &err), KO_E_INPUT);
    assert_non_null(strstr(err.text, "no-such-class"));
    assert_null(plan);
    assert_non_null(parts->model);
    assert_non_null(parts->prompt);
    ko_plan_free(parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_give_the_plan_of_a_spec_that_selects_everything),
        cmocka_unit_test(a_failure_leaves_models_and_prompts_with_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
