/* SPDX-License-Identifier: Apache-2.0 */
/* Copies cells that an earlier cube already has into the new cube. It goes through the plan prompt
   by prompt, and counts why cells could not be taken. */
#include "mpi/cube/reuse.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/cube/commit.h"
#include "mpi/cube/cube.h"
#include "src/base/memory.h"
#include "src/cube/format/datasets.h"
#include "src/cube/reuse/match.h"
#include "src/cube/reuse/values.h"
#include "src/forward/record.h"

enum { STAGED_BYTES = 64 << 20, MOST_STAGED = 4096 };

struct reuse {
    struct ko_cube_reuse *request;
    const struct ko_plan *plan;
    struct ko_reuse_map map;
    struct ko_reuse_values value[2]; /* mean, heat */
    struct ko_cube *cube;            /* the new one */
    struct ko_record *staged;
    int32_t n_staged, most_staged;
    int32_t model, old_model;      /* in hand; -1: the old cube has none */
    enum ko_reuse_reason no_model; /* why */
    char hash[33];                 /* of its weights; "" where the new cube has it already */
};

enum ko_code ko_cube_reuse_check(const struct ko_cube_view *view, const char *backend,
                                 const char *precision, struct ko_error *err)
{
    const struct {
        const char *name, *what, *wanted;
    } attribute[] = {{"cube_format", "cube_format", NULL},
                     {"backend", "the backend", backend},
                     {"precision", "the precision", precision}};
    char format[32];

    if (ko_cube_view_is_evaluation(view)) {
        return ko_fail(err, KO_E_INPUT,
                       "is an evaluation, which has no cells, give a sweep's cube (for clean runs: "
                       "--evaluation)");
    }
    (void)snprintf(format, sizeof format, "%d", KO_CUBE_FORMAT);
    for (size_t k = 0; k < sizeof attribute / sizeof *attribute; k++) {
        const char *wanted = attribute[k].wanted ? attribute[k].wanted : format;
        const char *stored = ko_cube_view_attribute(view, attribute[k].name);
        if (!stored || strcmp(stored, wanted) != 0) {
            return ko_fail(err, KO_E_INPUT, "%s is '%s' in it and '%s' in this run, leave it out",
                           attribute[k].what, stored ? stored : "", wanted);
        }
    }
    return KO_OK;
}

/* ----------------------------------------------------------------------------------------------
   one record */

/* A record while cells are taken into it. */
struct taking {
    struct ko_record record;
    const uint8_t *known; /* cells that the new cube has taken already; borrowed */
    bool foil;
    int64_t n_taken, n_left;        /* cells; known ones are neither */
    bool lacks_clean;               /* a part that has cells has no clean run */
    int32_t part;                   /* in hand: 0 mean, 1 heat */
    int32_t prompt;                 /* of the old cube; -1: none */
    enum ko_reuse_reason no_prompt; /* why */
};

/* What a reason is about, in the words of the plan. */
static const char *example_of(const struct reuse *reuse, const struct taking *taking,
                              enum ko_reuse_reason reason, const int32_t cell[5], char text[64])
{
    const struct ko_plan *plan = reuse->plan;

    switch (reason) {
    case KO_REUSE_MODEL:
    case KO_REUSE_CHECKPOINT:
    case KO_REUSE_TOKENIZER:
    case KO_REUSE_UNLOADED:
    case KO_REUSE_WEIGHTS:
        return plan->model[reuse->model].name;
    case KO_REUSE_SPAN:
    case KO_REUSE_ROUTE:
        return plan->route[cell[0]].route.label;
    case KO_REUSE_CLASS:
        ko_feature_class_label(&plan->class[cell[1]], text);
        return text;
    case KO_REUSE_SIZE:
    case KO_REUSE_UNPLANNED:
        (void)snprintf(text, 64, "%d", plan->size[cell[3]]);
        return text;
    case KO_REUSE_START:
        (void)snprintf(text, 64, "%d", plan->start[cell[4]]);
        return text;
    default:
        return plan->fact[taking->record.fact].id;
    }
}

/* The cell's value in the old cube. */
static enum ko_reuse_reason look_up(const struct reuse *reuse, const struct taking *taking,
                                    const int32_t cell[5], struct ko_metrics *metrics)
{
    const struct ko_reuse_values *value = &reuse->value[taking->part];
    struct ko_reuse_place place;

    if (taking->prompt < 0) {
        return taking->no_prompt;
    }
    const enum ko_reuse_reason reason =
        ko_reuse_find_cell(&reuse->map, &reuse->map.part[taking->part], cell, &place);
    if (reason != KO_REUSE_TAKEN) {
        return reason;
    }
    if (value->status[place.status] != KO_DONE) {
        return value->status[place.status] == KO_NOT_PLANNED ||
                       value->status[place.status] == KO_VACUOUS
                   ? KO_REUSE_UNPLANNED
                   : KO_REUSE_UNDONE;
    }
    *metrics = ko_reuse_values_at(value, place.value, taking->foil);
    if (ko_reuse_value_is_there(metrics, taking->foil)) {
        return KO_REUSE_TAKEN;
    }
    /* Of a size that is done only the planned starts have values. */
    return isnan(metrics->logprob) && metrics->target_rank < 0 ? KO_REUSE_UNPLANNED
                                                               : KO_REUSE_NO_VALUE;
}

/* The planned starts of one size, [route, class, source, size]: whether the cube has all of them
   now. */
static bool take_starts(struct reuse *reuse, struct taking *taking, const int32_t size[4])
{
    const struct ko_plan *plan = reuse->plan;
    struct ko_record *record = &taking->record;
    int32_t cell[5] = {size[0], size[1], size[2], size[3], 0};
    bool all = true;

    for (int32_t s = 0; s < plan->n_starts; s++) {
        const int64_t slot = ko_plan_value_slot(plan, cell[0], cell[1], cell[2], cell[3], s);
        struct ko_metrics metrics;
        char text[64];
        if (ko_taken_has(taking->known, slot) ||
            !ko_plan_has(plan, record->model, record->fact, cell[0], cell[1], cell[3], s)) {
            continue;
        }
        cell[4] = s;
        const enum ko_reuse_reason reason = look_up(reuse, taking, cell, &metrics);
        if (reason == KO_REUSE_TAKEN) {
            record->value[slot] = metrics;
            record->taken[slot] = 1;
            taking->n_taken++;
            continue;
        }
        all = false;
        taking->n_left++;
        ko_reuse_miss(reuse->request->missing, reason,
                      example_of(reuse, taking, reason, cell, text));
    }
    return all;
}

/* Sizes of which a cell is left become pending in the record. */
static void take_cells(struct reuse *reuse, struct taking *taking)
{
    const struct ko_plan *plan = reuse->plan;
    const bool heat = taking->part == 1;
    const int32_t n_sources = heat ? plan->n_source_positions : 1;
    int32_t at[4];

    for (at[0] = 0; at[0] < plan->n_routes; at[0]++) {
        for (at[1] = 0; at[1] < plan->n_classes && plan->route[at[0]].heat == heat; at[1]++) {
            for (at[2] = 0; at[2] < n_sources; at[2]++) {
                for (at[3] = 0; at[3] < plan->n_sizes; at[3]++) {
                    uint8_t *status =
                        &taking->record
                             .status[ko_plan_status_slot(plan, at[0], at[1], at[2], at[3])];
                    if (*status == KO_DONE && !take_starts(reuse, taking, at)) {
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

/* Finds the prompt in the old cube, and reads what it has of it. */
static enum ko_code open_prompt(struct reuse *reuse, struct taking *taking, struct ko_error *err)
{
    struct ko_reuse_map *map = &reuse->map;
    struct ko_reuse_part *part = &map->part[taking->part];
    struct ko_reuse_found found = {-1, reuse->no_model};
    struct ko_metrics clean;
    enum ko_code code = KO_OK;

    if (reuse->old_model >= 0) {
        code = ko_reuse_find_prompt(map, part, reuse->model, taking->record.fact, &found, err);
    }
    taking->prompt = found.index;
    taking->no_prompt = found.reason;
    if (code != KO_OK || taking->prompt < 0) {
        return code;
    }
    code = ko_reuse_values_read(map, part, taking->prompt, &reuse->value[taking->part], err);
    if (code == KO_OK) {
        code = ko_reuse_clean_read(map, part, taking->prompt, taking->foil, &clean, err);
    }
    if (code == KO_OK && ko_reuse_value_is_there(&clean, taking->foil)) {
        taking->record.clean = clean;
    } else {
        taking->prompt = -1;
        taking->no_prompt = KO_REUSE_CLEAN;
    }
    return code;
}

/* Whether the new cube has taken a cell of the part already, and its clean run with it. */
static bool knows_part(const struct reuse *reuse, const struct taking *taking)
{
    const int64_t mean = ko_plan_n_mean_values(reuse->plan);
    const int64_t first = taking->part ? mean : 0;
    const int64_t end = taking->part ? ko_plan_n_values(reuse->plan) : mean;

    for (int64_t s = first; s < end; s++) {
        if (ko_taken_has(taking->known, s)) {
            return true;
        }
    }
    return false;
}

static enum ko_code new_taking(const struct reuse *reuse, int32_t fact, struct taking *out,
                               struct ko_error *err)
{
    const struct ko_plan *plan = reuse->plan;
    const struct ko_taken *taken = reuse->request->taken;
    enum ko_code code = ko_record_new(plan, reuse->model, fact, &out->record, err);

    if (code != KO_OK) {
        return code;
    }
    out->known = taken ? ko_taken_of(taken, reuse->model, fact) : NULL;
    out->foil = plan->has_foils && ko_plan_prompt(plan, reuse->model, fact)->foil >= 0;
    out->record.taken = ko_new((size_t)out->record.n_values, 1, err);
    if (!out->record.taken) {
        ko_record_free(&out->record);
        return KO_E_MEMORY;
    }
    return KO_OK;
}

static enum ko_code commit(struct reuse *reuse, struct ko_error *err)
{
    enum ko_code code = reuse->n_staged > 0 ? ko_consent_ask(reuse->request->consent, err) : KO_OK;

    if (code == KO_OK && reuse->n_staged > 0) {
        code = ko_cube_take(reuse->cube, reuse->staged, reuse->n_staged, err);
    }

    for (int32_t k = 0; k < reuse->n_staged; k++) {
        ko_record_free(&reuse->staged[k]);
    }
    reuse->n_staged = 0;
    return code;
}

/* Takes the record over, also on failure. */
static enum ko_code stage(struct reuse *reuse, struct ko_record *record, struct ko_error *err)
{
    enum ko_code code = KO_OK;

    reuse->staged[reuse->n_staged++] = *record;
    *record = (struct ko_record){0};
    /* Before the first cell: what a killed run leaves says what weights its cells came from. */
    if (reuse->hash[0] != '\0') {
        code = ko_consent_ask(reuse->request->consent, err);
    }
    if (code == KO_OK && reuse->hash[0] != '\0') {
        code = ko_cube_write_content_hash(reuse->cube, reuse->model, reuse->hash, err);
    }
    reuse->hash[0] = '\0';
    if (code != KO_OK) {
        return code;
    }
    return reuse->n_staged == reuse->most_staged ? commit(reuse, err) : KO_OK;
}

/* Without a place to say which cells were taken, all or none of a prompt are. */
static bool is_wanted(const struct reuse *reuse, const struct taking *taking)
{
    const bool whole = taking->n_left == 0 && !taking->lacks_clean;

    return reuse->request->taken ? whole || taking->n_taken > 0 : whole;
}

static enum ko_code take_record(struct reuse *reuse, int32_t fact, struct ko_error *err)
{
    struct ko_cube_reuse *request = reuse->request;
    const struct ko_plan *plan = reuse->plan;
    struct taking taking = {0};
    bool any = false;
    enum ko_code code = new_taking(reuse, fact, &taking, err);

    if (code != KO_OK) {
        return code;
    }
    for (int k = 0; k < 2 && code == KO_OK; k++) {
        if (!plans_part(plan, &taking.record, k)) {
            continue;
        }
        any = true;
        taking.part = k;
        code = open_prompt(reuse, &taking, err);
        if (code != KO_OK) {
            continue;
        }
        taking.lacks_clean =
            taking.lacks_clean || (taking.prompt < 0 && !knows_part(reuse, &taking));
        take_cells(reuse, &taking);
    }
    if (isfinite(taking.record.clean.logprob)) { /* both parts have the same clean run */
        taking.lacks_clean = false;
    }
    if (code == KO_OK && any && is_wanted(reuse, &taking)) {
        request->n_cells += taking.n_taken;
        request->n_records += taking.n_taken > 0;
        request->n_whole += taking.n_left == 0 && !taking.lacks_clean;
        if (request->taken) {
            code = ko_taken_add(request->taken, reuse->model, fact, taking.record.taken, 0,
                                taking.record.n_values, err);
        }
        if (code == KO_OK) {
            code = stage(reuse, &taking.record, err);
        }
    }
    ko_record_free(&taking.record);
    return code;
}

/* ----------------------------------------------------------------------------------------------
   all records */

static enum ko_code take_model(struct reuse *reuse, struct ko_error *err)
{
    struct ko_cube_reuse *request = reuse->request;
    const struct ko_plan *plan = reuse->plan;
    enum ko_code code = KO_OK;

    for (int k = 0; k < 2 && code == KO_OK && reuse->old_model >= 0; k++) {
        code = ko_reuse_part_model(&reuse->map, &reuse->map.part[k], reuse->old_model, err);
    }
    for (int32_t fact = 0; fact < plan->n_facts && code == KO_OK; fact++) {
        if (request->done[(size_t)reuse->model * (size_t)plan->n_facts + (size_t)fact] ||
            ko_plan_prompt(plan, reuse->model, fact)->reason != KO_RUNNABLE) {
            continue;
        }
        if (request->stop_wanted && request->stop_wanted()) {
            code = ko_fail(err, KO_E_STOPPED, "%s: stopped early, continue with --resume",
                           request->path);
        } else {
            code = take_record(reuse, fact, err);
        }
    }
    return code;
}

static enum ko_code take_models(struct reuse *reuse, struct ko_error *err)
{
    const struct ko_cube_reuse *request = reuse->request;
    const struct ko_plan *plan = reuse->plan;
    enum ko_code code = KO_OK;

    for (int32_t m = 0; m < plan->n_models && code == KO_OK; m++) {
        char line[1024];
        struct ko_reuse_found old;
        code = ko_reuse_find_model(&reuse->map, &plan->model[m], request->content_hash[m], &old,
                                   reuse->hash, err);
        reuse->model = m;
        reuse->old_model = old.index;
        reuse->no_model = old.reason;
        if (code == KO_OK && reuse->no_model == KO_REUSE_WEIGHTS && request->remark) {
            (void)snprintf(line, sizeof line,
                           "model=\"%.400s\" nothing is taken: its weights' content hash is %s, "
                           "the cube's came from %s",
                           plan->model[m].name, request->content_hash[m], reuse->hash);
            request->remark(request->context, line);
        }
        if (reuse->old_model < 0) {
            reuse->hash[0] = '\0';
        }
        if (code == KO_OK) {
            code = take_model(reuse, err);
        }
    }
    return code;
}

static enum ko_code open_reuse(struct reuse *reuse, struct ko_error *err)
{
    const struct ko_plan *plan = reuse->plan;
    const int64_t most = STAGED_BYTES / (ko_record_bytes(plan) + ko_plan_n_values(plan));

    reuse->most_staged = most < 1 ? 1 : most > MOST_STAGED ? MOST_STAGED : (int32_t)most;
    reuse->staged = ko_new((size_t)reuse->most_staged, sizeof *reuse->staged, err);
    enum ko_code code = reuse->staged ? KO_OK : KO_E_MEMORY;
    for (int k = 0; k < 2 && code == KO_OK && reuse->map.old; k++) {
        code = ko_reuse_values_new(&reuse->map, &reuse->map.part[k], &reuse->value[k], err);
    }
    if (code == KO_OK) {
        code = ko_cube_open(reuse->request->path, plan, MPI_COMM_SELF, &reuse->cube, err);
    }
    if (code == KO_OK && !reuse->request->taken != !ko_cube_has_reused(reuse->cube)) {
        code = ko_fail(err, KO_E_FAILED, "%s: was replaced meanwhile, start the run again",
                       reuse->request->path);
    }
    return code;
}

/* Commits what is staged, also after a stop, and closes all. */
static enum ko_code close_reuse(struct reuse *reuse, enum ko_code code, struct ko_error *err)
{
    struct ko_error later = {0};

    if (reuse->cube && (code == KO_OK || code == KO_E_STOPPED)) {
        const enum ko_code committed = commit(reuse, &later);
        if (committed != KO_OK) {
            *err = later;
            code = committed;
        }
    }
    const enum ko_code closed = ko_cube_close(reuse->cube, &later);
    if (closed != KO_OK && code == KO_OK) {
        *err = later;
        code = closed;
    }
    for (int32_t k = 0; k < reuse->n_staged; k++) {
        ko_record_free(&reuse->staged[k]);
    }
    free(reuse->staged);
    for (int k = 0; k < 2; k++) {
        ko_reuse_values_free(&reuse->value[k]);
    }
    ko_reuse_map_free(&reuse->map);
    return code;
}

enum ko_code ko_cube_reuse_take(struct ko_cube_view *old, struct ko_cube_reuse *request,
                                struct ko_error *err)
{
    struct reuse reuse = {.request = request, .plan = request->plan};

    request->n_cells = 0;
    request->n_records = request->n_whole = 0;
    memset(request->missing, 0, sizeof request->missing);
    enum ko_code code = ko_reuse_map_open(old, request->plan, &reuse.map, err);
    if (code == KO_OK) {
        code = open_reuse(&reuse, err);
    }
    if (code == KO_OK) {
        code = take_models(&reuse, err);
    }
    return close_reuse(&reuse, code, err);
}

enum ko_code ko_cube_reuse_settle(const struct ko_cube_reuse *request, const uint8_t *unsettled,
                                  struct ko_error *err)
{
    const struct ko_plan *plan = request->plan;
    struct ko_cube_reuse of_nothing = *request;
    struct reuse reuse = {
        .request = &of_nothing, .plan = plan, .old_model = -1, .no_model = KO_REUSE_MODEL};

    enum ko_code code = open_reuse(&reuse, err);
    for (int32_t i = 0; i < plan->n_models * plan->n_facts && code == KO_OK; i++) {
        struct taking taking = {.prompt = -1, .no_prompt = KO_REUSE_MODEL};
        reuse.model = i / plan->n_facts;
        if (!unsettled[i]) {
            continue;
        }
        code = new_taking(&reuse, i % plan->n_facts, &taking, err);
        for (taking.part = 0; taking.part < 2 && code == KO_OK; taking.part++) {
            take_cells(&reuse, &taking);
        }
        if (code == KO_OK) {
            code = stage(&reuse, &taking.record, err);
        }
        ko_record_free(&taking.record);
    }
    return close_reuse(&reuse, code, err);
}
