/* SPDX-License-Identifier: Apache-2.0 */
/* Records which shard has which pair of model and prompt, fails where two shards have the same
   pair, and counts planned, pending and failed pairs. */
#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/cube/merge/merge_set.h"
#include "src/cube/read/planned.h"
#include "src/cube/read/slab.h"
#include "src/plan/plan.h"

/* One model's part of a prompt axis, in the shard and in the outline. */
struct rows {
    size_t n_each;           /* statuses a prompt */
    size_t n_part, n_whole;  /* prompts */
    uint8_t *part, *planned; /* [n_part, n_each], [n_whole, n_each]; owned */
    float *clean;            /* [n_part] log-probability of the clean run; owned */
    uint8_t *flaw;           /* [n_part] a cell is flagged done and has no value; owned */
};

static void free_rows(struct rows *rows)
{
    free(rows->part);
    free(rows->planned);
    free(rows->clean);
    free(rows->flaw);
}

static enum ko_code new_rows(const struct ko_cube_view *whole, const struct ko_merge_part *part,
                             size_t n_part, struct rows *rows, struct ko_error *err)
{
    size_t bytes;
    enum ko_code code =
        ko_cube_n_elements(ko_cube_find(part->status), &whole->lengths, 2, &rows->n_each, err);

    rows->n_part = n_part;
    rows->n_whole = (size_t)whole->lengths.n[part->axis];
    if (code == KO_OK) {
        code = ko_multiply(rows->n_whole, rows->n_each, &bytes, "statuses of a model", err);
    }
    if (code != KO_OK) {
        return code;
    }
    rows->planned = ko_new(bytes, 1, err);
    rows->part = ko_new(n_part * rows->n_each, 1, err); /* no more prompts than the whole has */
    rows->clean = ko_new(n_part, sizeof *rows->clean, err);
    rows->flaw = ko_new(n_part, 1, err);
    return rows->planned && rows->part && rows->clean && rows->flaw ? KO_OK : KO_E_MEMORY;
}

/* What the statuses of one pair say. foreign: they differ from the plan of the whole sweep. */
struct pair {
    bool planned, pending, failed, foreign;
};

static struct pair look_at(const uint8_t *status, const uint8_t *planned, size_t n_each)
{
    struct pair pair = {0};

    for (size_t i = 0; i < n_each; i++) {
        const uint8_t is = status[i], was = planned[i];
        pair.planned = pair.planned || is != KO_NOT_PLANNED;
        pair.pending = pair.pending || is == KO_PENDING;
        pair.failed = pair.failed || is == KO_CELL_FAILED;
        pair.foreign = pair.foreign || is > KO_CELL_FAILED ||
                       (is == KO_NOT_PLANNED) != (was == KO_NOT_PLANNED) ||
                       (is == KO_VACUOUS) != (was == KO_VACUOUS);
    }
    return pair;
}

/* A shard that claims its pairs. All borrowed. */
struct claimant {
    struct ko_merge_set *set;
    struct ko_cube_shard *shard;
    int32_t file; /* its number in the set */
    struct ko_cube_planned *planned;
    struct ko_cube_merged *merged; /* counts */
};

static enum ko_code claim_pair(const struct claimant *claimant, const char *prompt, int32_t *owner,
                               struct ko_error *err)
{
    if (*owner >= 0) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: has prompt '%s' that is in %s too, give every prompt once",
                       claimant->shard->view->path, prompt, claimant->set->path->item[*owner]);
    }
    *owner = claimant->file;
    return KO_OK;
}

static enum ko_code read_rows(const struct claimant *claimant, const struct ko_merge_part *part,
                              int32_t model, const struct rows *rows, struct ko_error *err)
{
    const struct ko_cube_view *view = claimant->shard->view;
    const int32_t whole = claimant->shard->index[KO_AXIS_MODEL][model];
    enum ko_code code = ko_cube_view_transfer(view, part->status, (hsize_t)model, 1,
                                              H5T_NATIVE_UINT8, rows->part, err);
    if (code == KO_OK) {
        code = ko_cube_view_transfer(claimant->set->first.whole, part->status, (hsize_t)whole, 1,
                                     H5T_NATIVE_UINT8, rows->planned, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_transfer(view, part->clean, (hsize_t)model, 1, H5T_NATIVE_FLOAT,
                                     rows->clean, err);
    }
    return code;
}

static enum ko_code claim_model(const struct claimant *claimant, size_t which, int32_t model,
                                const struct rows *rows, struct ko_error *err)
{
    const struct ko_merge_part *part = &ko_merge_part[which];
    const struct ko_cube_shard *shard = claimant->shard;
    const struct ko_cube_axes *axes = &shard->view->axes;
    const struct ko_strings *label =
        part->axis == KO_AXIS_PROMPT ? &axes->prompt : &axes->heat_prompt;
    int32_t *owner =
        claimant->set->owner[which] + (size_t)shard->index[KO_AXIS_MODEL][model] * rows->n_whole;
    enum ko_code code = read_rows(claimant, part, model, rows, err);

    for (size_t p = 0; p < rows->n_part && code == KO_OK; p++) {
        const size_t whole = (size_t)shard->index[part->axis][p];
        const struct pair pair = look_at(rows->part + p * rows->n_each,
                                         rows->planned + whole * rows->n_each, rows->n_each);
        if (!pair.planned) {
            continue;
        }
        if (pair.foreign) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: prompt '%s' of %s has other cells than the whole sweep, compute "
                           "the shard again",
                           shard->view->path, label->item[p], axes->model.item[model]);
        }
        code = claim_pair(claimant, label->item[p], &owner[whole], err);
        const bool pending =
            pair.pending || rows->flaw[p] || (!pair.failed && isnan(rows->clean[p]));
        claimant->set->n_planned[claimant->file]++;
        claimant->set->n_pending[claimant->file] += pending;
        claimant->merged->n_pairs++;
        claimant->merged->pending += pending;
        claimant->merged->failed += pair.failed;
    }
    return code;
}

/* Marks in flaw [n_part] the prompts of one model with a cell that is flagged done and has no
   value, and counts those cells. */
static enum ko_code find_valueless(struct ko_cube_slab *slab, struct ko_cube_planned *planned,
                                   int32_t model, uint8_t *flaw, int64_t *n, struct ko_error *err)
{
    enum ko_code code = KO_OK;

    for (int32_t first = 0; code == KO_OK && first < slab->n_prompts; first += slab->n) {
        code = ko_cube_slab_read(slab, model, first, err);
        for (int32_t p = 0; code == KO_OK && p < slab->n; p++) {
            const struct ko_cube_starts starts =
                ko_cube_planned_starts(planned, slab->heat, model, first + p);
            const int64_t here = ko_cube_slab_valueless(slab, p, &starts);
            flaw[first + p] = here > 0;
            *n += here;
        }
    }
    return code;
}

static enum ko_code claim_part(const struct claimant *claimant, size_t which, struct ko_error *err)
{
    const struct ko_merge_part *part = &ko_merge_part[which];
    const struct ko_cube_view *whole = claimant->set->first.whole;
    struct ko_cube_view *view = claimant->shard->view;
    struct ko_cube_slab slab = {0};
    struct rows rows = {0};
    enum ko_code code = ko_cube_slab_open(view, part->axis == KO_AXIS_HEAT_PROMPT, &slab, err);

    if (code == KO_OK) {
        code = new_rows(whole, part, (size_t)view->lengths.n[part->axis], &rows, err);
    }
    for (int32_t m = 0; m < (int32_t)view->axes.model.n && code == KO_OK; m++) {
        code = find_valueless(&slab, claimant->planned, m, rows.flaw,
                              &claimant->set->n_valueless[claimant->file], err);
        if (code == KO_OK) {
            code = claim_model(claimant, which, m, &rows, err);
        }
    }
    free_rows(&rows);
    ko_cube_slab_close(&slab);
    return code;
}

enum ko_code ko_merge_set_claim(struct ko_merge_set *set, struct ko_cube_shard *shard, int32_t file,
                                struct ko_cube_merged *merged, struct ko_error *err)
{
    struct claimant claimant = {.set = set, .shard = shard, .file = file, .merged = merged};
    enum ko_code code = ko_cube_planned_open(shard->view, &claimant.planned, err);

    for (size_t k = 0; k < KO_MERGE_PARTS && code == KO_OK; k++) {
        if (ko_cube_present(ko_cube_find(ko_merge_part[k].status), &shard->view->lengths)) {
            code = claim_part(&claimant, k, err);
        }
    }
    ko_cube_planned_close(claimant.planned);
    return code;
}

/* Whether a pair has planned cells. */
static bool is_planned(const uint8_t *status, size_t n_each)
{
    for (size_t i = 0; i < n_each; i++) {
        if (status[i] != KO_NOT_PLANNED) {
            return true;
        }
    }
    return false;
}

enum ko_code ko_merge_set_count_rest(const struct ko_merge_set *set, struct ko_cube_merged *merged,
                                     struct ko_error *err)
{
    const struct ko_cube_view *whole = set->first.whole;
    enum ko_code code = KO_OK;

    for (size_t k = 0; k < KO_MERGE_PARTS && code == KO_OK; k++) {
        const struct ko_merge_part *part = &ko_merge_part[k];
        struct rows rows = {0};
        if (!set->owner[k]) {
            continue;
        }
        code = new_rows(whole, part, 0, &rows, err);
        for (size_t m = 0; m < whole->axes.model.n && code == KO_OK; m++) {
            code = ko_cube_view_transfer(whole, part->status, (hsize_t)m, 1, H5T_NATIVE_UINT8,
                                         rows.planned, err);
            for (size_t p = 0; p < rows.n_whole && code == KO_OK; p++) {
                if (set->owner[k][m * rows.n_whole + p] < 0 &&
                    is_planned(rows.planned + p * rows.n_each, rows.n_each)) {
                    merged->n_pairs++;
                    merged->pending++;
                }
            }
        }
        free_rows(&rows);
    }
    return code;
}
