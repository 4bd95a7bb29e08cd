/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by Llama, Mistral and Qwen2: pre-norm layers of rotary attention with grouped keys and a
   gated MLP, with the same keys of config.json and the same names of tensors; transformers'
   LlamaForCausalLM. */
#ifndef KO_MODELS_FAMILIES_LLAMA_LIKE_H
#define KO_MODELS_FAMILIES_LLAMA_LIKE_H

#include "src/models/model.h"

/* The most positions of the rotary tables, even if max_position_embeddings is larger. */
enum { KO_MAX_POSITIONS = 1 << 14 };

/* The family's values for keys that config.json does not have. n_kv_heads 0: as many as heads. */
struct ko_llama_defaults {
    int32_t d_model, d_ff, n_layers, n_heads, n_kv_heads, vocabulary, max_positions, bos_id;
};

/* A layer; all layers are alike. */
struct ko_llama_layer {
    int32_t n_heads, n_kv_heads, d_head, d_ff;
    int32_t reach; /* sliding window; INT32_MAX: none */
    float norm_eps;
    struct ko_rope_config rope;
    bool qkv_bias, o_bias, mlp_bias;
};

/* Reads model->shape, model->ends.tied and the layer, without biases and without a window. */
void ko_llama_read(struct ko_builder *b, const struct ko_llama_defaults *defaults,
                   struct ko_llama_layer *out);

/* layer_types of config.json. Layers of different kinds are not supported, nor any kind but full and
   sliding attention. */
enum ko_layer_types { KO_LAYERS_NOT_GIVEN, KO_LAYERS_FULL, KO_LAYERS_SLIDING };
enum ko_layer_types ko_llama_layer_types(struct ko_builder *b);
/* sliding_window into *reach: the default if absent, INT32_MAX (no window) if null. */
void ko_llama_window(struct ko_builder *b, int32_t fallback, int32_t *reach);

/* Lists the model: embedding, layers, final norm, head. */
void ko_llama_list(struct ko_builder *b, const struct ko_llama_layer *layer);

#endif
