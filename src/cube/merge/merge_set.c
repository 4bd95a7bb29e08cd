/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the shards and checks that they are parts of the same sweep: same plan, same axes, same
   weights. It also names the shards that are missing. */
#include "src/cube/merge/merge_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/cube/format/hdf5_check.h"

/* Which attributes two shards must share, and which they should. */
static const char *const must_equal[] = {"backend", "precision", "cube_format"};
static const char *const should_equal[] = {"device", "program", "commit"};

const struct ko_merge_part ko_merge_part[KO_MERGE_PARTS] = {
    {KO_AXIS_PROMPT, "status", "logprob", "target_rank", "vacuous", "clean_logprob"},
    {KO_AXIS_HEAT_PROMPT, "heat_status", "heat_logprob", "heat_target_rank", "heat_vacuous",
     "heat_clean_logprob"},
};

static const char *or_none(const char *text)
{
    return text ? text : "none";
}

static enum ko_code must_agree(const struct ko_cube_shard *first, const struct ko_cube_shard *shard,
                               struct ko_error *err)
{
    for (size_t i = 0; i < sizeof must_equal / sizeof *must_equal; i++) {
        const char *here = or_none(ko_cube_view_attribute(shard->view, must_equal[i]));
        const char *there = or_none(ko_cube_view_attribute(first->view, must_equal[i]));
        if (strcmp(here, there) != 0) {
            return ko_fail(err, KO_E_INPUT,
                           "%s: %s is '%.200s' and that of %s is '%.200s', compute both with the "
                           "same",
                           shard->view->path, must_equal[i], here, first->view->path, there);
        }
    }
    return KO_OK;
}

static enum ko_code should_agree(const struct ko_cube_shard *first,
                                 const struct ko_cube_shard *shard, struct ko_strings *warnings,
                                 struct ko_error *err)
{
    enum ko_code code = KO_OK;

    for (size_t i = 0; i < sizeof should_equal / sizeof *should_equal && code == KO_OK; i++) {
        const char *here = or_none(ko_cube_view_attribute(shard->view, should_equal[i]));
        const char *there = or_none(ko_cube_view_attribute(first->view, should_equal[i]));
        struct ko_text text = {0};
        if (strcmp(here, there) == 0) {
            continue;
        }
        ko_text_add(&text, "%s: %s is '%.200s' and that of %s is '%.200s', which the cube stores",
                    shard->view->path, should_equal[i], here, first->view->path, there);
        code = ko_text_check(&text, err);
        if (code == KO_OK) {
            code = ko_strings_add(warnings, text.data, err);
        }
        ko_text_free(&text);
    }
    return code;
}

/* Each shard may have run its own evaluation on other ranks or threads. The selected prompts are
   the same, but the values may differ by rounding. */
static enum ko_code compare_evaluations(const struct ko_cube_shard *first,
                                        const struct ko_cube_shard *shard,
                                        struct ko_strings *warnings, struct ko_error *err)
{
    const size_t n_models = first->whole->axes.model.n, n = first->whole->axes.eval_prompt.n;
    float *here = ko_new(n, sizeof *here, err), *there = ko_new(n, sizeof *there, err);
    enum ko_code code = here && there ? KO_OK : KO_E_MEMORY;
    bool differ = false;

    for (size_t m = 0; m < n_models && code == KO_OK && !differ; m++) {
        code =
            ko_cube_view_transfer(first->whole, "eval_logprob", m, 1, H5T_NATIVE_FLOAT, there, err);
        if (code == KO_OK) {
            code = ko_cube_view_transfer(shard->whole, "eval_logprob", m, 1, H5T_NATIVE_FLOAT, here,
                                         err);
        }
        differ = code == KO_OK && memcmp(here, there, n * sizeof *here) != 0;
    }
    free(here);
    free(there);
    if (differ) {
        struct ko_text text = {0};
        ko_text_add(&text, "%s: has another evaluation than %s, the cube gets the latter's values",
                    shard->view->path, first->view->path);
        code = ko_text_check(&text, err);
        if (code == KO_OK) {
            code = ko_strings_add(warnings, text.data, err);
        }
        ko_text_free(&text);
    }
    return code;
}

static enum ko_code check_strings(const struct ko_cube_shard *first,
                                  const struct ko_cube_shard *shard, const char *what,
                                  const struct ko_strings *there, const struct ko_strings *here,
                                  struct ko_error *err)
{
    for (size_t m = 0; m < here->n && m < there->n; m++) {
        if (strcmp(here->item[m], there->item[m]) != 0) {
            return ko_fail(err, KO_E_INPUT, "%s: %s of model '%s' is %.200s and in %s %.200s",
                           shard->view->path, what, shard->whole->axes.model.item[m], here->item[m],
                           first->view->path, there->item[m]);
        }
    }
    return KO_OK;
}

/* Shards of one plan hash have the same axes and cells. Files can be damaged, so axes are compared
   all the same. */
static enum ko_code check_outline(const struct ko_cube_shard *first,
                                  const struct ko_cube_shard *shard, struct ko_error *err)
{
    const struct ko_cube_axes *there = &first->whole->axes, *here = &shard->whole->axes;
    enum ko_code code;

    if (memcmp(first->whole->lengths.n, shard->whole->lengths.n, sizeof shard->whole->lengths.n) !=
            0 ||
        first->view->lengths.foils != shard->view->lengths.foils ||
        first->view->lengths.several != shard->view->lengths.several ||
        first->view->lengths.appended != shard->view->lengths.appended ||
        first->whole->lengths.vacuous != shard->whole->lengths.vacuous) {
        return ko_fail(err, KO_E_INPUT,
                       "%s: outlines a cube with other axes than %s, leave one out",
                       shard->view->path, first->view->path);
    }
    code = check_strings(first, shard, "the name", &there->model, &here->model, err);
    if (code == KO_OK) {
        code = check_strings(first, shard, "the checkpoint's fingerprint", &there->fingerprint,
                             &here->fingerprint, err);
    }
    if (code == KO_OK) {
        code = check_strings(first, shard, "the tokenizer's fingerprint",
                             &there->tokenizer_fingerprint, &here->tokenizer_fingerprint, err);
    }
    return code;
}

static enum ko_code check_sweep(const struct ko_cube_shard *first,
                                const struct ko_cube_shard *shard, struct ko_error *err)
{
    if (strcmp(first->plan_hash, shard->plan_hash) != 0) {
        return ko_fail(
            err, KO_E_INPUT,
            "%s: is a shard of another sweep than %s, plan hash %s and %s, leave one out",
            shard->view->path, first->view->path, shard->plan_hash, first->plan_hash);
    }
    if (first->shard.of != shard->shard.of) {
        return ko_fail(err, KO_E_INPUT, "%s: is shard %d of %d and %s one of %d, leave one out",
                       shard->view->path, shard->shard.number, shard->shard.of, first->view->path,
                       first->shard.of);
    }
    return KO_OK;
}

/* Records the content hashes of the shard's weights, which must be the same in every shard. */
static enum ko_code take_hashes(struct ko_merge_set *set, const struct ko_cube_shard *shard,
                                struct ko_error *err)
{
    enum ko_code code = KO_OK;

    for (size_t m = 0; m < shard->view->axes.model.n && code == KO_OK; m++) {
        char *known = set->content_hash[shard->index[KO_AXIS_MODEL][m]], hash[33];
        code = ko_cube_view_content_hash(shard->view, (int32_t)m, hash, err);
        if (code != KO_OK || hash[0] == '\0') {
            continue;
        }
        if (known[0] != '\0' && strcmp(known, hash) != 0) {
            code = ko_fail(err, KO_E_INPUT,
                           "%s: the weights of model '%s' have hash %s and in another shard %s, "
                           "compute both with the same checkpoint",
                           shard->view->path, shard->view->axes.model.item[m], hash, known);
        } else {
            memcpy(known, hash, sizeof hash);
        }
    }
    return code;
}

/* Takes the content hashes that the selection's evaluation stored, also of models whose shards are
   missing. */
static enum ko_code start_hashes(struct ko_merge_set *set, struct ko_error *err)
{
    struct ko_cube_view *whole = set->first.whole;
    enum ko_code code = KO_OK;

    for (size_t m = 0; m < whole->axes.model.n && code == KO_OK; m++) {
        if (ko_cube_view_has(whole, "content_hash")) {
            code = ko_cube_view_content_hash(whole, (int32_t)m, set->content_hash[m], err);
        }
    }
    return code;
}

static enum ko_code new_set(struct ko_merge_set *set, struct ko_error *err)
{
    const struct ko_cube_view *whole = set->first.whole;
    const size_t n_models = whole->axes.model.n;

    set->file_of = ko_new((size_t)set->first.shard.of, sizeof *set->file_of, err);
    set->n_planned = ko_new(set->path->n, sizeof *set->n_planned, err);
    set->n_pending = ko_new(set->path->n, sizeof *set->n_pending, err);
    set->n_valueless = ko_new(set->path->n, sizeof *set->n_valueless, err);
    set->content_hash = ko_new(n_models, sizeof *set->content_hash, err);
    if (!set->file_of || !set->n_planned || !set->n_pending || !set->n_valueless ||
        !set->content_hash) {
        return KO_E_MEMORY;
    }
    for (int32_t i = 0; i < set->first.shard.of; i++) {
        set->file_of[i] = -1;
    }
    for (size_t k = 0; k < KO_MERGE_PARTS; k++) {
        size_t n = 0;
        if (!ko_cube_present(ko_cube_find(ko_merge_part[k].status), &whole->lengths)) {
            continue;
        }
        enum ko_code code = ko_multiply(n_models, (size_t)whole->lengths.n[ko_merge_part[k].axis],
                                        &n, "models x prompts", err);
        if (code != KO_OK) {
            return code;
        }
        set->owner[k] = ko_new(n, sizeof *set->owner[k], err);
        if (!set->owner[k]) {
            return KO_E_MEMORY;
        }
        for (size_t i = 0; i < n; i++) {
            set->owner[k][i] = -1;
        }
    }
    return start_hashes(set, err);
}

static enum ko_code add_shard(struct ko_merge_set *set, struct ko_cube_shard *shard, int32_t file,
                              struct ko_cube_merged *merged, struct ko_error *err)
{
    enum ko_code code = check_sweep(&set->first, shard, err);

    if (code == KO_OK) {
        code = check_outline(&set->first, shard, err);
    }
    if (code == KO_OK) {
        code = must_agree(&set->first, shard, err);
    }
    if (code == KO_OK) {
        code = should_agree(&set->first, shard, &merged->warnings, err);
    }
    if (code == KO_OK) {
        code = compare_evaluations(&set->first, shard, &merged->warnings, err);
    }
    if (code != KO_OK) {
        return code;
    }
    int32_t *file_of = &set->file_of[shard->shard.number - 1];
    if (*file_of >= 0) {
        return ko_fail(err, KO_E_INPUT, "%s: is shard %d of %d, as is %s, give each once",
                       shard->view->path, shard->shard.number, shard->shard.of,
                       set->path->item[*file_of]);
    }
    *file_of = file;
    set->reused = set->reused || shard->view->lengths.reused;
    code = take_hashes(set, shard, err);
    return code == KO_OK ? ko_merge_set_claim(set, shard, file, merged, err) : code;
}

enum ko_code ko_merge_set_open(const struct ko_strings *path, struct ko_merge_set *set,
                               struct ko_cube_merged *merged, struct ko_error *err)
{
    *set = (struct ko_merge_set){.path = path};
    enum ko_code code = ko_cube_shard_open(path->item[0], &set->first, err);

    if (code != KO_OK) {
        return code;
    }
    merged->n_shards = set->first.shard.of;
    code = new_set(set, err);
    for (size_t i = 0; i < path->n && code == KO_OK; i++) {
        struct ko_cube_shard shard = {0};
        code = ko_cube_shard_open(path->item[i], &shard, err);
        if (code == KO_OK) {
            code = add_shard(set, &shard, (int32_t)i, merged, err);
        }
        ko_cube_shard_close(&shard);
    }
    if (code == KO_OK) {
        code = ko_merge_set_count_rest(set, merged, err);
    }
    return code;
}

void ko_merge_set_close(struct ko_merge_set *set)
{
    for (size_t k = 0; k < KO_MERGE_PARTS; k++) {
        free(set->owner[k]);
    }
    free(set->file_of);
    free(set->n_planned);
    free(set->n_pending);
    free(set->n_valueless);
    free(set->content_hash);
    ko_cube_shard_close(&set->first);
    *set = (struct ko_merge_set){0};
}

/* Adds the name that a missing shard's file would have: the first file's name with another number.
   Adds nothing where the first file has another form of name. */
static void name_of(const struct ko_merge_set *set, int32_t number, struct ko_text *text)
{
    const char *first = set->path->item[0];
    char ending[64], other[64];
    const size_t n = strlen(first);

    (void)snprintf(ending, sizeof ending, KO_SHARD_SUFFIX, set->first.shard.number,
                   set->first.shard.of);
    (void)snprintf(other, sizeof other, KO_SHARD_SUFFIX, number, set->first.shard.of);
    if (n > strlen(ending) && strcmp(first + n - strlen(ending), ending) == 0) {
        ko_text_add(text, " (%.*s%s)", (int)(n - strlen(ending)), first, other);
    }
}

void ko_merge_set_missing(const struct ko_merge_set *set, struct ko_text *text)
{
    enum { MOST = 8 };
    int32_t n_missing = 0;
    size_t n_incomplete = 0;

    for (int32_t i = 0; i < set->first.shard.of; i++) {
        if (set->file_of[i] >= 0 || n_missing++ >= MOST) {
            continue;
        }
        ko_text_add(text, "%sshard %d of %d is missing", text->n ? ", " : "", i + 1,
                    set->first.shard.of);
        name_of(set, i + 1, text);
    }
    if (n_missing > MOST) {
        ko_text_add(text, " and %d more", n_missing - MOST);
    }
    for (size_t i = 0; i < set->path->n; i++) {
        if (set->n_pending[i] == 0 || n_incomplete++ >= MOST) {
            continue;
        }
        ko_text_add(text, "%s%s is incomplete: %lld of its %lld prompts and heatmaps are pending",
                    text->n ? ", " : "", set->path->item[i], (long long)set->n_pending[i],
                    (long long)set->n_planned[i]);
        if (set->n_valueless[i] > 0) {
            ko_text_add(text, " (%lld cells are flagged done and have no value)",
                        (long long)set->n_valueless[i]);
        }
    }
    if (n_incomplete > MOST) {
        ko_text_add(text, " and %zu more", n_incomplete - MOST);
    }
}
