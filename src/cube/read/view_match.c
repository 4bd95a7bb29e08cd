/* SPDX-License-Identifier: Apache-2.0 */
/* Compares an existing cube with a new plan before a run continues it: the models, the axes, the
   score and the shard. The error names the first difference and says how to go on. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/create/fill.h"
#include "src/cube/format/fact_index.h"
#include "src/cube/format/hdf5_check.h"
#include "src/cube/read/view.h"
#include "src/plan/pack.h"

static const char *const remedy = "start a new cube or use --overwrite";

static enum ko_code fail_difference(const struct ko_cube_view *view, struct ko_error *err,
                                    const char *what, const char *stored, const char *wanted)
{
    return ko_fail(err, KO_E_INPUT, "%s: %s is '%s' in the cube and '%s' in this run, %s",
                   view->path, what, stored, wanted, remedy);
}

/* Compares checkpoint and tokenizer of a model. The labels of the axis are equal already. */
static enum ko_code match_model(const struct ko_cube_view *view, const struct ko_plan_model *model,
                                size_t index, struct ko_error *err)
{
    const struct ko_cube_axes *axes = &view->axes;
    char what[512];

    if (strcmp(axes->fingerprint.item[index], model->fingerprint) != 0) {
        (void)snprintf(what, sizeof what, "%.400s: the checkpoint's fingerprint", model->name);
        return fail_difference(view, err, what, axes->fingerprint.item[index], model->fingerprint);
    }
    if (strcmp(axes->tokenizer_fingerprint.item[index], model->tokenizer_fingerprint) != 0) {
        (void)snprintf(what, sizeof what, "%.400s: the tokenizer's fingerprint", model->name);
        return fail_difference(view, err, what, axes->tokenizer_fingerprint.item[index],
                               model->tokenizer_fingerprint);
    }
    return KO_OK;
}

static enum ko_code match_labels(const struct ko_cube_view *view, const struct ko_plan *plan,
                                 enum ko_cube_axis axis, const struct ko_strings *stored, size_t n,
                                 struct ko_error *err)
{
    char what[128], left[32], right[32], buffer[64];

    for (size_t i = 0; i < stored->n && i < n; i++) {
        const char *wanted = ko_cube_label(plan, axis, i, buffer);
        if (strcmp(stored->item[i], wanted) == 0) {
            continue;
        }
        (void)snprintf(what, sizeof what, "number %zu on the axis %s", i + 1,
                       ko_cube_axis_name(axis));
        return fail_difference(view, err, what, stored->item[i], wanted);
    }
    if (stored->n == n) {
        return KO_OK;
    }
    (void)snprintf(what, sizeof what, "the length of the axis %s", ko_cube_axis_name(axis));
    (void)snprintf(left, sizeof left, "%zu", stored->n);
    (void)snprintf(right, sizeof right, "%zu", n);
    return fail_difference(view, err, what, left, right);
}

struct layers {
    const int32_t *item; /* [n] borrowed */
    int32_t n;
};

static enum ko_code match_layers(const struct ko_cube_view *view, const char *name,
                                 struct layers stored, struct layers wanted, struct ko_error *err)
{
    struct ko_text left = {0}, right = {0};
    enum ko_code code = KO_OK;

    if (stored.n == wanted.n &&
        (stored.n == 0 ||
         memcmp(stored.item, wanted.item, (size_t)stored.n * sizeof *stored.item) == 0)) {
        return KO_OK;
    }
    for (int32_t i = 0; i < stored.n; i++) {
        ko_text_add(&left, "%s%d", i ? " " : "", stored.item[i]);
    }
    for (int32_t i = 0; i < wanted.n; i++) {
        ko_text_add(&right, "%s%d", i ? " " : "", wanted.item[i]);
    }
    code = fail_difference(view, err, name, ko_text_str(&left), ko_text_str(&right));
    ko_text_free(&left);
    ko_text_free(&right);
    return code;
}

static enum ko_code match_axes(const struct ko_cube_view *view, const struct ko_plan *plan,
                               struct ko_error *err)
{
    const struct ko_cube_axes *axes = &view->axes;
    struct ko_cube_lengths lengths;
    const struct {
        enum ko_cube_axis axis;
        const struct ko_strings *stored;
    } label[] = {
        {KO_AXIS_EVAL_PROMPT, &axes->eval_prompt}, {KO_AXIS_PROMPT, &axes->prompt},
        {KO_AXIS_HEAT_PROMPT, &axes->heat_prompt}, {KO_AXIS_ROUTE, &axes->route},
        {KO_AXIS_HEAT_ROUTE, &axes->heat_route},   {KO_AXIS_FEATURE_CLASS, &axes->feature_class},
    };
    enum ko_code code = KO_OK;

    ko_cube_lengths_of_plan(plan, &lengths);
    for (size_t i = 0; i < sizeof label / sizeof *label && code == KO_OK; i++) {
        code = match_labels(view, plan, label[i].axis, label[i].stored,
                            (size_t)lengths.n[label[i].axis], err);
    }
    if (code == KO_OK) {
        code = match_layers(
            view, "the axis window_size", (struct layers){axes->window_size, axes->n_sizes},
            (struct layers){plan->size, (int32_t)lengths.n[KO_AXIS_WINDOW_SIZE]}, err);
    }
    if (code == KO_OK) {
        code = match_layers(
            view, "the axis window_start", (struct layers){axes->window_start, axes->n_starts},
            (struct layers){plan->start, (int32_t)lengths.n[KO_AXIS_WINDOW_START]}, err);
    }
    return code;
}

static enum ko_code match_attribute(const struct ko_cube_view *view, const char *name,
                                    const char *what, const char *wanted, struct ko_error *err)
{
    const char *stored = ko_cube_view_attribute(view, name);

    if (stored && strcmp(stored, wanted) == 0) {
        return KO_OK;
    }
    return fail_difference(view, err, what, stored ? stored : "", wanted);
}

/* A cube of version 0.1 does not store its rule, but then its plan hash differs. */
static enum ko_code match_score(const struct ko_cube_view *view, const struct ko_plan *plan,
                                struct ko_error *err)
{
    const char *stored = ko_cube_view_attribute(view, "score");

    if (!stored || strcmp(stored, ko_score_words[plan->score]) == 0) {
        return KO_OK;
    }
    return fail_difference(view, err, "prompts.score", stored, ko_score_words[plan->score]);
}

/* Only sweeps of whole answers store what their rows are. */
static enum ko_code match_answer_rows(const struct ko_cube_view *view, const struct ko_plan *plan,
                                      struct ko_error *err)
{
    const char *stored = ko_cube_view_attribute(view, "answer_rows");
    const char *wanted = ko_answer_rows_words[plan->answer_rows];

    return !stored || strcmp(stored, wanted) == 0
               ? KO_OK
               : fail_difference(view, err, "prompts.answer-rows", stored, wanted);
}

/* Both must be whole, or both the same shard. */
static enum ko_code match_shard(const struct ko_cube_view *view, const struct ko_plan_shard *shard,
                                struct ko_error *err)
{
    const char *stored = ko_cube_view_attribute(view, "shard");
    char wanted[32] = "none";

    if (shard->of > 0) {
        (void)snprintf(wanted, sizeof wanted, "%d/%d", shard->number, shard->of);
    }
    if (strcmp(stored ? stored : "none", wanted) == 0) {
        return KO_OK;
    }
    return fail_difference(view, err, "the shard", stored ? stored : "none", wanted);
}

enum ko_code ko_cube_view_matches(const struct ko_cube_view *view, const struct ko_plan *plan,
                                  const char *backend, const char *precision, struct ko_error *err)
{
    bool evaluation = plan->kind == KO_PLAN_EVALUATION;
    char hash[33];
    enum ko_code code;

    if (view->lengths.evaluation != evaluation) {
        return fail_difference(view, err, "its kind", evaluation ? "sweep" : "evaluation",
                               evaluation ? "evaluation" : "sweep");
    }
    code = match_shard(view, &plan->shard, err);
    if (code == KO_OK) {
        code =
            match_labels(view, plan, KO_AXIS_MODEL, &view->axes.model, (size_t)plan->n_models, err);
    }
    for (int32_t i = 0; i < plan->n_models && code == KO_OK; i++) {
        code = match_model(view, &plan->model[i], (size_t)i, err);
    }
    if (code == KO_OK) {
        code = match_attribute(view, "backend", "the backend", backend, err);
    }
    if (code == KO_OK) {
        code = match_attribute(view, "precision", "the precision", precision, err);
    }
    if (code == KO_OK) {
        code = match_score(view, plan, err);
    }
    if (code == KO_OK) {
        code = match_answer_rows(view, plan, err);
    }
    if (code == KO_OK && view->axes.over != plan->over) {
        code = fail_difference(view, err, "windows.over", ko_over_words[view->axes.over],
                               ko_over_words[plan->over]);
    }
    if (code == KO_OK && view->axes.style != plan->style) {
        code = fail_difference(view, err, "windows.style", ko_style_words[view->axes.style],
                               ko_style_words[plan->style]);
    }
    if (code == KO_OK) {
        code = match_axes(view, plan, err);
    }
    if (code == KO_OK) {
        code = ko_plan_hash(plan, hash, err);
    }
    if (code == KO_OK) {
        code =
            match_attribute(view, "plan_hash", "the hash of spec, prompts and tokens", hash, err);
    }
    return code;
}
