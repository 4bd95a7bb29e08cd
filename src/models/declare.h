/* SPDX-License-Identifier: Apache-2.0 */
/* How a family lists what a model consists of: weights under the file's names, rotary tables, both
   ends, sublayers. Names are PREFIX followed by what is given; weights keep the order in which they
   are declared. */
#ifndef KO_MODELS_DECLARE_H
#define KO_MODELS_DECLARE_H

#include "src/models/model.h"
#include "src/models/rope.h"

/* ---- Names in the file. Without a checkpoint (a plan without weights) they are the family's own. */

/* Whether the file has the tensor; false without a checkpoint. */
bool ko_tensor_exists(const struct ko_checkpoint *checkpoint, const char *name);
/* "" where the file has the tensor `bare` (a model saved without its head), else `prefix`. */
const char *ko_tensor_prefix(const struct ko_checkpoint *checkpoint, const char *bare,
                             const char *prefix);

/* ---- Weights. */

/* A weight that is declared in a row of a table. */
struct ko_weight_row {
    const char *name; /* follows the prefix */
    size_t *index;    /* set to the weight's number, or KO_NO_WEIGHT */
    bool absent;
    enum ko_transform transform;
    int32_t n_dims;
    int64_t shape[4]; /* in the file's order; the layout in memory is the transform's */
};
/* Adds the rows [n]. layer: -1: of no layer. */
KO_MUST_CHECK enum ko_code ko_declare_rows(struct ko_model *model, int32_t layer,
                                           const char *prefix, const struct ko_weight_row *rows,
                                           size_t n, struct ko_error *err);
/* STEM.weight of a matrix, stored as the family stores its layers' matrices, and STEM.bias where
   there is one. */
KO_MUST_CHECK enum ko_code ko_declare_projection(struct ko_model *model, int32_t layer,
                                                 const char *prefix, const char *stem,
                                                 const int32_t n_out_in[2], bool biased,
                                                 struct ko_projection *out, struct ko_error *err);
/* STEM.weight [d_model], and STEM.bias of a LayerNorm. out->kind and out->eps are read. */
KO_MUST_CHECK enum ko_code ko_declare_norm(struct ko_model *model, int32_t layer,
                                           const char *prefix, const char *stem,
                                           struct ko_norm *out, struct ko_error *err);
/* Rotary tables for the model's positions (shape.max_tokens) and heads of this width; *out: their
   number for ko_model.rope. */
KO_MUST_CHECK enum ko_code ko_declare_rope(struct ko_model *model,
                                           const struct ko_rope_config *config, int32_t d_head,
                                           size_t *out, struct ko_error *err);

/* ---- Both ends, into model->ends. */

/* The embedding [vocabulary, d_model] and learned positions [max_tokens, d_model] (NULL: none). */
KO_MUST_CHECK enum ko_code ko_declare_embedding(struct ko_model *model, const char *prefix,
                                                const char *embedding, const char *positions,
                                                struct ko_error *err);
/* The final norm NORM.weight, and the head, whose name takes no prefix, where it is not tied
   (ends.tied and ends.final_norm's kind and eps are read). */
KO_MUST_CHECK enum ko_code ko_declare_head(struct ko_model *model, const char *prefix,
                                           const char *norm, const char *head,
                                           struct ko_error *err);

/* ---- Sublayers. */

/* Appends it. sublayer->self is taken, also where this fails. */
KO_MUST_CHECK enum ko_code ko_model_add_sublayer(struct ko_model *model,
                                                 const struct ko_sublayer *sublayer,
                                                 struct ko_error *err);

#endif
