/* SPDX-License-Identifier: Apache-2.0 */
/* Reads statuses, clean runs and values, and clears the flag of each pair that lacks one. */
#include "src/cube/read/done.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/cube/format/fact_index.h"
#include "src/cube/read/slab.h"
#include "src/cube/read/view.h"

/* The datasets of one prompt axis. */
struct part {
    const char *status, *logprob, *target_rank, *top1_id; /* names of datasets */
    enum ko_cube_axis axis;
};

struct clean {
    float *logprob;
    int32_t *target_rank, *top1_id;
};

/* Whether no cell of the prompt is pending or failed, and the clean run is there. A prompt whose
   cells are all vacuous needs its clean run too; a prompt without planned cells is done. */
static bool is_done(const uint8_t *status, size_t n_each, const struct clean *clean, size_t prompt)
{
    bool any = false;

    for (size_t i = 0; i < n_each; i++) {
        if (status[prompt * n_each + i] == KO_PENDING ||
            status[prompt * n_each + i] == KO_CELL_FAILED) {
            return false;
        }
        any = any || status[prompt * n_each + i] != KO_NOT_PLANNED;
    }
    return !any || (!isnan(clean->logprob[prompt]) && clean->target_rank[prompt] >= 0 &&
                    clean->top1_id[prompt] >= 0);
}

static enum ko_code read_part(struct ko_cube_view *view, const struct part *part, hsize_t model,
                              uint8_t *status, const struct clean *clean, struct ko_error *err)
{
    const struct {
        const char *name;
        void *out;
    } wanted[] = {{part->status, status},
                  {part->logprob, clean->logprob},
                  {part->target_rank, clean->target_rank},
                  {part->top1_id, clean->top1_id}};
    enum ko_code code = KO_OK;

    for (size_t k = 0; k < sizeof wanted / sizeof *wanted && code == KO_OK; k++) {
        code = ko_cube_view_read_stored(view, wanted[k].name, model, 1, wanted[k].out, err);
    }
    return code;
}

/* Clears done where a status or a clean run is missing. */
static enum ko_code look_at(struct ko_cube_view *view, const struct ko_plan *plan,
                            const struct part *part, uint8_t *done, struct ko_error *err)
{
    size_t n = (size_t)view->lengths.n[part->axis], n_each, bytes;
    struct clean clean = {0};
    int32_t *of_fact = NULL;
    uint8_t *status = NULL;
    enum ko_code code;

    if (!ko_cube_view_has(view, part->status)) {
        return KO_OK;
    }
    code = ko_cube_n_elements(ko_cube_find(part->status), &view->lengths, 2, &n_each, err);
    if (code == KO_OK) {
        code = ko_multiply(n, n_each, &bytes, part->status, err);
    }
    if (code == KO_OK) {
        code = ko_cube_fact_index(plan, part->axis, &of_fact, err);
    }
    if (code != KO_OK) {
        return code;
    }
    status = ko_new(bytes, 1, err);
    clean.logprob = ko_new(n, sizeof *clean.logprob, err);
    clean.target_rank = ko_new(n, sizeof *clean.target_rank, err);
    clean.top1_id = ko_new(n, sizeof *clean.top1_id, err);
    if (!status || !clean.logprob || !clean.target_rank || !clean.top1_id) {
        code = KO_E_MEMORY;
    }
    for (int32_t model = 0; model < plan->n_models && code == KO_OK; model++) {
        code = read_part(view, part, (hsize_t)model, status, &clean, err);
        for (int32_t fact = 0; fact < plan->n_facts && code == KO_OK; fact++) {
            if (of_fact[fact] >= 0 && !is_done(status, n_each, &clean, (size_t)of_fact[fact])) {
                done[(size_t)model * (size_t)plan->n_facts + (size_t)fact] = 0;
            }
        }
    }
    free(clean.top1_id);
    free(clean.target_rank);
    free(clean.logprob);
    free(status);
    free(of_fact);
    return code;
}

/* Whether some planned cell of prompt p of the slab is flagged done and has no value. */
static bool lacks_values(const struct ko_cube_slab *slab, const struct ko_plan *plan, int32_t fact,
                         int32_t p)
{
    const int64_t inner = (int64_t)slab->n_sources * slab->n_sizes;

    for (int64_t k = 0; k < slab->n_statuses; k++) {
        const int64_t at = p * slab->n_statuses + k;
        if (slab->status[at] != KO_DONE) {
            continue;
        }
        const int32_t size = (int32_t)(k % slab->n_sizes);
        const int32_t class = (int32_t)(k / inner % plan->n_classes);
        const int32_t axis = (int32_t)(k / inner / plan->n_classes);
        for (int32_t s = 0; s < slab->n_starts; s++) {
            if (ko_cube_slab_lacks(slab, at * slab->n_starts + s) &&
                ko_plan_has(plan, slab->model, fact, ko_plan_route_of(plan, slab->heat, axis),
                            class, size, s)) {
                return true;
            }
        }
    }
    return false;
}

/* Clears done where a cell is flagged done and has no value: it is computed again. */
static enum ko_code look_at_values(struct ko_cube_view *view, const struct ko_plan *plan, bool heat,
                                   uint8_t *done, struct ko_error *err)
{
    const int32_t *fact_of = heat ? plan->heat_fact : plan->prompt_fact;
    struct ko_cube_slab slab = {0};
    enum ko_code code = ko_cube_slab_open(view, heat, &slab, err);

    for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
        for (int32_t first = 0; code == KO_OK && first < slab.n_prompts; first += slab.n) {
            code = ko_cube_slab_read(&slab, m, first, err);
            for (int32_t p = 0; code == KO_OK && p < slab.n; p++) {
                uint8_t *is = &done[(size_t)m * (size_t)plan->n_facts + (size_t)fact_of[first + p]];
                *is = *is && !lacks_values(&slab, plan, fact_of[first + p], p);
            }
        }
    }
    ko_cube_slab_close(&slab);
    return code;
}

enum ko_code ko_cube_view_done(struct ko_cube_view *view, const struct ko_plan *plan, uint8_t *done,
                               struct ko_error *err)
{
    static const struct part parts[] = {
        {"status", "clean_logprob", "clean_target_rank", "clean_top1_id", KO_AXIS_PROMPT},
        {"heat_status", "heat_clean_logprob", "heat_clean_target_rank", "heat_clean_top1_id",
         KO_AXIS_HEAT_PROMPT},
        {"eval_status", "eval_logprob", "eval_target_rank", "eval_top1_id", KO_AXIS_EVAL_PROMPT},
    };
    struct ko_cube_lengths lengths;
    size_t n = (size_t)plan->n_models * (size_t)plan->n_facts;
    enum ko_code code = KO_OK;

    ko_cube_lengths_of_plan(plan, &lengths);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (lengths.n[KO_AXIS_MODEL] != view->lengths.n[KO_AXIS_MODEL] ||
            lengths.n[parts[i].axis] != view->lengths.n[parts[i].axis]) {
            return ko_fail(err, KO_E_INPUT, "%s: has axes that differ from the plan's", view->path);
        }
    }
    uint8_t *found = ko_new(n, 1, err);
    if (!found) {
        return KO_E_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        found[i] = 1;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts && code == KO_OK; i++) {
        code = look_at(view, plan, &parts[i], found, err);
    }
    for (int heat = 0; heat < 2 && code == KO_OK && plan->kind == KO_PLAN_SWEEP; heat++) {
        code = look_at_values(view, plan, heat, found, err);
    }
    for (size_t i = 0; i < n && code == KO_OK; i++) {
        done[i] = found[i];
    }
    free(found);
    return code;
}
