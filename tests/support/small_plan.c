/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/small_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODELS = 2, FACTS = 5 };

const char small_plan_spec[] = "models:\n"
                               "  - {name: \"mamba-small\", path: \"/models/mamba-small\"}\n"
                               "  - {name: \"gpt2-small\", path: \"/models/gpt2-small\"}\n"
                               "sweeps:\n"
                               "  - models: [\"mamba-small\", \"gpt2-small\"]\n"
                               "    prompts: {file: \"facts “a”.jsonl\", select: all}\n"
                               "    routes: [\"last<-subject\", \"last<-bos\"]\n"
                               "    features: [\"all\", \"slow-third\"]\n"
                               "    windows: {sizes: [1, 3], starts: all}\n"
                               "  - models: [\"mamba-small\", \"gpt2-small\"]\n"
                               "    prompts: {file: \"facts “a”.jsonl\", select: all}\n"
                               "    routes: [\"last<-each\"]\n"
                               "    features: [\"all\"]\n"
                               "    windows: {sizes: [1], starts: all}\n";

static void *make(size_t n, size_t size)
{
    void *memory = calloc(n ? n : 1, size);

    if (!memory) {
        abort();
    }
    return memory;
}

static char *copy(const char *text)
{
    char *out = text ? strdup(text) : NULL;

    if (text && !out) {
        abort();
    }
    return out;
}

static int32_t *ints(const int32_t *from, int32_t n)
{
    int32_t *out = make((size_t)n, sizeof *out);

    memcpy(out, from, (size_t)n * sizeof *out);
    return out;
}

static void add_models(struct ko_plan *plan)
{
    plan->n_models = MODELS;
    plan->model = make(MODELS, sizeof *plan->model);
    plan->model[0] =
        (struct ko_plan_model){.name = copy("mamba-small"),
                               .path = copy("/models/mamba-small"),
                               .tokenizer = copy("/models/mamba-small/tokenizer.json"),
                               .architecture = copy("mamba"),
                               .fingerprint = copy("0123456789abcdef0123456789abcdef"),
                               .tokenizer_fingerprint = copy("00000000000000000000000000000001"),
                               .n_layers = 4,
                               .d_model = 8,
                               .vocabulary = 32,
                               .mixers = KO_MIXER_SSM,
                               .reach = INT32_MAX,
                               .n_features = 8,
                               .d_conv = 4,
                               .row_budget = 100};
    plan->model[1] = (struct ko_plan_model){
        .name = copy("gpt2-small"),
        .path = copy("/models/\xff/gpt2-small"), /* a path may be any bytes */
        .tokenizer = copy("/models/gpt2-small/tokenizer.json"),
        .architecture = copy("gpt2"),
        .fingerprint = copy("fedcba9876543210fedcba9876543210"),
        .tokenizer_fingerprint = copy("00000000000000000000000000000002"),
        .n_layers = 3,
        .d_model = 8,
        .vocabulary = 32,
        .max_tokens = 16,
        .mixers = KO_MIXER_ATTENTION,
        .reach = INT32_MAX,
        .row_budget = 100};
}

static void add_facts(struct ko_plan *plan, bool foils)
{
    static const char *const id[FACTS] = {"140", "Zürich", "p-2", "p-3", "p-4"};

    plan->n_facts = FACTS;
    plan->fact = make(FACTS, sizeof *plan->fact);
    plan->has_foils = foils;
    for (int i = 0; i < FACTS; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "Subject %d lies “in”", i);
        plan->fact[i] = (struct ko_plan_fact){.id = copy(id[i]),
                                              .text = copy(text),
                                              .subject = copy("Subject"),
                                              .target = copy("Europe"),
                                              .foil = copy(foils && i == 1 ? "Asia" : NULL),
                                              .relation = copy(i == 2 ? NULL : "P30")};
    }
}

/* T is 3 + fact, and one more under the second model, which puts a special token in front. */
static void add_prompts(struct ko_plan *plan)
{
    plan->prompt = make(MODELS * FACTS, sizeof *plan->prompt);
    for (int m = 0; m < MODELS; m++) {
        for (int f = 0; f < FACTS; f++) {
            struct ko_prompt *prompt = &plan->prompt[m * FACTS + f];
            int32_t n = 3 + f + m;
            *prompt = (struct ko_prompt){.id = copy(plan->fact[f].id), .foil = -1};
            if (m == 1 && f == 3) {
                prompt->reason = KO_TARGET_MERGES;
                continue;
            }
            prompt->n_tokens = n;
            prompt->n_special = m;
            prompt->token = make((size_t)n, sizeof *prompt->token);
            prompt->in_subject = make((size_t)n, 1);
            for (int32_t t = 0; t < n; t++) {
                prompt->token[t] = 10 * f + t;
            }
            prompt->subject_begin = m;
            prompt->subject_end = m + 2;
            memset(prompt->in_subject + m, 1, 2);
            prompt->target = 20 + f;
            prompt->foil = plan->fact[f].foil ? 30 : -1;
        }
    }
}

static void add_route(struct ko_plan *plan, const char *label, const char *source,
                      enum ko_route_kind kind, int32_t axis)
{
    plan->route[plan->n_routes++] = (struct ko_plan_route){.route = {.label = copy(label),
                                                                     .target = copy("last"),
                                                                     .source = copy(source),
                                                                     .kind = kind},
                                                           .axis = axis,
                                                           .heat = kind == KO_ROUTE_EACH};
}

static void add_axes(struct ko_plan *plan)
{
    static const int32_t sizes[] = {1, 3}, starts[] = {0, 1, 2, 3};
    static const int32_t facts[] = {0, 1, 3, 4}, heat[] = {1, 2};

    plan->route = make(3, sizeof *plan->route);
    add_route(plan, "last<-subject", "subject", KO_ROUTE_PRODUCT, 0);
    add_route(plan, "last<-each", "each", KO_ROUTE_EACH, 0);
    add_route(plan, "last<-bos", "bos", KO_ROUTE_PRODUCT, 1);
    plan->n_mean_routes = 2;
    plan->n_heat_routes = 1;
    plan->n_classes = 2;
    plan->class = make(2, sizeof *plan->class);
    plan->class[1].kind = KO_FEATURE_SLOW_THIRD;
    plan->n_sizes = 2;
    plan->size = ints(sizes, 2);
    plan->n_starts = 4;
    plan->start = ints(starts, 4);
    plan->n_prompts = 4;
    plan->prompt_fact = ints(facts, 4);
    plan->n_heat_prompts = 2;
    plan->heat_fact = ints(heat, 2);
    plan->n_positions = 8;
    plan->n_source_positions = 6;
}

static void add_block(struct ko_plan *plan, bool heat)
{
    struct ko_plan_block *block = &plan->block[plan->n_blocks++];

    block->selected = make(MODELS * FACTS, 1);
    block->route = make((size_t)plan->n_routes, 1);
    block->class = make((size_t)plan->n_classes, 1);
    block->size = make((size_t)(MODELS * plan->n_sizes), 1);
    block->start = make((size_t)plan->n_starts, 1);
    for (int32_t i = 0; i < MODELS * FACTS; i++) {
        int32_t fact = i % FACTS;
        bool wanted = heat ? fact == 1 || fact == 2 : fact != 2;
        block->selected[i] = wanted && plan->prompt[i].reason == KO_RUNNABLE;
    }
    for (int32_t i = 0; i < plan->n_routes; i++) {
        block->route[i] = plan->route[i].heat == heat;
    }
    block->class[0] = 1;
    block->class[1] = !heat;
    for (int32_t i = 0; i < MODELS * plan->n_sizes; i++) {
        block->size[i] = !heat || i % plan->n_sizes == 0;
    }
    memset(block->start, 1, (size_t)plan->n_starts);
}

struct ko_plan *small_plan_sweep(bool foils)
{
    struct ko_plan *plan = make(1, sizeof *plan);

    plan->kind = KO_PLAN_SWEEP;
    add_models(plan);
    add_facts(plan, foils);
    add_prompts(plan);
    add_axes(plan);
    plan->block = make(2, sizeof *plan->block);
    add_block(plan, false);
    add_block(plan, true);
    return plan;
}

struct ko_plan *small_plan_evaluation(void)
{
    struct ko_plan *plan = make(1, sizeof *plan);

    plan->kind = KO_PLAN_EVALUATION;
    add_models(plan);
    add_facts(plan, false);
    add_prompts(plan);
    plan->n_positions = 8;
    return plan;
}
