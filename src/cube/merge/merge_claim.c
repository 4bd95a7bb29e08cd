/* SPDX-License-Identifier: Apache-2.0 */
/* Notes which shard has which pair of model and prompt, refuses pairs that two shards have, and
   counts what is done, pending or failed. */
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

/* The statuses of one pair: whether it has any planned cell, and what became of them. */
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

static enum ko_code claim(struct ko_merge_set *set, const struct ko_cube_shard *shard, int32_t file,
                          const char *prompt, int32_t *owner, struct ko_error *err)
{
    if (*owner >= 0) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: has prompt '%s' that is in %s too, give every prompt once",
                       shard->view->path, prompt, set->path->item[*owner]);
    }
    *owner = file;
    return KO_OK;
}

static enum ko_code claim_model(struct ko_merge_set *set, struct ko_cube_shard *shard, int32_t file,
                                int32_t model, size_t which, struct rows *rows,
                                struct ko_cube_merged *merged, struct ko_error *err)
{
    const struct ko_merge_part *part = &ko_merge_part[which];
    const struct ko_strings *label =
        part->axis == KO_AXIS_PROMPT ? &shard->view->axes.prompt : &shard->view->axes.heat_prompt;
    const int32_t at = shard->index[KO_AXIS_MODEL][model];
    enum ko_code code = ko_cube_view_transfer(shard->view, part->status, (hsize_t)model, 1,
                                              H5T_NATIVE_UINT8, rows->part, err);

    if (code == KO_OK) {
        code = ko_cube_view_transfer(set->first.whole, part->status, (hsize_t)at, 1,
                                     H5T_NATIVE_UINT8, rows->planned, err);
    }
    if (code == KO_OK) {
        code = ko_cube_view_transfer(shard->view, part->clean, (hsize_t)model, 1, H5T_NATIVE_FLOAT,
                                     rows->clean, err);
    }
    for (size_t p = 0; p < rows->n_part && code == KO_OK; p++) {
        const size_t whole = (size_t)shard->index[part->axis][p];
        const struct pair pair = look_at(rows->part + p * rows->n_each,
                                         rows->planned + whole * rows->n_each, rows->n_each);
        if (!pair.planned) {
            continue;
        }
        if (pair.foreign) {
            code = ko_fail(err, KO_E_INPUT,
                           "%s: prompt '%s' of %s has other cells than the whole sweep, compute "
                           "the shard again",
                           shard->view->path, label->item[p], shard->view->axes.model.item[model]);
        }
        if (code == KO_OK) {
            code = claim(set, shard, file, label->item[p],
                         &set->owner[which][(size_t)at * rows->n_whole + whole], err);
        }
        const bool pending =
            pair.pending || rows->flaw[p] || (!pair.failed && isnan(rows->clean[p]));
        set->n_planned[file]++;
        set->n_pending[file] += pending;
        merged->n_pairs++;
        merged->pending += pending;
        merged->failed += pair.failed;
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

static enum ko_code claim_part(struct ko_merge_set *set, struct ko_cube_shard *shard, int32_t file,
                               size_t which, struct ko_cube_planned *planned,
                               struct ko_cube_merged *merged, struct ko_error *err)
{
    const struct ko_merge_part *part = &ko_merge_part[which];
    struct ko_cube_slab slab = {0};
    struct rows rows = {0};
    enum ko_code code =
        ko_cube_slab_open(shard->view, part->axis == KO_AXIS_HEAT_PROMPT, &slab, err);

    if (code == KO_OK) {
        code = new_rows(set->first.whole, part, (size_t)shard->view->lengths.n[part->axis], &rows,
                        err);
    }
    for (size_t m = 0; m < shard->view->axes.model.n && code == KO_OK; m++) {
        code = find_valueless(&slab, planned, (int32_t)m, rows.flaw, &set->n_valueless[file], err);
        if (code == KO_OK) {
            code = claim_model(set, shard, file, (int32_t)m, which, &rows, merged, err);
        }
    }
    free_rows(&rows);
    ko_cube_slab_close(&slab);
    return code;
}

enum ko_code ko_merge_set_claim(struct ko_merge_set *set, struct ko_cube_shard *shard, int32_t file,
                                struct ko_cube_merged *merged, struct ko_error *err)
{
    struct ko_cube_planned *planned = NULL;
    enum ko_code code = ko_cube_planned_open(shard->view, &planned, err);

    for (size_t k = 0; k < KO_MERGE_PARTS && code == KO_OK; k++) {
        if (ko_cube_present(ko_cube_find(ko_merge_part[k].status), &shard->view->lengths)) {
            code = claim_part(set, shard, file, k, planned, merged, err);
        }
    }
    ko_cube_planned_close(planned);
    return code;
}

/* Cells of a pair that no shard has computed. */
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
