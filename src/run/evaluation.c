/* SPDX-License-Identifier: Apache-2.0 */
/* Reads an evaluation cube and sorts its clean runs into the order of the inputs' prompts. Also
   checks that the new plan has the same models, tokens and answers. */
#include "src/run/evaluation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "src/base/memory.h"
#include "src/cube/read/read.h"
#include "src/forward/record.h"
#include "src/prompts/matrices/embeddings.h"

/* The clean runs in the order of the cube's axes. */
struct content {
    const struct ko_cube_axes *axes;
    struct ko_strings text; /* [eval_prompt] */
    /* [eval_prompt] lists of answers and options; no item: the cube has none */
    struct ko_strings targets, options;
    struct ko_evaluation runs; /* the arrays alone: [model, eval_prompt] */
};

/* Allocates what n runs have of several right answers or options. */
static enum ko_code new_choices(size_t n, bool several, int32_t n_options,
                                struct ko_evaluation *runs, struct ko_error *err)
{
    size_t all = 0;
    enum ko_code code = ko_multiply(n, (size_t)n_options, &all, "options", err);
    runs->n_options = n_options;
    if (code == KO_OK && several) {
        runs->choice = ko_new(n, sizeof *runs->choice, err);
        code = runs->choice ? KO_OK : KO_E_MEMORY;
    }
    if (code == KO_OK && n_options > 0) {
        runs->option_logprob = ko_new(all, sizeof *runs->option_logprob, err);
        code = runs->option_logprob ? KO_OK : KO_E_MEMORY;
    }
    return code;
}

/* Allocates the arrays of n runs of a cube with these axes. Free with ko_evaluation_free, also after
   a failure. */
static enum ko_code new_runs(size_t n, const struct ko_cube_axes *axes, struct ko_evaluation *runs,
                             struct ko_error *err)
{
    size_t n_tokens = 0;
    enum ko_code code =
        ko_multiply(n, (size_t)axes->n_answer_tokens, &n_tokens, "tokens of answers", err);
    if (code == KO_OK) {
        code = new_choices(n, axes->several, axes->n_options, runs, err);
    }
    if (code != KO_OK) {
        return code;
    }
    runs->n_answer_tokens = axes->n_answer_tokens;
    runs->answer = n_tokens > 0 ? ko_new(n_tokens, sizeof *runs->answer, err) : NULL;
    if (n_tokens > 0 && !runs->answer) {
        return KO_E_MEMORY;
    }
    runs->answer_rank = ko_new(n, sizeof *runs->answer_rank, err);
    runs->answer_hash = ko_new(n, sizeof *runs->answer_hash, err);
    runs->logprob = ko_new(n, sizeof *runs->logprob, err);
    runs->target_rank = ko_new(n, sizeof *runs->target_rank, err);
    runs->top1_id = ko_new(n, sizeof *runs->top1_id, err);
    runs->reason = ko_new(n, sizeof *runs->reason, err);
    runs->target = ko_new(n, sizeof *runs->target, err);
    runs->tokens_hash = ko_new(n, sizeof *runs->tokens_hash, err);
    return runs->logprob && runs->target_rank && runs->top1_id && runs->reason && runs->target &&
                   runs->tokens_hash && runs->answer_rank && runs->answer_hash
               ? KO_OK
               : KO_E_MEMORY;
}

static uint64_t hash_tokens(const int32_t *token, int32_t n)
{
    return XXH3_64bits(token, (size_t)n * sizeof *token);
}

/* The hash of an answer's tokens and the next one. */
static uint64_t add_token(uint64_t hash, int32_t token)
{
    return XXH3_64bits_withSeed(&token, sizeof token, hash);
}

/* The hashes of one model's whole answers. */
static enum ko_code read_answer_ids(struct ko_cube_view *view, int32_t model,
                                    struct content *content, struct ko_error *err)
{
    const int64_t n = (int64_t)content->axes->eval_prompt.n;
    const int64_t width = content->axes->n_answer_tokens;
    if (width == 0) {
        return KO_OK;
    }
    int32_t *id = ko_new((size_t)(n * width), sizeof *id, err);
    enum ko_code code =
        id ? ko_cube_view_read_int(view, "eval_answer_id", model, id, n * width, err) : KO_E_MEMORY;
    for (int64_t k = 0; code == KO_OK && k < n; k++) {
        uint64_t *hash = &content->runs.answer_hash[model * n + k];
        for (int64_t i = 0; i < width && id[k * width + i] >= 0; i++) {
            *hash = add_token(*hash, id[k * width + i]);
        }
    }
    free(id);
    return code;
}

/* The tokens of whole answers, and the rank by which each answer is correct. */
static enum ko_code read_answers(struct ko_cube_view *view, size_t n, struct ko_evaluation *runs,
                                 struct ko_error *err)
{
    const int32_t each = runs->n_answer_tokens;
    enum ko_code code = runs->answer ? ko_cube_view_answers(view, runs->answer, err) : KO_OK;
    if (code == KO_OK && runs->choice) {
        code = ko_cube_view_choices(view, runs->choice, runs->option_logprob, err);
    }
    for (size_t k = 0; code == KO_OK && k < n; k++) {
        runs->answer_rank[k] = runs->answer && runs->target_rank[k] >= 1
                                   ? ko_answer_worst_rank(runs->answer + k * (size_t)each, each)
                                   : runs->target_rank[k];
        if (runs->choice && runs->target_rank[k] >= 1) {
            runs->answer_rank[k] = ko_choice_rank(&runs->choice[k], runs->answer_rank[k]);
        }
    }
    return code;
}

/* One model's answers and the hashes of its prompts' tokens. */
static enum ko_code read_tokens(struct ko_cube_view *view, int32_t model, struct content *content,
                                struct ko_error *err)
{
    const int64_t n = (int64_t)content->axes->eval_prompt.n, width = content->axes->n_positions;
    int32_t *token = ko_new((size_t)(n * width), sizeof *token, err);
    int32_t *length = ko_new((size_t)n, sizeof *length, err);
    enum ko_code code = token && length ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        code = ko_cube_view_read_int(view, "eval_target_id", model,
                                     content->runs.target + model * n, n, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_int(view, "eval_n_tokens", model, length, n, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_read_int(view, "eval_token_id", model, token, n * width, err);
    }
    for (int64_t k = 0; code == KO_OK && k < n; k++) {
        const int32_t here = length[k] < 0 ? 0 : length[k] > width ? (int32_t)width : length[k];
        content->runs.tokens_hash[model * n + k] = hash_tokens(token + k * width, here);
    }
    free(token);
    free(length);
    return code;
}

static enum ko_code read_content(const char *path, struct ko_cube_view *view,
                                 struct content *content, struct ko_error *err)
{
    content->axes = ko_cube_view_axes(view);
    if (!ko_cube_view_is_evaluation(view)) {
        return ko_fail(err, KO_E_INPUT, "%s: is a sweep's cube, name an evaluation", path);
    }
    size_t n = 0;
    enum ko_code code = ko_multiply(content->axes->model.n, content->axes->eval_prompt.n, &n,
                                    "models x prompts", err);
    if (code != KO_OK) {
        return code;
    }
    struct ko_evaluation *runs = &content->runs;
    code = new_runs(n, content->axes, runs, err);
    if (code != KO_OK) {
        return code;
    }
    code = ko_cube_view_evaluation(view, runs->logprob, runs->target_rank, runs->top1_id,
                                   runs->reason, err);
    if (code == KO_OK) {
        code = ko_cube_view_read_strings(view, "eval_prompt_text", &content->text, err);
    }
    if (code == KO_OK && content->axes->several) {
        code = ko_cube_view_read_strings(view, "eval_prompt_targets", &content->targets, err);
    }
    if (code == KO_OK && content->axes->n_options > 0) {
        code = ko_cube_view_read_strings(view, "eval_prompt_options", &content->options, err);
    }
    if (code == KO_OK) {
        code = read_answers(view, n, runs, err);
    }
    for (size_t m = 0; code == KO_OK && m < content->axes->model.n; m++) {
        code = read_tokens(view, (int32_t)m, content, err);
        if (code == KO_OK) {
            code = read_answer_ids(view, (int32_t)m, content, err);
        }
    }
    for (size_t k = 0; code == KO_OK && k < n; k++) {
        if (runs->reason[k] == KO_RUNNABLE && runs->target_rank[k] < 1) {
            code =
                ko_fail(err, KO_E_INPUT,
                        "%s: is incomplete: prompt '%s' of %s has not been run, complete it with "
                        "evaluate --resume",
                        path, content->axes->eval_prompt.item[k % content->axes->eval_prompt.n],
                        content->axes->model.item[k / content->axes->eval_prompt.n]);
        }
    }
    return code;
}

struct id_index {
    uint64_t hash;
    size_t at;
};

static int compare_ids(const void *a, const void *b)
{
    const uint64_t x = ((const struct id_index *)a)->hash, y = ((const struct id_index *)b)->hash;
    return x < y ? -1 : x > y;
}

static struct id_index *index_ids(const struct ko_strings *ids, struct ko_error *err)
{
    struct id_index *index = ko_new(ids->n, sizeof *index, err);
    for (size_t k = 0; index && k < ids->n; k++) {
        index[k] = (struct id_index){XXH3_64bits(ids->item[k], strlen(ids->item[k])), k};
    }
    if (index) {
        qsort(index, ids->n, sizeof *index, compare_ids);
    }
    return index;
}

/* Position of the id on the cube's axis, or -1. */
static ptrdiff_t find_id(const struct ko_strings *ids, const struct id_index *index, const char *id)
{
    const uint64_t hash = XXH3_64bits(id, strlen(id));
    size_t low = 0, high = ids->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (index[middle].hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < ids->n && index[low].hash == hash; low++) {
        if (strcmp(ids->item[index[low].at], id) == 0) {
            return (ptrdiff_t)index[low].at;
        }
    }
    return -1;
}

/* Copies fact number `fact` of the inputs from the cube's column `at`. */
static void copy_fact(const struct content *content, size_t at, int32_t fact,
                      struct ko_evaluation *out)
{
    for (size_t m = 0; m < content->axes->model.n; m++) {
        const size_t from = m * content->axes->eval_prompt.n + at;
        const size_t to = m * (size_t)out->n_facts + (size_t)fact;
        out->logprob[to] = content->runs.logprob[from];
        out->target_rank[to] = content->runs.target_rank[from];
        out->top1_id[to] = content->runs.top1_id[from];
        out->reason[to] = content->runs.reason[from];
        out->target[to] = content->runs.target[from];
        out->tokens_hash[to] = content->runs.tokens_hash[from];
        out->answer_hash[to] = content->runs.answer_hash[from];
        out->answer_rank[to] = content->runs.answer_rank[from];
        const size_t each = (size_t)out->n_answer_tokens;
        if (each > 0) {
            memcpy(out->answer + to * each, content->runs.answer + from * each,
                   each * sizeof *out->answer);
        }
        if (out->choice) {
            out->choice[to] = content->runs.choice[from];
        }
        const size_t n_options = (size_t)out->n_options;
        if (n_options > 0) {
            memcpy(out->option_logprob + to * n_options,
                   content->runs.option_logprob + from * n_options,
                   n_options * sizeof *out->option_logprob);
        }
    }
}

/* Whether a list of the cube is the one of the inputs; NULL and "" say that there is none. */
static bool same_list(const struct ko_strings *stored, size_t at, const char *wanted)
{
    return strcmp(stored->n > 0 ? stored->item[at] : "", wanted ? wanted : "") == 0;
}

static enum ko_code arrange_facts(const char *path, const struct content *content,
                                  const struct ko_inputs *inputs, struct ko_evaluation *out,
                                  struct ko_error *err)
{
    const struct ko_strings *ids = &content->axes->eval_prompt;
    struct id_index *index = index_ids(ids, err);
    enum ko_code code = index ? KO_OK : KO_E_MEMORY;
    int32_t fact = 0;
    for (size_t f = 0; code == KO_OK && f < inputs->spec->prompt_files.n; f++) {
        for (size_t k = 0; code == KO_OK && k < inputs->facts[f].n; k++, fact++) {
            const struct ko_fact *wanted = &inputs->facts[f].fact[k];
            const ptrdiff_t at = find_id(ids, index, wanted->id);
            if (at < 0) {
                code = ko_fail(err, KO_E_INPUT, "%s: lacks prompt '%s' of %s, evaluate again", path,
                               wanted->id, inputs->facts[f].file);
            }
            /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there is a text for every id */
            else if (!ko_fact_has_text(wanted, content->text.item[at])) {
                code = ko_fail(err, KO_E_INPUT,
                               "%s: prompt '%s' has another text than in %s, evaluate again", path,
                               wanted->id, inputs->facts[f].file);
            } else if (!same_list(&content->targets, (size_t)at, wanted->targets) ||
                       !same_list(&content->options, (size_t)at, wanted->options)) {
                code = ko_fail(err, KO_E_INPUT,
                               "%s: prompt '%s' has other right answers or options than in %s, "
                               "evaluate again",
                               path, wanted->id, inputs->facts[f].file);
            } else {
                copy_fact(content, (size_t)at, fact, out);
            }
        }
    }
    free(index);
    return code;
}

/* Which token of an answer was ranked. A cube of version 0.1 does not say; its prompts' tokens and
   answers are compared all the same. */
static enum ko_code check_score(const char *path, const struct ko_cube_view *view,
                                const struct ko_inputs *inputs, struct ko_error *err)
{
    const char *stored = ko_cube_view_attribute(view, "score");
    const char *wanted = ko_score_words[inputs->spec->score];
    if (!stored || strcmp(stored, wanted) == 0) {
        return KO_OK;
    }
    return ko_fail(err, KO_E_INPUT,
                   "%s: was evaluated with prompts.score '%s', the spec says '%s': evaluate again",
                   path, stored, wanted);
}

static enum ko_code copy_models(const char *path, struct ko_cube_view *view,
                                const struct content *content, const struct ko_inputs *inputs,
                                struct ko_evaluation *out, struct ko_error *err)
{
    enum ko_code code = KO_OK;
    char hash[33];
    for (size_t m = 0; code == KO_OK && m < content->axes->model.n; m++) {
        code = ko_strings_add(&out->model, content->axes->model.item[m], err);
        if (code == KO_OK) {
            code = ko_strings_add(&out->tokenizer_fingerprint,
                                  content->axes->tokenizer_fingerprint.item[m], err);
        }
        if (code == KO_OK) {
            code = ko_cube_view_content_hash(view, (int32_t)m, hash, err);
        }
        if (code == KO_OK) {
            code = ko_strings_add(&out->content_hash, hash, err);
        }
    }
    for (int32_t m = 0; code == KO_OK && m < inputs->n_models; m++) {
        const char *name = inputs->model[m]->name;
        const ptrdiff_t at = ko_strings_find(&out->model, name);
        if (at < 0) {
            code = ko_fail(err, KO_E_INPUT, "%s: lacks model '%s', evaluate it too", path, name);
        } else if (strcmp(content->axes->fingerprint.item[at], inputs->fingerprint[m]) != 0 &&
                   inputs->fingerprint[m][0] != '\0') {
            code = ko_fail(err, KO_E_INPUT,
                           "%s: model '%s' has fingerprint %s there and %s now, evaluate again",
                           path, name, content->axes->fingerprint.item[at], inputs->fingerprint[m]);
        }
    }
    return code;
}

enum ko_code ko_evaluation_read(const char *path, const struct ko_inputs *inputs,
                                struct ko_evaluation *out, struct ko_error *err)
{
    struct ko_cube_view *view = NULL;
    struct content content = {0};
    struct ko_evaluation evaluation = {.n_facts = inputs->n_facts};
    enum ko_code code = ko_cube_view_open(path, &view, err);
    if (code == KO_OK) {
        code = read_content(path, view, &content, err);
    }
    if (code == KO_OK) {
        code = check_score(path, view, inputs, err);
    }
    if (code == KO_OK) {
        code = copy_models(path, view, &content, inputs, &evaluation, err);
    }
    size_t n = 0;
    if (code == KO_OK) {
        code =
            ko_multiply(evaluation.model.n, (size_t)inputs->n_facts, &n, "models x prompts", err);
    }
    if (code == KO_OK) {
        code = new_runs(n, content.axes, &evaluation, err);
    }
    if (code == KO_OK) {
        code = arrange_facts(path, &content, inputs, &evaluation, err);
    }
    ko_strings_free(&content.text);
    ko_strings_free(&content.targets);
    ko_strings_free(&content.options);
    ko_evaluation_free(&content.runs);
    ko_cube_view_close(view);
    if (code != KO_OK) {
        ko_evaluation_free(&evaluation);
    } else {
        *out = evaluation;
    }
    return code;
}

const char *ko_evaluation_content_hash(const struct ko_evaluation *evaluation, const char *model)
{
    const ptrdiff_t at = ko_strings_find(&evaluation->model, model);
    return at < 0 ? "" : evaluation->content_hash.item[at];
}

static uint64_t hash_answer(const struct ko_prompt *prompt)
{
    uint64_t hash = 0;
    for (int32_t k = 0; k < ko_prompt_n_scored(prompt); k++) {
        hash = add_token(hash, ko_prompt_scored(prompt, k));
    }
    return hash;
}

/* How a prompt differs from what was evaluated; NULL: it does not. */
static const char *describe_difference(const struct ko_evaluation *evaluation, size_t at,
                                       const struct ko_prompt *prompt)
{
    if (evaluation->reason[at] != prompt->reason) {
        return "is to be skipped for another reason";
    }
    if (prompt->reason != KO_RUNNABLE) {
        return NULL;
    }
    if (evaluation->tokens_hash[at] != hash_tokens(prompt->token, prompt->n_tokens)) {
        return "has other tokens";
    }
    if (evaluation->answer && evaluation->answer_hash[at] != hash_answer(prompt)) {
        return "has another answer";
    }
    return evaluation->target[at] == prompt->target ? NULL : "has another answer";
}

enum ko_code ko_evaluation_check(const char *path, const struct ko_evaluation *evaluation,
                                 const struct ko_plan *plan, struct ko_error *err)
{
    for (int32_t m = 0; m < plan->n_models; m++) {
        const struct ko_plan_model *model = &plan->model[m];
        const ptrdiff_t from = ko_strings_find(&evaluation->model, model->name);
        if (from < 0) {
            continue; /* ko_evaluation_read requires every model */
        }
        const char *before = evaluation->tokenizer_fingerprint.item[from];
        if (strcmp(before, model->tokenizer_fingerprint) != 0) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: model '%s' has tokenizer %s there and %s now, evaluate again", path,
                           model->name, before, model->tokenizer_fingerprint);
        }
        for (int32_t f = 0; f < plan->n_facts; f++) {
            const size_t at = (size_t)from * (size_t)plan->n_facts + (size_t)f;
            const char *what = describe_difference(evaluation, at, ko_plan_prompt(plan, m, f));
            if (what) {
                return ko_fail(
                    err, KO_E_INPUT,
                    "%s: prompt '%s' of %s %s than when it was evaluated, evaluate again", path,
                    plan->fact[f].id, model->name, what);
            }
        }
    }
    return KO_OK;
}
