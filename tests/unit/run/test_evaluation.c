/* SPDX-License-Identifier: Apache-2.0 */
/* What must be equal before the results of an evaluation are taken over, one difference a row. */
#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/cube/create/create.h"
#include "src/run/evaluation.h"
#include "src/run/inputs.h"
#include "tests/support/folder.h"
#include "tests/support/small_plan.h"

enum { MODELS = 2, FACTS = 5 };

static struct ko_error err;

static void write_all(hid_t file, const char *name, hid_t type, const void *values)
{
    hid_t id = H5Dopen2(file, name, H5P_DEFAULT);

    assert_true(id >= 0);
    assert_true(H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(id);
}

/* A finished evaluation. */
static void create(const char *path, const struct ko_plan *plan)
{
    const struct ko_cube_content content = {.plan = plan};
    float logprob[MODELS * FACTS];
    int32_t number[MODELS * FACTS];
    uint8_t status[MODELS * FACTS];

    if (ko_cube_create(path, &content, &err) != KO_OK) {
        fail_msg("%s", err.text);
    }
    for (int k = 0; k < MODELS * FACTS; k++) {
        const bool runs = plan->prompt[k].reason == KO_RUNNABLE;
        logprob[k] = -1 - (float)k;
        number[k] = runs ? 1 + k : -1;
        status[k] = runs ? KO_DONE : KO_NOT_PLANNED;
    }
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    write_all(file, "eval_logprob", H5T_NATIVE_FLOAT, logprob);
    write_all(file, "eval_target_rank", H5T_NATIVE_INT32, number);
    write_all(file, "eval_top1_id", H5T_NATIVE_INT32, number);
    write_all(file, "eval_status", H5T_NATIVE_UINT8, status);
    H5Fclose(file);
}

static void set(char **text, const char *to)
{
    free(*text);
    *text = strdup(to);
    assert_non_null(*text);
}

enum change {
    SAME,
    SWEEP,
    PENDING,
    NO_VALUE,
    MODEL,
    CHECKPOINT,
    ID,
    TEXT,
    TOKENIZER,
    TOKEN,
    LENGTH,
    ANSWER,
    REASON
};

static void change_file(const char *path, enum change change)
{
    const uint8_t pending = KO_PENDING;
    const float nan = NAN;
    const hsize_t first[2] = {0, 0}, one[2] = {1, 1};
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t id = H5Dopen2(file, change == PENDING ? "eval_status" : "eval_logprob", H5P_DEFAULT);
    hid_t space = H5Dget_space(id), memory = H5Screate_simple(2, one, NULL);

    assert_true(H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, one, NULL) >= 0);
    if (change == PENDING) {
        assert_true(H5Dwrite(id, H5T_NATIVE_UINT8, memory, space, H5P_DEFAULT, &pending) >= 0);
    } else {
        assert_true(H5Dwrite(id, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, &nan) >= 0);
    }
    H5Sclose(memory);
    H5Sclose(space);
    H5Dclose(id);
    H5Fclose(file);
}

/* This run's models and prompts, which the plan says. */
static void change_plan(struct ko_plan *plan, enum change change)
{
    struct ko_prompt *prompt = &plan->prompt[0];

    if (change == MODEL) {
        set(&plan->model[1].name, "gpt2-large");
    } else if (change == CHECKPOINT) {
        set(&plan->model[1].fingerprint, "abc");
    } else if (change == ID) {
        set(&plan->fact[4].id, "p-9");
    } else if (change == TEXT) {
        set(&plan->fact[4].text, "Subject 4 is in");
    } else if (change == TOKENIZER) {
        set(&plan->model[0].tokenizer_fingerprint, "abc");
    } else if (change == TOKEN) {
        prompt->token[2]++;
    } else if (change == LENGTH) {
        prompt->n_tokens--;
    } else if (change == ANSWER) {
        prompt->target++;
    } else if (change == REASON) {
        prompt->reason = KO_TARGET_MERGES;
    }
}

/* Reads the evaluation for the plan's models and prompts, and checks it against the plan. */
static enum ko_code take_over(const char *path, const struct ko_plan *plan)
{
    struct ko_model model[MODELS] = {{.name = plan->model[0].name}, {.name = plan->model[1].name}};
    struct ko_model *models[MODELS] = {&model[0], &model[1]};
    char *fingerprint[MODELS] = {plan->model[0].fingerprint, plan->model[1].fingerprint};
    char file_name[] = "facts.jsonl", *file = file_name;
    struct ko_spec spec = {.prompt_files = {.item = &file, .n = 1}};
    struct ko_fact fact[FACTS];
    struct ko_facts facts = {.fact = fact, .n = FACTS, .file = file_name};
    struct ko_inputs inputs = {.spec = &spec,
                               .facts = &facts,
                               .n_facts = FACTS,
                               .model = models,
                               .fingerprint = fingerprint,
                               .n_models = MODELS};
    struct ko_evaluation evaluation = {0};

    for (int f = 0; f < FACTS; f++) {
        fact[f] = (struct ko_fact){.id = plan->fact[f].id, .text = plan->fact[f].text};
    }
    enum ko_code code = ko_evaluation_read(path, &inputs, &evaluation, &err);
    if (code == KO_OK) {
        code = ko_evaluation_check(path, &evaluation, plan, &err);
    }
    if (code == KO_OK) {
        assert_int_equal(evaluation.target_rank[FACTS + 1], FACTS + 2);
    }
    ko_evaluation_free(&evaluation);
    return code;
}

static void results_are_taken_over_where_all_is_equal(void **state)
{
    static const struct {
        enum change change;
        const char *text; /* NULL: it is taken */
    } table[] = {
        {SAME, NULL},
        {SWEEP, "e.h5: is a sweep's cube, name an evaluation"},
        {PENDING, "e.h5: is incomplete: prompt '140' of mamba-small has not been run"},
        {NO_VALUE, "e.h5: is incomplete: prompt '140' of mamba-small has not been run"},
        {MODEL, "e.h5: lacks model 'gpt2-large', evaluate it too"},
        {CHECKPOINT, "e.h5: model 'gpt2-small' has fingerprint fedcba9876543210fedcba9876543210 "
                     "there and abc now, evaluate again"},
        {ID, "e.h5: lacks prompt 'p-9' of facts.jsonl, evaluate again"},
        {TEXT, "e.h5: prompt 'p-4' has another text than in facts.jsonl, evaluate again"},
        {TOKENIZER,
         "e.h5: model 'mamba-small' has tokenizer 00000000000000000000000000000001 there "
         "and abc now, evaluate again"},
        {TOKEN, "e.h5: prompt '140' of mamba-small has other tokens than when it was evaluated"},
        {LENGTH, "e.h5: prompt '140' of mamba-small has other tokens than when it was evaluated"},
        {ANSWER, "e.h5: prompt '140' of mamba-small has another answer than when it was evaluated"},
        {REASON, "e.h5: prompt '140' of mamba-small is to be skipped for another reason than when"},
    };
    (void)state;

    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
        const enum change change = table[k].change;
        char *folder = test_folder_make(), *path = test_folder_path(folder, "e.h5");
        struct ko_plan *before = small_plan_evaluation(), *plan = small_plan_evaluation();
        create(path, before);
        if (change == SWEEP) {
            struct ko_plan *sweep = small_plan_sweep(false);
            const struct ko_cube_content content = {.plan = sweep};
            assert_int_equal(ko_cube_create(path, &content, &err), KO_OK);
            ko_plan_free(sweep);
        } else if (change == PENDING || change == NO_VALUE) {
            change_file(path, change);
        }
        change_plan(plan, change);
        err.text[0] = '\0';
        const enum ko_code code = take_over(path, plan);
        assert_int_equal(code, table[k].text ? KO_E_INPUT : KO_OK);
        if (table[k].text && !strstr(err.text, table[k].text)) {
            fail_msg("'%s' does not say '%s'", err.text, table[k].text);
        }
        ko_plan_free(before);
        ko_plan_free(plan);
        free(path);
        test_folder_remove(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_taken_over_where_all_is_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
