/* SPDX-License-Identifier: Apache-2.0 */
/* Makes, checks and frees records, marks them as failed, and has the sentence of each failure. */
#include "src/forward/record.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/plan/stored_metrics.h"
#include "src/tree/statuses.h"

const struct ko_metrics ko_no_metrics = {
#define X(FIELD, name, TYPE, ...) .name = KO_METRIC_NONE_##TYPE,
    KO_RECORD_METRICS(X, )
#undef X
};

const struct ko_answer_metrics ko_no_answer_metrics = {
#define X(FIELD, name, TYPE, ...) .name = KO_METRIC_NONE_##TYPE,
    KO_ANSWER_METRICS(X, )
#undef X
};

const struct ko_choice_metrics ko_no_choice_metrics = {
#define X(FIELD, name, TYPE, ...) .name = KO_METRIC_NONE_##TYPE,
    KO_CHOICE_METRICS(X, )
#undef X
};

#define X(FIELD, name, TYPE, ...) +sizeof(KO_METRIC_C_##TYPE)
_Static_assert(sizeof(struct ko_metrics) == 0 KO_RECORD_METRICS(X, ),
               "a member of struct ko_metrics is not in KO_RECORD_METRICS");
#undef X

static void clear_answers(struct ko_answer_metrics *answer, int64_t n)
{
    for (int64_t i = 0; answer && i < n; i++) {
        answer[i] = ko_no_answer_metrics;
    }
}

/* Room for `each` items of the clean run and of each value, all of them NaN or -1; NULL where `each`
   is 0. False without memory. */
static bool allocate_items(const struct ko_record *record, int32_t each, const char *what,
                           struct ko_answer_metrics **clean, struct ko_answer_metrics **values,
                           struct ko_error *err)
{
    size_t n = 0;
    if (each == 0) {
        return true;
    }
    *clean = ko_new((size_t)each, sizeof **clean, err);
    if (ko_multiply((size_t)record->n_values, (size_t)each, &n, what, err) == KO_OK) {
        *values = ko_new(n, sizeof **values, err);
    }
    clear_answers(*clean, each);
    clear_answers(*values, *values ? (int64_t)n : 0);
    return *clean && *values;
}

/* Room for the tokens of whole answers and for choices. False without memory. */
static bool allocate_answers(const struct ko_plan *plan, struct ko_record *record,
                             struct ko_error *err)
{
    record->n_answer_tokens = plan->n_answer_tokens;
    record->n_choices = plan->n_choices;
    return allocate_items(record, plan->n_answer_tokens, "tokens of answers", &record->clean_answer,
                          &record->answer, err) &&
           allocate_items(record, plan->n_choices, "answers and options", &record->clean_choice,
                          &record->choice, err);
}

enum ko_code ko_record_new(const struct ko_plan *plan, int32_t model, int32_t fact,
                           struct ko_record *out, struct ko_error *err)
{
    struct ko_record record = {.model = model, .fact = fact, .clean = ko_no_metrics};
    enum ko_code code = KO_OK;

    if (plan->kind == KO_PLAN_SWEEP) {
        record.n_values = ko_plan_n_values(plan);
        record.n_statuses = ko_plan_n_statuses(plan);
    }
    record.value = ko_new((size_t)record.n_values, sizeof *record.value, err);
    if (record.value && !allocate_answers(plan, &record, err)) {
        ko_record_free(&record);
        return KO_E_MEMORY;
    }
    record.status = record.value ? ko_new((size_t)record.n_statuses, 1, err) : NULL;
    const bool mixed = plan->model[model].stage != NULL;
    if (record.status && mixed) {
        record.vacuous = ko_new((size_t)record.n_values, 1, err);
    }
    if (!record.status || (mixed && !record.vacuous)) {
        ko_record_free(&record);
        return KO_E_MEMORY;
    }
    if (record.n_statuses) {
        code = ko_tree_statuses(plan, model, fact, record.status, record.vacuous, err);
    }
    if (code != KO_OK) {
        ko_record_free(&record);
        return code;
    }
    for (int64_t i = 0; i < record.n_values; i++) {
        record.value[i] = ko_no_metrics;
    }
    for (int64_t i = 0; i < record.n_statuses; i++) {
        if (record.status[i] == KO_PENDING) {
            record.status[i] = KO_DONE;
        }
    }
    *out = record;
    return KO_OK;
}

/* The metrics of n tokens, which follow each other, as of one. */
static struct ko_metrics sum_tokens(const struct ko_metrics *token, int32_t n)
{
    struct ko_metrics sum = token[0];
    double logprob = (double)token[0].logprob;
    for (int32_t k = 1; k < n; k++) {
        logprob += (double)token[k].logprob;
    }
    sum.logprob = (float)logprob;
    return sum;
}

static int32_t worst_rank(const struct ko_metrics *token, int32_t n)
{
    int32_t worst = token[0].target_rank;
    for (int32_t k = 0; k < n; k++) {
        worst = token[k].target_rank > worst ? token[k].target_rank : worst;
    }
    return worst;
}

/* Replaces the cell's best right answer. */
static void set_best(const struct ko_cell_metrics *cell, const struct ko_metrics *sum,
                     const struct ko_metrics *token, int32_t n, int32_t n_before)
{
    *cell->value = *sum;
    for (int32_t k = 0; cell->answer && k < (n > n_before ? n : n_before); k++) {
        cell->answer[k] = k < n ? (struct ko_answer_metrics){token[k].logprob, token[k].target_rank}
                                : ko_no_answer_metrics;
    }
}

/* The tokens of the answer that the cell has. */
static int32_t n_answer_tokens(const struct ko_prompt *prompt,
                               const struct ko_answer_metrics *answer)
{
    const int32_t most = ko_prompt_longest_answer(prompt);
    int32_t n = 0;
    while (answer && n < most && answer[n].rank >= 1) {
        n++;
    }
    return n;
}

bool ko_cell_set(const struct ko_prompt *prompt, int32_t sequence, const struct ko_metrics *scored,
                 const struct ko_cell_metrics *cell)
{
    bool finite = true;
    for (int32_t c = 0; c < ko_prompt_n_choices(prompt); c++) {
        const int32_t n = ko_prompt_choice_length(prompt, c);
        if (ko_prompt_choice_sequence(prompt, c) != sequence || n == 0) {
            continue;
        }
        const struct ko_metrics sum = sum_tokens(scored, n);
        const bool right = ko_prompt_choice_kind(prompt, c) & KO_CHOICE_RIGHT;
        finite = finite && isfinite(sum.logprob) && isfinite(sum.kl);
        if (cell->choice) {
            cell->choice[c] = (struct ko_answer_metrics){sum.logprob, worst_rank(scored, n)};
        }
        if (right && (prompt->choices.n == 0 || !(cell->value->logprob >= sum.logprob))) {
            set_best(cell, &sum, scored, n, n_answer_tokens(prompt, cell->answer));
        }
        scored += n;
    }
    return finite;
}

bool ko_record_set(const struct ko_plan *plan, struct ko_record *record, int64_t slot,
                   int32_t sequence, const struct ko_metrics *scored)
{
    const struct ko_prompt *prompt = ko_plan_prompt(plan, record->model, record->fact);
    const bool clean = slot < 0;
    struct ko_answer_metrics *answer = clean ? record->clean_answer : record->answer;
    struct ko_answer_metrics *choice = clean ? record->clean_choice : record->choice;
    struct ko_metrics *value = clean ? &record->clean : &record->value[slot];
    if (!clean) {
        answer += answer ? slot * record->n_answer_tokens : 0;
        choice += choice ? slot * record->n_choices : 0;
    }
    /* Every wave of a prompt computes the clean run. Of one sequence the last wave's stays, as that of
       a prompt without choices does. Of several each keeps its first, or the best could be of
       another wave than the values of its own choice. */
    if (clean && prompt->choices.n > 0 && prompt->choices.n_sequences == 1) {
        *value = ko_no_metrics;
    } else if (clean && prompt->choices.n > 0 &&
               choice[ko_prompt_longest(prompt, sequence)].rank != ko_no_answer_metrics.rank) {
        return true;
    }
    const struct ko_cell_metrics cell = {value, answer, choice};
    return ko_cell_set(prompt, sequence, scored, &cell);
}

bool ko_record_has_clean(const struct ko_plan *plan, const struct ko_record *record)
{
    const struct ko_prompt *prompt = ko_plan_prompt(plan, record->model, record->fact);
    bool has = isfinite(record->clean.logprob) && isfinite(record->clean.kl);
    for (int32_t c = 0; c < prompt->choices.n; c++) {
        has = has && (ko_prompt_choice_length(prompt, c) == 0 ||
                      isfinite(record->clean_choice[c].logprob));
    }
    return has;
}

bool ko_record_is_planned(const struct ko_plan *plan, const struct ko_record *record, bool heat)
{
    const int64_t n_mean = ko_plan_n_mean_statuses(plan);
    for (int64_t i = heat ? n_mean : 0; i < (heat ? record->n_statuses : n_mean); i++) {
        if (record->status[i] != KO_NOT_PLANNED) {
            return true;
        }
    }
    return false;
}

const char *ko_failure_sentence(enum ko_failure failure)
{
    switch (failure) {
    case KO_NOT_FAILED:
        break;
#define X(name, code, sentence)                                                                    \
    case name:                                                                                     \
        return sentence;
        KO_FAILURES(X)
#undef X
    }
    return "no reason is known";
}

void ko_record_clear_failed(struct ko_record *record)
{
    const int64_t n_starts = record->n_statuses ? record->n_values / record->n_statuses : 0;
    for (int64_t i = 0; n_starts > 0 && i < record->n_values; i++) {
        if (record->status[i / n_starts] == KO_CELL_FAILED) {
            record->value[i] = ko_no_metrics;
            clear_answers(record->answer ? record->answer + i * record->n_answer_tokens : NULL,
                          record->n_answer_tokens);
            clear_answers(record->choice ? record->choice + i * record->n_choices : NULL,
                          record->n_choices);
        }
    }
}

void ko_record_fail(struct ko_record *record, enum ko_failure failure)
{
    record->failure = failure;
    record->clean = ko_no_metrics;
    clear_answers(record->clean_answer, record->n_answer_tokens);
    clear_answers(record->clean_choice, record->n_choices);
    for (int64_t i = 0; i < record->n_statuses; i++) {
        if (record->status[i] == KO_DONE) {
            record->status[i] = KO_CELL_FAILED;
        }
    }
    ko_record_clear_failed(record);
}

enum ko_code ko_record_check(const struct ko_plan *plan, const struct ko_record *record,
                             struct ko_error *err)
{
    if (record->failure == KO_NOT_FAILED) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_FAILED, "%s: prompt '%s': %s", plan->model[record->model].name,
                   plan->fact[record->fact].id, ko_failure_sentence(record->failure));
}

void ko_record_free(struct ko_record *record)
{
    if (!record) {
        return;
    }
    free(record->value);
    free(record->clean_answer);
    free(record->answer);
    free(record->clean_choice);
    free(record->choice);
    free(record->status);
    free(record->vacuous);
    free(record->taken);
    *record = (struct ko_record){0};
}

static bool any_mixed(const struct ko_plan *plan)
{
    for (int32_t m = 0; m < plan->n_models; m++) {
        if (plan->model[m].stage) {
            return true;
        }
    }
    return false;
}

int64_t ko_record_bytes(const struct ko_plan *plan)
{
    const int64_t of_answer = ((int64_t)plan->n_answer_tokens + plan->n_choices) *
                              (int64_t)sizeof(struct ko_answer_metrics);
    int64_t bytes = (int64_t)sizeof(struct ko_record) + of_answer;

    if (plan->kind == KO_PLAN_SWEEP) {
        bytes += ko_plan_n_values(plan) * ((int64_t)sizeof(struct ko_metrics) + of_answer) +
                 ko_plan_n_statuses(plan);
        bytes += any_mixed(plan) ? ko_plan_n_values(plan) : 0;
    }
    return bytes;
}
