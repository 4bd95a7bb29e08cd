/* SPDX-License-Identifier: Apache-2.0 */
/* Copies cells that an earlier cube already has into the new cube. It goes through the plan prompt
   by prompt and commits from time to time. */
#include "mpi/cube/reuse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/cube/commit.h"
#include "mpi/cube/cube.h"
#include "src/base/memory.h"
#include "src/cube/format/datasets.h"
#include "src/cube/reuse/take.h"
#include "src/forward/record.h"

enum { STAGED_BYTES = 64 << 20, MOST_STAGED = 4096 };

struct reuse {
    struct ko_cube_reuse *request;
    struct ko_reuse_source source;
    struct ko_cube *cube;     /* the new one */
    struct ko_record *staged; /* [most_staged] */
    int32_t n_staged, most_staged;
    char hash[33]; /* of the model's weights; "": not to be written */
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

static enum ko_code commit_staged(struct reuse *reuse, struct ko_error *err)
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
static enum ko_code stage_record(struct reuse *reuse, struct ko_record *record,
                                 struct ko_error *err)
{
    enum ko_code code = KO_OK;

    reuse->staged[reuse->n_staged++] = *record;
    *record = (struct ko_record){0};
    /* Before the first cell, so that a killed run leaves no cells without their weights' hash. */
    if (reuse->hash[0] != '\0') {
        code = ko_consent_ask(reuse->request->consent, err);
        if (code == KO_OK) {
            code = ko_cube_write_content_hash(reuse->cube, reuse->source.model, reuse->hash, err);
        }
        reuse->hash[0] = '\0';
    }
    return code == KO_OK && reuse->n_staged == reuse->most_staged ? commit_staged(reuse, err)
                                                                  : code;
}

static enum ko_code add_take(struct reuse *reuse, int32_t fact, struct ko_reuse_take *take,
                             struct ko_error *err)
{
    struct ko_cube_reuse *request = reuse->request;
    const bool whole = take->n_left == 0 && !take->lacks_clean;

    /* A cube that does not mark taken cells gets whole prompts only. */
    if (!take->planned || !(whole || (request->taken && take->n_taken > 0))) {
        return KO_OK;
    }
    request->n_cells += take->n_taken;
    request->n_records += take->n_taken > 0;
    request->n_whole += whole;
    if (request->taken) {
        const enum ko_code code = ko_taken_add(request->taken, reuse->source.model, fact,
                                               take->record.taken, 0, take->record.n_values, err);
        if (code != KO_OK) {
            return code;
        }
    }
    return stage_record(reuse, &take->record, err);
}

static enum ko_code take_prompt(struct reuse *reuse, int32_t fact, struct ko_error *err)
{
    struct ko_reuse_take take;
    enum ko_code code = ko_reuse_take_new(&reuse->source, fact, &take, err);

    if (code == KO_OK) {
        code = ko_reuse_take_cells(&reuse->source, &take, err);
    }
    if (code == KO_OK) {
        code = add_take(reuse, fact, &take, err);
    }
    ko_record_free(&take.record);
    return code;
}

static enum ko_code take_model(struct reuse *reuse, struct ko_error *err)
{
    struct ko_cube_reuse *request = reuse->request;
    struct ko_reuse_source *source = &reuse->source;
    const struct ko_plan *plan = source->plan;
    enum ko_code code = KO_OK;

    for (int k = 0; k < 2 && code == KO_OK && source->old_model >= 0; k++) {
        code = ko_reuse_part_model(&source->map, &source->map.part[k], source->old_model, err);
    }
    for (int32_t fact = 0; fact < plan->n_facts && code == KO_OK; fact++) {
        if (request->done[(size_t)source->model * (size_t)plan->n_facts + (size_t)fact] ||
            ko_plan_prompt(plan, source->model, fact)->reason != KO_RUNNABLE) {
            continue;
        }
        if (request->stop_wanted && request->stop_wanted()) {
            return ko_fail(err, KO_E_STOPPED, "%s: stopped early, continue with --resume",
                           request->path);
        }
        code = take_prompt(reuse, fact, err);
    }
    return code;
}

static void remark_other_weights(const struct reuse *reuse)
{
    const struct ko_cube_reuse *request = reuse->request;
    const int32_t model = reuse->source.model;
    char line[1024];

    if (reuse->source.no_model == KO_REUSE_WEIGHTS && request->remark) {
        (void)snprintf(line, sizeof line,
                       "model=\"%.400s\" nothing is taken: its weights' content hash is %s, the "
                       "cube's came from %s",
                       reuse->source.plan->model[model].name, request->content_hash[model],
                       reuse->hash);
        request->remark(request->context, line);
    }
}

static enum ko_code take_models(struct reuse *reuse, struct ko_error *err)
{
    struct ko_reuse_source *source = &reuse->source;
    const struct ko_plan *plan = source->plan;
    enum ko_code code = KO_OK;

    for (int32_t m = 0; m < plan->n_models && code == KO_OK; m++) {
        source->model = m;
        struct ko_reuse_found old;
        code = ko_reuse_find_model(&source->map, &plan->model[m], reuse->request->content_hash[m],
                                   &old, reuse->hash, err);
        source->old_model = old.index;
        source->no_model = old.reason;
        if (code != KO_OK) {
            break;
        }
        remark_other_weights(reuse);
        if (source->old_model < 0) {
            reuse->hash[0] = '\0';
        }
        code = take_model(reuse, err);
    }
    return code;
}

static enum ko_code open_reuse(struct reuse *reuse, struct ko_error *err)
{
    struct ko_reuse_source *source = &reuse->source;
    const struct ko_plan *plan = source->plan;
    const int64_t most = STAGED_BYTES / (ko_record_bytes(plan) + ko_plan_n_values(plan));

    reuse->most_staged = most < 1 ? 1 : most > MOST_STAGED ? MOST_STAGED : (int32_t)most;
    reuse->staged = ko_new((size_t)reuse->most_staged, sizeof *reuse->staged, err);
    enum ko_code code = reuse->staged ? KO_OK : KO_E_MEMORY;
    for (int k = 0; k < 2 && code == KO_OK && source->map.old; k++) {
        code = ko_reuse_values_new(&source->map, &source->map.part[k], &source->value[k], err);
    }
    if (code == KO_OK) {
        code = ko_cube_open(reuse->request->path, plan, MPI_COMM_SELF, &reuse->cube, err);
    }
    if (code == KO_OK && !reuse->request->taken != !ko_cube_has_reused(reuse->cube)) {
        code = ko_fail(err, KO_E_FAILED, "%s: another program has replaced it, start the run again",
                       reuse->request->path);
    }
    return code;
}

/* Commits what is staged, also after a stop, and closes all. */
static enum ko_code close_reuse(struct reuse *reuse, enum ko_code code, struct ko_error *err)
{
    struct ko_error later = {0};

    if (reuse->cube && (code == KO_OK || code == KO_E_STOPPED)) {
        const enum ko_code committed = commit_staged(reuse, &later);
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
        ko_reuse_values_free(&reuse->source.value[k]);
    }
    ko_reuse_map_free(&reuse->source.map);
    return code;
}

static struct reuse reuse_of(struct ko_cube_reuse *request)
{
    return (struct reuse){.request = request,
                          .source = {.plan = request->plan,
                                     .taken = request->taken,
                                     .missing = request->missing,
                                     .old_model = -1,
                                     .no_model = KO_REUSE_MODEL}};
}

enum ko_code ko_cube_reuse_take(struct ko_cube_view *old, struct ko_cube_reuse *request,
                                struct ko_error *err)
{
    struct reuse reuse = reuse_of(request);

    request->n_cells = 0;
    request->n_records = request->n_whole = 0;
    memset(request->missing, 0, sizeof request->missing);
    enum ko_code code = ko_reuse_map_open(old, request->plan, &reuse.source.map, err);
    if (code == KO_OK) {
        code = open_reuse(&reuse, err);
    }
    if (code == KO_OK) {
        code = take_models(&reuse, err);
    }
    return close_reuse(&reuse, code, err);
}

static enum ko_code settle_prompt(struct reuse *reuse, int32_t fact, struct ko_error *err)
{
    struct ko_reuse_take take;
    enum ko_code code = ko_reuse_take_new(&reuse->source, fact, &take, err);

    if (code == KO_OK) {
        ko_reuse_take_settle(&reuse->source, &take);
        code = stage_record(reuse, &take.record, err);
    }
    ko_record_free(&take.record);
    return code;
}

enum ko_code ko_cube_reuse_settle(const struct ko_cube_reuse *request, const uint8_t *unsettled,
                                  struct ko_error *err)
{
    const struct ko_plan *plan = request->plan;
    struct ko_cube_reuse unchanged = *request; /* it counts what is missing here */
    struct reuse reuse = reuse_of(&unchanged);

    enum ko_code code = open_reuse(&reuse, err);
    for (int32_t i = 0; i < plan->n_models * plan->n_facts && code == KO_OK; i++) {
        reuse.source.model = i / plan->n_facts;
        if (unsettled[i]) {
            code = settle_prompt(&reuse, i % plan->n_facts, err);
        }
    }
    return close_reuse(&reuse, code, err);
}
