/* SPDX-License-Identifier: Apache-2.0 */
/* Attention as a sublayer: a norm, queries, keys and values (grouped keys: Ainslie et al. 2023),
   rotary positions where the model has them, softmax attention, the output projection. */
#ifndef KO_MODELS_SUBLAYERS_ATTENTION_H
#define KO_MODELS_SUBLAYERS_ATTENTION_H

#include "src/models/model.h"

/* What a family sets. Names are stems: "attn.c_proj" stands for attn.c_proj.weight and, with
   a bias, attn.c_proj.bias. */
struct ko_attention_spec {
    int32_t n_heads, n_kv_heads, d_head;
    int32_t reach; /* position i sees (i - reach, i]; INT32_MAX: all before it */
    float scale;   /* of the scores; 0: 1 / sqrt(d_head) */
    float cap;     /* of the scores; 0: none */
    /* The norm before it. Its weights are declared under norm_name; NULL: `norm` has them already
       (a norm that two sublayers share), or is KO_NO_NORM. */
    const char *norm_name;
    struct ko_norm norm;
    const char *qkv;       /* one matrix of queries, keys and values; NULL: three matrices */
    bool qkv_by_head;      /* its rows are [head, 3, d_head] (GPT-NeoX), else all q, all k, all v */
    const char *q, *k, *v; /* the three */
    const char *o;         /* the output projection */
    bool qkv_bias, o_bias;
    /* The rows of q are [head, 2, d_head]: each head's query, and a gate. The heads' results times
       sigmoid(gate) go into the output projection (Qwen3-Next). Only with three matrices. */
    bool gated;
    const char *q_norm, *k_norm; /* RMSNorms of queries and keys before the rotation; NULL: none */
    bool norm_by_head;           /* of each head (weights [d_head]), else of the whole width */
    struct ko_norm qk_norm;      /* kind, eps and one_plus of both */
    const char *sinks;           /* tensor [n_heads] of scores in the denominator; NULL: none */
    float in_scale;              /* factor of the normed rows; 0: 1 (Falcon-H1) */
    bool rotary;                 /* queries and keys are rotated */
    size_t rope;                 /* by the tables of this number, see ko_declare_rope */
    struct ko_output_spec output;
};

/* Declares the weights (norm, q, k, v, o, q_norm, k_norm, sinks, norms of the output) and appends the
   sublayer to the model. */
void ko_attention_add(struct ko_builder *b, const struct ko_attention_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_attention;

#endif
