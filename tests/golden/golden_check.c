/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tests/golden/golden_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "src/base/memory.h"
#include "src/checkpoint/checkpoint.h"
#include "src/forward/device_weights.h"
#include "src/forward/forward.h"
#include "src/forward/means.h"
#include "src/forward/streamed_weights.h"
#include "src/options/options.h"
#include "src/run/inputs_plan.h"
#include "src/tree/batch.h"
#include "tests/golden/golden_file.h"

struct comparison {
    const struct golden_case *c;
    enum ko_precision precision;
    struct golden golden;
    struct ko_options options;
    struct ko_inputs inputs;
    struct ko_plan *plan;
    struct golden_result result;
};

static void add_list(struct ko_text *text, const struct ko_strings *list, int32_t n)
{
    ko_text_add(text, "[");
    for (int32_t k = 0; k < n; k++) {
        ko_text_add(text, "%s'%s'", k ? ", " : "", list->item[k]);
    }
    ko_text_add(text, "]");
}

static int32_t count_prompts(const struct comparison *x)
{
    return x->c->n_prompts > 0 ? x->c->n_prompts : x->golden.n_prompts;
}

static void add_windows(const struct golden *g, struct ko_text *text)
{
    if (g->windows) {
        ko_text_add(text, "windows: {%s}\n", g->windows);
        return;
    }
    ko_text_add(text, "windows: {sizes: [");
    for (int32_t s = 0; s < g->n_sizes; s++) {
        ko_text_add(text, "%s%d", s ? ", " : "", g->size[s]);
    }
    ko_text_add(text, "], starts: all}\n");
}

/* Whether the golden's window does not fit the model. */
static bool is_beyond(const struct comparison *x, int32_t size, int32_t start)
{
    const struct golden *g = &x->golden;
    return g->windows ? ko_plan_window(&x->plan->model[0], g->size[size], start).end == 0
                      : start + g->size[size] > g->n_layers;
}

/* The golden's axes as a sweep spec: all of it, and the map of one source position at a time. */
static void write_spec(const struct comparison *x, struct ko_text *text)
{
    const struct golden *g = &x->golden;
    const int32_t n = count_prompts(x);
    ko_text_add(text, "models: [{name: golden, path: '%s'}]\n", x->c->checkpoint);
    /* The oracle scores the first token, also if it is white space alone, or the whole answer. */
    ko_text_add(text, "prompts: {file: '%s', select: {id: ", x->c->facts);
    add_list(text, &g->prompt_id, n);
    ko_text_add(text, "}, score: ");
    if (g->answer_rows.n > 0) {
        ko_text_add(text, "whole-answer, answer-rows: %s", g->answer_rows.item[0]);
    } else {
        ko_text_add(text, "raw-first-token");
    }
    ko_text_add(text, "}\n");
    add_windows(g, text);
    if (x->c->row_budget > 0) {
        ko_text_add(text, "row-budget: %d\n", x->c->row_budget);
    }
    ko_text_add(text, "sweeps:\n  - {routes: ");
    add_list(text, &g->route, g->n_routes);
    ko_text_add(text, ", features: ");
    add_list(text, &g->feature_class, g->n_classes);
    ko_text_add(text, "}\n");
    if (g->heat_logprob) {
        ko_text_add(text, "  - {routes: ['last<-each'], features: [all]}\n");
    }
}

static enum ko_code open_plan(struct comparison *x, struct ko_error *err)
{
    char path[] = "/tmp/knockout-golden-XXXXXX";
    struct ko_text text = {0};
    struct ko_strings warnings = {0};
    bool help = false, version = false;
    char *argv[] = {(char[]){"knockout"}, (char[]){"plan"}, path, NULL};
    write_spec(x, &text);
    enum ko_code code = ko_text_check(&text, err);
    const int file = code == KO_OK ? mkstemp(path) : -1;
    if (file < 0 || write(file, text.data, text.n) != (ssize_t)text.n) {
        code = ko_fail(err, KO_E_FAILED, "%s: cannot be written", path);
    }
    if (file >= 0) {
        close(file);
    }
    if (code == KO_OK) {
        code = ko_options_parse(3, argv, &x->options, &help, &version, err);
    }
    if (code == KO_OK) {
        code = ko_inputs_open(path, &x->options, KO_MODELS_USED, true, &x->inputs, err);
    }
    unlink(path);
    x->inputs.gpu = x->c->kernels->own_memory;
    if (code == KO_OK) {
        code = ko_inputs_plan(&x->inputs, KO_PLAN_SWEEP, NULL, &warnings, &x->plan, err);
    }
    ko_strings_free(&warnings);
    ko_text_free(&text);
    return code;
}

static int32_t golden_prompt(const struct comparison *x, int32_t fact)
{
    return (int32_t)ko_strings_find(&x->golden.prompt_id, x->plan->fact[fact].id);
}

static void note(struct comparison *x, const char *what, int32_t prompt, const char *route,
                 const char *class, int32_t size, int32_t start, double got, double expected)
{
    if (x->result.first_bad[0] == '\0') {
        snprintf(x->result.first_bad, sizeof x->result.first_bad,
                 "%s: prompt %s, %s, %s, size %d, start %d: got %.9g, expected %.9g", what,
                 x->golden.prompt_id.item[prompt], route, class, size, start, got, expected);
    }
}

static void compare_tokens(struct comparison *x, int32_t fact)
{
    const struct golden *g = &x->golden;
    const int32_t p = golden_prompt(x, fact);
    const struct ko_prompt *prompt = ko_plan_prompt(x->plan, 0, fact);
    int64_t bad = 0;
    for (int32_t i = 0; i < g->n_positions; i++) {
        const int32_t expected = g->token_id[p * g->n_positions + i];
        bad += (i < prompt->n_tokens ? prompt->token[i] : -1) != expected;
    }
    bad += prompt->n_tokens > g->n_positions;
    bad += prompt->subject_begin != g->subject_span[2 * p];
    bad += prompt->subject_end != g->subject_span[2 * p + 1];
    bad += prompt->target != g->target_id[p];
    for (int32_t k = 0; k < g->n_answer_tokens; k++) {
        const int32_t scored = k < ko_prompt_n_scored(prompt) ? ko_prompt_scored(prompt, k) : -1;
        bad += scored != g->answer_id[p * g->n_answer_tokens + k];
    }
    bad += g->n_answer_tokens > 0 && ko_prompt_n_scored(prompt) > g->n_answer_tokens;
    x->result.n_tokens_bad += bad;
}

/* The tokens of a whole answer. at: the cell in the golden file. */
static void compare_answer(struct comparison *x, const struct ko_record *record, int32_t p,
                           int32_t route, int32_t class, int64_t at, int64_t slot)
{
    const struct golden *g = &x->golden;
    const int32_t n = g->n_answer_tokens, n_plan = x->plan->n_answer_tokens;
    for (int32_t k = 0; k < n; k++) {
        const struct ko_answer_metrics got =
            k < n_plan ? record->answer[slot * n_plan + k] : ko_no_answer_metrics;
        const double expected = g->answer_logprob[at * n + k];
        const double difference = fabs((double)got.logprob - expected);
        const bool past = isnan(expected); /* the answer's end */
        const bool rank_matters = past || !(g->answer_gap[at * n + k] <= x->c->bound);
        if ((past ? !isnan(got.logprob) : !(difference <= x->c->bound)) ||
            (rank_matters && got.rank != g->answer_rank[at * n + k])) {
            x->result.n_bad++;
            note(x, "token of the answer", p, g->route.item[route], g->feature_class.item[class], k,
                 -1, (double)got.logprob, expected);
        }
    }
}

/* One cell of the mean routes. */
static void compare_cell(struct comparison *x, const struct ko_record *record, int32_t p,
                         int32_t route, int32_t class, int32_t size, int32_t start)
{
    const struct golden *g = &x->golden;
    struct golden_result *r = &x->result;
    const int64_t at = golden_at(g, p, route, class, size, start);
    const int64_t slot = ko_plan_value_slot(x->plan, route, class, 0, size, start);
    const int64_t status = ko_plan_status_slot(x->plan, route, class, 0, size);
    const struct ko_metrics *got = &record->value[slot];
    const double bound = x->c->bound;
    if (isnan(g->logprob[at])) { /* vacuous, or not planned */
        const bool beyond =
            is_beyond(x, size, start) || !ko_plan_has_pair(x->plan, 0, route, class);
        r->n_vacuous += !beyond;
        if (!isnan(got->logprob) || got->target_rank != -1 ||
            (!beyond && record->status[status] != KO_VACUOUS &&
             !ko_record_is_vacuous(record, slot))) {
            r->n_bad++;
            note(x, "vacuous", p, g->route.item[route], g->feature_class.item[class], g->size[size],
                 start, (double)got->logprob, NAN);
        }
        return;
    }
    r->n_cells++;
    if (g->answer_rows.n > 0) {
        compare_answer(x, record, p, route, class, at, slot);
    }
    const double lp = fabs((double)got->logprob - g->logprob[at]);
    const double kl = fabs((double)got->kl - g->kl[at]);
    if (lp > r->worst_logprob) {
        r->worst_logprob = lp;
    }
    if (kl > r->worst_kl) {
        r->worst_kl = kl;
    }
    const bool rank_matters = !(g->rank_gap[at] <= bound);
    const bool rank_differs = got->target_rank != g->target_rank[at];
    if (!(lp <= bound) || !(kl <= bound) || record->status[status] != KO_DONE ||
        (rank_matters && rank_differs)) {
        r->n_bad++;
        const char *what = !(lp <= bound) ? "logprob" : !(kl <= bound) ? "kl" : "rank or status";
        note(x, what, p, g->route.item[route], g->feature_class.item[class], g->size[size], start,
             !(lp <= bound)   ? (double)got->logprob
             : !(kl <= bound) ? (double)got->kl
                              : got->target_rank,
             !(lp <= bound)   ? g->logprob[at]
             : !(kl <= bound) ? g->kl[at]
                              : g->target_rank[at]);
    }
}

static void compare_heat(struct comparison *x, const struct ko_record *record, int32_t p,
                         int32_t class, int32_t size, int32_t start)
{
    const struct golden *g = &x->golden;
    struct golden_result *r = &x->result;
    const int32_t route = x->plan->n_routes - 1;
    for (int32_t j = 0; j < g->n_positions; j++) {
        const int64_t at =
            (((int64_t)p * g->n_positions + j) * g->n_sizes + size) * g->n_layers + start;
        const bool exists = !isnan(g->heat_logprob[at]);
        if (!exists && j >= x->plan->n_source_positions) {
            continue;
        }
        const int64_t slot = ko_plan_value_slot(x->plan, route, class, j, size, start);
        const double got = (double)record->value[slot].logprob;
        if (!exists) {
            if (!isnan(got)) {
                r->n_bad++;
                note(x, "heat vacuous", p, "last<-each", "all", g->size[size], start, got, NAN);
            }
            continue;
        }
        const double difference = fabs(got - g->heat_logprob[at]);
        r->n_heat++;
        if (difference > r->worst_logprob) {
            r->worst_logprob = difference;
        }
        if (!(difference <= x->c->bound)) {
            r->n_bad++;
            note(x, "heat logprob", p, "last<-each", "all", g->size[size], start, got,
                 g->heat_logprob[at]);
        }
    }
}

static void compare_record(struct comparison *x, const struct ko_record *record)
{
    const struct golden *g = &x->golden;
    const int32_t p = golden_prompt(x, record->fact);
    const double clean = fabs((double)record->clean.logprob - g->clean_logprob[p]);
    x->result.n_skipped--;
    if (clean > x->result.worst_clean) {
        x->result.worst_clean = clean;
    }
    if (!(clean <= x->c->bound) || record->clean.target_rank != g->clean_target_rank[p]) {
        x->result.n_bad++;
        note(x, "clean run", p, "-", "-", 0, 0, (double)record->clean.logprob, g->clean_logprob[p]);
    }
    for (int32_t s = 0; s < g->n_sizes; s++) {
        for (int32_t start = 0; start < x->plan->n_starts; start++) {
            for (int32_t r = 0; r < g->n_routes; r++) {
                for (int32_t c = 0; c < g->n_classes; c++) {
                    compare_cell(x, record, p, r, c, s, start);
                }
            }
            if (g->heat_logprob) {
                compare_heat(x, record, p, 0, s, start);
            }
        }
    }
}

static void hash_record(struct comparison *x, const struct ko_record *record)
{
    const uint64_t seed = x->result.bits;
    const uint64_t clean = XXH3_64bits_withSeed(&record->clean, sizeof record->clean, seed);
    x->result.bits = XXH3_64bits_withSeed(record->value,
                                          (size_t)record->n_values * sizeof *record->value, clean);
}

static enum ko_code run_batches(struct comparison *x, struct ko_engine *engine,
                                struct ko_error *err)
{
    struct ko_batches batches = {0};
    enum ko_code code = ko_batches_compose(x->plan, &batches, err);
    x->result.n_batches = batches.n;
    for (int32_t b = 0; code == KO_OK && b < batches.n; b++) {
        const struct ko_batch *batch = &batches.batch[b];
        struct ko_record *records = ko_new((size_t)batch->n_facts, sizeof *records, err);
        code = records ? ko_engine_run(engine, batch, NULL, records, err) : KO_E_MEMORY;
        for (int32_t k = 0; code == KO_OK && k < batch->n_facts; k++) {
            compare_tokens(x, batch->fact[k]);
            compare_record(x, &records[k]);
            hash_record(x, &records[k]);
            ko_record_free(&records[k]);
        }
        free(records);
    }
    ko_batches_free(&batches);
    return code;
}

/* Weights in either form. */
struct loaded {
    struct ko_device_weights resident;
    struct ko_streamed_weights *streamed;
    const struct ko_arena *arena;
};

static enum ko_code load(const struct comparison *x, struct ko_backend *be,
                         const struct ko_checkpoint *checkpoint, uint64_t *hash, struct loaded *out,
                         struct ko_error *err)
{
    const struct ko_model *model = x->inputs.model[0];
    const struct ko_streaming how = {model, x->c->kernels,       be, x->precision,
                                     4,     KO_LAYER_LEAST_SLOTS};
    enum ko_code code = KO_OK;
    if (x->c->streams) {
        code = ko_streamed_weights_new(&how, &out->streamed, err);
        if (code == KO_OK) {
            code = ko_streamed_weights_load(out->streamed, checkpoint,
                                            &(struct ko_load_part){0, 1, 2}, hash, err);
        }
        out->arena = code == KO_OK ? ko_streamed_weights_arena(out->streamed) : NULL;
        return code;
    }
    code = ko_device_weights_new(model, x->c->kernels, be, x->precision, &out->resident, err);
    out->arena = &out->resident.arena;
    return code == KO_OK ? ko_device_weights_load(&out->resident, checkpoint, 2, hash, err) : code;
}

static enum ko_code run(struct comparison *x, struct ko_error *err)
{
    const struct ko_backend_config config = {.threads = x->c->threads ? x->c->threads : 2,
                                             .precision = x->precision};
    const struct ko_kernels *k = x->c->kernels;
    const struct ko_model *model = x->inputs.model[0];
    struct ko_checkpoint *checkpoint = NULL;
    struct ko_engine *engine = NULL;
    struct ko_backend *be = NULL;
    struct loaded weights = {0};
    uint64_t *hash = ko_new(model->n_weights, sizeof *hash, err);
    enum ko_code code = hash ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = ko_checkpoint_open(x->c->checkpoint, "golden", &checkpoint, err);
    }
    if (code == KO_OK) {
        code = k->open(&config, &be, err);
    }
    if (code == KO_OK) {
        code = load(x, be, checkpoint, hash, &weights, err);
    }
    if (code == KO_OK) {
        code = ko_engine_new(x->plan, 0, model, weights.arena, k, be, x->plan->model[0].row_budget,
                             &engine, err);
    }
    if (code == KO_OK) {
        code = ko_engine_make_means(engine, err);
    }
    if (code == KO_OK) {
        code = run_batches(x, engine, err);
    }
    ko_engine_free(engine);
    ko_streamed_weights_free(weights.streamed);
    if (weights.resident.model) {
        ko_device_weights_free(&weights.resident);
    }
    if (be) {
        k->close(be);
    }
    ko_checkpoint_close(checkpoint);
    free(hash);
    return code;
}

enum ko_code golden_compare(const struct golden_case *c, enum ko_precision precision,
                            struct golden_result *out, struct ko_error *err)
{
    struct comparison x = {.c = c, .precision = precision};
    enum ko_code code = golden_read(c->golden, &x.golden, err);
    if (code == KO_OK) {
        code = open_plan(&x, err);
    }
    if (code == KO_OK) {
        x.result.n_skipped = count_prompts(&x);
        x.result.lacks_maps = !x.golden.heat_logprob;
        code = run(&x, err);
    }
    *out = x.result;
    ko_plan_free(x.plan);
    ko_inputs_close(&x.inputs);
    ko_options_free(&x.options);
    golden_free(&x.golden);
    return code;
}
