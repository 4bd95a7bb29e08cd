/* SPDX-License-Identifier: Apache-2.0 */
/* Sums what components add, at the positions of each component route, over groups of clean runs. */
#include "src/forward/means.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/forward/engine.h"
#include "src/prompts/token_set.h"

/* ----------------------------------------------------------------------------------------------
   groups */

enum ko_code ko_mean_groups_make(const struct ko_plan *plan, int32_t model,
                                 struct ko_mean_groups *out, struct ko_error *err)
{
    const size_t n_facts = (size_t)plan->n_facts;
    struct ko_mean_groups groups = {.fact = ko_new(n_facts, sizeof *groups.fact, err),
                                    .group = ko_new(n_facts, sizeof *groups.group, err)};
    int32_t n = 0;
    int64_t rows = 0;
    if (!groups.fact || !groups.group) {
        ko_mean_groups_free(&groups);
        return KO_E_MEMORY;
    }
    for (int32_t f = 0; f < plan->n_facts; f++) {
        if (!ko_plan_gives_means(plan, model, f)) {
            continue;
        }
        const int32_t n_tokens = ko_plan_prompt(plan, model, f)->n_tokens;
        if (groups.n == 0 || rows + n_tokens > plan->model[model].row_budget) {
            groups.group[groups.n++] = (struct ko_mean_group){n, 0};
            rows = 0;
        }
        groups.fact[n++] = f;
        groups.group[groups.n - 1].n++;
        rows += n_tokens;
    }
    *out = groups;
    return KO_OK;
}

void ko_mean_groups_free(struct ko_mean_groups *groups)
{
    free(groups->fact);
    free(groups->group);
    *groups = (struct ko_mean_groups){0};
}

size_t ko_mean_sums(const struct ko_plan *plan, int32_t model)
{
    const int32_t n_means = ko_plan_n_means(plan);
    return ko_plan_mean_values(&plan->model[model], n_means) + (size_t)n_means;
}

/* ----------------------------------------------------------------------------------------------
   recording */

/* The rows of one mean in the wave. */
struct recorded {
    uint8_t components;
    int32_t *row; /* [n]; part of `memory` */
    int32_t n;
};

struct means_recorder {
    const struct ko_engine *engine;
    struct recorded *mean; /* [n_means] */
    int32_t n_means;
    int32_t *memory; /* [n_means, n_rows] */
    float *part;     /* [n_rows, d_model] host memory */
    double *sums;
};

/* sum [n_numbers] += sign times the rows of the backend's part [n, n_numbers]. */
static enum ko_code add_part(struct means_recorder *r, const float *part, int32_t n,
                             int32_t n_numbers, double sign, double *sum, struct ko_error *err)
{
    const struct ko_pass *pass = &r->engine->pass;
    const size_t width = (size_t)n_numbers;
    const enum ko_code code =
        pass->kernels->download(pass->be, r->part, part, (size_t)n * width * sizeof *r->part, err);
    for (size_t k = 0; code == KO_OK && k < (size_t)n; k++) {
        for (size_t c = 0; c < width; c++) {
            sum[c] += sign * (double)r->part[k * width + c];
        }
    }
    return code;
}

static enum ko_code take_rows(const struct ko_pass *pass, const struct ko_noted *noted,
                              const struct recorded *mean, int32_t first, int32_t n, float *to,
                              struct ko_error *err)
{
    const struct ko_gather gather = {.from = noted->data + first,
                                     .ld_from = noted->width,
                                     .index = mean->row,
                                     .n = mean->n,
                                     .d = n,
                                     .to = to,
                                     .ld_to = n};
    return pass->kernels->gather(pass->be, &gather, err);
}

/* Adds the rows of one mean, at most d_model numbers of each at a time. Of a change it adds x after
   the output was added, and takes away x before, both in double precision. */
static enum ko_code note_mean(struct means_recorder *r, const struct ko_pass *pass,
                              const struct ko_noted *noted, int32_t m, struct ko_error *err)
{
    const struct recorded *mean = &r->mean[m];
    const int32_t d = pass->model->shape.d_model;
    const double sign = noted->note == KO_NOTE_BEFORE ? -1 : 1;
    double *sum = r->sums +
                  ko_plan_mean_place(pass->plan_model, r->n_means, noted->sublayer,
                                     noted->component, noted->heads) +
                  (size_t)m * (size_t)noted->width;
    enum ko_code code = KO_OK;
    for (int32_t first = 0; code == KO_OK && first < noted->width; first += d) {
        const int32_t n = noted->width - first < d ? noted->width - first : d;
        code = take_rows(pass, noted, mean, first, n, pass->values, err);
        if (code == KO_OK) {
            code = add_part(r, pass->values, mean->n, n, sign, sum + first, err);
        }
    }
    return code;
}

static enum ko_code note_component(void *self, const struct ko_pass *pass,
                                   const struct ko_noted *noted, struct ko_error *err)
{
    struct means_recorder *r = self;
    enum ko_code code = KO_OK;
    for (int32_t m = 0; code == KO_OK && m < r->n_means; m++) {
        if (!(r->mean[m].components & noted->component) || r->mean[m].n == 0) {
            continue;
        }
        code = note_mean(r, pass, noted, m, err);
    }
    return code;
}

/* Lists the rows of each mean: at the positions of its set; of an `each` route at every position. */
static enum ko_code list_mean_rows(struct means_recorder *r, const struct ko_wave *wave,
                                   const struct ko_row_set *set, struct ko_error *err)
{
    const struct ko_plan *plan = r->engine->plan;
    const int32_t model = r->engine->plan_model;
    uint8_t *at = ko_new((size_t)set->rows.max_tokens, 1, err);
    enum ko_code code = at ? KO_OK : KO_E_MEMORY;
    for (int32_t route = 0; code == KO_OK && route < plan->n_routes; route++) {
        const int32_t m = ko_plan_mean(plan, route);
        if (m < 0) {
            continue;
        }
        struct recorded *mean = &r->mean[m];
        mean->components = plan->route[route].route.components;
        mean->row = r->memory + (size_t)m * (size_t)set->rows.n_rows;
        for (int32_t p = 0; code == KO_OK && p < wave->n_prompts; p++) {
            const struct ko_prompt *prompt = ko_plan_prompt(plan, model, wave->fact[p]);
            if (!ko_plan_is_reference(plan, model, route, wave->fact[p])) {
                continue;
            }
            memset(at, 1, (size_t)prompt->n_tokens);
            if (plan->route[route].route.kind == KO_ROUTE_COMPONENT) {
                code = ko_token_set_eval(plan->route[route].route.target, prompt, at, err);
            }
            for (int32_t i = 0; code == KO_OK && i < prompt->n_tokens; i++) {
                if (at[i]) {
                    mean->row[mean->n++] = set->rows.trunk_first[p] + i;
                }
            }
        }
    }
    free(at);
    return code;
}

static void free_recorder(struct means_recorder *r)
{
    free(r->mean);
    free(r->memory);
    free(r->part);
}

static enum ko_code make_recorder(struct ko_engine *engine, const struct ko_wave *wave,
                                  const struct ko_row_set *set, struct means_recorder *r,
                                  struct ko_error *err)
{
    const size_t n_rows = (size_t)set->rows.n_rows;
    r->engine = engine;
    r->n_means = ko_plan_n_means(engine->plan);
    r->mean = ko_new((size_t)r->n_means, sizeof *r->mean, err);
    r->memory = ko_new((size_t)r->n_means * n_rows, sizeof *r->memory, err);
    r->part = ko_new(n_rows * (size_t)engine->pass.model->shape.d_model, sizeof *r->part, err);
    return r->mean && r->memory && r->part ? list_mean_rows(r, wave, set, err) : KO_E_MEMORY;
}

/* A wave of trunks. Its facts are borrowed from the groups. */
static struct ko_wave wave_of(const struct ko_engine *engine, const struct ko_mean_groups *groups,
                              int32_t group)
{
    const struct ko_mean_group *g = &groups->group[group];
    struct ko_wave wave = {
        .model = engine->plan_model, .fact = groups->fact + g->first, .n_prompts = g->n};
    for (int32_t i = 0; i < g->n; i++) {
        wave.n_rows += ko_plan_prompt(engine->plan, engine->plan_model, wave.fact[i])->n_tokens;
    }
    return wave;
}

enum ko_code ko_engine_sum_means(struct ko_engine *engine, const struct ko_mean_groups *groups,
                                 int32_t group, double *sums, struct ko_error *err)
{
    const struct ko_wave wave = wave_of(engine, groups, group);
    struct ko_row_set set = {0};
    struct means_recorder r = {.sums = sums};
    enum ko_code code = ko_row_set_build(engine->plan, &wave, &set, err);
    if (code == KO_OK) {
        code = make_recorder(engine, &wave, &set, &r, err);
    }
    if (code == KO_OK) {
        const struct ko_recorder recorder = {note_component, &r};
        engine->pass.recorder = &recorder;
        code = ko_engine_pass(engine, &set, NULL, err);
        engine->pass.recorder = NULL;
    }
    for (int32_t m = 0; code == KO_OK && m < r.n_means; m++) {
        sums[ko_plan_mean_values(engine->pass.plan_model, r.n_means) + (size_t)m] = r.mean[m].n;
    }
    free_recorder(&r);
    ko_row_set_free(&set);
    return code;
}

/* ----------------------------------------------------------------------------------------------
   means */

/* mean [n_means, width] = sum / the positions of each mean */
static void divide_part(const double *sum, const double *count, int32_t n_means, size_t width,
                        float *mean)
{
    for (size_t m = 0; m < (size_t)n_means; m++) {
        for (size_t c = 0; c < width; c++) {
            mean[m * width + c] = count[m] > 0 ? (float)(sum[m * width + c] / count[m]) : NAN;
        }
    }
}

void ko_means_divide(const struct ko_plan *plan, int32_t model, const double *sums, float *mean)
{
    const struct ko_plan_model *m = &plan->model[model];
    const int32_t n_means = ko_plan_n_means(plan);
    const double *count = sums + ko_plan_mean_values(m, n_means);
    for (int32_t i = 0; i < m->n_sublayers; i++) {
        const struct ko_plan_sublayer *s = &m->sublayer[i];
        for (int k = 0; k < KO_N_COMPONENTS; k++) {
            const uint8_t kind = ko_component(k);
            const size_t at = ko_plan_mean_place(m, n_means, i, kind, false);
            if (s->components & kind) {
                divide_part(sums + at, count, n_means, (size_t)m->d_model, mean + at);
            }
        }
        const size_t at = ko_plan_mean_place(m, n_means, i, 0, true);
        divide_part(sums + at, count, n_means, (size_t)s->width, mean + at);
    }
}

enum ko_code ko_engine_set_means(struct ko_engine *engine, const float *mean, struct ko_error *err)
{
    struct ko_pass *pass = &engine->pass;
    const size_t bytes = ko_plan_mean_values(pass->plan_model, pass->n_means) * sizeof *pass->means;
    void *memory = NULL;
    enum ko_code code = pass->kernels->alloc(pass->be, bytes, &memory, err);
    if (code == KO_OK) {
        pass->kernels->release(pass->be, (void *)(uintptr_t)pass->means);
        pass->means = memory;
        code = pass->kernels->upload(pass->be, memory, mean, bytes, err);
    }
    return code;
}

enum ko_code ko_engine_make_means(struct ko_engine *engine, struct ko_error *err)
{
    const struct ko_plan *plan = engine->plan;
    const int32_t model = engine->plan_model;
    const size_t n = ko_mean_sums(plan, model);
    struct ko_mean_groups groups = {0};
    if (ko_plan_n_means(plan) == 0) {
        return KO_OK;
    }
    double *sums = ko_new(n, sizeof *sums, err), *group = ko_new(n, sizeof *group, err);
    float *mean = ko_new(n, sizeof *mean, err);
    enum ko_code code = sums && group && mean ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = ko_mean_groups_make(plan, model, &groups, err);
    }
    for (int32_t g = 0; code == KO_OK && g < groups.n; g++) {
        memset(group, 0, n * sizeof *group);
        code = ko_engine_sum_means(engine, &groups, g, group, err);
        for (size_t k = 0; code == KO_OK && k < n; k++) {
            sums[k] += group[k];
        }
    }
    if (code == KO_OK) {
        ko_means_divide(plan, model, sums, mean);
        code = ko_engine_set_means(engine, mean, err);
    }
    ko_mean_groups_free(&groups);
    free(sums);
    free(group);
    free(mean);
    return code;
}
