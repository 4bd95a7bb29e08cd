/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by Llama, Mistral, Qwen2, Qwen3 and the families that differ from them in few places
   (OLMo-2, OLMo-3, Phi-3, Granite, SmolLM3, Gemma): pre-norm layers of rotary attention with
   grouped keys and a gated MLP, with the same keys of config.json and the same names of tensors;
   transformers' LlamaForCausalLM. */
#ifndef KO_MODELS_FAMILIES_LLAMA_LIKE_H
#define KO_MODELS_FAMILIES_LLAMA_LIKE_H

#include "src/models/config.h"
#include "src/models/model.h"
#include "src/models/sublayers/attention.h"
#include "src/models/sublayers/mlp.h"

/* The family's values for keys that config.json does not have. n_kv_heads 0: as many as heads.
   d_head 0: d_model / n_heads. */
struct ko_llama_defaults {
    int32_t d_model, d_ff, n_layers, n_heads, n_kv_heads, d_head, vocabulary, max_positions, bos_id;
    bool tied;
    bool unrotated;           /* heads have no rotary positions: any width, prompts of any length */
    double norm_eps;          /* 0: 1e-6 */
    const char *norm_eps_key; /* NULL: rms_norm_eps */
    const char *d_head_alias; /* another key for head_dim, or NULL */
    const struct ko_rope_support *rope; /* NULL: theta 10000, no scaling or Llama 3's */
};

/* The layers. They are alike, except that some may have a sliding window. */
struct ko_llama_layer {
    int32_t n_heads, n_kv_heads, d_head, d_ff;
    int32_t max_positions;          /* max_position_embeddings */
    int32_t reach;                  /* the window of layers that slide; INT32_MAX: none */
    uint8_t sliding[KO_MAX_LAYERS]; /* [n_layers] 1: the layer has the window */
    float norm_eps;
    struct ko_rope_config rope;
    bool qkv_bias, o_bias, mlp_bias;
    bool qk_norm; /* RMSNorms of each head's queries and keys, before the rotation */
};

/* Reads model->shape, model->ends.tied, the heads, the widths and the norm's epsilon. No layer
   slides. */
void ko_llama_read_sizes(struct ko_builder *b, const struct ko_llama_defaults *defaults,
                         struct ko_llama_layer *out);
/* The same, and hidden_act (SiLU) and the rotary settings. */
void ko_llama_read(struct ko_builder *b, const struct ko_llama_defaults *defaults,
                   struct ko_llama_layer *out);

/* sliding_window into *reach: the default if absent, INT32_MAX (no window) if null. */
void ko_llama_window(struct ko_builder *b, int32_t fallback, int32_t *reach);
/* Which layers slide: layer_types, or without it the layers from `first` on, if there is a window.
   Refuses layers that slide without a window. Reads layer->reach. */
void ko_llama_layer_types(struct ko_builder *b, int64_t first, struct ko_llama_layer *layer);

/* Lists the model: embedding, layers, final norm, head. */
void ko_llama_list(struct ko_builder *b, const struct ko_llama_layer *layer);

/* The same in pieces, for families that change the sublayers. The two sublayers of a layer that does
   not slide, without tables of rotary positions. */
void ko_llama_sublayers(const struct ko_llama_layer *layer, struct ko_attention_spec *attention,
                        struct ko_mlp_spec *mlp);
/* No norms before the sublayers, but one after each, and norms of all queries and of all keys of a
   row (OLMo-2). */
void ko_llama_norm_outputs(struct ko_attention_spec *attention, struct ko_mlp_spec *mlp);
/* The prefix of all names, and the embedding. */
void ko_llama_begin(struct ko_builder *b);
/* Layer l. */
void ko_llama_add(struct ko_builder *b, int32_t l, const struct ko_attention_spec *attention,
                  const struct ko_mlp_spec *mlp);
/* The final norm and the head. */
void ko_llama_end(struct ko_builder *b, float norm_eps);

#endif
