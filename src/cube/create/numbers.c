/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the numbers that are known when a cube is created: window sizes, token positions and, in a
   sweep's cube, the values of its evaluation. Results are written later, by the runs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/create/fill.h"
#include "src/cube/format/hdf5_check.h"

static int32_t prompt_number(const struct ko_prompt *prompt, enum ko_cube_field field,
                             size_t position)
{
    if (prompt->reason != KO_RUNNABLE) {
        return -1;
    }
    switch (field) {
    case KO_FIELD_N_TOKENS:
        return prompt->n_tokens;
    case KO_FIELD_N_APPENDED:
        return prompt->n_appended;
    case KO_FIELD_SUBJECT_BEGIN:
        return prompt->subject_begin;
    case KO_FIELD_SUBJECT_END:
        return prompt->subject_end;
    case KO_FIELD_TARGET_ID:
        return prompt->target;
    case KO_FIELD_ANSWER_ID:
        return position < (size_t)ko_prompt_n_scored(prompt)
                   ? ko_prompt_scored(prompt, (int32_t)position)
                   : -1;
    case KO_FIELD_FOIL_ID:
        return prompt->foil;
    default:
        return position < (size_t)prompt->n_tokens ? prompt->token[position] : -1;
    }
}

static size_t evaluation_index(const struct ko_cube_new *cube, const size_t *at)
{
    return at[0] * (size_t)cube->content->plan->n_facts + at[1];
}

/* A token of the answer of an evaluated prompt. */
static const struct ko_answer_metrics *answer_at(const struct ko_cube_new *cube, const size_t *at)
{
    const size_t each = (size_t)cube->content->plan->n_answer_tokens;

    return &cube->content->evaluation->answer[evaluation_index(cube, at) * each + at[2]];
}

static const int32_t *whole_index(const struct ko_plan_shard *shard, enum ko_cube_axis axis)
{
    if (axis == KO_AXIS_MODEL) {
        return shard->model;
    }
    return axis == KO_AXIS_PROMPT ? shard->prompt : shard->heat_prompt;
}

static int32_t counted_layer(const struct ko_plan_model *model, int32_t number)
{
    return number < ko_plan_n_counted(model) ? ko_plan_counted_layer(model, number) : -1;
}

static uint8_t mixers_of(const struct ko_plan_model *model, int32_t layer)
{
    uint8_t mixers = 0;

    for (int32_t s = 0; s < ko_plan_n_stages(model); s++) {
        const struct ko_plan_stage stage = ko_plan_stage_of(model, s);
        mixers |= stage.layer == layer ? stage.mixers : 0;
    }
    return mixers;
}

/* at: the index on each axis. */
static int32_t int_at(const struct ko_cube_new *cube, const struct ko_cube_dataset *dataset,
                      const size_t *at)
{
    const struct ko_plan *plan = cube->content->plan;

    switch (dataset->field) {
    case KO_FIELD_INDEX:
        return (int32_t)at[0];
    case KO_FIELD_WINDOW:
        return dataset->axis[0] == KO_AXIS_WINDOW_SIZE ? plan->size[at[0]] : plan->start[at[0]];
    case KO_FIELD_N_LAYERS:
        return plan->model[at[0]].n_layers;
    case KO_FIELD_COUNTED:
        return counted_layer(&plan->model[at[0]], (int32_t)at[1]);
    case KO_FIELD_EVAL_INDEX:
        return ko_cube_fact(plan, dataset->axis[0], at[0]);
    case KO_FIELD_WHOLE_INDEX:
        return whole_index(&plan->shard, dataset->axis[0])[at[0]];
    case KO_FIELD_TARGET_RANK:
        return cube->content->evaluation->target_rank[evaluation_index(cube, at)];
    case KO_FIELD_ANSWER_RANK:
        return answer_at(cube, at)->rank;
    case KO_FIELD_OPTION_RANK:
        return cube->content->evaluation->choice[evaluation_index(cube, at)].option_rank;
    case KO_FIELD_CORRECT:
        return cube->content->evaluation->choice[evaluation_index(cube, at)].correct;
    case KO_FIELD_TOP1_ID:
        return cube->content->evaluation->top1_id[evaluation_index(cube, at)];
    default:
        return prompt_number(
            ko_plan_prompt(plan, (int32_t)at[0], ko_cube_fact(plan, dataset->axis[1], at[1])),
            dataset->field, at[2]);
    }
}

static float float_at(const struct ko_cube_new *cube, const struct ko_cube_dataset *dataset,
                      const size_t *at)
{
    const struct ko_plan *plan = cube->content->plan;

    if (dataset->field == KO_FIELD_DEPTH) {
        return (float)ko_plan_depth(&plan->model[at[0]], plan->size[at[1]], plan->start[at[2]]);
    }
    if (dataset->field == KO_FIELD_ANSWER_LOGPROB) {
        return answer_at(cube, at)->logprob;
    }
    if (dataset->field == KO_FIELD_SUM_LOGPROB) {
        return cube->content->evaluation->choice[evaluation_index(cube, at)].sum_logprob;
    }
    if (dataset->field == KO_FIELD_OPTION_LOGPROB) {
        const size_t each = (size_t)plan->n_options;
        return cube->content->evaluation->option_logprob[evaluation_index(cube, at) * each + at[2]];
    }
    float logprob = cube->content->evaluation->logprob[evaluation_index(cube, at)];
    return dataset->field == KO_FIELD_PROB ? (float)exp((double)logprob) : logprob;
}

/* Whether a window has a layer; a window that does not fit the model has no layer. */
static uint8_t window_has(const struct ko_plan *plan, const size_t *at)
{
    const struct ko_plan_model *model = &plan->model[at[0]];
    const int32_t size = plan->size[at[1]], start = plan->start[at[2]], layer = (int32_t)at[3];

    return ko_plan_window(model, size, start).end > 0 && layer < model->n_layers &&
           ko_plan_window_has(model, size, start, layer);
}

static uint8_t uint8_at(const struct ko_cube_new *cube, const struct ko_cube_dataset *dataset,
                        const size_t *at)
{
    if (dataset->field == KO_FIELD_SPEC) {
        return (uint8_t)cube->spec[at[0]];
    }
    if (dataset->field == KO_FIELD_SELECTED) {
        return cube->content->plan->block[at[0]]
            .selected[at[1] * (size_t)cube->content->plan->n_facts + at[2]];
    }
    if (dataset->field == KO_FIELD_MIXERS) {
        return mixers_of(&cube->content->plan->model[at[0]], (int32_t)at[1]);
    }
    if (dataset->field == KO_FIELD_WINDOW_LAYER) {
        return window_has(cube->content->plan, at);
    }
    enum ko_reason reason =
        ko_plan_prompt(cube->content->plan, (int32_t)at[0], (int32_t)at[1])->reason;
    if (dataset->field == KO_FIELD_REASON) {
        return (uint8_t)reason;
    }
    return reason == KO_RUNNABLE ? KO_PENDING : KO_NOT_PLANNED;
}

/* Whether the numbers are known at creation; commits and runs write the others. */
static bool is_known(const struct ko_cube_new *cube, const struct ko_cube_dataset *dataset)
{
    if (dataset->field <= KO_FIELD_REUSED) {
        return ko_cube_has_axis(dataset, KO_AXIS_EVAL_PROMPT) && cube->content->evaluation &&
               !cube->lengths.evaluation;
    }
    if (dataset->field == KO_FIELD_STATUS) {
        return ko_cube_has_axis(dataset, KO_AXIS_EVAL_PROMPT);
    }
    return dataset->field != KO_FIELD_LENGTH && dataset->field != KO_FIELD_RUN_LOG &&
           dataset->field != KO_FIELD_COMPONENT_MEAN && dataset->field != KO_FIELD_VACUOUS &&
           dataset->axis[0] != KO_AXIS_RUN;
}

static void gather_numbers(const struct ko_cube_new *cube, const struct ko_cube_dataset *dataset,
                           size_t n, void *out)
{
    size_t at[KO_CUBE_MAX_AXES] = {0};
    int n_axes = ko_cube_n_axes(dataset);

    for (size_t i = 0; i < n; i++) {
        if (dataset->type == KO_TYPE_INT) {
            ((int32_t *)out)[i] = int_at(cube, dataset, at);
        } else if (dataset->type == KO_TYPE_FLOAT) {
            ((float *)out)[i] = float_at(cube, dataset, at);
        } else {
            ((uint8_t *)out)[i] = uint8_at(cube, dataset, at);
        }
        for (int k = n_axes - 1; k >= 0 && ++at[k] == cube->lengths.n[dataset->axis[k]]; k--) {
            at[k] = 0;
        }
    }
}

enum ko_code ko_cube_fill_numbers(struct ko_cube_new *cube, size_t index, struct ko_error *err)
{
    const struct ko_cube_dataset *dataset = &ko_cube_table[index];
    enum ko_code code = KO_OK;
    size_t n;

    if (!is_known(cube, dataset)) {
        return KO_OK;
    }
    code = ko_cube_n_elements(dataset, &cube->lengths, 0, &n, err);
    if (code != KO_OK) {
        return code;
    }
    void *values = ko_new(n, ko_cube_type_bytes(dataset->type), err);
    if (!values) {
        return KO_E_MEMORY;
    }
    gather_numbers(cube, dataset, n, values);
    hid_t type = ko_cube_new_type(dataset->type);
    if (type < 0 ||
        H5Dwrite(cube->dataset[index], type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot write dataset '%s'", cube->path,
                            dataset->name);
    }
    ko_hdf5_close(type, &code, cube->path, err);
    free(values);
    return code;
}
