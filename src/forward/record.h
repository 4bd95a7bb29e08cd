/* SPDX-License-Identifier: Apache-2.0 */
/* Records: the results of one prompt under one model, between the forward pass and the cube. */
#ifndef KO_FORWARD_RECORD_H
#define KO_FORWARD_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/plan/plan.h"
#include "src/plan/stored_metrics.h"

/* Why cells failed. X(NAME, code in the cube's reason_code, sentence); the codes follow on those of
   KO_REASONS, which say why a prompt is not run at all. */
#define KO_FAILURES(X)                                                                             \
    X(KO_FAILED_WEIGHTS, 101, "the weights cannot be loaded")                                      \
    X(KO_FAILED_NOT_FINITE, 102, "the distribution over the vocabulary is not finite")             \
    X(KO_FAILED_MEMORY, 103, "out of memory")

enum ko_failure {
    KO_NOT_FAILED = 0,
#define X(name, code, sentence) name = code,
    KO_FAILURES(X)
#undef X
};
/* Never NULL. */
const char *ko_failure_sentence(enum ko_failure failure);

struct ko_record {
    int32_t model, fact;
    enum ko_failure failure; /* why some of its cells, or all, are KO_CELL_FAILED */
    struct ko_metrics clean; /* kl 0; of a whole answer as `value` */
    int64_t n_values;        /* 0 for an evaluation */
    /* [n_values] by slot. NaN and -1 where there is no cell, or it is vacuous; owned */
    struct ko_metrics *value;
    /* Of whole answers, whose `value` has the log-probability of all tokens and otherwise the first
       token's metrics: each scored token, clean_answer [n_answer_tokens] and answer
       [n_values, n_answer_tokens], NaN and -1 past the prompt's last. NULL: answers are not scored
       as a whole; owned */
    struct ko_answer_metrics *clean_answer, *answer;
    int32_t n_answer_tokens; /* of the plan */
    /* Where a prompt of the plan has several right answers or options: all scored tokens of each
       choice, the sum of their log-probabilities and the largest of their ranks, clean_choice
       [n_choices] and choice [n_values, n_choices], NaN and -1 past the prompt's last. `value` and
       `answer` are then those of the most probable right answer. NULL: each prompt has one right
       answer and no options; owned */
    struct ko_answer_metrics *clean_choice, *choice;
    int32_t n_choices; /* of the plan */
    int64_t n_statuses;
    uint8_t *status; /* [n_statuses] KO_DONE, KO_VACUOUS, KO_NOT_PLANNED or KO_CELL_FAILED; owned */
    /* [n_values] 1: a vacuous cell whose size has others that are not (ko_tree_statuses). NULL where
       the model's layers are alike, so that there are none; owned */
    uint8_t *vacuous;
    uint8_t *taken; /* NULL: the record was computed. Otherwise its values come from an earlier
                        cube: [n_values] 1 where the slot has one, and a status is KO_PENDING where
                        some slot has none; owned */
};

/* Every value is NaN or -1: what stands where there is no cell. */
extern const struct ko_metrics ko_no_metrics;
extern const struct ko_answer_metrics ko_no_answer_metrics;
extern const struct ko_choice_metrics ko_no_choice_metrics;
/* Whether any cell is planned on the mean routes, or on the heat routes. */
bool ko_record_is_planned(const struct ko_plan *plan, const struct ko_record *record, bool heat);

/* Every value is NaN or -1. Statuses are as planned, with KO_DONE in place of KO_PENDING. Free with
   ko_record_free. */
KO_MUST_CHECK enum ko_code ko_record_new(const struct ko_plan *plan, int32_t model, int32_t fact,
                                         struct ko_record *out, struct ko_error *err);
void ko_record_free(struct ko_record *record); /* leaves {0} */
/* Whether the cell in the slot is vacuous though its status is not KO_VACUOUS. */
static inline bool ko_record_is_vacuous(const struct ko_record *record, int64_t slot)
{
    return record->vacuous && record->vacuous[slot];
}
/* Fails every cell and the clean run: NaN, -1. Vacuous cells keep their status. */
void ko_record_fail(struct ko_record *record, enum ko_failure failure);
/* Sets the values of failed cells to NaN and -1, for all starts that share the status. */
void ko_record_clear_failed(struct ko_record *record);
/* KO_E_FAILED naming model, prompt and reason where the record has a failure. */
KO_MUST_CHECK enum ko_code ko_record_check(const struct ko_plan *plan,
                                           const struct ko_record *record, struct ko_error *err);
/* Sets a cell's metrics (slot -1: the clean run's) from those of the scored tokens of one sequence of
   the prompt, `scored` [ko_prompt_n_entries]. A choice has the sum of the log-probabilities of its
   tokens, and otherwise the first one's metrics. A clean run is set again in every wave of its prompt.
   False where a value is not finite. */
bool ko_record_set(const struct ko_plan *plan, struct ko_record *record, int64_t slot,
                   int32_t sequence, const struct ko_metrics *scored);
/* Whether the clean run has a finite value of each choice that is scored. */
bool ko_record_has_clean(const struct ko_plan *plan, const struct ko_record *record);
/* The same as ko_record_set for a cell without a record. Before the first sequence every value is NaN
   or -1. answer [n_answer_tokens of the plan] and choice [n_choices of the plan] are NULL where that
   is 0. */
struct ko_cell_metrics {
    struct ko_metrics *value;
    struct ko_answer_metrics *answer, *choice;
};
bool ko_cell_set(const struct ko_prompt *prompt, int32_t sequence, const struct ko_metrics *scored,
                 const struct ko_cell_metrics *cell);
int64_t ko_record_bytes(const struct ko_plan *plan); /* memory of one record */

#endif
