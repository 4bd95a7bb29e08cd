/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of whole answers: in the trunk and in every branch, behind those of the prompt. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/forward/record.h"
#include "src/forward/rows.h"
#include "src/plan/pack.h"
#include "tests/support/every_wave.h"
#include "tests/support/made_plan.h"

#define SPEC(rows)                                                                                 \
    "models: [ssm, attention]\n"                                                                   \
    "prompts: {file: facts.jsonl, score: whole-answer, answer-rows: " rows "}\n"                   \
    "routes: ['last<-subject', 'subject<-first', 'later<-subject', 'all<-all', 'last<-last', "     \
    "'mixer@last', 'mixer@subject']\n"                                                             \
    "features: [all, slow-third, all+conv]\n"                                                      \
    "windows: {sizes: [1, 2, 4], starts: all}\n"

/* Answers of one to four tokens. */
static void shape(int32_t model, int32_t fact, struct ko_prompt *prompt)
{
    prompt->n_rest = (fact + model) % 4;
    prompt->target = 10 + fact;
    prompt->rest = prompt->n_rest ? calloc((size_t)prompt->n_rest, sizeof *prompt->rest) : NULL;
    for (int32_t k = 0; k < prompt->n_rest; k++) {
        prompt->rest[k] = 20 + 4 * fact + k;
    }
}

static const struct made_model models[] = {
    {.n_layers = 5, .n_features = 12, .d_conv = 4, .row_budget = 260}, {.n_layers = 4}};

static struct made_case case_of(bool knocked)
{
    return (struct made_case){.spec = knocked ? SPEC("knocked") : SPEC("clean"),
                              .model = {models[0], models[1]},
                              .n_facts = {6},
                              .shape = shape};
}

/* Calls check on every wave of a plan that was packed and unpacked. Returns how many there were. */
static int32_t for_every_wave(bool knocked, check_wave *check)
{
    const struct made_case made = case_of(knocked);
    struct ko_plan *built = NULL, *plan = NULL;
    struct ko_bytes bytes = {0};
    struct ko_error err = {0};
    assert_int_equal(made_plan_build(&made, &built, NULL, &err), KO_OK);
    ko_plan_pack(built, &bytes);
    ko_bytes_read_from(&bytes, bytes.data.data, bytes.data.n);
    assert_int_equal(ko_plan_unpack(&bytes, &plan, &err), KO_OK);
    assert_int_equal(plan->score, KO_SCORE_WHOLE_ANSWER);
    assert_int_equal(plan->answer_rows, knocked ? KO_ANSWER_ROWS_KNOCKED : KO_ANSWER_ROWS_CLEAN);
    assert_int_equal(plan->n_answer_tokens, 4);
    const int32_t n = check_every_wave(plan, check);
    ko_text_free(&bytes.data);
    ko_plan_free(plan);
    ko_plan_free(built);
    return n;
}

static void check_rows(const struct wave_of *w)
{
    const struct ko_rows *rows = &w->set->rows;
    for (int32_t p = 0; p < rows->n_prompts; p++) {
        const struct ko_prompt *prompt = prompt_of_wave(w, p);
        assert_int_equal(rows->n_tokens[p], prompt->n_tokens + prompt->n_rest);
        for (int32_t i = 0; i < rows->n_tokens[p]; i++) {
            const int32_t row = rows->trunk_first[p] + i, k = i - prompt->n_tokens;
            assert_int_equal(rows->position[row], i);
            assert_int_equal(rows->token[row], k < 0    ? prompt->token[i]
                                               : k == 0 ? prompt->target
                                                        : prompt->rest[k - 1]);
        }
    }
    for (int32_t b = 0; b < rows->n_branches; b++) {
        const struct ko_branch *branch = &rows->branches[b];
        const struct ko_prompt *prompt = prompt_of_wave(w, branch->prompt);
        assert_in_range(branch->first_position, 0, prompt->n_tokens - 1);
        assert_int_equal(branch->n_rows,
                         prompt->n_tokens + prompt->n_rest - branch->first_position);
    }
}

static void answers_follow_their_prompts_in_trunk_and_branches(void **state)
{
    (void)state;
    assert_true(for_every_wave(false, check_rows) > 3);
    assert_true(for_every_wave(true, check_rows) > 3);
}

/* Whether the answer's rows do what `at` says of the last position. */
static void check_positions(const struct wave_of *w, const struct ko_prompt *prompt,
                            const uint8_t *at)
{
    const bool knocked = w->plan->answer_rows == KO_ANSWER_ROWS_KNOCKED;
    for (int32_t k = 0; k < prompt->n_rest; k++) {
        assert_int_equal(at[prompt->n_tokens + k], knocked && at[prompt->n_tokens - 1]);
    }
}

static int32_t n_targets, n_spared; /* branches whose last position loses something, or does not */

static void check_targets(const struct wave_of *w)
{
    const struct ko_rows *rows = &w->set->rows;
    for (int32_t b = 0; b < rows->n_branches; b++) {
        const struct ko_branch *branch = &rows->branches[b];
        const struct ko_prompt *prompt = prompt_of_wave(w, branch->prompt);
        if (branch->edge_set >= 0) {
            const struct ko_edge_set *set = &rows->edges[branch->edge_set];
            check_positions(w, prompt, set->target);
            n_targets += set->target[prompt->n_tokens - 1];
            n_spared += !set->target[prompt->n_tokens - 1];
            for (int32_t i = prompt->n_tokens; i < prompt->n_tokens + prompt->n_rest; i++) {
                assert_int_equal(set->source[i], 0);
                for (int32_t j = 0; j < prompt->n_tokens; j++) {
                    /* With the sources of the last position. */
                    assert_int_equal(ko_edge_set_has(set, i, j),
                                     w->plan->answer_rows == KO_ANSWER_ROWS_KNOCKED &&
                                         ko_edge_set_has(set, prompt->n_tokens - 1, j));
                }
            }
        }
        if (branch->removal >= 0) {
            check_positions(w, prompt, rows->removals[branch->removal].at);
        }
    }
}

static void the_rule_says_whether_answer_rows_are_targets(void **state)
{
    (void)state;
    for (int knocked = 0; knocked < 2; knocked++) {
        n_targets = n_spared = 0;
        assert_true(for_every_wave(knocked, check_targets) > 3);
        assert_true(n_targets > 10 && n_spared > 10);
    }
}

static void check_scored(const struct wave_of *w)
{
    const struct ko_row_set *set = w->set;
    const struct ko_rows *rows = &set->rows;
    int32_t at = 0;
    for (int32_t run = 0; run < rows->n_prompts + rows->n_branches; run++) {
        const int32_t branch = run - rows->n_prompts;
        const int32_t p = branch < 0 ? run : rows->branches[branch].prompt;
        const struct ko_prompt *prompt = prompt_of_wave(w, p);
        assert_int_equal(set->first_last[run], at);
        for (int32_t k = 0; k <= prompt->n_rest; k++, at++) {
            const int32_t row = set->last[at];
            assert_int_equal(rows->branch[row], branch < 0 ? -1 : branch);
            assert_int_equal(rows->prompt[row], p);
            assert_int_equal(rows->position[row], prompt->n_tokens - 1 + k);
            assert_int_equal(set->target[at], k == 0 ? prompt->target : prompt->rest[k - 1]);
            assert_int_equal(set->clean[at], set->first_last[p] + k);
        }
    }
    assert_int_equal(set->n_last, at);
    assert_true(set->n_last <= rows->n_rows);
}

static void every_token_is_scored_behind_those_before_it(void **state)
{
    (void)state;
    assert_true(for_every_wave(false, check_scored) > 3);
}

static void a_record_has_the_sum_and_every_token(void **state)
{
    const struct made_case made = case_of(false);
    const struct ko_metrics row[] = {{.logprob = -1, .kl = 0.5F, .target_rank = 1, .top1_id = 7},
                                     {.logprob = -2.5F, .kl = 9, .target_rank = 3, .top1_id = 8}};
    struct ko_plan *plan = NULL;
    struct ko_record record = {0};
    struct ko_error err = {0};
    int64_t slot = 0;
    (void)state;
    assert_int_equal(made_plan_build(&made, &plan, NULL, &err), KO_OK);
    assert_int_equal(ko_record_new(plan, 0, 1, &record, &err), KO_OK);
    while (record.status[slot / plan->n_starts] != KO_DONE) {
        assert_true(++slot < record.n_values);
    }
    const struct ko_answer_metrics *answer = record.answer + 4 * slot;
    assert_true(isnan(answer[0].logprob) && record.clean_answer[3].rank == -1);
    assert_int_equal(ko_prompt_n_scored(ko_plan_prompt(plan, 0, 1)), 2);
    assert_true(ko_record_set(plan, &record, -1, 0, row));
    assert_true(ko_record_set(plan, &record, slot, 0, row));
    assert_true(record.clean.logprob == -3.5F && record.value[slot].logprob == -3.5F);
    assert_true(record.value[slot].kl == 0.5F);
    assert_int_equal(record.value[slot].target_rank, 1);
    assert_int_equal(record.value[slot].top1_id, 7);
    assert_true(answer[0].logprob == -1 && answer[1].logprob == -2.5F);
    assert_int_equal(answer[1].rank, 3);
    assert_true(isnan(answer[2].logprob) && record.clean_answer[0].rank == 1);
    ko_record_fail(&record, KO_FAILED_MEMORY);
    assert_true(isnan(record.clean_answer[0].logprob) && record.clean_answer[0].rank == -1);
    assert_true(isnan(answer[0].logprob) && answer[1].rank == -1);
    ko_record_free(&record);
    ko_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_follow_their_prompts_in_trunk_and_branches),
        cmocka_unit_test(the_rule_says_whether_answer_rows_are_targets),
        cmocka_unit_test(every_token_is_scored_behind_those_before_it),
        cmocka_unit_test(a_record_has_the_sum_and_every_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
