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

/* Room for the tokens of whole answers. False without memory. */
static bool allocate_answers(const struct ko_plan *plan, struct ko_record *record,
                             struct ko_error *err)
{
    const size_t each = (size_t)plan->n_answer_tokens;
    size_t n = 0;
    record->n_answer_tokens = plan->n_answer_tokens;
    if (each == 0) {
        return true;
    }
    record->clean_answer = ko_new(each, sizeof *record->clean_answer, err);
    if (ko_multiply((size_t)record->n_values, each, &n, "tokens of answers", err) == KO_OK) {
        record->answer = ko_new(n, sizeof *record->answer, err);
    }
    clear_answers(record->clean_answer, (int64_t)each);
    clear_answers(record->answer, record->answer ? (int64_t)n : 0);
    return record->clean_answer && record->answer;
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

struct ko_metrics ko_answer_sum(const struct ko_metrics *row, int32_t n)
{
    struct ko_metrics sum = row[0];
    double logprob = (double)row[0].logprob;
    for (int32_t k = 1; k < n; k++) {
        logprob += (double)row[k].logprob;
    }
    sum.logprob = (float)logprob;
    return sum;
}

void ko_record_set(const struct ko_plan *plan, struct ko_record *record, int64_t slot,
                   const struct ko_metrics *row, int32_t n)
{
    struct ko_answer_metrics *answer = record->clean_answer;
    if (slot >= 0 && answer) {
        answer = record->answer + slot * plan->n_answer_tokens;
    }
    *(slot < 0 ? &record->clean : &record->value[slot]) = ko_answer_sum(row, n);
    for (int32_t k = 0; answer && k < n; k++) {
        answer[k] = ko_answer_metrics_of(&row[k]);
    }
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
        }
    }
}

void ko_record_fail(struct ko_record *record, enum ko_failure failure)
{
    record->failure = failure;
    record->clean = ko_no_metrics;
    clear_answers(record->clean_answer, record->n_answer_tokens);
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
    const int64_t of_answer = plan->n_answer_tokens * (int64_t)sizeof(struct ko_answer_metrics);
    int64_t bytes = (int64_t)sizeof(struct ko_record) + of_answer;

    if (plan->kind == KO_PLAN_SWEEP) {
        bytes += ko_plan_n_values(plan) * ((int64_t)sizeof(struct ko_metrics) + of_answer) +
                 ko_plan_n_statuses(plan);
        bytes += any_mixed(plan) ? ko_plan_n_values(plan) : 0;
    }
    return bytes;
}
