/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the report of `plan`: it counts prompts and cells for each model and sweep, and picks the
   prompts to show. The time is predicted in plan_time.c. */
#include "src/preview/plan_report.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

static bool is_selected(const struct ko_plan *plan, int32_t model, int32_t fact)
{
    for (int32_t b = 0; b < plan->n_blocks; b++) {
        if (plan->block[b].selected[(size_t)model * (size_t)plan->n_facts + (size_t)fact]) {
            return true;
        }
    }
    return false;
}

static void count_prompts(const struct ko_plan *plan, int32_t model,
                          struct ko_plan_model_report *out)
{
    for (int32_t f = 0; f < plan->n_facts; f++) {
        const enum ko_reason reason = ko_plan_prompt(plan, model, f)->reason;
        if (reason == KO_RUNNABLE) {
            out->n_runnable++;
            out->n_selected += is_selected(plan, model, f);
            continue;
        }
        if (out->n_skipped[reason] < KO_FIRST_IDS) {
            out->first[reason][out->n_skipped[reason]] = f;
        }
        out->n_skipped[reason]++;
    }
}

/* Every planned cell that is not vacuous is in a batch. So the trees of the batches have counted the
   vacuous ones already. */
static void count_vacuous(struct ko_plan_report *report, const int64_t *planned)
{
    for (int32_t m = 0; m < report->plan->n_models; m++) {
        report->model[m].n_planned = report->model[m].n_vacuous = planned[m];
    }
    for (int32_t b = 0; b < report->batches.n; b++) {
        const struct ko_batch *batch = &report->batches.batch[b];
        report->model[batch->model].n_vacuous -= batch->n_cells;
    }
    for (int32_t m = 0; m < report->plan->n_models; m++) {
        report->n_vacuous += report->model[m].n_vacuous;
    }
}

/* Counts the cells of each sweep, of all sweeps together, and of each model. */
static enum ko_code count_cells(struct ko_plan_report *report, struct ko_error *err)
{
    const struct ko_plan *plan = report->plan;
    int64_t *planned = ko_new((size_t)plan->n_models, sizeof *planned, err);
    report->sweep = ko_new((size_t)plan->n_blocks, sizeof *report->sweep, err);
    const enum ko_code code = report->sweep && planned
                                  ? ko_sweep_cells_count(plan, report->sweep, planned, err)
                                  : KO_E_MEMORY;
    for (int32_t b = 0; code == KO_OK && b < plan->n_blocks; b++) {
        report->n_mean += report->sweep[b].new_mean;
        report->n_heat += report->sweep[b].new_heat;
    }
    if (code == KO_OK) {
        count_vacuous(report, planned);
    }
    free(planned);
    return code;
}

static bool same_tokens(const struct ko_prompt *a, const struct ko_prompt *b)
{
    const size_t n = (size_t)a->n_tokens;
    return a->n_tokens == b->n_tokens && a->n_special == b->n_special && a->target == b->target &&
           a->n_rest == b->n_rest && memcmp(a->token, b->token, n * sizeof *a->token) == 0 &&
           (a->n_rest == 0 || memcmp(a->rest, b->rest, (size_t)a->n_rest * sizeof *a->rest) == 0) &&
           memcmp(a->in_subject, b->in_subject, n) == 0;
}

/* The shown prompt of this fact with the same tokens, or NULL. */
static struct ko_plan_prompt_report *find_shown(struct ko_plan_report *report, int32_t fact,
                                                const struct ko_prompt *prompt)
{
    for (int32_t k = 0; k < report->n_prompts; k++) {
        struct ko_plan_prompt_report *shown = &report->prompt[k];
        if (shown->fact == fact &&
            same_tokens(ko_plan_prompt(report->plan, shown->first_model, fact), prompt)) {
            return shown;
        }
    }
    return NULL;
}

/* The pieces of the answer's scored tokens. */
static enum ko_code describe_answer(const struct ko_prompt *prompt,
                                    const struct ko_tokenizer *tokenizer, char **out,
                                    struct ko_error *err)
{
    struct ko_text text = {0};
    for (int32_t k = 0; k < ko_prompt_n_scored(prompt); k++) {
        const char *piece = ko_tokenizer_piece(tokenizer, ko_prompt_scored(prompt, k));
        ko_text_add(&text, "%s%s", k == 0 ? "" : " ", piece ? piece : "?");
    }
    enum ko_code code = ko_text_check(&text, err);
    if (code == KO_OK) {
        *out = ko_copy(ko_text_str(&text), err);
        code = *out ? KO_OK : KO_E_MEMORY;
    }
    ko_text_free(&text);
    return code;
}

static enum ko_code show_prompt(struct ko_plan_report *report, int32_t model, int32_t fact,
                                struct ko_error *err)
{
    const struct ko_prompt *prompt = ko_plan_prompt(report->plan, model, fact);
    struct ko_plan_prompt_report *shown = find_shown(report, fact, prompt);
    enum ko_code code = KO_OK;
    if (!shown) {
        const struct ko_tokenizer *tokenizer = report->inputs->tokenizer[model];
        shown = &report->prompt[report->n_prompts++];
        shown->fact = fact;
        shown->first_model = model;
        code = describe_answer(prompt, tokenizer, &shown->answer, err);
        if (code == KO_OK) {
            code = ko_token_grid_of(report->plan, prompt, tokenizer, &shown->grid, err);
        }
    }
    return code == KO_OK ? ko_strings_add(&shown->models, report->plan->model[model].name, err)
                         : code;
}

static enum ko_code show_prompts(struct ko_plan_report *report, struct ko_error *err)
{
    const struct ko_plan *plan = report->plan;
    enum ko_code code = KO_OK;
    int32_t n_facts = 0;
    report->prompt = ko_new((size_t)plan->n_models * KO_SHOWN_PROMPTS, sizeof *report->prompt, err);
    if (!report->prompt) {
        return KO_E_MEMORY;
    }
    for (int32_t f = 0; f < plan->n_facts && n_facts < KO_SHOWN_PROMPTS; f++) {
        bool any = false;
        for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
            if (ko_plan_prompt(plan, m, f)->reason != KO_RUNNABLE || !is_selected(plan, m, f)) {
                continue;
            }
            code = show_prompt(report, m, f, err);
            any = true;
        }
        n_facts += any;
    }
    return code;
}

enum ko_code ko_plan_report_make(const struct ko_inputs *inputs, const struct ko_plan *plan,
                                 const struct ko_strings *warnings, struct ko_plan_report *out,
                                 struct ko_error *err)
{
    *out = (struct ko_plan_report){.inputs = inputs, .plan = plan, .warnings = warnings};
    out->model = ko_new((size_t)plan->n_models, sizeof *out->model, err);
    enum ko_code code = out->model ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = ko_batches_compose(plan, &out->batches, err);
    }
    if (code == KO_OK) {
        ko_plan_cost(plan, &out->batches, &out->cost);
        for (int32_t m = 0; m < plan->n_models; m++) {
            count_prompts(plan, m, &out->model[m]);
            out->n_clean_runs += out->model[m].n_runnable;
        }
        code = count_cells(out, err);
    }
    if (code == KO_OK) {
        code = ko_audit_lines_answers(plan, &out->lines, err);
    }
    if (code == KO_OK) {
        code = ko_audit_lines_files(inputs, plan, &out->lines, err);
    }
    return code == KO_OK ? show_prompts(out, err) : code;
}

void ko_plan_report_free(struct ko_plan_report *report)
{
    for (int32_t k = 0; report->prompt && k < report->n_prompts; k++) {
        ko_strings_free(&report->prompt[k].models);
        ko_token_grid_free(&report->prompt[k].grid);
        free(report->prompt[k].answer);
    }
    free(report->prompt);
    free(report->model);
    free(report->sweep);
    ko_batches_free(&report->batches);
    ko_text_free(&report->selection);
    ko_audit_lines_free(&report->lines);
    *report = (struct ko_plan_report){0};
}
