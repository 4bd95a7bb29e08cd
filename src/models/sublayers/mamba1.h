/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-1's block as a sublayer (Gu & Dao 2023; transformers' MambaMixer): a norm, the input
   projection, the convolution, the selective scan with its gate, the output projection. */
#ifndef KO_MODELS_SUBLAYERS_MAMBA1_H
#define KO_MODELS_SUBLAYERS_MAMBA1_H

#include "src/models/model.h"

/* What a family sets. */
struct ko_mamba1_spec {
    int32_t d_inner, d_state, d_conv, dt_rank;
    const char *norm_name;
    struct ko_norm norm;  /* kind and eps */
    const char *stem;     /* in front of in_proj, conv1d, ...: "mixer" */
    bool bias, conv_bias; /* bias: of the input and the output projection */
    /* The norms of delta's input, B and C: kind and eps, and the names of their weights, or NULL where
       they have none (Falcon-Mamba). */
    struct ko_norm refine;
    const char *refine_names[3];
    struct ko_output_spec output;
};

/* Declares the weights and appends the sublayer to the model. */
void ko_mamba1_add(struct ko_builder *b, const struct ko_mamba1_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_mamba1;

#endif
