/* SPDX-License-Identifier: Apache-2.0 */
/* Works out once for a model what every prompt's tree needs: the blocks' windows, and how the
   classes relate. */
#include "src/tree/tree_model.h"

#include <stdlib.h>

#include "src/base/memory.h"

static void fill_block_windows(const struct ko_tree_model *m, int32_t b)
{
    uint8_t *windows = m->block_windows + (size_t)b * m->n_windows;
    for (int32_t s = 0; s < m->plan->n_starts; s++) {
        for (int32_t i = 0; i < m->plan->n_sizes; i++) {
            *windows++ = ko_plan_block_has_window(m->plan, &m->plan->block[b], m->model, i, s);
        }
    }
}

static int32_t find_without_conv(const struct ko_plan *plan, int32_t class)
{
    const struct ko_feature_class *conv = &plan->class[class];
    for (int32_t i = 0; conv->conv && i < plan->n_classes; i++) {
        const struct ko_feature_class *other = &plan->class[i];
        if (!other->conv && other->kind == conv->kind && other->seed == conv->seed) {
            return i;
        }
    }
    return class;
}

enum ko_code ko_tree_model_open(const struct ko_plan *plan, int32_t model,
                                struct ko_tree_model *out, struct ko_error *err)
{
    struct ko_tree_model m = {.plan = plan, .model = model};
    const size_t n_classes = (size_t)plan->n_classes;
    size_t n = 0;
    enum ko_code code = ko_multiply((size_t)plan->n_starts, (size_t)plan->n_sizes, &m.n_windows,
                                    "windows of a plan", err);
    if (code == KO_OK) {
        code = ko_multiply((size_t)plan->n_blocks, m.n_windows, &n, "windows of a plan", err);
    }
    if (code != KO_OK) {
        return code;
    }
    m.block_windows = ko_new(n, 1, err);
    m.exists = ko_new(n_classes, 1, err);
    m.without_conv = ko_new(n_classes, sizeof *m.without_conv, err);
    m.mask = ko_new(n_classes, sizeof *m.mask, err);
    if (!m.block_windows || !m.exists || !m.without_conv || !m.mask) {
        ko_tree_model_close(&m);
        return KO_E_MEMORY;
    }
    for (int32_t b = 0; b < plan->n_blocks; b++) {
        fill_block_windows(&m, b);
    }
    for (int32_t c = 0; c < plan->n_classes; c++) {
        m.exists[c] = ko_plan_model_has_class(plan, model, c);
        m.without_conv[c] = find_without_conv(plan, c);
        m.mask[c] = ko_plan_mask(plan, model, c);
    }
    *out = m;
    return KO_OK;
}

void ko_tree_model_close(struct ko_tree_model *model)
{
    free(model->block_windows);
    free(model->exists);
    free(model->without_conv);
    free(model->mask);
    *model = (struct ko_tree_model){0};
}
