/* SPDX-License-Identifier: Apache-2.0 */
/* Makes engines and runs batches on them wave by wave. Copies results into the records and fails
   cells whose values are not finite. */
#include "src/forward/forward.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/forward/engine.h"
#include "src/forward/given.h"
#include "src/tree/waves/wave_build.h"

/* Room for the rows that lose a component. */
static enum ko_code allocate_removed(struct ko_engine *engine, struct ko_error *err)
{
    struct ko_pass *pass = &engine->pass;
    const size_t n = (size_t)engine->max_rows;
    void *memory = NULL;
    float **const room[] = {&pass->removed, &pass->values, &pass->before};
    pass->list = ko_new(3 * n, sizeof *pass->list, err);
    if (!pass->list) {
        return KO_E_MEMORY;
    }
    const size_t bytes = n * (size_t)pass->model->shape.d_model * sizeof *pass->removed;
    enum ko_code code = KO_OK;
    for (int32_t k = 0; code == KO_OK && k < ko_plan_component_arrays(engine->plan); k++) {
        code = pass->kernels->alloc(pass->be, bytes, &memory, err);
        if (code == KO_OK) {
            *room[k] = memory;
        }
    }
    return code;
}

static enum ko_code allocate_workspace(struct ko_engine *engine, struct ko_error *err)
{
    struct ko_pass *pass = &engine->pass;
    int32_t widths[KO_N_BUFFERS];
    ko_model_widths(pass->model, widths);
    size_t bytes = 0;
    void *memory = NULL;
    for (int32_t b = -1; b < KO_N_BUFFERS; b++) {
        const int32_t width = b < 0 ? pass->model->shape.d_model : widths[b];
        if (width == 0) {
            continue;
        }
        enum ko_code code = ko_multiply((size_t)engine->max_rows, (size_t)width * sizeof(float),
                                        &bytes, "the workspace", err);
        if (code == KO_OK) {
            code = pass->kernels->alloc(pass->be, bytes, &memory, err);
        }
        if (code != KO_OK) {
            return ko_fail_in(err, "%s: workspace of %d rows", pass->model->name, engine->max_rows);
        }
        if (b < 0) {
            pass->x = memory;
        } else {
            pass->buffer[b] = memory;
        }
    }
    return ko_plan_has_components(engine->plan) ? allocate_removed(engine, err) : KO_OK;
}

static int32_t divide_up(int32_t n, int32_t by)
{
    return (n + by - 1) / by;
}

/* Scored tokens for each last row, rounded up. The larger of two: of a run together with its forks, or
   of one sequence alone. */
static int32_t most_scored(const struct ko_prompt *prompt)
{
    const int32_t trunk = ko_prompt_trunk_sequence(prompt);
    int32_t most = 1, all = 0;
    for (int32_t s = 0; s < ko_prompt_n_sequences(prompt); s++) {
        const int32_t n = ko_prompt_n_entries(prompt, s);
        const int32_t each = divide_up(n, ko_prompt_n_last(prompt, s));
        most = each > most ? each : most;
        all += n;
    }
    const int32_t each =
        divide_up(all, ko_prompt_n_last(prompt, trunk) + ko_prompt_fork_rows(prompt));
    return each > most ? each : most;
}

struct ko_limits ko_engine_limits(const struct ko_plan *plan, int32_t plan_model,
                                  const struct ko_model *model, int32_t max_rows)
{
    const struct ko_shape *s = &model->shape;
    struct ko_limits limits = {
        .max_rows = max_rows, .max_scored = max_rows, .vocabulary = s->vocabulary};
    limits.n_stages = plan->style == KO_STYLE_WHOLE ? 0 : model->n_stages;
    const struct ko_sizes sizes = ko_model_sizes(model);
    limits.n_heads = sizes.n_ssm_heads;
    limits.n_groups = sizes.n_groups;
    limits.d_inner = sizes.d_inner;
    limits.d_state = sizes.d_inner > 0 ? sizes.d_state : 0;
    for (int32_t f = 0; f < plan->n_facts; f++) {
        const struct ko_prompt *prompt = ko_plan_prompt(plan, plan_model, f);
        if (prompt->reason == KO_RUNNABLE) {
            const int32_t n_rows = ko_prompt_most_rows(prompt), most = most_scored(prompt);
            limits.max_tokens = n_rows > limits.max_tokens ? n_rows : limits.max_tokens;
            const int64_t n = (int64_t)most * max_rows, n_scored = n < INT32_MAX ? n : INT32_MAX;
            limits.max_scored =
                n_scored > limits.max_scored ? (int32_t)n_scored : limits.max_scored;
        }
    }
    for (size_t w = 0; w < model->n_weights; w++) {
        const struct ko_weight *weight = &model->weights[w];
        if (!weight->matrix) {
            continue;
        }
        int32_t n_out = 0, n_in = 0;
        ko_weight_sides(weight, &n_out, &n_in);
        limits.max_in = n_in > limits.max_in ? n_in : limits.max_in;
    }
    return limits;
}

enum ko_code ko_engine_new(const struct ko_plan *plan, int32_t plan_model,
                           const struct ko_model *model, const struct ko_arena *arena,
                           const struct ko_kernels *kernels, struct ko_backend *be,
                           int32_t max_rows, struct ko_engine **out, struct ko_error *err)
{
    struct ko_engine *engine = ko_new(1, sizeof *engine, err);
    if (!engine) {
        return KO_E_MEMORY;
    }
    engine->plan = plan;
    engine->plan_model = plan_model;
    engine->max_rows = max_rows;
    engine->pass.model = model;
    engine->pass.arena = *arena;
    engine->pass.kernels = kernels;
    engine->pass.be = be;
    engine->pass.plan_model = &plan->model[plan_model];
    engine->pass.n_means = ko_plan_n_means(plan);
    const struct ko_limits limits = ko_engine_limits(plan, plan_model, model, max_rows);
    engine->metrics = ko_new((size_t)limits.max_scored, sizeof *engine->metrics, err);
    enum ko_code code = engine->metrics ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK && kernels->own_memory) {
        code = kernels->reserve(be, &limits, err);
    }
    if (code == KO_OK) {
        code = ko_given_open(plan, plan_model, &engine->given, err);
    }
    if (code == KO_OK) {
        code = ko_engine_make_masks(engine, err);
    }
    if (code == KO_OK) {
        code = allocate_workspace(engine, err);
    }
    if (code != KO_OK) {
        ko_engine_free(engine);
        return code;
    }
    *out = engine;
    return KO_OK;
}

void ko_engine_free(struct ko_engine *engine)
{
    if (!engine) {
        return;
    }
    const struct ko_pass *pass = &engine->pass;
    pass->kernels->release(pass->be, pass->x);
    for (int32_t b = 0; b < KO_N_BUFFERS; b++) {
        pass->kernels->release(pass->be, pass->buffer[b]);
    }
    pass->kernels->release(pass->be, (void *)(uintptr_t)pass->masks);
    pass->kernels->release(pass->be, (void *)(uintptr_t)pass->conv_masks);
    pass->kernels->release(pass->be, pass->removed);
    pass->kernels->release(pass->be, pass->values);
    pass->kernels->release(pass->be, pass->before);
    pass->kernels->release(pass->be, (void *)(uintptr_t)pass->means);
    free(pass->list);
    ko_given_close(engine->given);
    free(engine->metrics);
    free(engine);
}

/* The prompt of a scored token. */
static int32_t prompt_of(const struct ko_row_set *set, const struct ko_wave *wave, int32_t scored)
{
    int32_t run = 0;
    while (run + 1 < wave->n_prompts + wave->n_branches && set->first_scored[run + 1] <= scored) {
        run++;
    }
    return run < wave->n_prompts ? run : wave->branch[run - wave->n_prompts].prompt;
}

static enum ko_code check_finite(const struct ko_engine *engine, const struct ko_row_set *set,
                                 const struct ko_wave *wave, struct ko_error *err)
{
    for (int32_t k = 0; k < set->n_scored; k++) {
        if (!isfinite(engine->metrics[k].logprob) || !isfinite(engine->metrics[k].kl)) {
            return ko_fail(err, KO_E_FAILED,
                           "%s: prompt '%s': the distribution over the vocabulary is not finite",
                           engine->pass.model->name,
                           engine->plan->fact[wave->fact[prompt_of(set, wave, k)]].id);
        }
    }
    return KO_OK;
}

/* The scored tokens of one run among the metrics: of a prompt's trunk, or of a branch. */
static const struct ko_metrics *scored_of(const struct ko_engine *engine,
                                          const struct ko_row_set *set, int32_t run)
{
    return engine->metrics + set->first_scored[run];
}

/* Copies results into the records, which are those of the wave's prompts with results. A metric that
   is not finite fails its cell, or the whole prompt where it is the clean run's. */
static void take_results(const struct ko_engine *engine, const struct ko_row_set *set,
                         const struct ko_wave *wave, struct ko_record *records)
{
    for (int32_t p = 0; p < wave->n_results; p++) {
        struct ko_record *record = &records[p];
        const struct ko_prompt *prompt = ko_plan_prompt(engine->plan, wave->model, wave->fact[p]);
        for (int32_t s = 0; s < ko_prompt_n_sequences(prompt); s++) {
            const int32_t branch = ko_wave_clean_branch(wave, p, s);
            const int32_t run = branch < 0 ? p : wave->n_prompts + branch;
            if (!ko_record_set(engine->plan, record, -1, s, scored_of(engine, set, run))) {
                record->failure = KO_FAILED_NOT_FINITE;
            }
        }
    }
    for (int64_t c = 0; c < wave->n_cells; c++) {
        const struct ko_wave_cell *cell = &wave->cell[c];
        struct ko_record *record = &records[cell->prompt];
        const int32_t run = cell->branch < 0 ? cell->prompt : wave->n_prompts + cell->branch;
        if (!ko_record_set(engine->plan, record, cell->slot, cell->sequence,
                           scored_of(engine, set, run))) {
            record->failure = KO_FAILED_NOT_FINITE;
            record->status[cell->slot / engine->plan->n_starts] = KO_CELL_FAILED;
        }
    }
}

static enum ko_code run_wave(struct ko_engine *engine, const struct ko_wave *wave,
                             const struct ko_stop *stop, struct ko_record *records,
                             struct ko_error *err)
{
    struct ko_row_set set = {0};
    enum ko_code code = ko_row_set_build(engine->plan, wave, &set, err);
    if (code == KO_OK) {
        code = ko_engine_pass(engine, &set, stop, err);
    }
    if (code == KO_OK) {
        take_results(engine, &set, wave, records);
    }
    ko_row_set_free(&set);
    return code;
}

enum ko_code ko_engine_run(struct ko_engine *engine, const struct ko_batch *batch,
                           const struct ko_stop *stop, struct ko_record *records,
                           struct ko_error *err)
{
    enum ko_code code = KO_OK;
    int32_t n_new = 0;
    while (n_new < batch->n_facts) {
        code = ko_record_new(engine->plan, batch->model, batch->fact[n_new], &records[n_new], err);
        if (code != KO_OK) {
            break;
        }
        n_new++;
    }
    for (int32_t w = 0; code == KO_OK && w < batch->n_waves; w++) {
        struct ko_wave wave = {0};
        engine->share_of_wave = 1.0 / batch->n_waves; /* waves have about equally many rows */
        engine->share_before = w * engine->share_of_wave;
        code = ko_wave_build(engine->plan, batch, w, &wave, err);
        if (code == KO_OK) {
            code = run_wave(engine, &wave, stop, records, err);
        }
        ko_wave_free(&wave);
    }
    for (int32_t k = 0; k < n_new; k++) {
        if (code != KO_OK) {
            ko_record_free(&records[k]);
        } else if (!ko_record_has_clean(engine->plan, &records[k])) {
            ko_record_fail(&records[k], KO_FAILED_NOT_FINITE);
        } else if (records[k].failure != KO_NOT_FAILED) {
            ko_record_clear_failed(&records[k]);
        }
    }
    return code;
}

/* Computes one sequence of a cell's prompt. */
static enum ko_code run_sequence(struct ko_engine *engine, const struct ko_cell *cell,
                                 int32_t sequence, const struct ko_cell_metrics *out,
                                 struct ko_error *err)
{
    const struct ko_prompt *prompt = ko_plan_prompt(engine->plan, cell->model, cell->fact);
    struct ko_wave wave = {0};
    struct ko_row_set set = {0};
    enum ko_code code = ko_wave_of_cell(engine->plan, cell, sequence, &wave, err);
    if (code == KO_OK) {
        code = ko_row_set_build(engine->plan, &wave, &set, err);
    }
    if (code == KO_OK) {
        code = ko_engine_pass(engine, &set, NULL, err);
    }
    if (code == KO_OK) {
        code = check_finite(engine, &set, &wave, err);
    }
    if (code == KO_OK) {
        (void)ko_cell_set(prompt, sequence, scored_of(engine, &set, wave.n_prompts), out);
    }
    ko_row_set_free(&set);
    ko_wave_free(&wave);
    return code;
}

enum ko_code ko_engine_run_cell(struct ko_engine *engine, const struct ko_cell *cell,
                                const struct ko_cell_metrics *out, struct ko_error *err)
{
    const struct ko_prompt *prompt = ko_plan_prompt(engine->plan, cell->model, cell->fact);
    enum ko_code code = KO_OK;
    *out->value = ko_no_metrics;
    for (int32_t k = 0; out->answer && k < engine->plan->n_answer_tokens; k++) {
        out->answer[k] = ko_no_answer_metrics;
    }
    for (int32_t k = 0; out->choice && k < engine->plan->n_choices; k++) {
        out->choice[k] = ko_no_answer_metrics;
    }
    for (int32_t s = 0; code == KO_OK && s < ko_prompt_n_sequences(prompt); s++) {
        code = run_sequence(engine, cell, s, out, err);
    }
    return code;
}
