/* SPDX-License-Identifier: Apache-2.0 */
/* Looks up every planned cell of a prompt in an old cube, and counts why cells could not be
   taken. */
#include "src/cube/reuse/take.h"

#include <math.h>
#include <stdio.h>

#include "src/base/memory.h"
#include "src/cube/format/datasets.h"

/* Names what the reason is about, from the plan. */
static const char *example_of(const struct ko_reuse_source *source,
                              const struct ko_reuse_take *take, enum ko_reuse_reason reason,
                              const int32_t cell[5], char text[64])
{
    const struct ko_plan *plan = source->plan;

    switch (reason) {
    case KO_REUSE_MODEL:
    case KO_REUSE_CHECKPOINT:
    case KO_REUSE_TOKENIZER:
    case KO_REUSE_UNLOADED:
    case KO_REUSE_WEIGHTS:
        return plan->model[source->model].name;
    case KO_REUSE_SPAN:
    case KO_REUSE_ROUTE:
        return plan->route[cell[0]].route.label;
    case KO_REUSE_CLASS:
        ko_feature_class_label(&plan->class[cell[1]], text);
        return text;
    case KO_REUSE_STYLE:
        return ko_style_words[plan->style];
    case KO_REUSE_OVER:
        return ko_over_what[plan->over];
    case KO_REUSE_SIZE:
    case KO_REUSE_UNPLANNED:
        (void)snprintf(text, 64, "%d", plan->size[cell[3]]);
        return text;
    case KO_REUSE_START:
        (void)snprintf(text, 64, "%d", plan->start[cell[4]]);
        return text;
    default:
        return plan->fact[take->record.fact].id;
    }
}

/* The cell's value in the old cube. */
static enum ko_reuse_reason look_up_cell(const struct ko_reuse_source *source,
                                         const struct ko_reuse_take *take, const int32_t cell[5],
                                         struct ko_metrics *metrics, int64_t *at)
{
    const struct ko_reuse_values *value = &source->value[take->part];
    struct ko_reuse_place place;

    if (take->prompt < 0) {
        return take->no_prompt;
    }
    const enum ko_reuse_reason reason =
        ko_reuse_find_cell(&source->map, &source->map.part[take->part], cell, &place);
    if (reason != KO_REUSE_TAKEN) {
        return reason;
    }
    if (value->status[place.status] != KO_DONE) {
        return value->status[place.status] == KO_NOT_PLANNED ||
                       value->status[place.status] == KO_VACUOUS
                   ? KO_REUSE_UNPLANNED
                   : KO_REUSE_UNDONE;
    }
    *at = place.value;
    *metrics = ko_reuse_values_at(value, place.value, take->foil);
    if (ko_reuse_value_is_there(metrics, take->foil)) {
        return KO_REUSE_TAKEN;
    }
    /* A size that is done has values only at the starts that are planned and not vacuous there. */
    return isnan(metrics->logprob) && metrics->target_rank < 0 ? KO_REUSE_UNPLANNED
                                                               : KO_REUSE_NO_VALUE;
}

/* Puts the cell's value and the tokens of its answer into the record. False where the old cube lacks
   a token's. */
static bool put_cell(const struct ko_reuse_source *source, struct ko_reuse_take *take, int64_t slot,
                     const struct ko_metrics *metrics, int64_t place)
{
    struct ko_record *record = &take->record;

    if (record->answer &&
        !ko_reuse_answer_at(&source->map, &source->value[take->part], place, metrics,
                            take->n_scored, record->answer + slot * record->n_answer_tokens)) {
        return false;
    }
    record->value[slot] = *metrics;
    record->taken[slot] = 1;
    take->n_taken++;
    return true;
}

/* Takes the planned starts of one size, [route, class, source, size]. Returns whether the new cube
   then has all of them. */
static bool take_starts(const struct ko_reuse_source *source, struct ko_reuse_take *take,
                        const int32_t size[4])
{
    const struct ko_plan *plan = source->plan;
    struct ko_record *record = &take->record;
    int32_t cell[5] = {size[0], size[1], size[2], size[3], 0};
    bool all = true;

    for (int32_t s = 0; s < plan->n_starts; s++) {
        const int64_t slot = ko_plan_value_slot(plan, cell[0], cell[1], cell[2], cell[3], s);
        struct ko_metrics metrics;
        int64_t place = 0;
        char text[64];
        if (ko_taken_has(take->known, slot) || ko_record_is_vacuous(record, slot) ||
            !ko_plan_has(plan, record->model, record->fact, cell[0], cell[1], cell[3], s)) {
            continue;
        }
        cell[4] = s;
        enum ko_reuse_reason reason = look_up_cell(source, take, cell, &metrics, &place);
        if (reason == KO_REUSE_TAKEN) {
            if (put_cell(source, take, slot, &metrics, place)) {
                continue;
            }
            reason = KO_REUSE_NO_VALUE;
        }
        all = false;
        take->n_left++;
        ko_reuse_miss(source->missing, reason, example_of(source, take, reason, cell, text));
    }
    return all;
}

/* Sizes that lack a cell become pending in the record. */
static void take_cells(const struct ko_reuse_source *source, struct ko_reuse_take *take)
{
    const struct ko_plan *plan = source->plan;
    const bool heat = take->part == 1;
    const int32_t n_sources = heat ? plan->n_source_positions : 1;
    int32_t at[4];

    for (at[0] = 0; at[0] < plan->n_routes; at[0]++) {
        for (at[1] = 0; at[1] < plan->n_classes && plan->route[at[0]].heat == heat; at[1]++) {
            for (at[2] = 0; at[2] < n_sources; at[2]++) {
                for (at[3] = 0; at[3] < plan->n_sizes; at[3]++) {
                    uint8_t *status =
                        &take->record.status[ko_plan_status_slot(plan, at[0], at[1], at[2], at[3])];
                    if (*status == KO_DONE && !take_starts(source, take, at)) {
                        *status = KO_PENDING;
                    }
                }
            }
        }
    }
}

static bool plans_part(const struct ko_plan *plan, const struct ko_record *record, int part)
{
    const int64_t mean = ko_plan_n_mean_statuses(plan);
    const int64_t first = part ? mean : 0, end = part ? record->n_statuses : mean;

    for (int64_t s = first; s < end; s++) {
        if (record->status[s] != KO_NOT_PLANNED) {
            return true;
        }
    }
    return false;
}

/* Finds the prompt in the old cube, and reads its cells and clean run. */
static enum ko_code open_prompt(struct ko_reuse_source *source, struct ko_reuse_take *take,
                                struct ko_error *err)
{
    struct ko_reuse_map *map = &source->map;
    struct ko_reuse_part *part = &map->part[take->part];
    struct ko_reuse_found found = {-1, source->no_model};
    struct ko_metrics clean;
    bool there = true;
    enum ko_code code = KO_OK;

    if (source->old_model >= 0) {
        code = ko_reuse_find_prompt(map, part, source->model, take->record.fact, &found, err);
    }
    take->prompt = found.index;
    take->no_prompt = found.reason;
    if (code != KO_OK || take->prompt < 0) {
        return code;
    }
    code = ko_reuse_values_read(map, part, take->prompt, &source->value[take->part], err);
    if (code == KO_OK) {
        code = ko_reuse_clean_read(map, part, take->prompt, take->foil, &clean, err);
    }
    if (code == KO_OK && take->record.clean_answer) {
        code = ko_reuse_clean_answer(map, part, take->prompt, &clean, take->n_scored,
                                     take->record.clean_answer, &there, err);
    }
    if (code == KO_OK && there && ko_reuse_value_is_there(&clean, take->foil)) {
        take->record.clean = clean;
    } else {
        take->prompt = -1;
        take->no_prompt = KO_REUSE_CLEAN;
    }
    return code;
}

/* Whether the new cube already has a cell of the part, and so its clean run. */
static bool knows_part(const struct ko_reuse_source *source, const struct ko_reuse_take *take)
{
    const int64_t mean = ko_plan_n_mean_values(source->plan);
    const int64_t first = take->part ? mean : 0;
    const int64_t end = take->part ? ko_plan_n_values(source->plan) : mean;

    for (int64_t s = first; s < end; s++) {
        if (ko_taken_has(take->known, s)) {
            return true;
        }
    }
    return false;
}

enum ko_code ko_reuse_take_new(const struct ko_reuse_source *source, int32_t fact,
                               struct ko_reuse_take *out, struct ko_error *err)
{
    const struct ko_plan *plan = source->plan;

    *out = (struct ko_reuse_take){.prompt = -1, .no_prompt = KO_REUSE_MODEL};
    enum ko_code code = ko_record_new(plan, source->model, fact, &out->record, err);
    if (code != KO_OK) {
        return code;
    }
    out->known = source->taken ? ko_taken_of(source->taken, source->model, fact) : NULL;
    out->foil = plan->has_foils && ko_plan_prompt(plan, source->model, fact)->foil >= 0;
    out->n_scored = ko_prompt_n_scored(ko_plan_prompt(plan, source->model, fact));
    out->record.taken = ko_new((size_t)out->record.n_values, 1, err);
    return out->record.taken ? KO_OK : KO_E_MEMORY;
}

enum ko_code ko_reuse_take_cells(struct ko_reuse_source *source, struct ko_reuse_take *take,
                                 struct ko_error *err)
{
    for (take->part = 0; take->part < 2; take->part++) {
        if (!plans_part(source->plan, &take->record, take->part)) {
            continue;
        }
        take->planned = true;
        const enum ko_code code = open_prompt(source, take, err);
        if (code != KO_OK) {
            return code;
        }
        take->lacks_clean = take->lacks_clean || (take->prompt < 0 && !knows_part(source, take));
        take_cells(source, take);
    }
    if (isfinite(take->record.clean.logprob)) { /* both parts have the same clean run */
        take->lacks_clean = false;
    }
    return KO_OK;
}

void ko_reuse_take_settle(const struct ko_reuse_source *source, struct ko_reuse_take *take)
{
    take->prompt = -1;
    for (take->part = 0; take->part < 2; take->part++) {
        take_cells(source, take);
    }
}
