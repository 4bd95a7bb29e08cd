/* SPDX-License-Identifier: Apache-2.0 */
/* How a family lists a model: weights under the names of the file, rotary tables, both ends, and
   sublayers. A name is b->prefix followed by the text given here. Weights keep the order in which
   they are declared. */
#ifndef KO_MODELS_DECLARE_H
#define KO_MODELS_DECLARE_H

#include "src/models/model.h"

/* ---- Names in the file. */

/* Whether the file has the tensor; false without a checkpoint. */
bool ko_tensor_exists(const struct ko_builder *b, const char *name);
/* Sets the prefix of all names: "" if the file has the tensor `bare` (a model saved without its
   head), else `prefix`, which must outlive b, or b->language. */
void ko_declare_prefix(struct ko_builder *b, const char *bare, const char *prefix);
/* What is declared from here on belongs to layer l and is named "LIST.L." after the prefix, as in
   "layers.7.". */
void ko_declare_layer(struct ko_builder *b, const char *list, int32_t l);

/* ---- Weights. */

/* One weight, as a row of a table. */
struct ko_weight_row {
    const char *name; /* follows the prefix and the stem */
    size_t *index;    /* becomes the weight's number, or KO_NO_WEIGHT */
    bool absent;
    enum ko_transform transform;
    int32_t n_dims;
    int64_t shape[4]; /* in the file */
};
/* Adds the rows [n]. stem: "mixer" for names such as mixer.D; "" for none. */
void ko_declare_rows(struct ko_builder *b, const char *stem, const struct ko_weight_row *rows,
                     size_t n);
/* STEM.weight, stored as the family stores its layers' matrices, and STEM.bias if `biased`. */
void ko_declare_projection(struct ko_builder *b, const char *stem, int32_t n_out, int32_t n_in,
                           bool biased, struct ko_projection *out);
/* STEM.weight [d_model], and STEM.bias of a LayerNorm. Reads out->kind, eps and one_plus. Nothing for
   KO_NO_NORM. */
void ko_declare_norm(struct ko_builder *b, const char *stem, struct ko_norm *out);
/* The same of another width. */
void ko_declare_norm_of(struct ko_builder *b, const char *stem, int32_t width, struct ko_norm *out);
/* The same of a norm that may be declared elsewhere: nothing if stem is NULL. */
void ko_declare_norm_named(struct ko_builder *b, const char *stem, struct ko_norm *out);
/* Rotary tables for the model's positions (shape.max_tokens). *out: their number in
   ko_model.rope. */
void ko_declare_rope(struct ko_builder *b, const struct ko_rope_config *config, size_t *out);

/* Runs of equal values [n] side by side, such as factors of columns; only n and value are read.
   *offset: of the first, in the arena's values. */
void ko_declare_constants(struct ko_builder *b, const struct ko_constant *runs, size_t n,
                          size_t *offset);

/* ---- Both ends, into model->ends. */

/* The embedding [vocabulary, embedding_width] and learned positions [first_position + max_tokens,
   d_model] (NULL: none). Reads ends.embedding_width (0: d_model), embedding_scale (0: 1) and
   first_position. Families that project declare ends.project_in and project_out themselves, after
   this. */
void ko_declare_embedding(struct ko_builder *b, const char *embedding, const char *positions);
/* The final norm (NULL: none), and the head unless ends.tied; the head's name is static and takes no
   prefix. Ends the layers. Reads ends.final_norm's kind, eps and one_plus, logit_scale (0: 1) and
   logit_cap. */
void ko_declare_head(struct ko_builder *b, const char *norm, const char *head);
/* The head's bias [vocabulary]; its name takes no prefix. */
void ko_declare_head_bias(struct ko_builder *b, const char *name);

/* ---- Sublayers. */

/* Sets parallel, post_norm, out_scale and sum_norm, and declares the norms' weights. */
void ko_declare_output(struct ko_builder *b, const struct ko_output_spec *spec,
                       struct ko_sublayer *sublayer);

/* Appends it to the model, in the layer of b. An out_scale of 0 becomes 1. Takes sublayer->self, also
   if this fails. */
void ko_declare_sublayer(struct ko_builder *b, const struct ko_sublayer *sublayer);
/* Zeroed memory for a sublayer's own weights; NULL if an error came before, or now. */
void *ko_declare_self(struct ko_builder *b, size_t n_bytes);

#endif
