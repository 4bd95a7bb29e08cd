/* SPDX-License-Identifier: Apache-2.0 */
/* Writes finished records into the cube, all ranks together. Statuses are written after values, so
   that a killed run never leaves a prompt marked as done without its values. */
#include "mpi/cube/commit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/cube/handle.h"
#include "mpi/cube/keep.h"
#include "mpi/cube/slots.h"
#include "mpi/world/check.h"
#include "src/base/memory.h"
#include "src/cube/format/hdf5_check.h"
#include "src/forward/choice_metrics.h"

/* Datasets that are written from records: values, reasons of failures, statuses. */
static bool is_of_records(enum ko_cube_field field)
{
    return field <= KO_FIELD_STATUS || field == KO_FIELD_REASON;
}

/* The records of one round, sorted by their place in the file. */
struct round {
    struct ko_cube_slot *record; /* [n] all, ascending by model and fact */
    struct ko_cube_slot *slot;   /* [n_slots] on the axes of the current dataset */
    int32_t n, n_slots;
    void *buffer; /* room for every record's elements of any dataset */
    struct ko_cube *cube;
    struct ko_cube_keep keep; /* used if the cube marks taken cells */
};

/* Written in this order, with a flush after each, so that a mark or flag on disk is always true. */
enum phase { VALUES, MARKS, STATUSES };

static int by_place(const void *a, const void *b)
{
    const struct ko_record *left = ((const struct ko_cube_slot *)a)->record;
    const struct ko_record *right = ((const struct ko_cube_slot *)b)->record;

    if (left->model != right->model) {
        return left->model < right->model ? -1 : 1;
    }
    return (left->fact > right->fact) - (left->fact < right->fact);
}

static enum ko_code check_record(const struct ko_cube *cube, const struct ko_record *record,
                                 struct ko_error *err)
{
    const struct ko_plan *plan = cube->plan;
    bool sweep = plan->kind == KO_PLAN_SWEEP;

    if (record->model < 0 || record->model >= plan->n_models || record->fact < 0 ||
        record->fact >= plan->n_facts || record->n_values != (sweep ? ko_plan_n_values(plan) : 0) ||
        record->n_statuses != (sweep ? ko_plan_n_statuses(plan) : 0)) {
        return ko_fail(err, KO_E_FAILED,
                       "%s: a record of model %d, prompt %d with %lld values does not belong here",
                       cube->path, record->model, record->fact, (long long)record->n_values);
    }
    return KO_OK;
}

/* Finds the slots of the dataset. The second axis of every dataset of records is a prompt axis. */
static void take_slots(struct round *round, const struct ko_cube_dataset *dataset)
{
    const int32_t *of_fact = round->cube->of_fact[dataset->axis[1]];

    round->n_slots = 0;
    for (int32_t i = 0; i < round->n; i++) {
        int32_t prompt = of_fact[round->record[i].record->fact];
        if (prompt >= 0) {
            round->slot[round->n_slots++] =
                (struct ko_cube_slot){.record = round->record[i].record, .prompt = prompt};
        }
    }
}

static void copy_metrics(const struct ko_metrics *metrics, enum ko_cube_field field, size_t n,
                         void *to)
{
    switch (field) {
    case KO_FIELD_PROB:
        for (size_t i = 0; i < n; i++) {
            ((float *)to)[i] = (float)exp((double)metrics[i].logprob);
        }
        break;
#define X(FIELD, name, TYPE, ...)                                                                  \
    case KO_FIELD_##FIELD:                                                                         \
        for (size_t i = 0; i < n; i++) {                                                           \
            ((KO_METRIC_C_##TYPE *)to)[i] = metrics[i].name;                                       \
        }                                                                                          \
        break;
        KO_RECORD_METRICS(X, )
#undef X
    default:
        break;
    }
}

static void copy_answers(const struct ko_answer_metrics *answer, enum ko_cube_field field, size_t n,
                         void *to)
{
    switch (field) {
#define X(FIELD, name, TYPE, ...)                                                                  \
    case KO_FIELD_##FIELD:                                                                         \
        for (size_t i = 0; i < n; i++) {                                                           \
            ((KO_METRIC_C_##TYPE *)to)[i] = answer ? answer[i].name : KO_METRIC_NONE_##TYPE;       \
        }                                                                                          \
        break;
        KO_ANSWER_METRICS(X, )
#undef X
    default:
        break;
    }
}

/* A dataset of several right answers or options from the choices of n cells; NULL: there is no cell. */
static void copy_choices(const struct ko_plan *plan, const struct ko_record *record,
                         const struct ko_answer_metrics *choice,
                         const struct ko_cube_dataset *dataset, size_t n, void *to)
{
    const struct ko_prompt *prompt = ko_plan_prompt(plan, record->model, record->fact);
    const size_t each = dataset->field == KO_FIELD_OPTION_LOGPROB ? (size_t)plan->n_options : 1;
    for (size_t i = 0; i < n / each; i++) {
        const struct ko_answer_metrics *of = choice ? choice + i * (size_t)plan->n_choices : NULL;
        const struct ko_choice_metrics found = of && dataset->field != KO_FIELD_OPTION_LOGPROB
                                                   ? ko_choice_metrics_of(prompt, of)
                                                   : ko_no_choice_metrics;
        switch (dataset->field) {
#define X(FIELD, name, TYPE, ...)                                                                  \
    case KO_FIELD_##FIELD:                                                                         \
        ((KO_METRIC_C_##TYPE *)to)[i] = found.name;                                                \
        break;
            KO_CHOICE_METRICS(X, )
#undef X
        default:
            for (size_t k = 0; k < each; k++) {
                ((float *)to)[i * each + k] = of ? ko_option_logprob(prompt, of, (int32_t)k) : NAN;
            }
        }
    }
}

static bool is_of_choices(enum ko_cube_field field)
{
    return field > KO_FIELD_ANSWER_RANK && field <= KO_FIELD_OPTION_LOGPROB;
}

/* Puts the dataset's elements of every slot into the buffer, block by block. */
static void gather_elements(const struct round *round, const struct ko_cube_dataset *dataset,
                            size_t block)
{
    const struct ko_plan *plan = round->cube->plan;
    const bool heat = dataset->axis[1] == KO_AXIS_HEAT_PROMPT;
    const bool cells = ko_cube_is_of_cells(dataset);
    const bool answers = ko_cube_has_axis(dataset, KO_AXIS_ANSWER_TOKEN);
    const int64_t from = heat ? ko_plan_n_mean_values(plan) : 0;
    size_t bytes = block * ko_cube_type_bytes(dataset->type);
    char *to = round->buffer;

    for (int32_t i = 0; i < round->n_slots; i++, to += bytes) {
        const struct ko_record *record = round->slot[i].record;
        /* A prompt is on the axis of heat maps, or of the others, if any model has cells there. */
        const bool has_cells =
            plan->kind == KO_PLAN_EVALUATION || ko_record_is_planned(plan, record, heat);
        if (dataset->field == KO_FIELD_REUSED) {
            memcpy(to, record->taken + from, bytes);
        } else if (dataset->field == KO_FIELD_STATUS && cells) {
            memcpy(to, record->status + (heat ? ko_plan_n_mean_statuses(plan) : 0), bytes);
        } else if (dataset->field == KO_FIELD_STATUS) {
            *to = KO_DONE;
        } else if (dataset->field == KO_FIELD_REASON) {
            *to = (char)record->failure;
        } else if (is_of_choices(dataset->field)) {
            const struct ko_answer_metrics *clean = has_cells ? record->clean_choice : NULL;
            copy_choices(plan, record, cells ? record->choice + from * plan->n_choices : clean,
                         dataset, block, to);
        } else if (answers && cells) {
            copy_answers(record->answer + from * plan->n_answer_tokens, dataset->field, block, to);
        } else if (answers) {
            copy_answers(has_cells ? record->clean_answer : NULL, dataset->field, block, to);
        } else if (cells) {
            copy_metrics(record->value + from, dataset->field, block, to);
        } else {
            copy_metrics(has_cells ? &record->clean : &ko_no_metrics, dataset->field, 1, to);
        }
    }
}

static enum ko_code write_dataset(struct round *round, size_t index, struct ko_error *err)
{
    struct ko_cube *cube = round->cube;
    const struct ko_cube_dataset *dataset = &ko_cube_table[index];
    enum ko_code code;
    size_t block;

    take_slots(round, dataset);
    code = ko_cube_n_elements(dataset, &cube->lengths, 2, &block, err);
    if (code != KO_OK) {
        return code;
    }
    gather_elements(round, dataset, block);
    hid_t space = H5Dget_space(cube->dataset[index]);
    if (space < 0 || !ko_cube_slots_select(cube, round->slot, round->n_slots, dataset, space)) {
        code = ko_hdf5_fail(err, KO_E_FAILED, "%s: cannot select in dataset '%s'", cube->path,
                            dataset->name);
    }
    if (code == KO_OK && cube->lengths.reused) {
        const struct ko_cube_write_out out = {index,          space, round->slot,
                                              round->n_slots, block, round->buffer};
        code = ko_cube_keep(&round->keep, &out, err);
    }
    if (code == KO_OK) {
        code =
            ko_cube_write(cube, index, space, block * (size_t)round->n_slots, round->buffer, err);
    }
    ko_hdf5_close(space, &code, cube->path, err);
    return code;
}

static enum phase phase_of(enum ko_cube_field field)
{
    return field == KO_FIELD_STATUS ? STATUSES : field == KO_FIELD_REUSED ? MARKS : VALUES;
}

static enum ko_code write_phase(struct round *round, enum phase phase, struct ko_error *err)
{
    struct ko_cube *cube = round->cube;
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        enum ko_cube_field field = ko_cube_table[i].field;
        if (cube->dataset[i] >= 0 && is_of_records(field) && phase_of(field) == phase) {
            code = write_dataset(round, i, err);
        }
    }
    round->keep.axis = KO_AXIS_NONE; /* marks may have changed */
    if (code != KO_OK) {
        return code;
    }
    /* One rank writes the progress. If it fails, it must still take part in the flush. */
    const enum ko_code progress = phase == STATUSES ? ko_cube_write_progress(cube, err) : KO_OK;
    code = ko_cube_flush(cube, progress == KO_OK ? err : NULL);
    return progress == KO_OK ? code : progress;
}

static enum ko_code new_round(struct ko_cube *cube, const struct ko_record *records, int32_t n,
                              struct round *round, struct ko_error *err)
{
    size_t largest = 1, bytes;
    enum ko_code code = KO_OK;

    *round = (struct round){.n = n, .cube = cube};
    for (int32_t i = 0; i < n && code == KO_OK; i++) {
        code = check_record(cube, &records[i], err);
    }
    for (size_t i = 0; i < KO_CUBE_N_DATASETS && code == KO_OK; i++) {
        if (cube->dataset[i] >= 0 && is_of_records(ko_cube_table[i].field)) {
            code = ko_cube_n_elements(&ko_cube_table[i], &cube->lengths, 2, &bytes, err);
            largest = bytes > largest ? bytes : largest;
        }
    }
    if (code == KO_OK) {
        code = ko_multiply(largest, (size_t)n, &bytes, "a commit", err);
    }
    if (code != KO_OK) {
        return code;
    }
    round->record = ko_new((size_t)n, sizeof *round->record, err);
    round->slot = ko_new((size_t)n, sizeof *round->slot, err);
    round->buffer = ko_new(bytes, sizeof(float), err);
    if (!round->record || !round->slot || !round->buffer) {
        return KO_E_MEMORY;
    }
    if (cube->lengths.reused) {
        code = ko_cube_keep_open(cube, bytes * sizeof(float), &round->keep, err);
    }
    if (code != KO_OK) {
        return code;
    }
    for (int32_t i = 0; i < n; i++) {
        round->record[i].record = &records[i];
    }
    qsort(round->record, (size_t)n, sizeof *round->record, by_place);
    return KO_OK;
}

static void free_round(struct round *round)
{
    ko_cube_keep_close(&round->keep);
    free(round->buffer);
    free(round->slot);
    free(round->record);
}

enum ko_code ko_cube_commit(struct ko_cube *cube, const struct ko_record *records, int32_t n,
                            struct ko_error *err)
{
    struct round round;
    enum ko_code code = new_round(cube, records, n, &round, err);

    if (code == KO_OK) {
        code = write_phase(&round, VALUES, err);
    }
    /* Another rank may have written this one's values. */
    if (code == KO_OK) {
        code = ko_mpi_check(MPI_Barrier(cube->comm), "MPI_Barrier", err);
    }
    if (code == KO_OK) {
        code = write_phase(&round, STATUSES, err);
    }
    free_round(&round);
    return code;
}

enum ko_code ko_cube_take(struct ko_cube *cube, const struct ko_record *records, int32_t n,
                          struct ko_error *err)
{
    struct round round;
    enum ko_code code = new_round(cube, records, n, &round, err);

    if (code == KO_OK) {
        code = write_phase(&round, VALUES, err);
    }
    if (code == KO_OK && cube->lengths.reused) {
        code = write_phase(&round, MARKS, err);
    }
    if (code == KO_OK) {
        code = write_phase(&round, STATUSES, err);
    }
    free_round(&round);
    return code;
}
