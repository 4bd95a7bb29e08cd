/* SPDX-License-Identifier: Apache-2.0 */
/* The MLP as a sublayer, of two forms: down(f(up(x))), and the gated down(f(gate(x)) up(x))
   (Shazeer 2020). It does not mix positions. */
#ifndef KO_MODELS_SUBLAYERS_MLP_H
#define KO_MODELS_SUBLAYERS_MLP_H

#include "src/models/model.h"

enum ko_mlp_function {
    KO_MLP_SILU_GATED,
    KO_MLP_GELU_TANH_GATED,
    KO_MLP_GELU,
    KO_MLP_GELU_TANH,
    KO_MLP_RELU,
    KO_MLP_RELU2, /* max(x, 0)^2 */
};

/* What a family sets. Names are stems, see struct ko_attention_spec. */
struct ko_mlp_spec {
    int32_t d_ff;
    enum ko_mlp_function function;
    /* The norm before it. Its weights are declared under norm_name; NULL: `norm` has them already
       (a norm that two sublayers share), or is KO_NO_NORM. */
    const char *norm_name;
    struct ko_norm norm;
    float gate_scale;             /* factor of the gate before its function; 0: 1 (Falcon-H1) */
    const char *gate, *up, *down; /* gate: of the gated form */
    const char *gate_up;          /* instead of gate and up: one matrix, the gate's rows first */
    bool bias;                    /* of all of them */
    struct ko_output_spec output;
};

/* Declares the weights (norm, gate, up, down, norms of the output) and appends the sublayer. */
void ko_mlp_add(struct ko_builder *b, const struct ko_mlp_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_mlp;

#endif
