/* SPDX-License-Identifier: Apache-2.0 */
/* Declares the groups of weights that most families have: projections, norms, embedding and head.
   It also adds sublayers to a model. */
#include "src/models/declare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/models/weights.h"

bool ko_tensor_exists(const struct ko_builder *b, const char *name)
{
    return b->checkpoint && ko_checkpoint_find(b->checkpoint, name);
}

static void leave_layers(struct ko_builder *b)
{
    b->layer = -1;
    snprintf(b->prefix, sizeof b->prefix, "%s", b->root);
}

void ko_declare_prefix(struct ko_builder *b, const char *bare, const char *prefix)
{
    b->root = ko_tensor_exists(b, bare) ? "" : b->language ? b->language : prefix;
    leave_layers(b);
}

void ko_declare_layer(struct ko_builder *b, const char *list, int32_t l)
{
    b->layer = l;
    snprintf(b->prefix, sizeof b->prefix, "%s%s.%d.", b->root, list, l);
}

/* in_first: of a matrix. */
static void declare_row(struct ko_builder *b, const char *stem, const struct ko_weight_row *row,
                        bool in_first)
{
    struct ko_weight weight = {.layer = b->layer,
                               .shared = b->shared,
                               .transform = row->transform,
                               .n_dims = row->n_dims,
                               .in_first = in_first};
    *row->index = KO_NO_WEIGHT;
    if (row->absent || b->code != KO_OK) {
        return;
    }
    memcpy(weight.shape, row->shape, (size_t)row->n_dims * sizeof row->shape[0]);
    b->code = ko_model_add_weight(b->model, &weight, row->index, b->err, "%s%s%s%s", b->prefix,
                                  stem, *stem ? "." : "", row->name);
}

void ko_declare_rows(struct ko_builder *b, const char *stem, const struct ko_weight_row *rows,
                     size_t n)
{
    for (size_t i = 0; i < n; i++) {
        declare_row(b, stem, &rows[i], false);
    }
}

void ko_declare_projection(struct ko_builder *b, const char *stem, int32_t n_out, int32_t n_in,
                           bool biased, struct ko_projection *out)
{
    const bool in_first = b->model->family->in_first;
    const int32_t first = in_first ? n_in : n_out, second = in_first ? n_out : n_in;
    const struct ko_weight_row matrix = {"weight", &out->weight,   false, KO_AS_STORED,
                                         2,        {first, second}};
    const struct ko_weight_row bias = {"bias", &out->bias, !biased, KO_AS_STORED, 1, {n_out}};
    declare_row(b, stem, &matrix, in_first);
    declare_row(b, stem, &bias, false);
}

void ko_declare_norm_of(struct ko_builder *b, const char *stem, int32_t width, struct ko_norm *out)
{
    const bool absent = out->kind == KO_NO_NORM, no_bias = out->kind != KO_LAYER_NORM;
    const enum ko_transform transform = out->one_plus ? KO_ONE_PLUS : KO_AS_STORED;
    const struct ko_weight_row rows[] = {
        {"weight", &out->weight, absent, transform, 1, {width}},
        {"bias", &out->bias, no_bias, KO_AS_STORED, 1, {width}},
    };
    ko_declare_rows(b, stem, rows, 2);
}

void ko_declare_norm(struct ko_builder *b, const char *stem, struct ko_norm *out)
{
    ko_declare_norm_of(b, stem, b->model->shape.d_model, out);
}

void ko_declare_norm_named(struct ko_builder *b, const char *stem, struct ko_norm *out)
{
    if (stem) {
        ko_declare_norm(b, stem, out);
    }
}

/* Reserves a table of cosines and one of sines. */
static void reserve_tables(struct ko_builder *b, size_t n, size_t *cosines, size_t *sines)
{
    if (b->code == KO_OK) {
        b->code = ko_model_reserve(b->model, n, cosines, b->err);
    }
    if (b->code == KO_OK) {
        b->code = ko_model_reserve(b->model, n, sines, b->err);
    }
}

void ko_declare_rope(struct ko_builder *b, const struct ko_rope_config *config, size_t *out)
{
    struct ko_model *model = b->model;
    struct ko_rope_table rope = {.config = *config};
    const size_t n = (size_t)model->shape.max_tokens * ((size_t)config->n_rotated / 2);
    if (b->code != KO_OK) {
        return;
    }
    struct ko_rope_table *grown =
        ko_grow(model->rope, &model->ropes_capacity, model->n_ropes + 1, sizeof *grown, b->err);
    if (!grown) {
        b->code = KO_E_MEMORY;
        return;
    }
    model->rope = grown;
    reserve_tables(b, n, &rope.cos, &rope.sin);
    if (config->scaling == KO_ROPE_LONGROPE) {
        reserve_tables(b, n, &rope.long_cos, &rope.long_sin);
    }
    *out = model->n_ropes;
    model->rope[model->n_ropes++] = rope;
}

void ko_declare_constants(struct ko_builder *b, const struct ko_constant *runs, size_t n,
                          size_t *offset)
{
    struct ko_model *model = b->model;
    size_t n_values = 0;
    for (size_t i = 0; i < n; i++) {
        n_values += runs[i].n;
    }
    if (b->code == KO_OK) {
        b->code = ko_model_reserve(model, n_values, offset, b->err);
    }
    size_t at = *offset;
    for (size_t i = 0; b->code == KO_OK && i < n; i++) {
        struct ko_constant *grown = ko_grow(model->constant, &model->constants_capacity,
                                            model->n_constants + 1, sizeof *grown, b->err);
        if (!grown) {
            b->code = KO_E_MEMORY;
            return;
        }
        model->constant = grown;
        model->constant[model->n_constants++] = (struct ko_constant){at, runs[i].n, runs[i].value};
        at += runs[i].n;
    }
}

void ko_declare_embedding(struct ko_builder *b, const char *embedding, const char *positions)
{
    static const struct ko_projection none = {KO_NO_WEIGHT, KO_NO_WEIGHT};
    const struct ko_shape *s = &b->model->shape;
    struct ko_ends *ends = &b->model->ends;
    const int64_t n_positions = (int64_t)ends->first_position + s->max_tokens;
    if (ends->embedding_width == 0) {
        ends->embedding_width = s->d_model;
    }
    if (ends->embedding_scale == 0) {
        ends->embedding_scale = 1;
    }
    const struct ko_weight_row rows[] = {
        {embedding,
         &ends->embedding,
         false,
         KO_AS_STORED,
         2,
         {s->vocabulary, ends->embedding_width}},
        {positions, &ends->positions, !positions, KO_AS_STORED, 2, {n_positions, s->d_model}},
    };
    ko_declare_rows(b, "", rows, 2);
    ends->project_in = ends->project_out = none;
    ends->head_bias = KO_NO_WEIGHT;
}

void ko_declare_head(struct ko_builder *b, const char *norm, const char *head)
{
    const struct ko_shape *s = &b->model->shape;
    struct ko_ends *ends = &b->model->ends;
    head = b->head ? b->head : head;
    const struct ko_weight_row row = {
        head, &ends->head, ends->tied, KO_AS_STORED, 2, {s->vocabulary, ends->embedding_width}};
    leave_layers(b);
    ends->head_name = head;
    if (!norm) {
        ends->final_norm.kind = KO_NO_NORM;
    }
    ko_declare_norm(b, norm ? norm : "", &ends->final_norm);
    b->prefix[0] = '\0';
    ko_declare_rows(b, "", &row, 1);
    if (ends->tied) {
        ends->head = ends->embedding;
    }
    if (ends->logit_scale == 0) {
        ends->logit_scale = 1;
    }
}

void ko_declare_head_bias(struct ko_builder *b, const char *name)
{
    struct ko_ends *ends = &b->model->ends;
    const struct ko_weight_row row = {
        name, &ends->head_bias, false, KO_AS_STORED, 1, {b->model->shape.vocabulary}};
    leave_layers(b);
    b->prefix[0] = '\0';
    ko_declare_rows(b, "", &row, 1);
}

void ko_declare_output(struct ko_builder *b, const struct ko_output_spec *spec,
                       struct ko_sublayer *sublayer)
{
    sublayer->parallel = spec->parallel;
    sublayer->post_norm = spec->post_norm;
    sublayer->out_scale = spec->scale;
    sublayer->sum_norm = spec->sum_norm;
    ko_declare_norm_named(b, spec->post_norm_name, &sublayer->post_norm);
    ko_declare_norm_named(b, spec->sum_norm_name, &sublayer->sum_norm);
}

void *ko_declare_self(struct ko_builder *b, size_t n_bytes)
{
    void *self = b->code == KO_OK ? ko_new(1, n_bytes, b->err) : NULL;
    if (!self && b->code == KO_OK) {
        b->code = KO_E_MEMORY;
    }
    return self;
}

void ko_declare_sublayer(struct ko_builder *b, const struct ko_sublayer *sublayer)
{
    struct ko_model *model = b->model;
    struct ko_sublayer *grown = b->code == KO_OK
                                    ? ko_grow(model->sublayer, &model->sublayers_capacity,
                                              model->n_sublayers + 1, sizeof *grown, b->err)
                                    : NULL;
    if (!grown) {
        free(sublayer->self);
        b->code = b->code == KO_OK ? KO_E_MEMORY : b->code;
        return;
    }
    model->sublayer = grown;
    struct ko_sublayer *added = &grown[model->n_sublayers++];
    *added = *sublayer;
    added->layer = b->layer;
    model->n_stages += added->kind->mixer && !added->parallel;
    added->stage = model->n_stages - 1;
    if (added->out_scale == 0) {
        added->out_scale = 1;
    }
}
