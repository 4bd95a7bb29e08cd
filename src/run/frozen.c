/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the selected prompts from an existing sweep cube. Before that, it compares the cube's
   models, prompts and selection rules with those of the spec. */
#include "src/run/frozen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/read/read.h"
#include "src/run/inputs_plan.h"

/* Finds the next line of the resolved spec with a block's prompts, and returns what follows the
   quoted file name: "select: correct, sample: {n: 100, seed: 0}}", of *n bytes. NULL at the end of
   the text. *next: where to search next. */
static const char *next_selection(const char *text, const char **next, size_t *n)
{
    static const char mark[] = "\n    prompts: {file: \"";
    const char *at = strstr(text, mark);
    if (!at) {
        return NULL;
    }
    for (at += sizeof mark - 1; *at != '\0' && *at != '"'; at++) {
        at += *at == '\\' && at[1] != '\0';
    }
    at += strncmp(at, "\", ", 3) == 0 ? 3 : 0;
    *n = strcspn(at, "\n");
    *next = at + *n;
    return at;
}

/* Fails unless all selections are the same text. */
static enum ko_code compare_selections(const char *path, const char *stored, const char *wanted,
                                       struct ko_error *err)
{
    for (int block = 1;; block++) {
        size_t n_left = 0, n_right = 0;
        const char *left = next_selection(stored, &stored, &n_left);
        const char *right = next_selection(wanted, &wanted, &n_right);
        if (!left || !right) {
            return KO_OK; /* read_view has compared the numbers of blocks */
        }
        if (n_left != n_right || memcmp(left, right, n_left) != 0) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: the selection of block %d is '%.*s' in the cube and '%.*s' in this "
                           "run, start a new cube or use --overwrite",
                           path, block, (int)(n_left > 0 ? n_left - 1 : 0), left,
                           (int)(n_right > 0 ? n_right - 1 : 0), right);
        }
    }
}

static int32_t n_used(const struct ko_inputs *inputs)
{
    int32_t n = 0;
    for (int32_t m = 0; m < inputs->n_models; m++) {
        n += inputs->used[m];
    }
    return n;
}

/* The cube has other models, prompts or blocks. Compares it with a plan, so that the error names
   the difference. */
static enum ko_code refuse_cube(const struct ko_cube_view *view, const char *path,
                                const struct ko_inputs *inputs, struct ko_error *err)
{
    const char *backend = ko_cube_view_attribute(view, "backend");
    const char *precision = ko_cube_view_attribute(view, "precision");
    struct ko_plan *plan = NULL;
    enum ko_code code = ko_inputs_plan(inputs, KO_PLAN_SWEEP, NULL, NULL, &plan, err);
    if (code == KO_OK) {
        code = ko_cube_view_matches(view, plan, backend ? backend : "", precision ? precision : "",
                                    err);
    }
    if (code == KO_OK) {
        code = ko_fail(err, KO_E_INPUT,
                       "%s: was made from another spec, start a new cube or use --overwrite", path);
    }
    ko_plan_free(plan);
    return code;
}

static enum ko_code read_view(struct ko_cube_view *view, const char *path, struct ko_inputs *inputs,
                              struct ko_error *err)
{
    const struct ko_cube_axes *axes = ko_cube_view_axes(view);
    const char *spec = ko_cube_view_attribute(view, "spec");
    const size_t n_blocks = inputs->spec->n_blocks, n_models = (size_t)n_used(inputs);
    const size_t n_facts = (size_t)inputs->n_facts;
    if (ko_cube_view_is_evaluation(view)) {
        return ko_fail(err, KO_E_INPUT, "%s: is an evaluation, --resume needs a sweep's cube",
                       path);
    }
    if (!ko_cube_view_has(view, "selected")) {
        return KO_OK;
    }
    const struct {
        const char *attribute, *key, *wanted;
    } rule[] = {
        {"score", "prompts.score", ko_score_words[inputs->spec->score]},
        {"answer_rows", "prompts.answer-rows", ko_answer_rows_words[inputs->spec->answer_rows]}};
    for (size_t k = 0; k < sizeof rule / sizeof rule[0]; k++) {
        const char *stored = ko_cube_view_attribute(view, rule[k].attribute);
        if (stored && strcmp(stored, rule[k].wanted) != 0) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: %s is '%s' in the cube and '%s' in this run, start a new cube or "
                           "use --overwrite",
                           path, rule[k].key, stored, rule[k].wanted);
        }
    }
    if (axes->model.n != n_models || axes->eval_prompt.n != n_facts ||
        axes->n_blocks != (int32_t)n_blocks) {
        return refuse_cube(view, path, inputs, err);
    }
    enum ko_code code = spec ? compare_selections(path, spec, inputs->spec->resolved, err) : KO_OK;
    if (code != KO_OK) {
        return code;
    }
    uint8_t *selected = ko_new(n_blocks * n_models * n_facts, 1, err);
    code = selected ? ko_cube_view_selected(view, selected, err) : KO_E_MEMORY;
    if (code == KO_OK) {
        inputs->selected = selected;
    } else {
        free(selected);
    }
    return code;
}

enum ko_code ko_frozen_read(const char *path, struct ko_inputs *inputs, struct ko_error *err)
{
    struct ko_cube_view *view = NULL;
    enum ko_code code = ko_cube_view_open(path, &view, err);
    if (code == KO_OK) {
        code = read_view(view, path, inputs, err);
    }
    ko_cube_view_close(view);
    return code;
}
