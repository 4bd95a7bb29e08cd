/* SPDX-License-Identifier: Apache-2.0 */
/* The mixture of experts as a sublayer: a router chooses some of the gated MLPs for each row, and
   their outputs are summed (Shazeer et al. 2017). There may be an MLP for all rows beside them. It
   does not mix positions. */
#ifndef KO_MODELS_SUBLAYERS_MOE_H
#define KO_MODELS_SUBLAYERS_MOE_H

#include "src/models/model.h"
#include "src/models/sublayers/mlp.h"

/* How the file holds the matrices of the experts. */
enum ko_moe_layout {
    /* EXPERTS.e.GATE.weight and EXPERTS.e.UP.weight [d_ff, d_model], EXPERTS.e.DOWN.weight [d_model,
       d_ff] for each expert e, without biases */
    KO_MOE_LISTED,
    /* EXPERTS.GATE [n_experts, d_model, 2 d_ff], whose outputs 2 k are the gate's and 2 k + 1 the
       up's; EXPERTS.DOWN [n_experts, d_ff, d_model]; EXPERTS.GATE_bias [n_experts, 2 d_ff] and
       EXPERTS.DOWN_bias [n_experts, d_model]. If the file has EXPERTS.GATE_blocks, both matrices are
       in MXFP4: _blocks U8 [n_experts, outputs, inputs / 32, 16] and _scales without the last
       dimension (gpt-oss) */
    KO_MOE_STACKED,
    /* EXPERTS.GATE.weight [n_experts, 2 d_ff, d_model], whose first d_ff outputs are the gate's and
       the others the up's; EXPERTS.DOWN.weight [n_experts, d_model, d_ff]; without biases (Granite) */
    KO_MOE_HALVES,
};

/* What a family sets. Names are stems, see struct ko_attention_spec. */
struct ko_moe_spec {
    int32_t n_experts, n_chosen, d_ff; /* d_ff: of an expert */
    bool among_chosen; /* shares are a softmax over the chosen experts, else over all of them */
    /* Shares are sigmoids, see struct ko_choose_experts. correction: tensor [n_experts] under the
       router's name; NULL: none. n_groups 0: no groups. share_scale 0: 1. */
    bool sigmoid;
    const char *correction;
    int32_t n_groups, n_chosen_groups;
    float share_scale;
    float limit; /* see struct ko_experts; 0: none */
    bool relu2;  /* experts are down(max(up, 0)^2), of KO_MOE_LISTED without `gate` */
    const char *norm_name;
    struct ko_norm norm;
    const char *router; /* [n_experts, d_model] */
    bool router_bias;
    enum ko_moe_layout layout;
    const char *experts;
    const char *gate, *up, *down; /* up: of KO_MOE_LISTED */
    /* An MLP for all rows, whose output is added to the experts'; NULL: none. Its norm and output are
       not read. */
    const struct ko_mlp_spec *shared;
    /* [1, d_model]: that output is multiplied with the sigmoid of this projection of the normed row
       (Qwen3-Next); NULL: it is not. The MLP has no biases then. */
    const char *shared_gate;
    struct ko_output_spec output;
};

/* The most experts of a layer. */
enum { KO_MAX_EXPERTS = 1 << 12 };

/* Declares the weights (norm, router, gate, up, down, shared MLP, norms of the output) and appends the
   sublayer.
   The caller has checked that 1 <= n_chosen <= n_experts <= KO_MAX_EXPERTS. KO_E_INPUT if the buffers
   of a row would be wider than an int32_t, or in MXFP4 a width is no multiple of 32. */
void ko_moe_add(struct ko_builder *b, const struct ko_moe_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_moe;

#endif
