/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by Qwen2 and Qwen3: which layers have a sliding window. */
#ifndef KO_MODELS_FAMILIES_QWEN_LIKE_H
#define KO_MODELS_FAMILIES_QWEN_LIKE_H

#include "src/models/families/llama_like.h"

/* Layers from max_window_layers on have the window if use_sliding_window is true, unless
   layer_types names the layers (transformers' Qwen2Config, Qwen3Config). Sets layer->reach and
   sliding. */
void ko_qwen_read_window(struct ko_builder *b, struct ko_llama_layer *layer);

#endif
