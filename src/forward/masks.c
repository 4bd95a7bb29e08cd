/* SPDX-License-Identifier: Apache-2.0 */
/* Fills the feature masks of a plan's classes for every stage and copies them to the backend. */
#include <stdlib.h>

#include "src/base/memory.h"
#include "src/forward/engine.h"

/* What the masks select in a sublayer: the features of Mamba, the heads of DeltaNet. */
static int32_t count_selected(const struct ko_sublayer *sublayer)
{
    return sublayer->size.n_features > 0 ? sublayer->size.n_features : sublayer->size.n_ssm_heads;
}

/* The first sublayer with something to select. There is one where a class has a mask. */
static const struct ko_sublayer *find_selected(const struct ko_model *model)
{
    size_t i = 0;
    while (i + 1 < model->n_sublayers && count_selected(&model->sublayer[i]) == 0) {
        i++;
    }
    return &model->sublayer[i];
}

/* masks [n_masks, n_stages, F], conv [n_masks, n_stages, conv_channels] in host memory. Random
   classes count layers as the checkpoint does. */
static enum ko_code fill_masks(const struct ko_engine *engine, const double *norm, uint8_t *masks,
                               uint8_t *conv, struct ko_error *err)
{
    const struct ko_plan *plan = engine->plan;
    const struct ko_model *model = engine->pass.model;
    const struct ko_sublayer *featured = find_selected(model);
    const size_t F = (size_t)count_selected(featured);
    const size_t channels = (size_t)featured->size.conv_channels;
    for (int32_t c = 0; c < plan->n_classes; c++) {
        const int32_t number = ko_plan_mask(plan, engine->plan_model, c);
        if (number < 0) {
            continue;
        }
        for (size_t i = 0; i < model->n_sublayers; i++) {
            const struct ko_sublayer *sublayer = &model->sublayer[i];
            if (count_selected(sublayer) == 0) {
                continue;
            }
            const size_t stage = (size_t)sublayer->stage;
            const size_t at = (size_t)number * (size_t)model->n_stages + stage;
            uint8_t *mask = masks + at * F;
            const enum ko_code code = ko_feature_mask(&plan->class[c], norm + stage * F, (int32_t)F,
                                                      sublayer->layer, mask, err);
            if (code != KO_OK) {
                return code;
            }
            if (featured->kind->conv_mask) {
                featured->kind->conv_mask(featured, mask, conv + at * channels);
            }
        }
    }
    return KO_OK;
}

static enum ko_code put_mask(struct ko_engine *engine, const uint8_t *host, size_t n,
                             const uint8_t **out, struct ko_error *err)
{
    void *memory = NULL;
    enum ko_code code = engine->pass.kernels->alloc(engine->pass.be, n, &memory, err);
    if (code == KO_OK) {
        *out = memory;
        code = engine->pass.kernels->upload(engine->pass.be, memory, host, n, err);
    }
    return code;
}

enum ko_code ko_engine_make_masks(struct ko_engine *engine, struct ko_error *err)
{
    const struct ko_model *model = engine->pass.model;
    const int32_t n_masks = ko_plan_n_masks(engine->plan, engine->plan_model);
    if (n_masks == 0) {
        return KO_OK;
    }
    const struct ko_sublayer *featured = find_selected(model);
    const size_t F = (size_t)count_selected(featured), n_stages = (size_t)model->n_stages;
    const size_t rows = (size_t)n_masks * n_stages, n = rows * F;
    const size_t n_conv =
        featured->kind->conv_mask ? rows * (size_t)featured->size.conv_channels : 0;
    double *norm = ko_new(n_stages * F, sizeof *norm, err);
    uint8_t *masks = ko_new(n, 1, err), *conv = ko_new(n_conv, 1, err);
    enum ko_code code = norm && masks && conv ? KO_OK : KO_E_MEMORY;
    if (code == KO_OK) {
        ko_model_decay_norms(model, engine->pass.arena.host_values, norm);
        code = fill_masks(engine, norm, masks, conv, err);
    }
    if (code == KO_OK) {
        code = put_mask(engine, masks, n, &engine->pass.masks, err);
    }
    if (code == KO_OK && n_conv > 0) {
        code = put_mask(engine, conv, n_conv, &engine->pass.conv_masks, err);
    }
    free(norm);
    free(masks);
    free(conv);
    return code;
}
