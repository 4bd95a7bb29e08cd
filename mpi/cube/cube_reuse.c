#include "mpi/cube/cube_reuse.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/cube/cube.h"
#include "mpi/cube/cube_datasets.h"
#include "mpi/cube/cube_reuse_match.h"
#include "src/base/memory.h"
#include "src/forward/record.h"

enum { STAGED_BYTES = 64 << 20, MOST_STAGED = 4096 };

/* The values of one prompt of the old cube, in one part. */
struct values {
    uint8_t *status;
    float *logprob, *kl, *foil_logprob; /* the last NULL where there are no foils */
    int32_t *target_rank, *top1_id;
};

struct reuse {
    struct ko_cube_reuse *request;
    struct ko_reuse_map map;
    struct values value[2]; /* plain, heat */
    struct ko_cube *cube;   /* the new one */
    struct ko_record *staged;
    int32_t n_staged, most_staged;
    int32_t model, old_model; /* in hand */
    char hash[33];            /* of its weights; "" where the new cube has it already */
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

    if (ko_cube_view_is_evaluation(view))
        return ko_fail(err, KO_E_INPUT,
                       "is an evaluation, which has no cells, give a sweep's cube (for clean runs: "
                       "--evaluation)");
    (void)snprintf(format, sizeof format, "%d", KO_CUBE_FORMAT);
    for (size_t k = 0; k < sizeof attribute / sizeof *attribute; k++) {
        const char *wanted = attribute[k].wanted ? attribute[k].wanted : format;
        const char *stored = ko_cube_view_attribute(view, attribute[k].name);
        if (!stored || strcmp(stored, wanted) != 0)
            return ko_fail(err, KO_E_INPUT, "%s is '%s' in it and '%s' in this run, leave it out",
                           attribute[k].what, stored ? stored : "", wanted);
    }
    return KO_OK;
}

/* ----------------------------------------------------------------------------------------------
 * one record */

static enum ko_code read_values(const struct reuse *reuse, int k, int32_t prompt,
                                struct ko_error *err)
{
    static const char *const floats[] = {"logprob", "kl", "foil_logprob"};
    static const char *const ints[] = {"target_rank", "top1_id"};
    const struct ko_reuse_part *part = &reuse->map.part[k];
    const struct values *value = &reuse->value[k];
    float *const number[] = {value->logprob, value->kl, value->foil_logprob};
    int32_t *const whole[] = {value->target_rank, value->top1_id};
    char name[64];
    struct ko_cube_rows rows = {.dataset = name,
                                .model = reuse->old_model,
                                .first = prompt,
                                .n = 1,
                                .n_values = part->n_statuses};
    const char *prefix = part->heat ? "heat_" : "";

    (void)snprintf(name, sizeof name, "%sstatus", prefix);
    enum ko_code code = ko_cube_view_rows_uint8(reuse->map.old, &rows, value->status, err);
    rows.n_values = part->n_values;
    for (int f = 0; f < 3 && code == KO_OK; f++)
        if (number[f]) {
            (void)snprintf(name, sizeof name, "%s%s", prefix, floats[f]);
            code = ko_cube_view_rows_float(reuse->map.old, &rows, number[f], err);
        }
    for (int f = 0; f < 2 && code == KO_OK; f++) {
        (void)snprintf(name, sizeof name, "%s%s", prefix, ints[f]);
        code = ko_cube_view_rows_int(reuse->map.old, &rows, whole[f], err);
    }
    return code;
}

static bool is_there(const struct ko_metrics *metrics, bool foil)
{
    return metrics->target_rank >= 1 && metrics->top1_id >= 0 && isfinite(metrics->logprob) &&
           isfinite(metrics->kl) && (!foil || isfinite(metrics->foil_logprob));
}

/* The clean run of the old cube's prompt. */
static enum ko_code read_clean(const struct reuse *reuse, int k, int32_t prompt, bool foil,
                               struct ko_metrics *clean, struct ko_error *err)
{
    const char *prefix = reuse->map.part[k].heat ? "heat_" : "";
    struct ko_metrics found = {.foil_logprob = NAN};
    char name[64];
    const struct ko_cube_rows row = {
        .dataset = name, .model = reuse->old_model, .first = prompt, .n = 1, .n_values = 1};

    (void)snprintf(name, sizeof name, "%sclean_logprob", prefix);
    enum ko_code code = ko_cube_view_rows_float(reuse->map.old, &row, &found.logprob, err);
    if (code == KO_OK && foil) {
        (void)snprintf(name, sizeof name, "%sclean_foil_logprob", prefix);
        code = ko_cube_view_rows_float(reuse->map.old, &row, &found.foil_logprob, err);
    }
    (void)snprintf(name, sizeof name, "%sclean_target_rank", prefix);
    if (code == KO_OK)
        code = ko_cube_view_rows_int(reuse->map.old, &row, &found.target_rank, err);
    (void)snprintf(name, sizeof name, "%sclean_top1_id", prefix);
    if (code == KO_OK)
        code = ko_cube_view_rows_int(reuse->map.old, &row, &found.top1_id, err);
    *clean = found;
    return code;
}

/* Where (route, feature, source, size) of the plan is in the old cube's statuses of a prompt; -1:
   nowhere. */
static int64_t old_status(const struct reuse *reuse, const struct ko_reuse_part *part,
                          int32_t route, int32_t feature, int32_t source, int32_t size)
{
    const struct ko_reuse_map *map = &reuse->map;
    const int32_t at[] = {map->route[route], map->feature[feature], source, map->size[size]};

    if (at[0] < 0 || at[1] < 0 || at[3] < 0 || source >= part->n_sources)
        return -1;
    return (((int64_t)at[0] * (int64_t)map->axes->feature_class.n + at[1]) * part->n_sources +
            source) *
               map->axes->n_sizes +
           at[3];
}

/* The planned starts of one status; false where one of them is not in the old cube. */
static bool take_starts(struct reuse *reuse, int k, int64_t from, const int32_t cell[4], bool foil,
                        struct ko_record *record)
{
    const struct ko_plan *plan = reuse->map.plan;
    const struct values *value = &reuse->value[k];
    const int32_t n_starts = reuse->map.axes->n_starts;

    for (int32_t s = 0; s < plan->n_starts; s++) {
        if (!ko_plan_has(plan, record->model, record->fact, cell[0], cell[1], cell[3], s))
            continue;
        if (reuse->map.start[s] < 0)
            return false;
        const int64_t at = from * n_starts + reuse->map.start[s];
        const struct ko_metrics metrics = {.logprob = value->logprob[at],
                                           .foil_logprob = foil ? value->foil_logprob[at] : NAN,
                                           .kl = value->kl[at],
                                           .target_rank = value->target_rank[at],
                                           .top1_id = value->top1_id[at]};
        if (!is_there(&metrics, foil))
            return false;
        record->value[ko_plan_value_slot(plan, cell[0], cell[1], cell[2], cell[3], s)] = metrics;
        reuse->request->n_cells++;
    }
    return true;
}

/* All sources and sizes of one route and class. */
static bool take_sizes(struct reuse *reuse, int k, int32_t route, int32_t feature, bool foil,
                       struct ko_record *record)
{
    const struct ko_plan *plan = reuse->map.plan;
    const struct ko_reuse_part *part = &reuse->map.part[k];
    const int32_t n_sources = part->heat ? plan->n_source_positions : 1;

    for (int32_t source = 0; source < n_sources; source++)
        for (int32_t size = 0; size < plan->n_sizes; size++) {
            const int32_t cell[4] = {route, feature, source, size};
            if (record->status[ko_plan_status_slot(plan, route, feature, source, size)] != KO_DONE)
                continue; /* not planned, or vacuous */
            const int64_t from = old_status(reuse, part, route, feature, source, size);
            if (from < 0 || reuse->value[k].status[from] != KO_DONE ||
                !take_starts(reuse, k, from, cell, foil, record))
                return false;
        }
    return true;
}

static bool plans_part(const struct ko_plan *plan, const struct ko_record *record, bool heat)
{
    const int64_t plain = ko_plan_n_plain_statuses(plan);
    const int64_t first = heat ? plain : 0, end = heat ? record->n_statuses : plain;

    for (int64_t s = first; s < end; s++)
        if (record->status[s] != KO_NOT_PLANNED)
            return true;
    return false;
}

/* Fills the part of a record; *taken says whether the old cube has all of it. */
static enum ko_code take_part(struct reuse *reuse, int k, struct ko_record *record, bool *taken,
                              struct ko_error *err)
{
    const struct ko_plan *plan = reuse->map.plan;
    struct ko_reuse_part *part = &reuse->map.part[k];
    const bool foil =
        plan->has_foils && ko_plan_prompt(plan, record->model, record->fact)->foil >= 0;
    struct ko_metrics clean;
    int32_t prompt = -1;

    *taken = false;
    enum ko_code code = ko_reuse_find_prompt(&reuse->map, part, reuse->old_model, record->model,
                                             record->fact, &prompt, err);
    if (code != KO_OK || prompt < 0)
        return code;
    code = read_values(reuse, k, prompt, err);
    if (code == KO_OK)
        code = read_clean(reuse, k, prompt, foil, &clean, err);
    if (code != KO_OK || !is_there(&clean, foil))
        return code;
    record->clean = clean;
    for (int32_t r = 0; r < plan->n_routes; r++)
        for (int32_t f = 0; f < plan->n_features && plan->route[r].heat == part->heat; f++)
            if (!take_sizes(reuse, k, r, f, foil, record))
                return KO_OK;
    *taken = true;
    return KO_OK;
}

static enum ko_code commit(struct reuse *reuse, struct ko_error *err)
{
    enum ko_code code = reuse->n_staged > 0 ? ko_consent_ask(reuse->request->consent, err) : KO_OK;

    if (code == KO_OK && reuse->n_staged > 0)
        code = ko_cube_commit(reuse->cube, reuse->staged, reuse->n_staged, err);

    for (int32_t k = 0; k < reuse->n_staged; k++)
        ko_record_free(&reuse->staged[k]);
    reuse->n_staged = 0;
    return code;
}

static enum ko_code take_record(struct reuse *reuse, int32_t fact, struct ko_error *err)
{
    const struct ko_plan *plan = reuse->map.plan;
    const int64_t n_cells = reuse->request->n_cells;
    struct ko_record record = {0};
    bool taken = false, any = false;
    enum ko_code code = ko_record_new(plan, reuse->model, fact, &record, err);

    if (code != KO_OK)
        return code;
    for (int k = 0; k < 2 && code == KO_OK; k++)
        if (plans_part(plan, &record, k == 1)) {
            code = take_part(reuse, k, &record, &taken, err);
            any = taken;
            if (!taken)
                break;
        }
    if (code != KO_OK || !any) {
        reuse->request->n_cells = n_cells;
        ko_record_free(&record);
        return code;
    }
    reuse->request->n_records++;
    reuse->staged[reuse->n_staged++] = record;
    /* Before the first cell: what a killed run leaves says what weights its cells came from. */
    if (reuse->hash[0] != '\0')
        code = ko_cube_write_content_hash(reuse->cube, reuse->model, reuse->hash, err);
    reuse->hash[0] = '\0';
    if (code != KO_OK)
        return code;
    return reuse->n_staged == reuse->most_staged ? commit(reuse, err) : KO_OK;
}

/* ----------------------------------------------------------------------------------------------
 * all records */

static enum ko_code take_model(struct reuse *reuse, struct ko_error *err)
{
    struct ko_cube_reuse *request = reuse->request;
    const struct ko_plan *plan = reuse->map.plan;
    enum ko_code code = KO_OK;

    for (int k = 0; k < 2 && code == KO_OK; k++)
        code = ko_reuse_part_model(&reuse->map, &reuse->map.part[k], reuse->old_model, err);
    for (int32_t fact = 0; fact < plan->n_facts && code == KO_OK; fact++) {
        if (request->done[(size_t)reuse->model * (size_t)plan->n_facts + (size_t)fact] ||
            ko_plan_prompt(plan, reuse->model, fact)->reason != KO_RUNNABLE)
            continue;
        if (request->stop_wanted && request->stop_wanted())
            code = ko_fail(err, KO_E_STOPPED, "%s: stopped early, continue with --resume",
                           request->path);
        else
            code = take_record(reuse, fact, err);
    }
    return code;
}

static enum ko_code take_models(struct reuse *reuse, struct ko_error *err)
{
    const struct ko_cube_reuse *request = reuse->request;
    const struct ko_plan *plan = reuse->map.plan;
    enum ko_code code = KO_OK;

    for (int32_t m = 0; m < plan->n_models && code == KO_OK; m++) {
        char line[1024];
        bool other = false;
        reuse->model = m;
        code = ko_reuse_find_model(&reuse->map, &plan->model[m], request->content_hash[m],
                                   &reuse->old_model, reuse->hash, &other, err);
        if (code == KO_OK && reuse->old_model >= 0)
            code = take_model(reuse, err);
        else if (code == KO_OK && other && request->remark) {
            (void)snprintf(
                line, sizeof line,
                "model=\"%.400s\" nothing is taken: its weights' content hash is %s, the "
                "cube's cells came from others",
                plan->model[m].name, request->content_hash[m]);
            request->remark(request->context, line);
        }
    }
    return code;
}

static enum ko_code allocate(struct reuse *reuse, struct ko_error *err)
{
    const int64_t each = ko_record_bytes(reuse->map.plan);
    const int64_t fitting = STAGED_BYTES / each;
    bool good;

    reuse->most_staged = (int32_t)(fitting < 1 ? 1 : fitting > MOST_STAGED ? MOST_STAGED : fitting);
    good = (reuse->staged = ko_new((size_t)reuse->most_staged, sizeof *reuse->staged, err));
    for (int k = 0; k < 2 && good; k++) {
        const struct ko_reuse_part *part = &reuse->map.part[k];
        struct values *value = &reuse->value[k];
        const size_t n = (size_t)part->n_values;
        good = (value->status = ko_new((size_t)part->n_statuses, 1, err)) &&
               (value->logprob = ko_new(n, sizeof(float), err)) &&
               (value->kl = ko_new(n, sizeof(float), err)) &&
               (value->target_rank = ko_new(n, sizeof(int32_t), err)) &&
               (value->top1_id = ko_new(n, sizeof(int32_t), err)) &&
               (!reuse->map.foils || (value->foil_logprob = ko_new(n, sizeof(float), err)));
    }
    return good ? KO_OK : KO_E_MEMORY;
}

static void free_reuse(struct reuse *reuse)
{
    for (int32_t k = 0; k < reuse->n_staged; k++)
        ko_record_free(&reuse->staged[k]);
    free(reuse->staged);
    for (int k = 0; k < 2; k++) {
        free(reuse->value[k].status);
        free(reuse->value[k].logprob);
        free(reuse->value[k].kl);
        free(reuse->value[k].foil_logprob);
        free(reuse->value[k].target_rank);
        free(reuse->value[k].top1_id);
    }
    ko_reuse_map_free(&reuse->map);
}

enum ko_code ko_cube_reuse(struct ko_cube_view *old, struct ko_cube_reuse *request,
                           struct ko_error *err)
{
    struct reuse reuse = {.request = request};
    struct ko_error later = {0};
    enum ko_code code = ko_reuse_map_open(old, request->plan, &reuse.map, err);

    request->n_cells = 0;
    request->n_records = 0;
    if (code == KO_OK)
        code = allocate(&reuse, err);
    if (code == KO_OK)
        code = ko_cube_open(request->path, request->plan, MPI_COMM_SELF, &reuse.cube, err);
    if (code == KO_OK)
        code = take_models(&reuse, err);
    if (code == KO_OK || code == KO_E_STOPPED) {
        const enum ko_code committed = commit(&reuse, &later);
        if (committed != KO_OK) {
            *err = later;
            code = committed;
        }
    }
    const enum ko_code closed = ko_cube_close(reuse.cube, &later);
    if (closed != KO_OK && code == KO_OK) {
        *err = later;
        code = closed;
    }
    free_reuse(&reuse);
    return code;
}
