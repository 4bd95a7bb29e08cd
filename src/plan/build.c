/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the steps that build a plan in their order. The steps for prompts and blocks are here. Axes,
   selections and windows have files of their own. */
#include "src/plan/build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"

int32_t ko_plan_block_model(const struct ko_plan_input *input, const struct ko_spec_block *block,
                            size_t i)
{
    for (int32_t m = 0; m < input->n_models; m++) {
        if (input->spec_model[m] == block->model[i]) {
            return m;
        }
    }
    return -1;
}

enum ko_code ko_plan_warn(const struct ko_plan_builder *builder, const char *format, ...)
{
    char text[KO_ERROR_TEXT];
    if (!builder->input || !builder->input->warnings) {
        return KO_OK;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return ko_strings_intern(builder->input->warnings, text, NULL, builder->err);
}

static enum ko_code copy_or_null(const char *text, char **out, struct ko_error *err)
{
    if (!text) {
        return KO_OK;
    }
    *out = ko_copy(text, err);
    return !*out ? KO_E_MEMORY : KO_OK;
}

static enum ko_code copy_fact(const struct ko_fact *fact, struct ko_plan_fact *out,
                              struct ko_error *err)
{
    const char *from[] = {fact->id,   fact->text,     fact->subject, fact->target,
                          fact->foil, fact->relation, fact->targets, fact->options};
    char **to[] = {&out->id,   &out->text,     &out->subject, &out->target,
                   &out->foil, &out->relation, &out->targets, &out->options};
    enum ko_code code = KO_OK;
    for (size_t i = 0; code == KO_OK && i < sizeof from / sizeof from[0]; i++) {
        code = copy_or_null(from[i], to[i], err);
    }
    return code;
}

static enum ko_code copy_facts(struct ko_plan_builder *builder)
{
    struct ko_plan *plan = builder->plan;
    const struct ko_facts *facts = builder->facts;
    size_t n_files = builder->n_files, n = 0;
    builder->file_begin = ko_new(n_files + 1, sizeof *builder->file_begin, builder->err);
    if (!builder->file_begin) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < n_files; i++) {
        n += facts[i].n;
        if (n > INT32_MAX) {
            return ko_fail(builder->err, KO_E_INPUT, "%s: more than %d prompts", facts[i].file,
                           INT32_MAX);
        }
        builder->file_begin[i + 1] = (int32_t)n;
    }
    plan->fact = ko_new(n, sizeof *plan->fact, builder->err);
    if (!plan->fact) {
        return KO_E_MEMORY;
    }
    enum ko_code code = KO_OK;
    for (size_t i = 0; i < n_files; i++) {
        for (size_t f = 0; code == KO_OK && f < facts[i].n; f++) {
            code = copy_fact(&facts[i].fact[f], &plan->fact[plan->n_facts++], builder->err);
        }
    }
    return code;
}

struct placed_id {
    const char *id, *file;
    int line;
    int32_t fact;
};

static int compare_ids(const void *left, const void *right)
{
    const struct placed_id *a = left, *b = right;
    int order = strcmp(a->id, b->id);
    return order != 0 ? order : (a->fact > b->fact) - (a->fact < b->fact);
}

static enum ko_code check_ids(const struct ko_plan_builder *builder)
{
    const struct ko_facts *facts = builder->facts;
    size_t n = (size_t)builder->plan->n_facts, at = 0;
    struct placed_id *ids = ko_new(n, sizeof *ids, builder->err);
    if (!ids) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < builder->n_files; i++) {
        for (size_t f = 0; f < facts[i].n; f++, at++) {
            ids[at] = (struct placed_id){builder->plan->fact[at].id, facts[i].file,
                                         facts[i].fact[f].line, (int32_t)at};
        }
    }
    qsort(ids, n, sizeof *ids, compare_ids);
    enum ko_code code = KO_OK;
    for (size_t i = 1; code == KO_OK && i < n; i++) {
        if (strcmp(ids[i - 1].id, ids[i].id) == 0) {
            code = ko_fail(builder->err, KO_E_INPUT,
                           "%s:%d: duplicate id '%s', also at %s:%d, ids are unique over all "
                           "prompt files",
                           ids[i].file, ids[i].line, ids[i].id, ids[i - 1].file, ids[i - 1].line);
        }
    }
    free(ids);
    return code;
}

static enum ko_code build_blocks(struct ko_plan_builder *builder)
{
    struct ko_plan *plan = builder->plan;
    const struct ko_spec *spec = builder->input->spec;
    size_t n_models = (size_t)plan->n_models;
    plan->block = ko_new(spec->n_blocks, sizeof *plan->block, builder->err);
    if (!plan->block) {
        return KO_E_MEMORY;
    }
    plan->n_blocks = (int32_t)spec->n_blocks;
    builder->block_model = ko_new(spec->n_blocks * n_models, 1, builder->err);
    if (!builder->block_model) {
        return KO_E_MEMORY;
    }
    for (size_t b = 0; b < spec->n_blocks; b++) {
        bool any = false;
        for (size_t i = 0; i < spec->block[b].n_models; i++) {
            int32_t m = ko_plan_block_model(builder->input, &spec->block[b], i);
            if (m >= 0) {
                builder->block_model[b * n_models + (size_t)m] = 1;
                any = true;
            }
        }
        if (!any || spec->block[b].routes.n == 0) {
            return ko_fail(builder->err, KO_E_INPUT, "%s: this block has no %s",
                           spec->block[b].where, any ? "routes" : "model of the plan");
        }
    }
    return KO_OK;
}

/* The largest T of a fact's runnable prompts, over the models. */
static int32_t longest_prompt(const struct ko_plan *plan, int32_t fact)
{
    int32_t n = 0;
    for (int32_t m = 0; m < plan->n_models; m++) {
        const struct ko_prompt *prompt = ko_plan_prompt(plan, m, fact);
        if (prompt->reason == KO_RUNNABLE && prompt->n_tokens > n) {
            n = prompt->n_tokens;
        }
    }
    return n;
}

static bool any_foil(const struct ko_plan *plan)
{
    size_t n = (size_t)plan->n_models * (size_t)plan->n_facts;
    for (size_t i = 0; i < n; i++) {
        if (plan->prompt[i].reason == KO_RUNNABLE && plan->prompt[i].foil >= 0) {
            return true;
        }
    }
    return false;
}

/* The most choices of any fact with a choice of the kind; 0: there is none. */
static int32_t most_choices(const struct ko_plan_builder *builder, uint8_t kind)
{
    size_t n = 0;
    for (size_t i = 0; i < builder->n_files; i++) {
        for (size_t f = 0; f < builder->facts[i].n; f++) {
            const struct ko_fact *fact = &builder->facts[i].fact[f];
            const bool counts = fact->n_choices > 0 && (fact->choice[0].kind & kind);
            n = counts && fact->n_choices > n ? fact->n_choices : n;
        }
    }
    return (int32_t)n;
}

/* The most scored tokens of any runnable prompt; 0: answers are not scored as a whole. */
static int32_t longest_answer(const struct ko_plan *plan)
{
    const size_t n_prompts = (size_t)plan->n_models * (size_t)plan->n_facts;
    int32_t n = plan->score == KO_SCORE_WHOLE_ANSWER;
    for (size_t i = 0; n > 0 && i < n_prompts; i++) {
        const struct ko_prompt *prompt = &plan->prompt[i];
        if (prompt->reason == KO_RUNNABLE && ko_prompt_longest_answer(prompt) > n) {
            n = ko_prompt_longest_answer(prompt);
        }
    }
    return n;
}

enum ko_code ko_plan_build_facts(struct ko_plan_builder *builder)
{
    enum ko_code code = copy_facts(builder);
    if (code == KO_OK) {
        builder->plan->has_foils = any_foil(builder->plan);
        builder->plan->n_answer_tokens = longest_answer(builder->plan);
        builder->plan->n_choices = most_choices(builder, KO_CHOICE_RIGHT | KO_CHOICE_OPTION);
        builder->plan->n_options = most_choices(builder, KO_CHOICE_OPTION);
        code = check_ids(builder);
    }
    return code;
}

static enum ko_code check_size(const struct ko_plan_builder *builder)
{
    const struct ko_plan *plan = builder->plan;
    double mean = (double)plan->n_mean_routes * plan->n_prompts;
    double heat = (double)plan->n_heat_routes * plan->n_heat_prompts * plan->n_source_positions;
    double cells =
        (mean + heat) * plan->n_models * plan->n_classes * plan->n_sizes * plan->n_starts;
    if (!(cells <= KO_PLAN_CELLS)) {
        return ko_fail(
            builder->err, KO_E_INPUT,
            "%s: the axes span %.3g cells, more than %g, cut the plan into several specs",
            builder->input->spec->file, cells, KO_PLAN_CELLS);
    }
    return KO_OK;
}

static enum ko_code mark_references(struct ko_plan_builder *builder)
{
    return ko_plan_mark_references(builder->plan, builder->err);
}

static enum ko_code run_steps(struct ko_plan_builder *builder)
{
    struct ko_plan *plan = builder->plan;
    enum ko_code code = ko_plan_build_facts(builder);
    if (code != KO_OK) {
        return code;
    }
    if (plan->kind == KO_PLAN_EVALUATION) {
        for (int32_t f = 0; f < plan->n_facts; f++) {
            int32_t n = longest_prompt(plan, f);
            plan->n_positions = n > plan->n_positions ? n : plan->n_positions;
        }
        return KO_OK;
    }
    /* cppcheck-suppress uninitvar ; it does not follow the initializer of an array of functions */
    enum ko_code (*const steps[])(struct ko_plan_builder *) = {
        build_blocks,          ko_plan_build_routes,
        ko_plan_build_classes, ko_plan_build_selection,
        ko_plan_build_windows, ko_plan_build_prompts,
        mark_references};
    for (size_t i = 0; code == KO_OK && i < sizeof steps / sizeof steps[0]; i++) {
        code = steps[i](builder);
    }
    return code == KO_OK ? check_size(builder) : code;
}

enum ko_code ko_plan_build(struct ko_plan_input *input, struct ko_plan **out, struct ko_error *err)
{
    struct ko_plan *plan = ko_new(1, sizeof *plan, err);
    if (!plan) {
        return KO_E_MEMORY;
    }
    plan->kind = input->kind;
    plan->model = input->model;
    plan->n_models = input->n_models;
    plan->prompt = input->prompt;
    plan->score = input->spec->score;
    /* Clean runs do not depend on it. */
    plan->answer_rows =
        plan->kind == KO_PLAN_SWEEP ? input->spec->answer_rows : KO_ANSWER_ROWS_CLEAN;
    struct ko_plan_builder builder = {.input = input,
                                      .facts = input->facts,
                                      .n_files = input->spec->prompt_files.n,
                                      .plan = plan,
                                      .err = err};
    enum ko_code code = run_steps(&builder);
    free(builder.file_begin);
    free(builder.block_model);
    if (code != KO_OK) {
        plan->model = NULL; /* still the caller's */
        plan->prompt = NULL;
        ko_plan_free(plan);
        return code;
    }
    input->model = NULL;
    input->n_models = 0;
    input->prompt = NULL;
    *out = plan;
    return KO_OK;
}

static bool has_route(const struct ko_plan *plan, const struct ko_plan_block *block, bool heat)
{
    for (int32_t r = 0; r < plan->n_routes; r++) {
        if (block->route[r] && plan->route[r].heat == heat) {
            return true;
        }
    }
    return false;
}

/* Marks the facts with a planned cell. Warns of each block of the spec that has none. */
static enum ko_code mark_prompts(const struct ko_plan_builder *builder, uint8_t *mean,
                                 uint8_t *heat)
{
    const struct ko_plan *plan = builder->plan;
    for (int32_t b = 0; b < plan->n_blocks; b++) {
        const struct ko_plan_block *block = &plan->block[b];
        bool is_mean = has_route(plan, block, false), is_heat = has_route(plan, block, true);
        bool any = false;
        for (int32_t m = 0; m < plan->n_models; m++) {
            const uint8_t *selected = block->selected + (size_t)m * (size_t)plan->n_facts;
            if (!ko_plan_block_has_pair(plan, block, m) ||
                !ko_plan_block_has_any_window(plan, block, m)) {
                continue;
            }
            for (int32_t f = 0; f < plan->n_facts; f++) {
                mean[f] |= selected[f] && is_mean;
                heat[f] |= selected[f] && is_heat;
                any = any || selected[f];
            }
        }
        if (!any && builder->input) {
            enum ko_code code = ko_plan_warn(
                builder, "%s: this block plans no cell: its models lack its classes or windows",
                builder->input->spec->block[b].where);
            if (code != KO_OK) {
                return code;
            }
        }
    }
    return KO_OK;
}

static enum ko_code list_prompts(const struct ko_plan *plan, const uint8_t *marked, int32_t **list,
                                 int32_t *n, int32_t *n_tokens, struct ko_error *err)
{
    *list = ko_new((size_t)plan->n_facts, sizeof **list, err);
    if (!*list) {
        return KO_E_MEMORY;
    }
    for (int32_t f = 0; f < plan->n_facts; f++) {
        if (marked[f]) {
            (*list)[(*n)++] = f;
            int32_t tokens = longest_prompt(plan, f);
            *n_tokens = tokens > *n_tokens ? tokens : *n_tokens;
        }
    }
    return KO_OK;
}

enum ko_code ko_plan_build_prompts(struct ko_plan_builder *builder)
{
    struct ko_plan *plan = builder->plan;
    uint8_t *mean = ko_new((size_t)plan->n_facts, 1, builder->err);
    uint8_t *heat = ko_new((size_t)plan->n_facts, 1, builder->err);
    enum ko_code code = !mean || !heat ? KO_E_MEMORY : KO_OK;
    if (code == KO_OK) {
        code = mark_prompts(builder, mean, heat);
    }
    if (code == KO_OK) {
        code = list_prompts(plan, mean, &plan->prompt_fact, &plan->n_prompts, &plan->n_positions,
                            builder->err);
    }
    if (code == KO_OK) {
        code = list_prompts(plan, heat, &plan->heat_fact, &plan->n_heat_prompts,
                            &plan->n_source_positions, builder->err);
    }
    /* The prompts of both kinds share one position axis. */
    if (plan->n_positions < plan->n_source_positions) {
        plan->n_positions = plan->n_source_positions;
    }
    free(mean);
    free(heat);
    return code;
}
