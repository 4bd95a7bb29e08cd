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

/* ---- The matrices before the last, which a mixture of experts has too where it has an MLP of its
   own. */

struct ko_mlp_hidden {
    enum ko_mlp_function function;
    bool fused; /* gate_up is used, else gate and up */
    int32_t d_ff;
    struct ko_projection gate, up; /* [d_ff, d_model] */
    struct ko_projection gate_up;  /* [2 d_ff, d_model] */
    size_t gate_scale; /* factors of the gate [d_ff], among the values, or KO_NO_WEIGHT */
};
/* Declares gate and up. Reads spec's d_ff, function, names of both, bias and gate_scale. */
void ko_mlp_declare_hidden(struct ko_builder *b, const struct ko_mlp_spec *spec,
                           struct ko_mlp_hidden *out);
/* The number of matrices of d_ff by d_model, with the last. */
int ko_mlp_matrices(const struct ko_mlp_hidden *hidden);

struct ko_steps;
/* room [n, ld] = the input of the last matrix in its first d_ff columns, from input [n, d_model]. up
   [n, ld] is for the gated form, and with gate_up begins d_ff after room. */
void ko_mlp_compute_hidden(struct ko_steps *steps, const struct ko_mlp_hidden *hidden,
                           const float *input, float *room, float *up, int32_t ld);

/* ---- The sublayer. */

/* Declares the weights (norm, gate, up, down, norms of the output) and appends the sublayer. */
void ko_mlp_add(struct ko_builder *b, const struct ko_mlp_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_mlp;

#endif
