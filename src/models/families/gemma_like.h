/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by Gemma, Gemma 2 and Gemma 3: the embedding times sqrt(d_model), RMSNorms of which the
   file holds weight - 1, a gated MLP with GELU's tanh approximation, a tied head; transformers'
   GemmaForCausalLM. */
#ifndef KO_MODELS_FAMILIES_GEMMA_LIKE_H
#define KO_MODELS_FAMILIES_GEMMA_LIKE_H

#include "src/models/families/llama_like.h"

struct ko_gemma {
    /* Sizes, heads, biases, window, and the rotary settings of layers that do not slide. */
    struct ko_llama_layer layer;
    float scale;     /* of attention scores; 0: 1 / sqrt(d_head) */
    float cap;       /* of attention scores; 0: none */
    bool post_norms; /* each sublayer's output has a norm too */
    bool two_ropes;  /* layers that slide have rotary settings of their own */
    struct ko_rope_config sliding_rope;
};

/* Reads what all have: the sizes, the biases, the activation, ends.tied and embedding_scale. */
void ko_gemma_read(struct ko_builder *b, const struct ko_llama_defaults *defaults,
                   struct ko_gemma *out);
/* Gemma 2 and 3: query_pre_attn_scalar into scale, sliding_window, and which layers have it:
   layer_types, or all but each `pattern`-th. */
void ko_gemma_read_windows(struct ko_builder *b, int32_t pattern, struct ko_gemma *g);
/* A soft cap: the default if absent, 0 (none) if null. */
void ko_gemma_cap(struct ko_builder *b, const char *key, double fallback, float *out);

/* Lists the model: embedding, layers, final norm, head. */
void ko_gemma_list(struct ko_builder *b, const struct ko_gemma *g);

#endif
