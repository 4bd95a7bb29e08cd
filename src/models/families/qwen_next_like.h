/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by Qwen3-Next and Qwen3.5: layers with Gated DeltaNet and layers with gated attention. */
#ifndef KO_MODELS_FAMILIES_QWEN_NEXT_LIKE_H
#define KO_MODELS_FAMILIES_QWEN_NEXT_LIKE_H

#include "src/models/config.h"
#include "src/models/families/llama_like.h"
#include "src/models/sublayers/deltanet.h"

/* What both families set: the layers' sublayers. */
struct ko_qwen_next {
    struct ko_llama_layer layer;
    struct ko_deltanet_spec delta;
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    uint8_t attends[KO_MAX_LAYERS]; /* 1: the layer has attention, else Gated DeltaNet */
};

/* Reads all keys but those of a mixture of experts. */
void ko_qwen_next_read(struct ko_builder *b, const struct ko_llama_defaults *defaults,
                       enum ko_deltanet_form form, struct ko_qwen_next *out);
/* Before the layers: the embedding and the rotary tables. */
void ko_qwen_next_begin(struct ko_builder *b, struct ko_qwen_next *q);
/* Adds the mixer of layer l, and begins its names. */
void ko_qwen_next_mixer(struct ko_builder *b, int32_t l, const struct ko_qwen_next *q);
/* After the layers: the final norm and the head. */
void ko_qwen_next_end(struct ko_builder *b, const struct ko_qwen_next *q);

extern const struct ko_rope_support ko_qwen_next_rope;

#endif
