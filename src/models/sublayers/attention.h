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
    const char *norm_name;
    struct ko_norm norm;   /* kind and eps */
    const char *qkv;       /* one matrix of queries, keys and values; NULL: three matrices */
    const char *q, *k, *v; /* the three */
    const char *o;         /* the output projection */
    bool qkv_bias, o_bias;
    bool rotary; /* queries and keys are rotated */
    size_t rope; /* by the tables of this number, see ko_declare_rope */
};

/* Declares the weights (norm, q, k, v, o) and appends the sublayer to the model. */
void ko_attention_add(struct ko_builder *b, const struct ko_attention_spec *spec);

extern const struct ko_sublayer_kind ko_sublayer_attention;

#endif
