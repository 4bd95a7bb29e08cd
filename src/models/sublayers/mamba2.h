/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-2's block as a sublayer (Dao & Gu 2024; transformers' Mamba2Mixer): a norm, the input
   projection, the convolution of u, B and C, the state space in its attention form, the gate and its
   norm, the output projection. */
#ifndef KO_MODELS_SUBLAYERS_MAMBA2_H
#define KO_MODELS_SUBLAYERS_MAMBA2_H

#include "src/models/model.h"

/* What a family sets. The inner width is n_heads * d_head. */
struct ko_mamba2_spec {
    int32_t n_heads, d_head, n_groups, d_state, d_conv;
    float dt_min, dt_max; /* delta is clamped to them */
    /* The norm before it. Its weights are declared under norm_name; NULL: `norm` has them already
       (a norm that two sublayers share). */
    const char *norm_name;
    struct ko_norm norm;
    enum ko_gate_order gate; /* of the output; KO_GATE_ALONE has no norm.weight */
    float gate_eps;          /* of the gate's norm; 0: that of `norm` */
    const char *stem;        /* in front of in_proj, conv1d, ...: "mixer" */
    bool in_bias, out_bias, conv_bias;
    /* Factors of the normed rows, and of what the input projection gives for z, u, B, C and delta
       (Falcon-H1); NULL: none. */
    float in_scale; /* 0: 1 */
    const float *part_scale;
    bool reads_side; /* it reads x plus the side buffer (Zamba2) */
    struct ko_output_spec output;
};

/* Declares the weights and appends the sublayer to the model. */
void ko_mamba2_add(struct ko_builder *b, const struct ko_mamba2_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_mamba2;

#endif
