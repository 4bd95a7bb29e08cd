/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by families whose layers have attention or a state-space model (Granite 4, Bamba, Jamba,
   Nemotron-H): which layer has which, and what some of them have in common. */
#ifndef KO_MODELS_FAMILIES_HYBRID_LIKE_H
#define KO_MODELS_FAMILIES_HYBRID_LIKE_H

#include "src/models/families/llama_like.h"
#include "src/models/sublayers/mamba2.h"

/* The mixer of a layer. In Nemotron-H a layer has one sublayer, perhaps one that does not mix. */
enum ko_layer_kind { KO_LAYER_SSM, KO_LAYER_ATTENTION, KO_LAYER_MLP, KO_LAYER_EXPERTS };

/* The key of the list of one word per layer, layer_types or layers_block_type; NULL if config.json
   has neither. */
const char *ko_hybrid_types_key(const struct ko_builder *b);
/* Reads that list into kinds [n_layers]: "mamba" or "linear_attention", "attention" or
   "full_attention", and if n_kinds is 4 "mlp" and "moe". */
void ko_hybrid_read_types(struct ko_builder *b, const char *key, int n_kinds, uint8_t *kinds);

/* Reads the number of layers and their kinds where a layer has one sublayer: that list, or the older
   hybrid_override_pattern of one letter per layer, M, *, - or E. */
void ko_hybrid_read_kinds(struct ko_builder *b, uint8_t *kinds);

/* The sublayers of attention and of an MLP with the names of Bamba and Jamba: as Llama's, but
   "feed_forward" and "pre_ff_layernorm". */
void ko_hybrid_sublayers(const struct ko_llama_layer *layer, struct ko_attention_spec *attention,
                         struct ko_mlp_spec *mlp);
/* Their final norm, "final_layernorm", and the head. */
void ko_hybrid_end(struct ko_builder *b, float norm_eps);

/* A block of Mamba-2 from the keys of transformers' BambaConfig: mamba_n_heads, mamba_d_head,
   mamba_n_groups, mamba_d_state, mamba_d_conv, mamba_expand, mamba_conv_bias, mamba_proj_bias and
   time_step_limit. Its tensors are those of "mamba". Reads model->shape.d_model. */
void ko_hybrid_read_mamba2(struct ko_builder *b, struct ko_mamba2_spec *out);

#endif
