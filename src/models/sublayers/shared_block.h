/* SPDX-License-Identifier: Apache-2.0 */
/* A block of attention and a gated MLP whose weights several layers share (Zamba2: Glorioso et al.
   2024; transformers' Zamba2AttentionDecoderLayer). It reads x beside x0, the row as the embedding
   left it, and hands its output to the next sublayer in KO_SIDE_BUFFER. It does not change x:

     a = W_o attention(norm([x; x0]))
     side = W down(gelu(gate(m)) up(m)), m = norm(a), with the exact GELU

   Each layer has a matrix W of its own, and adapters of low rank that are added to the shared
   matrices: of gate and up, and, where the family says so, of queries, keys and values. */
#ifndef KO_MODELS_SUBLAYERS_SHARED_BLOCK_H
#define KO_MODELS_SUBLAYERS_SHARED_BLOCK_H

#include "src/models/model.h"

/* What a family sets. */
struct ko_shared_block_spec {
    int32_t n_heads, n_kv_heads, d_head, d_ff;
    int32_t rank;        /* of the adapters */
    bool adapts_qkv;     /* queries, keys and values have adapters too */
    float scale;         /* of the scores */
    bool rotary;         /* queries and keys are rotated */
    size_t rope;         /* by the tables of this number, see ko_declare_rope */
    struct ko_norm norm; /* kind and eps of both norms */
};

/* A matrix of low rank that is added to a shared one: low [rank, n_in], then high [n_out, rank]. */
struct ko_adapter {
    struct ko_projection low, high;
};

/* The weights of a block, and the adapters of one layer that has it. */
struct ko_shared_block {
    int32_t layer;                           /* where the shared weights and all adapters lie */
    struct ko_norm attention_norm, mlp_norm; /* [2 d_model], [d_model] */
    struct ko_projection q, k, v, o;         /* q, k, v: [heads d_head, 2 d_model] */
    struct ko_projection gate_up, down;      /* [2 d_ff, d_model], [d_model, d_ff] */
    struct ko_adapter adapt_q, adapt_k, adapt_v, adapt_gate_up;
};

/* Declares the shared weights, in the layer of b. */
void ko_shared_block_declare(struct ko_builder *b, const struct ko_shared_block_spec *spec,
                             struct ko_shared_block *out);
/* Declares the adapters of this number, which lie with the shared weights. */
void ko_shared_block_adapt(struct ko_builder *b, const struct ko_shared_block_spec *spec,
                           int32_t number, struct ko_shared_block *block);
/* Declares W in the layer of b and appends the sublayer to the model. The same block may be added to
   several layers. */
void ko_shared_block_add(struct ko_builder *b, const struct ko_shared_block_spec *spec,
                         const struct ko_shared_block *block);

extern const struct ko_sublayer_kind ko_sublayer_shared_block;

#endif
