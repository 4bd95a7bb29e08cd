/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the clean runs of a cube as CSV, one line for each model and prompt. Sweeps have a
   different table, in export_csv.c. */
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/export/choice_columns.h"
#include "src/export/csv_prompts.h"
#include "src/export/export_csv.h"
#include "src/formats/csv_stream.h"
#include "src/forward/record.h"
#include "src/plan/plan.h"
#include "src/prompts/prompt.h"

struct clean_runs {
    uint8_t *status, *reason;
    double *logprob, *prob;
    int32_t *target_rank, *top1_id;
    int32_t *answer_rank; /* [n, n_answer_tokens]; NULL: answers are scored by one token */
    double *answer_logprob;
    int32_t n_answer_tokens;
    struct ko_choice_metrics *choice; /* [n_models, n]; NULL: no prompt has several right answers */
    float *option_logprob;            /* [n_models, n, n_options] */
    int32_t n_options;
};

static enum ko_code read_clean_runs(struct ko_cube_view *view, int32_t model, int64_t n,
                                    const struct clean_runs *runs, struct ko_error *err)
{
    enum ko_code code = ko_cube_view_read_uint8(view, "eval_status", model, runs->status, n, err);
    if (code == KO_OK) {
        code = ko_cube_view_read_uint8(view, "reason_code", model, runs->reason, n, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_double(view, "eval_logprob", model, runs->logprob, n, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_double(view, "eval_prob", model, runs->prob, n, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_int(view, "eval_target_rank", model, runs->target_rank, n, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_int(view, "eval_top1_id", model, runs->top1_id, n, err);
    }
    if (code == KO_OK && runs->n_answer_tokens > 0) {
        code = ko_cube_view_read_int(view, "eval_answer_rank", model, runs->answer_rank,
                                     n * runs->n_answer_tokens, err);
    }
    if (code == KO_OK && runs->n_answer_tokens > 0) {
        code = ko_cube_view_read_double(view, "eval_answer_logprob", model, runs->answer_logprob,
                                        n * runs->n_answer_tokens, err);
    }
    return code;
}

/* The tokens of a whole answer, two fields. */
static void add_answer(struct ko_text *text, const struct clean_runs *runs, size_t k)
{
    const size_t n = (size_t)runs->n_answer_tokens, first = k * n;
    ko_text_add(text, ",");
    for (size_t i = first; i < first + n && runs->answer_rank[i] >= 1; i++) {
        ko_text_add(text, "%s", i == first ? "" : " ");
        ko_csv_number(text, runs->answer_logprob[i]);
    }
    ko_text_add(text, ",");
    for (size_t i = first; i < first + n && runs->answer_rank[i] >= 1; i++) {
        ko_text_add(text, "%s%d", i == first ? "" : " ", runs->answer_rank[i]);
    }
}

static void add_clean_run(struct ko_text *text, const struct ko_cube_axes *axes, int32_t model,
                          const struct clean_runs *runs, const struct ko_csv_prompts *words,
                          size_t k)
{
    const uint8_t reason = runs->reason[k];
    ko_csv_text(text, axes->model.item[model]);
    ko_text_add(text, ",");
    ko_csv_text(text, axes->eval_prompt.item[k]);
    ko_text_add(text, ",%s,",
                runs->status[k] == KO_DONE      ? "done"
                : runs->status[k] == KO_PENDING ? "pending"
                                                : "not runnable");
    if (reason != KO_RUNNABLE) {
        ko_csv_text(text, ko_reason_sentence((enum ko_reason)reason));
    }
    ko_text_add(text, ",");
    ko_csv_number(text, runs->logprob[k]);
    ko_text_add(text, ",");
    ko_csv_number(text, runs->prob[k]);
    ko_text_add(text, ",");
    ko_csv_whole(text, runs->target_rank, (int64_t)k);
    ko_text_add(text, ",");
    ko_csv_whole(text, runs->top1_id, (int64_t)k);
    ko_csv_prompts_add(words, k, text);
    if (runs->n_answer_tokens > 0) {
        add_answer(text, runs, k);
    }
    if (runs->choice) {
        const size_t at = (size_t)model * axes->eval_prompt.n + k;
        const bool done = runs->status[k] == KO_DONE;
        ko_csv_choice_add(text, done ? &runs->choice[at] : &ko_no_choice_metrics,
                          runs->option_logprob + at * (size_t)runs->n_options,
                          done ? runs->n_options : 0);
    }
    ko_text_add(text, "\n");
}

/* Reads what all models' runs have of several right answers and options. */
static enum ko_code read_choices(struct ko_cube_view *view, struct clean_runs *runs,
                                 struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    size_t n = 0, n_options = 0;
    if (!axes->several) {
        return KO_OK;
    }
    enum ko_code code =
        ko_multiply(axes->model.n, axes->eval_prompt.n, &n, "models x prompts", err);
    if (code == KO_OK) {
        code = ko_multiply(n, (size_t)axes->n_options, &n_options, "options", err);
    }
    if (code != KO_OK) {
        return code;
    }
    runs->n_options = axes->n_options;
    runs->choice = ko_new(n, sizeof *runs->choice, err);
    runs->option_logprob = ko_new(n_options, sizeof *runs->option_logprob, err);
    return runs->choice && runs->option_logprob
               ? ko_cube_view_choices(view, runs->choice, runs->option_logprob, err)
               : KO_E_MEMORY;
}

enum ko_code ko_export_clean_runs(struct ko_cube_view *view, const struct ko_curve_filter *filter,
                                  struct ko_csv_stream *out, struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    const size_t n = axes->eval_prompt.n;
    struct clean_runs runs = {.status = ko_new(n, 1, err),
                              .reason = ko_new(n, 1, err),
                              .logprob = ko_new(n, sizeof(double), err),
                              .prob = ko_new(n, sizeof(double), err),
                              .target_rank = ko_new(n, sizeof(int32_t), err),
                              .top1_id = ko_new(n, sizeof(int32_t), err),
                              .n_answer_tokens = axes->n_answer_tokens};
    const size_t n_tokens = n * (size_t)axes->n_answer_tokens;
    runs.answer_rank = ko_new(n_tokens, sizeof(int32_t), err);
    runs.answer_logprob = ko_new(n_tokens, sizeof(double), err);
    enum ko_code code = runs.status && runs.reason && runs.logprob && runs.prob &&
                                runs.target_rank && runs.top1_id && runs.answer_rank &&
                                runs.answer_logprob
                            ? KO_OK
                            : KO_E_MEMORY;

    struct ko_csv_prompts words = {0};
    if (code == KO_OK) {
        code = read_choices(view, &runs, err);
    }
    if (code == KO_OK) {
        code = ko_csv_prompts_read(view, "eval_", &words, err);
    }
    ko_text_add(&out->text,
                "model,prompt,status,reason,logprob,prob,target_rank,top1_id" KO_CSV_PROMPT_COLUMNS
                "%s%s\n",
                axes->n_answer_tokens > 0 ? ",answer_logprob,answer_rank" : "",
                axes->several ? ko_csv_choice_header : "");
    for (int32_t m = 0; code == KO_OK && m < (int32_t)axes->model.n; m++) {
        if (!filter->model[m]) {
            continue;
        }
        code = read_clean_runs(view, m, (int64_t)n, &runs, err);
        for (size_t k = 0; code == KO_OK && k < n; k++) {
            add_clean_run(&out->text, axes, m, &runs, &words, k);
            code = ko_csv_flush(out, KO_CSV_FULL, err);
        }
    }
    ko_csv_prompts_free(&words);
    free(runs.status);
    free(runs.reason);
    free(runs.logprob);
    free(runs.prob);
    free(runs.target_rank);
    free(runs.top1_id);
    free(runs.answer_rank);
    free(runs.answer_logprob);
    free(runs.choice);
    free(runs.option_logprob);
    return code;
}
