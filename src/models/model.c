/* SPDX-License-Identifier: Apache-2.0 */
/* Computes what follows from a model's sublayers: sizes, widths of buffers, costs and decay norms. */
#include "src/models/model.h"

#include <stdlib.h>
#include <string.h>

#include "src/models/mxfp4.h"

void ko_model_free(struct ko_model *model)
{
    if (!model) {
        return;
    }
    for (size_t w = 0; w < model->n_weights; w++) {
        free(model->weights[w].tensor);
        free(model->weights[w].scales);
    }
    free(model->weights);
    for (size_t i = 0; i < model->n_sublayers; i++) {
        free(model->sublayer[i].self);
    }
    free(model->sublayer);
    free(model->rope);
    free(model->constant);
    free(model->name);
    free(model);
}

void ko_weight_sides(const struct ko_weight *weight, int32_t *n_out, int32_t *n_in)
{
    const bool mxfp4 = weight->transform == KO_FROM_MXFP4;
    const int64_t *shape = weight->shape + (weight->n_dims > 2 ? 1 : 0);
    const int64_t first = shape[0], second = mxfp4 ? KO_MXFP4_NUMBERS * shape[1] : shape[1];
    *n_out = (int32_t)(weight->in_first ? second : first);
    *n_in = (int32_t)(weight->in_first ? first : second);
}

enum ko_element ko_weight_type(const struct ko_weight *weight, enum ko_element arena)
{
    return arena == KO_ELEMENT_BF16X2 && weight->exact ? KO_ELEMENT_BF16 : arena;
}

static size_t bytes_of(enum ko_element arena, size_t elements, size_t exact)
{
    const size_t saved = ko_element_bytes(arena) - ko_element_bytes(KO_ELEMENT_BF16);
    return elements * ko_element_bytes(arena) - (arena == KO_ELEMENT_BF16X2 ? exact * saved : 0);
}

size_t ko_weight_at(const struct ko_weight *weight, enum ko_element arena)
{
    return bytes_of(arena, weight->offset, weight->exact_before);
}

/* The elements before `offset` that belong to exact matrices. */
static size_t exact_elements(const struct ko_model *model, size_t offset)
{
    size_t n = 0;
    for (size_t w = 0; w < model->n_weights; w++) {
        const struct ko_weight *weight = &model->weights[w];
        if (weight->exact && weight->offset < offset) {
            n += ko_weight_room(weight->n);
        }
    }
    return n;
}

size_t ko_model_matrix_bytes(const struct ko_model *model, enum ko_element arena, size_t offset)
{
    return bytes_of(arena, offset, exact_elements(model, offset));
}

double ko_model_exact_share(const struct ko_model *model)
{
    const size_t all = model->matrix_elements;
    return all > 0 ? (double)exact_elements(model, all) / (double)all : 0;
}

struct ko_arena ko_model_host_arena(const struct ko_model *model, const float *floats)
{
    return (struct ko_arena){.values = floats,
                             .matrices = floats + model->value_floats,
                             .type = KO_ELEMENT_F32,
                             .host_values = floats};
}

const struct ko_sublayer *ko_model_featured(const struct ko_model *model)
{
    for (size_t i = 0; i < model->n_sublayers; i++) {
        if (model->sublayer[i].size.n_features > 0) {
            return &model->sublayer[i];
        }
    }
    return NULL;
}

void ko_model_decay_norms(const struct ko_model *model, const float *values, double *norm)
{
    for (size_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_sublayer *sublayer = &model->sublayer[i];
        const size_t n = (size_t)sublayer->size.n_features;
        if (n > 0) {
            memcpy(norm + (size_t)sublayer->stage * n,
                   values + model->weights[sublayer->decay_norms].offset, n * sizeof norm[0]);
        }
    }
}

static void take_larger(int32_t size, int32_t *largest)
{
    *largest = size > *largest ? size : *largest;
}

struct ko_sizes ko_model_sizes(const struct ko_model *model)
{
    struct ko_sizes all = {0};
    for (size_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_sizes *one = &model->sublayer[i].size;
        take_larger(one->d_inner, &all.d_inner);
        take_larger(one->d_state, &all.d_state);
        take_larger(one->d_conv, &all.d_conv);
        take_larger(one->dt_rank, &all.dt_rank);
        take_larger(one->n_ssm_heads, &all.n_ssm_heads);
        take_larger(one->d_ssm_head, &all.d_ssm_head);
        take_larger(one->n_groups, &all.n_groups);
        take_larger(one->conv_channels, &all.conv_channels);
        take_larger(one->n_features, &all.n_features);
        take_larger(one->n_heads, &all.n_heads);
        take_larger(one->n_kv_heads, &all.n_kv_heads);
        take_larger(one->d_head, &all.d_head);
        take_larger(one->reach, &all.reach);
        take_larger(one->d_ff, &all.d_ff);
    }
    return all;
}

void ko_model_stage_flop(const struct ko_model *model, int32_t stage, double flop[3])
{
    flop[0] = flop[1] = flop[2] = 0;
    for (size_t i = 0; i < model->n_sublayers; i++) {
        const struct ko_sublayer *sublayer = &model->sublayer[i];
        double own[3];
        if (sublayer->stage != stage && (stage > 0 || sublayer->stage >= 0)) {
            continue;
        }
        sublayer->kind->row_flop(sublayer, model->shape.d_model, own);
        for (int part = 0; part < 3; part++) {
            flop[sublayer->stage < 0 ? 0 : part] += own[part];
        }
    }
}

/* A mixer with a parallel mixer after it leaves its result in the kept buffer. */
static void take_kept_width(const struct ko_model *model, int32_t widths[KO_N_BUFFERS])
{
    for (size_t i = 1; i < model->n_sublayers; i++) {
        if (model->sublayer[i].parallel && model->sublayer[i].kind->mixer) {
            take_larger(widths[1], &widths[KO_KEPT_BUFFER]);
        }
    }
}

void ko_model_widths(const struct ko_model *model, int32_t widths[KO_N_BUFFERS])
{
    const int32_t d = model->shape.d_model;
    memset(widths, 0, KO_N_BUFFERS * sizeof widths[0]);
    for (size_t i = 0; i < model->n_sublayers; i++) {
        int32_t own[KO_N_BUFFERS] = {0};
        model->sublayer[i].kind->widths(&model->sublayer[i], d, own);
        for (int b = 0; b < KO_N_BUFFERS; b++) {
            take_larger(own[b], &widths[b]);
        }
        if (!ko_sublayer_adds_directly(&model->sublayer[i])) {
            take_larger(d, &widths[KO_OUTPUT_BUFFER]);
        }
    }
    if (model->ends.embedding_width != d) {
        take_larger(model->ends.embedding_width, &widths[KO_OUTPUT_BUFFER]);
    }
    if (model->ends.kept) {
        take_larger(d, &widths[KO_EMBEDDED_BUFFER]);
    }
    take_kept_width(model, widths);
    take_larger(d + widths[1] + widths[KO_KEPT_BUFFER], &widths[0]);
}

size_t ko_model_row_floats(const struct ko_model *model)
{
    int32_t widths[KO_N_BUFFERS];
    size_t n = (size_t)model->shape.d_model;
    ko_model_widths(model, widths);
    for (int b = 0; b < KO_N_BUFFERS; b++) {
        n += (size_t)widths[b];
    }
    return n;
}
