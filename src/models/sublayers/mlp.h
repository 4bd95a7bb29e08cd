/* SPDX-License-Identifier: Apache-2.0 */
/* The MLP as a sublayer, of two forms: down(f(up(x))), and the gated down(silu(gate(x)) up(x))
   (Shazeer 2020). It does not mix positions. */
#ifndef KO_MODELS_SUBLAYERS_MLP_H
#define KO_MODELS_SUBLAYERS_MLP_H

#include "src/models/model.h"

enum ko_mlp_function { KO_MLP_SILU_GATED, KO_MLP_GELU_TANH };

/* What a family sets. Names are stems, see struct ko_attention_spec. */
struct ko_mlp_spec {
    int32_t d_ff;
    enum ko_mlp_function function;
    const char *norm_name;
    struct ko_norm norm;          /* kind and eps */
    const char *gate, *up, *down; /* gate: of the gated form */
    bool bias;                    /* of all of them */
};

/* Declares the weights (norm, gate, up, down) and appends the sublayer to the model. */
void ko_mlp_add(struct ko_builder *b, const struct ko_mlp_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_mlp;

#endif
