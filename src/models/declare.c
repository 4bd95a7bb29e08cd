/* SPDX-License-Identifier: Apache-2.0 */
/* Declares groups of weights that most families have: projections, norms, embedding and head. It
   also finds the prefix of tensor names, and adds sublayers to a model. */
#include "src/models/declare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/models/weights.h"

bool ko_tensor_exists(const struct ko_checkpoint *checkpoint, const char *name)
{
    return checkpoint && ko_checkpoint_find(checkpoint, name);
}

const char *ko_tensor_prefix(const struct ko_checkpoint *checkpoint, const char *bare,
                             const char *prefix)
{
    return ko_tensor_exists(checkpoint, bare) ? "" : prefix;
}

/* in_first: of a matrix. */
static enum ko_code declare_row(struct ko_model *model, int32_t layer, const char *prefix,
                                const struct ko_weight_row *row, bool in_first,
                                struct ko_error *err)
{
    struct ko_weight weight = {
        .layer = layer, .transform = row->transform, .n_dims = row->n_dims, .in_first = in_first};
    *row->index = KO_NO_WEIGHT;
    if (row->absent) {
        return KO_OK;
    }
    memcpy(weight.shape, row->shape, (size_t)row->n_dims * sizeof row->shape[0]);
    return ko_model_add_weight(model, &weight, row->index, err, "%s%s", prefix, row->name);
}

enum ko_code ko_declare_rows(struct ko_model *model, int32_t layer, const char *prefix,
                             const struct ko_weight_row *rows, size_t n, struct ko_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const enum ko_code code = declare_row(model, layer, prefix, &rows[i], false, err);
        if (code != KO_OK) {
            return code;
        }
    }
    return KO_OK;
}

/* "STEM.ENDING" into name. */
static const char *name_of(const char *stem, const char *ending, char name[96])
{
    snprintf(name, 96, "%s.%s", stem, ending);
    return name;
}

enum ko_code ko_declare_projection(struct ko_model *model, int32_t layer, const char *prefix,
                                   const char *stem, const int32_t n_out_in[2], bool biased,
                                   struct ko_projection *out, struct ko_error *err)
{
    char weight[96], bias[96];
    const bool in_first = model->family->in_first;
    const struct ko_weight_row rows[] = {
        {name_of(stem, "weight", weight),
         &out->weight,
         false,
         KO_AS_STORED,
         2,
         {n_out_in[in_first ? 1 : 0], n_out_in[in_first ? 0 : 1]}},
        {name_of(stem, "bias", bias), &out->bias, !biased, KO_AS_STORED, 1, {n_out_in[0]}},
    };
    enum ko_code code = declare_row(model, layer, prefix, &rows[0], in_first, err);
    return code == KO_OK ? declare_row(model, layer, prefix, &rows[1], false, err) : code;
}

enum ko_code ko_declare_norm(struct ko_model *model, int32_t layer, const char *prefix,
                             const char *stem, struct ko_norm *out, struct ko_error *err)
{
    char weight[96], bias[96];
    const int64_t d = model->shape.d_model;
    const bool no_bias = out->kind != KO_LAYER_NORM;
    const struct ko_weight_row rows[] = {
        {name_of(stem, "weight", weight), &out->weight, false, KO_AS_STORED, 1, {d}},
        {name_of(stem, "bias", bias), &out->bias, no_bias, KO_AS_STORED, 1, {d}},
    };
    return ko_declare_rows(model, layer, prefix, rows, 2, err);
}

enum ko_code ko_declare_rope(struct ko_model *model, const struct ko_rope_config *config,
                             int32_t d_head, size_t *out, struct ko_error *err)
{
    struct ko_rope_table rope = {.config = *config, .d_head = d_head};
    const size_t n = (size_t)model->shape.max_tokens * ((size_t)d_head / 2);
    struct ko_rope_table *grown =
        ko_grow(model->rope, &model->ropes_capacity, model->n_ropes + 1, sizeof *grown, err);
    if (!grown) {
        return KO_E_MEMORY;
    }
    model->rope = grown;
    enum ko_code code = ko_model_reserve(model, n, &rope.cos, err);
    if (code == KO_OK) {
        code = ko_model_reserve(model, n, &rope.sin, err);
    }
    if (code != KO_OK) {
        return code;
    }
    *out = model->n_ropes;
    model->rope[model->n_ropes++] = rope;
    return KO_OK;
}

enum ko_code ko_declare_embedding(struct ko_model *model, const char *prefix, const char *embedding,
                                  const char *positions, struct ko_error *err)
{
    const struct ko_shape *s = &model->shape;
    struct ko_ends *ends = &model->ends;
    const struct ko_weight_row rows[] = {
        {embedding, &ends->embedding, false, KO_AS_STORED, 2, {s->vocabulary, s->d_model}},
        {positions, &ends->positions, !positions, KO_AS_STORED, 2, {s->max_tokens, s->d_model}},
    };
    return ko_declare_rows(model, -1, prefix, rows, 2, err);
}

enum ko_code ko_declare_head(struct ko_model *model, const char *prefix, const char *norm,
                             const char *head, struct ko_error *err)
{
    const struct ko_shape *s = &model->shape;
    struct ko_ends *ends = &model->ends;
    const struct ko_weight_row row = {head,         &ends->head, ends->tied,
                                      KO_AS_STORED, 2,           {s->vocabulary, s->d_model}};
    enum ko_code code = ko_declare_norm(model, -1, prefix, norm, &ends->final_norm, err);
    if (code == KO_OK) {
        code = ko_declare_rows(model, -1, "", &row, 1, err);
    }
    if (code == KO_OK && ends->tied) {
        ends->head = ends->embedding;
    }
    return code;
}

enum ko_code ko_model_add_sublayer(struct ko_model *model, const struct ko_sublayer *sublayer,
                                   struct ko_error *err)
{
    struct ko_sublayer *grown = ko_grow(model->sublayer, &model->sublayers_capacity,
                                        model->n_sublayers + 1, sizeof *grown, err);
    if (!grown) {
        free(sublayer->self);
        return KO_E_MEMORY;
    }
    model->sublayer = grown;
    model->sublayer[model->n_sublayers++] = *sublayer;
    return KO_OK;
}
