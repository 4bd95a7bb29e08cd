/* SPDX-License-Identifier: Apache-2.0 */
/* What Llama, Mistral and Qwen2 share: pre-norm layers of rotary attention with grouped keys and a
   gated MLP, under the same keys of config.json and the same names; transformers' LlamaForCausalLM. */
#ifndef KO_MODELS_FAMILIES_LLAMA_LIKE_H
#define KO_MODELS_FAMILIES_LLAMA_LIKE_H

#include <json-c/json.h>

#include "src/models/model.h"
#include "src/models/rope.h"

/* Positions that the rotary tables hold at most, whatever max_position_embeddings says. */
enum { KO_MAX_POSITIONS = 1 << 14 };

/* What a family takes for keys that config.json does not have. n_kv_heads 0: as many as heads. */
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

/* Reads model->shape, model->ends.tied and the layer, which has no biases and no window yet. */
KO_MUST_CHECK enum ko_code ko_llama_read(struct ko_model *model, json_object *config,
                                         const struct ko_llama_defaults *defaults,
                                         struct ko_llama_layer *out, struct ko_error *err);

/* layer_types of config.json: KO_E_INPUT for layers that differ in kind or a kind that is neither
   full nor sliding attention. */
enum ko_layer_types { KO_LAYERS_NOT_GIVEN, KO_LAYERS_FULL, KO_LAYERS_SLIDING };
KO_MUST_CHECK enum ko_code ko_llama_layer_types(const struct ko_model *model, json_object *config,
                                                enum ko_layer_types *out, struct ko_error *err);
/* sliding_window into *reach: the default where absent, INT32_MAX (none) where null. */
KO_MUST_CHECK enum ko_code ko_llama_window(const struct ko_model *model, json_object *config,
                                           int32_t fallback, int32_t *reach, struct ko_error *err);

/* Lists the model: embedding, layers, final norm, head. */
KO_MUST_CHECK enum ko_code ko_llama_list(struct ko_model *model,
                                         const struct ko_checkpoint *checkpoint,
                                         const struct ko_llama_layer *layer, struct ko_error *err);

#endif
