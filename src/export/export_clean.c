/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the clean runs of a cube as CSV, one line for each model and prompt. Sweeps have a
   different table, in export_csv.c. Some prompts of one model are in memory at a time. */
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/export/choice_columns.h"
#include "src/export/csv_prompts.h"
#include "src/export/export_csv.h"
#include "src/formats/csv_stream.h"
#include "src/forward/record.h"
#include "src/plan/plan.h"
#include "src/prompts/prompt.h"

enum { MOST_BYTES = 8 << 20 /* of values in memory, unless one prompt has more */ };

/* Some prompts of one model. All arrays are owned. */
struct clean_runs {
    struct ko_cube_view *view; /* borrowed */
    const struct ko_cube_axes *axes;
    int32_t model, first, n; /* prompts that are in memory */
    int32_t most;            /* that fit */
    uint8_t *status, *reason;
    double *logprob, *prob;
    int32_t *target_rank, *top1_id;
    int32_t *answer_rank; /* [n, n_answer_tokens] */
    double *answer_logprob;
    struct ko_choice_metrics *choice; /* NULL: no prompt has several right answers or options */
    int32_t *number;                  /* a buffer: one member of all choices, */
    float *real;                      /* whichever type it has */
    float *option_logprob;            /* [n, n_options] */
};

static void runs_free(struct clean_runs *runs)
{
    free(runs->status);
    free(runs->reason);
    free(runs->logprob);
    free(runs->prob);
    free(runs->target_rank);
    free(runs->top1_id);
    free(runs->answer_rank);
    free(runs->answer_logprob);
    free(runs->choice);
    free(runs->number);
    free(runs->real);
    free(runs->option_logprob);
}

/* Allocates as many prompts as fit, at least one. */
static enum ko_code runs_new(struct ko_cube_view *view, struct clean_runs *runs,
                             struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    const size_t n_prompts = axes->eval_prompt.n, n_tokens = (size_t)axes->n_answer_tokens;
    const size_t n_options = (size_t)axes->n_options;
    const size_t bytes = 64 + 12 * n_tokens + sizeof(float) * n_options;
    const size_t fit = MOST_BYTES / bytes > 0 ? MOST_BYTES / bytes : 1;
    const size_t n = fit < n_prompts ? fit : n_prompts;
    *runs = (struct clean_runs){.view = view,
                                .axes = axes,
                                .most = (int32_t)n,
                                .status = ko_new(n, 1, err),
                                .reason = ko_new(n, 1, err),
                                .logprob = ko_new(n, sizeof(double), err),
                                .prob = ko_new(n, sizeof(double), err),
                                .target_rank = ko_new(n, sizeof(int32_t), err),
                                .top1_id = ko_new(n, sizeof(int32_t), err),
                                .answer_rank = ko_new(n * n_tokens, sizeof(int32_t), err),
                                .answer_logprob = ko_new(n * n_tokens, sizeof(double), err)};
    bool good = runs->status && runs->reason && runs->logprob && runs->prob && runs->target_rank &&
                runs->top1_id && runs->answer_rank && runs->answer_logprob;
    if (good && axes->several) {
        good = (runs->choice = ko_new(n, sizeof *runs->choice, err)) &&
               (runs->number = ko_new(n, sizeof *runs->number, err)) &&
               (runs->real = ko_new(n, sizeof *runs->real, err)) &&
               (runs->option_logprob = ko_new(n * n_options, sizeof(float), err));
    }
    return good ? KO_OK : KO_E_MEMORY;
}

static struct ko_cube_rows rows_of(const struct clean_runs *runs, const char *dataset,
                                   int32_t width)
{
    return (struct ko_cube_rows){.dataset = dataset,
                                 .model = runs->model,
                                 .first = runs->first,
                                 .n = runs->n,
                                 .n_values = (int64_t)runs->n * width};
}

static enum ko_code read_bytes(const struct clean_runs *runs, const char *dataset, uint8_t *out,
                               struct ko_error *err)
{
    const struct ko_cube_rows rows = rows_of(runs, dataset, 1);
    return ko_cube_view_rows_uint8(runs->view, &rows, out, err);
}

static enum ko_code read_ints(const struct clean_runs *runs, const char *dataset, int32_t width,
                              int32_t *out, struct ko_error *err)
{
    const struct ko_cube_rows rows = rows_of(runs, dataset, width);
    return ko_cube_view_rows_int(runs->view, &rows, out, err);
}

static enum ko_code read_doubles(const struct clean_runs *runs, const char *dataset, int32_t width,
                                 double *out, struct ko_error *err)
{
    const struct ko_cube_rows rows = rows_of(runs, dataset, width);
    return ko_cube_view_rows_double(runs->view, &rows, out, err);
}

static enum ko_code read_floats(const struct clean_runs *runs, const char *dataset, int32_t width,
                                float *out, struct ko_error *err)
{
    const struct ko_cube_rows rows = rows_of(runs, dataset, width);
    return ko_cube_view_rows_float(runs->view, &rows, out, err);
}

#define READ_INT(name)   read_ints(runs, name, 1, runs->number, err)
#define READ_FLOAT(name) read_floats(runs, name, 1, runs->real, err)
#define FROM_INT         runs->number
#define FROM_FLOAT       runs->real

/* What the runs have of several right answers and options. */
static enum ko_code read_choices(const struct clean_runs *runs, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    if (!runs->choice) {
        return KO_OK;
    }
    for (int32_t k = 0; k < runs->n; k++) {
        runs->choice[k] = ko_no_choice_metrics;
    }
#define X(FIELD, name, TYPE, ...)                                                                  \
    if (code == KO_OK && ko_cube_view_has(runs->view, "eval_" #name)) {                            \
        code = READ_##TYPE("eval_" #name);                                                         \
        for (int32_t k = 0; code == KO_OK && k < runs->n; k++) {                                   \
            runs->choice[k].name = FROM_##TYPE[k];                                                 \
        }                                                                                          \
    }
    KO_CHOICE_METRICS(X, )
#undef X
    return code == KO_OK && runs->axes->n_options > 0
               ? read_floats(runs, "eval_option_logprob", runs->axes->n_options,
                             runs->option_logprob, err)
               : code;
}

/* Reads the runs of the prompts from runs->first on. Statuses first: a run may be writing, and it
   writes values before statuses. */
static enum ko_code read_clean_runs(struct clean_runs *runs, struct ko_error *err)
{
    const int32_t n_tokens = runs->axes->n_answer_tokens;
    const int32_t left = (int32_t)runs->axes->eval_prompt.n - runs->first;
    runs->n = left < runs->most ? left : runs->most;
    enum ko_code code = read_bytes(runs, "eval_status", runs->status, err);
    if (code == KO_OK) {
        code = read_bytes(runs, "reason_code", runs->reason, err);
    }
    if (code == KO_OK) {
        code = read_doubles(runs, "eval_logprob", 1, runs->logprob, err);
    }
    if (code == KO_OK) {
        code = read_doubles(runs, "eval_prob", 1, runs->prob, err);
    }
    if (code == KO_OK) {
        code = read_ints(runs, "eval_target_rank", 1, runs->target_rank, err);
    }
    if (code == KO_OK) {
        code = read_ints(runs, "eval_top1_id", 1, runs->top1_id, err);
    }
    if (code == KO_OK && n_tokens > 0) {
        code = read_ints(runs, "eval_answer_rank", n_tokens, runs->answer_rank, err);
    }
    if (code == KO_OK && n_tokens > 0) {
        code = read_doubles(runs, "eval_answer_logprob", n_tokens, runs->answer_logprob, err);
    }
    return code == KO_OK ? read_choices(runs, err) : code;
}

/* The tokens of a whole answer, two fields. */
static void add_answer(struct ko_text *text, const struct clean_runs *runs, size_t k)
{
    const size_t n = (size_t)runs->axes->n_answer_tokens, first = k * n;
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

/* k: among the prompts in memory. */
static void add_clean_run(struct ko_text *text, const struct clean_runs *runs,
                          const struct ko_csv_prompts *words, size_t k)
{
    const struct ko_cube_axes *axes = runs->axes;
    const size_t prompt = (size_t)runs->first + k;
    const uint8_t reason = runs->reason[k];
    ko_csv_text(text, axes->model.item[runs->model]);
    ko_text_add(text, ",");
    ko_csv_text(text, axes->eval_prompt.item[prompt]);
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
    ko_csv_prompts_add(words, prompt, text);
    if (axes->n_answer_tokens > 0) {
        add_answer(text, runs, k);
    }
    if (runs->choice) {
        const bool done = runs->status[k] == KO_DONE;
        ko_csv_choice_add(text, done ? &runs->choice[k] : &ko_no_choice_metrics,
                          runs->option_logprob + k * (size_t)axes->n_options,
                          done ? axes->n_options : 0);
    }
    ko_text_add(text, "\n");
}

static enum ko_code export_model(struct clean_runs *runs, const struct ko_csv_prompts *words,
                                 struct ko_csv_stream *out, struct ko_error *err)
{
    const int32_t n_prompts = (int32_t)runs->axes->eval_prompt.n;
    enum ko_code code = KO_OK;
    for (runs->first = 0; code == KO_OK && runs->first < n_prompts; runs->first += runs->n) {
        code = read_clean_runs(runs, err);
        for (int32_t k = 0; code == KO_OK && k < runs->n; k++) {
            add_clean_run(&out->text, runs, words, (size_t)k);
            code = ko_csv_flush(out, KO_CSV_FULL, err);
        }
    }
    return code;
}

enum ko_code ko_export_clean_runs(struct ko_cube_view *view, const struct ko_curve_filter *filter,
                                  struct ko_csv_stream *out, struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    struct ko_csv_prompts words = {0};
    struct clean_runs runs;
    enum ko_code code = runs_new(view, &runs, err);
    if (code == KO_OK) {
        code = ko_csv_prompts_read(view, "eval_", &words, err);
    }
    ko_text_add(&out->text,
                "model,prompt,status,reason,logprob,prob,target_rank,top1_id" KO_CSV_PROMPT_COLUMNS
                "%s%s\n",
                axes->n_answer_tokens > 0 ? ",answer_logprob,answer_rank" : "",
                axes->several ? ko_csv_choice_header : "");
    for (int32_t m = 0; code == KO_OK && m < (int32_t)axes->model.n; m++) {
        if (filter->model[m]) {
            runs.model = m;
            code = export_model(&runs, &words, out, err);
        }
    }
    ko_csv_prompts_free(&words);
    runs_free(&runs);
    return code;
}
