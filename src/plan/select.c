/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the prompts of each sweep block: it evaluates the selection for each prompt and model,
   and draws the sample. If nothing is left, the error says where the prompts were lost. */
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/text.h"
#include "src/plan/build.h"
#include "src/prompts/draw.h"

/* One block's selection, for one model where it depends on the model. */
struct selector {
    const struct ko_plan_builder *builder;
    const struct ko_spec_block *block;
    const uint8_t *block_model; /* [n_models] */
    int32_t begin, end;         /* facts of the block's file */
    int32_t ranked;             /* index among the evaluation's models, -1: not needed */
};

static int32_t rank_of(const struct selector *s, size_t ranked_model, int32_t fact)
{
    const struct ko_plan_input *input = s->builder->input;
    return input->rank[ranked_model * (size_t)s->builder->plan->n_facts + (size_t)fact];
}

static bool correct_by_names(const struct selector *s, const struct ko_strings *names, int32_t fact)
{
    for (size_t i = 0; i < names->n; i++) {
        ptrdiff_t at = ko_strings_find(s->builder->input->ranked_models, names->item[i]);
        if (rank_of(s, (size_t)at, fact) != 1) {
            return false;
        }
    }
    return true;
}

static bool correct_by_all(const struct selector *s, int32_t fact)
{
    for (size_t i = 0; i < s->builder->input->ranked_models->n; i++) {
        if (rank_of(s, i, fact) != 1) {
            return false;
        }
    }
    return true;
}

/* Whether the fact is selected. `unknown` stands for a condition on ranks while ranks are not known:
   true, and false under a `not`, so that the result is an upper bound. */
static bool selects_fact(const struct selector *s, const struct ko_select *select, int32_t fact,
                         bool unknown)
{
    const struct ko_plan_fact *f = &s->builder->plan->fact[fact];
    bool known = s->builder->input->rank != NULL;
    switch (select->kind) {
    case KO_SELECT_ALL:
        return true;
    case KO_SELECT_CORRECT:
        return known ? rank_of(s, (size_t)s->ranked, fact) == 1 : unknown;
    case KO_SELECT_CORRECT_BY_ALL:
        return known ? correct_by_all(s, fact) : unknown;
    case KO_SELECT_CORRECT_BY:
        return known ? correct_by_names(s, &select->names, fact) : unknown;
    case KO_SELECT_RANK_AT_MOST:
        return known ? rank_of(s, (size_t)s->ranked, fact) >= 1 &&
                           rank_of(s, (size_t)s->ranked, fact) <= select->k
                     : unknown;
    case KO_SELECT_RELATION:
        return f->relation != NULL && ko_strings_find(&select->names, f->relation) >= 0;
    case KO_SELECT_ID:
        return ko_strings_find(&select->names, f->id) >= 0;
    case KO_SELECT_NOT:
        return !selects_fact(s, select->part[0], fact, !unknown);
    case KO_SELECT_ALL_OF:
    case KO_SELECT_ANY_OF:
        break;
    }
    bool all = select->kind == KO_SELECT_ALL_OF;
    for (size_t i = 0; i < select->n_parts; i++) {
        if (selects_fact(s, select->part[i], fact, unknown) != all) {
            return !all;
        }
    }
    return all;
}

static bool depends_on_model(const struct ko_select *select)
{
    if (select->kind == KO_SELECT_CORRECT || select->kind == KO_SELECT_RANK_AT_MOST) {
        return true;
    }
    for (size_t i = 0; i < select->n_parts; i++) {
        if (depends_on_model(select->part[i])) {
            return true;
        }
    }
    return false;
}

static bool is_runnable(const struct ko_plan *plan, int32_t model, int32_t fact)
{
    return ko_plan_prompt(plan, model, fact)->reason == KO_RUNNABLE;
}

static bool is_runnable_by_any(const struct selector *s, int32_t fact)
{
    const struct ko_plan *plan = s->builder->plan;
    for (int32_t m = 0; m < plan->n_models; m++) {
        if (s->block_model[m] && is_runnable(plan, m, fact)) {
            return true;
        }
    }
    return false;
}

/* Reduces the marked facts to the block's sample. */
static enum ko_code draw_sample(const struct selector *s, uint8_t *marked, const char *model)
{
    if (s->block->sample_n < 0) {
        return KO_OK;
    }
    int64_t *items = ko_new((size_t)(s->end - s->begin), sizeof *items, s->builder->err);
    if (!items) {
        return KO_E_MEMORY;
    }
    size_t n = 0, k = (size_t)s->block->sample_n;
    for (int32_t f = s->begin; f < s->end; f++) {
        if (marked[f]) {
            items[n++] = f;
        }
    }
    enum ko_code code = KO_OK;
    if (k > n && n > 0) {
        code = ko_plan_warn(s->builder,
                            "%s: sample: %zu prompts asked for%s%s, %zu are selected, "
                            "all of them are taken",
                            s->block->where, k, !model ? "" : " of ", !model ? "" : model, n);
    } else if (k < n) {
        ko_draw(items, n, k, s->block->sample_seed, 0);
        memset(marked + s->begin, 0, (size_t)(s->end - s->begin));
        for (size_t i = 0; i < k; i++) {
            marked[items[i]] = 1;
        }
    }
    free(items);
    return code;
}

/* One selection for all models: drawn once, then each model keeps the prompts that it can run. */
static enum ko_code select_once(const struct selector *s, uint8_t *marked, uint8_t *selected)
{
    const struct ko_plan *plan = s->builder->plan;
    for (int32_t f = s->begin; f < s->end; f++) {
        marked[f] = is_runnable_by_any(s, f) && selects_fact(s, s->block->select, f, true);
    }
    enum ko_code code = draw_sample(s, marked, NULL);
    for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
        uint8_t *row = selected + (size_t)m * (size_t)plan->n_facts;
        for (int32_t f = s->begin; s->block_model[m] && f < s->end; f++) {
            row[f] = marked[f] && is_runnable(plan, m, f);
        }
    }
    return code;
}

static enum ko_code select_for_model(struct selector *s, int32_t model, uint8_t *row)
{
    const struct ko_plan_builder *builder = s->builder;
    const char *name = builder->plan->model[model].name;
    if (builder->input->rank) {
        s->ranked = (int32_t)ko_strings_find(builder->input->ranked_models, name);
        if (s->ranked < 0) {
            return ko_fail(builder->err, KO_E_INPUT,
                           "%s: select: the evaluation does not have the model '%s', evaluate it "
                           "too or leave the evaluation out",
                           s->block->where, name);
        }
    }
    for (int32_t f = s->begin; f < s->end; f++) {
        row[f] = is_runnable(builder->plan, model, f) && selects_fact(s, s->block->select, f, true);
    }
    enum ko_code code = draw_sample(s, row, name);
    if (code == KO_OK && !memchr(row, 1, (size_t)builder->plan->n_facts)) {
        code = ko_plan_warn(builder, "%s: %s: no prompt is selected", s->block->where, name);
    }
    return code;
}

/* Nothing is selected: says where the prompts were lost. unmatched: a value of the selection that no
   prompt has, "" where there is none. */
static enum ko_code fail_empty(const struct selector *s, const char *unmatched)
{
    const struct ko_plan_builder *builder = s->builder;
    int32_t n_runnable = 0;
    for (int32_t f = s->begin; f < s->end; f++) {
        n_runnable += is_runnable_by_any(s, f);
    }
    const char *where = s->block->select->where != NULL ? s->block->select->where : s->block->where;
    const char *file = builder->input->facts[s->block->file].file;
    if (n_runnable == 0 && s->end > s->begin) {
        int32_t m = 0;
        while (!s->block_model[m]) {
            m++;
        }
        const struct ko_prompt *first = ko_plan_prompt(builder->plan, m, s->begin);
        return ko_fail(builder->err, KO_E_INPUT,
                       "%s: no prompt is selected: %s has %d prompts, 0 can be run ('%s': %s)",
                       where, file, s->end - s->begin, builder->plan->fact[s->begin].id,
                       ko_reason_sentence(first->reason));
    }
    if (unmatched[0] != '\0') {
        return ko_fail(builder->err, KO_E_INPUT, "%s: no prompt is selected: %s", where, unmatched);
    }
    return ko_fail(builder->err, KO_E_INPUT,
                   "%s: no prompt is selected: %s has %d prompts, %d can be run, 0 are selected, "
                   "widen select",
                   where, file, s->end - s->begin, n_runnable);
}

static enum ko_code select_block(const struct ko_plan_builder *builder, int32_t b, uint8_t *marked)
{
    const struct ko_plan *plan = builder->plan;
    const struct ko_spec_block *block = &builder->input->spec->block[b];
    size_t n_models = (size_t)plan->n_models, n_facts = (size_t)plan->n_facts;
    struct selector s = {builder,
                         block,
                         builder->block_model + (size_t)b * n_models,
                         builder->file_begin[block->file],
                         builder->file_begin[block->file + 1],
                         -1};
    uint8_t *selected = ko_new(n_models * n_facts, 1, builder->err);
    plan->block[b].selected = selected;
    if (!selected) {
        return KO_E_MEMORY;
    }
    struct ko_text unmatched = {0};
    enum ko_code code = ko_plan_select_check_names(builder, block->select, block->file, &unmatched);
    if (code == KO_OK && !depends_on_model(block->select)) {
        code = select_once(&s, marked, selected);
    } else {
        for (int32_t m = 0; code == KO_OK && m < plan->n_models; m++) {
            if (s.block_model[m]) {
                code = select_for_model(&s, m, selected + (size_t)m * n_facts);
            }
        }
    }
    if (code == KO_OK && !memchr(selected, 1, n_models * n_facts)) {
        code = fail_empty(&s, ko_text_str(&unmatched));
    }
    ko_text_free(&unmatched);
    return code;
}

/* Copies a selection that was made before. */
static enum ko_code copy_selection(const struct ko_plan_builder *builder, int32_t b)
{
    const struct ko_plan *plan = builder->plan;
    size_t n = (size_t)plan->n_models * (size_t)plan->n_facts;
    plan->block[b].selected = ko_new(n, 1, builder->err);
    if (!plan->block[b].selected) {
        return KO_E_MEMORY;
    }
    memcpy(plan->block[b].selected, builder->input->selected + (size_t)b * n, n);
    return KO_OK;
}

enum ko_code ko_plan_build_selection(struct ko_plan_builder *builder)
{
    uint8_t *marked = ko_new((size_t)builder->plan->n_facts, 1, builder->err);
    enum ko_code code = !marked ? KO_E_MEMORY : KO_OK;
    for (int32_t b = 0; code == KO_OK && b < builder->plan->n_blocks; b++) {
        code = builder->input->selected ? copy_selection(builder, b)
                                        : select_block(builder, b, marked);
    }
    free(marked);
    return code;
}
