/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the benchmark's model, its prompts and its plan. The tokens are random, and each of the
   routes removes different edges. */
#include "src/bench/bench_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/bench/shapes.h"
#include "src/formats/json.h"
#include "src/models/model_open.h"
#include "src/models/weights.h"
#include "src/plan/from_axes.h"
#include "src/prompts/draw.h"
#include "src/run/inputs_plan.h"

static const char *const routes[] = {"last<-subject", "last<-relation", "last<-last",
                                     "last<-first"};
enum { N_ROUTES = sizeof routes / sizeof routes[0] };

static enum ko_code open_shape(const char *shape, struct ko_model **out, struct ko_error *err)
{
    const char *text = ko_shape_config(shape);
    json_object *config = NULL;
    if (!text) {
        size_t n = 0;
        const char *const *names = ko_shape_names(&n);
        const char *near = ko_nearest(shape, names, n);
        struct ko_text all = {0};
        for (size_t k = 0; k < n; k++) {
            ko_text_add(&all, "%s%s", k ? ", " : "", names[k]);
        }
        (void)ko_fail(err, KO_E_INPUT, "--shape: unknown shape '%s'%s%s%s, choose one of %s", shape,
                      near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "",
                      ko_text_str(&all));
        ko_text_free(&all);
        return KO_E_INPUT;
    }
    enum ko_code code = ko_json_parse(text, strlen(text), shape, &config, err);
    if (code == KO_OK) {
        code = ko_model_from_config(shape, config, out, err);
    }
    json_object_put(config);
    return code;
}

/* Makes a prompt of random tokens. Its subject is at positions 1 to 3, so no two routes remove the
   same edges. */
static enum ko_code make_prompt(const struct ko_model *model, const struct ko_bench_sweep *sweep,
                                int32_t number, struct ko_fact *fact, struct ko_prompt *prompt,
                                struct ko_error *err)
{
    const size_t n = (size_t)sweep->n_tokens;
    char id[16];
    snprintf(id, sizeof id, "%d", number);
    fact->id = ko_copy(id, err);
    fact->text = ko_copy("random tokens", err);
    fact->subject = ko_copy("random", err);
    fact->target = ko_copy("tokens", err);
    prompt->id = ko_copy(id, err);
    prompt->token = ko_new(n, sizeof *prompt->token, err);
    prompt->in_subject = ko_new(n, 1, err);
    if (!fact->id || !fact->text || !fact->subject || !fact->target || !prompt->id ||
        !prompt->token || !prompt->in_subject) {
        return KO_E_MEMORY;
    }
    int64_t *word = ko_new((size_t)model->shape.vocabulary, sizeof *word, err);
    if (!word) {
        return KO_E_MEMORY;
    }
    for (int32_t v = 0; v < model->shape.vocabulary; v++) {
        word[v] = v;
    }
    ko_draw(word, (size_t)model->shape.vocabulary, n + 1, sweep->seed, (uint64_t)number);
    for (size_t i = 0; i < n; i++) {
        prompt->token[i] = (int32_t)word[i];
    }
    prompt->target = (int32_t)word[n];
    free(word);
    prompt->foil = -1;
    prompt->n_tokens = (int32_t)n;
    prompt->subject_begin = 1;
    prompt->subject_end = 4;
    memset(prompt->in_subject + 1, 1, 3);
    return KO_OK;
}

static enum ko_code name_model(const char *shape, struct ko_plan_model *model, struct ko_error *err)
{
    char **const text[] = {&model->name,        &model->path,
                           &model->tokenizer,   &model->architecture,
                           &model->fingerprint, &model->tokenizer_fingerprint};
    for (size_t k = 0; k < sizeof text / sizeof text[0]; k++) {
        *text[k] = ko_copy(shape, err);
        if (!*text[k]) {
            return KO_E_MEMORY;
        }
    }
    return KO_OK;
}

static enum ko_code build_plan(const struct ko_bench_sweep *sweep, int64_t n_prompts,
                               struct ko_bench_model *bench, struct ko_error *err)
{
    const int32_t size = KO_BENCH_WINDOW, n_starts = bench->model->shape.n_layers - size + 1;
    struct ko_facts facts = {.n = (size_t)n_prompts, .file = (char[]){"bench"}};
    struct ko_strings labels = {0}, classes = {0}, no_routes = {0};
    struct ko_plan_axes axes = {.n_models = 1,
                                .facts = &facts,
                                .n_files = 1,
                                .routes = {&labels, &no_routes},
                                .classes = &classes,
                                .size = &size,
                                .n_sizes = 1,
                                .n_starts = n_starts};
    int32_t *start = ko_new((size_t)n_starts, sizeof *start, err);
    axes.start = start;
    axes.model = ko_new(1, sizeof *axes.model, err);
    axes.prompt = ko_new((size_t)n_prompts, sizeof *axes.prompt, err);
    facts.fact = ko_new((size_t)n_prompts, sizeof *facts.fact, err);
    enum ko_code code = start && axes.model && axes.prompt && facts.fact ? KO_OK : KO_E_MEMORY;
    for (int32_t s = 0; code == KO_OK && s < n_starts; s++) {
        start[s] = s;
    }
    if (code == KO_OK) {
        code = name_model(sweep->shape, axes.model, err);
    }
    for (size_t r = 0; code == KO_OK && r < N_ROUTES; r++) {
        code = ko_strings_add(&labels, routes[r], err);
    }
    if (code == KO_OK) {
        code = ko_strings_add(&classes, "all", err);
    }
    for (int64_t p = 0; code == KO_OK && p < n_prompts; p++) {
        code = make_prompt(bench->model, sweep, (int32_t)p, &facts.fact[p], &axes.prompt[p], err);
    }
    if (code == KO_OK) {
        code = ko_plan_model_describe(bench->model, sweep->row_budget, sweep->gpu, axes.model, err);
    }
    if (code == KO_OK) {
        code = ko_plan_from_axes(&axes, &bench->plan, err);
    }
    ko_plan_free_untaken(axes.model, 1, axes.prompt, (int32_t)n_prompts);
    free(start);
    ko_strings_free(&labels);
    ko_strings_free(&classes);
    facts.file = NULL;
    ko_facts_free(&facts);
    return code;
}

static enum ko_code check_tokens(const struct ko_bench_sweep *sweep, const struct ko_model *model,
                                 struct ko_error *err)
{
    int64_t most = KO_BENCH_MOST_TOKENS;
    if (model->shape.max_tokens > 0 && model->shape.max_tokens < most) {
        most = model->shape.max_tokens;
    }
    if (sweep->n_tokens >= KO_BENCH_LEAST_TOKENS && sweep->n_tokens <= most) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_INPUT, "--tokens: expected %d to %lld for %s, got %lld",
                   KO_BENCH_LEAST_TOKENS, (long long)most, sweep->shape,
                   (long long)sweep->n_tokens);
}

enum ko_code ko_bench_model_new(const struct ko_bench_sweep *sweep, struct ko_bench_model *out,
                                struct ko_error *err)
{
    struct ko_bench_model bench = {0};
    struct ko_plan_model numbers = {0};
    int64_t n_prompts = sweep->n_prompts;
    enum ko_code code = open_shape(sweep->shape, &bench.model, err);
    if (code == KO_OK && sweep->exact) {
        ko_model_find_exact(bench.model, NULL);
    }
    for (size_t w = 0; code == KO_OK && !sweep->exact && w < bench.model->n_weights; w++) {
        bench.model->weights[w].stored = KO_ELEMENT_F32;
    }
    if (code == KO_OK) {
        code = check_tokens(sweep, bench.model, err);
    }
    if (code == KO_OK) {
        code = ko_plan_model_describe(bench.model, sweep->row_budget, sweep->gpu, &numbers, err);
    }
    if (code == KO_OK) {
        const int64_t starts = bench.model->shape.n_layers - KO_BENCH_WINDOW + 1;
        if (n_prompts == 0) {
            n_prompts = numbers.row_budget / (sweep->n_tokens + N_ROUTES * starts);
        }
        code = build_plan(sweep, n_prompts > 0 ? n_prompts : 1, &bench, err);
    }
    free(numbers.stage);
    if (code != KO_OK) {
        ko_bench_model_free(&bench);
    } else {
        *out = bench;
    }
    return code;
}

void ko_bench_model_free(struct ko_bench_model *bench)
{
    ko_plan_free(bench->plan);
    ko_model_free(bench->model);
    *bench = (struct ko_bench_model){0};
}
