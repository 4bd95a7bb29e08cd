/* SPDX-License-Identifier: Apache-2.0 */
/* Works out once for a model what every prompt's tree needs: the blocks' windows, how the classes
   relate, and what the rows cost. The layouts are in tree_layout.c. */
#include "src/tree/tree_model.h"

#include <stdlib.h>

#include "src/base/memory.h"
#include "src/tree/tree_layout.h"

static void fill_block_windows(const struct ko_tree_model *m, int32_t b)
{
    uint8_t *windows = m->block_windows + (size_t)b * m->n_windows;
    for (int32_t s = 0; s < m->plan->n_starts; s++) {
        for (int32_t i = 0; i < m->plan->n_sizes; i++) {
            *windows++ = ko_plan_block_has_window(m->plan, &m->plan->block[b], m->model, i, s);
        }
    }
}

/* The kind that selects the same features. */
static enum ko_feature_kind selector_of(const struct ko_feature_class *class)
{
    const bool every = class->kind == KO_FEATURE_ATTENTION || class->kind == KO_FEATURE_SSM ||
                       class->kind == KO_FEATURE_CONV;
    return every ? KO_FEATURE_ALL : class->kind;
}

/* Whether the classes do the same in this model, but for `+conv`. */
static bool classes_match(const struct ko_tree_model *m, int32_t a, int32_t b)
{
    const struct ko_feature_class *x = &m->plan->class[a], *y = &m->plan->class[b];
    const uint8_t mixers = m->plan->model[m->model].mixers;
    return (ko_feature_class_mixers(x) & mixers) == (ko_feature_class_mixers(y) & mixers) &&
           selector_of(x) == selector_of(y) && x->seed == y->seed && x->head == y->head &&
           x->replacement == y->replacement && x->donor_seed == y->donor_seed;
}

/* The first class on the axis that matches and has this `+conv`; the class itself if none does. */
static int32_t first_match(const struct ko_tree_model *m, int32_t class, bool conv)
{
    for (int32_t i = 0; i < m->plan->n_classes; i++) {
        if (m->exists[i] && m->plan->class[i].conv == conv && classes_match(m, i, class)) {
            return i;
        }
    }
    return class;
}

static void relate_classes(struct ko_tree_model *m)
{
    const struct ko_plan *plan = m->plan;
    for (int32_t c = 0; c < plan->n_classes; c++) {
        m->exists[c] = ko_plan_model_has_class(plan, m->model, c);
        m->mask[c] = ko_plan_mask(plan, m->model, c);
    }
    for (int32_t c = 0; c < plan->n_classes; c++) {
        m->same_class[c] = first_match(m, c, plan->class[c].conv);
        m->without_conv[c] = first_match(m, m->same_class[c], false);
    }
}

static void sum_flop(struct ko_tree_model *m)
{
    const struct ko_plan_model *model = &m->plan->model[m->model];
    for (int32_t s = m->n_stages - 1; s >= 0; s--) {
        const struct ko_plan_stage stage = ko_plan_stage_of(model, s);
        m->rest_flop[s] = m->rest_flop[s + 1] + stage.flop[0] + stage.flop[1];
        if (s > 0) {
            m->rest_flop[s] += ko_plan_stage_of(model, s - 1).flop[2];
        }
    }
    m->last_flop = ko_plan_stage_of(model, m->n_stages - 1).flop[2] +
                   2.0 * (double)model->vocabulary * (double)model->d_model;
}

static enum ko_code allocate_model(struct ko_tree_model *m, struct ko_error *err)
{
    const size_t n_classes = (size_t)m->plan->n_classes;
    size_t n = 0;
    enum ko_code code = ko_multiply((size_t)m->plan->n_starts, (size_t)m->plan->n_sizes,
                                    &m->n_windows, "windows of a plan", err);
    if (code == KO_OK) {
        code = ko_multiply((size_t)m->plan->n_blocks, m->n_windows, &n, "windows of a plan", err);
    }
    if (code != KO_OK) {
        return code;
    }
    m->block_windows = ko_new(n, 1, err);
    m->exists = ko_new(n_classes, 1, err);
    m->same_class = ko_new(n_classes, sizeof *m->same_class, err);
    m->without_conv = ko_new(n_classes, sizeof *m->without_conv, err);
    m->mask = ko_new(n_classes, sizeof *m->mask, err);
    m->rest_flop = ko_new((size_t)m->n_stages + 1, sizeof *m->rest_flop, err);
    const bool all = m->block_windows && m->exists && m->same_class && m->without_conv && m->mask &&
                     m->rest_flop;
    return all ? KO_OK : KO_E_MEMORY;
}

enum ko_code ko_tree_model_open(const struct ko_plan *plan, int32_t model,
                                struct ko_tree_model *out, struct ko_error *err)
{
    struct ko_tree_model m = {
        .plan = plan, .model = model, .n_stages = ko_plan_n_stages(&plan->model[model])};
    enum ko_code code = allocate_model(&m, err);
    if (code == KO_OK) {
        for (int32_t b = 0; b < plan->n_blocks; b++) {
            fill_block_windows(&m, b);
        }
        relate_classes(&m);
        sum_flop(&m);
        code = ko_tree_layouts_make(&m, err);
    }
    if (code != KO_OK) {
        ko_tree_model_close(&m);
        return code;
    }
    *out = m;
    return KO_OK;
}

void ko_tree_model_close(struct ko_tree_model *model)
{
    ko_tree_layouts_free(model);
    free(model->block_windows);
    free(model->exists);
    free(model->same_class);
    free(model->without_conv);
    free(model->mask);
    free(model->rest_flop);
    *model = (struct ko_tree_model){0};
}
