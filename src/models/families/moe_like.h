/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by Mixtral, Qwen3-MoE, OLMoE and gpt-oss, Llama-like models whose MLPs are mixtures of
   experts, and in part by other models with experts. */
#ifndef KO_MODELS_FAMILIES_MOE_LIKE_H
#define KO_MODELS_FAMILIES_MOE_LIKE_H

#include "src/models/families/llama_like.h"
#include "src/models/sublayers/moe.h"

/* Sets out->n_experts and n_chosen from config.json: key (in some files num_local_experts or
   num_experts) and num_experts_per_tok, which must be from 1 to the number of experts. */
void ko_moe_read(struct ko_builder *b, const char *key, int32_t n_experts, int32_t n_chosen,
                 struct ko_moe_spec *out);

/* Sets out->n_groups and n_chosen_groups: key groups of neighbouring experts, of which chosen_key can
   be chosen. Reads n_experts and n_chosen. */
void ko_moe_read_groups(struct ko_builder *b, const char *key, const char *chosen_key,
                        struct ko_moe_spec *out);
/* Refuses more experts than all layers of a checkpoint may have together, where each has tensors of
   its own. */
void ko_moe_check(struct ko_builder *b, const struct ko_moe_spec *spec);

/* The layers whose MLP is not a mixture (Qwen3): those that mlp_only_layers lists, and those l
   where decoder_sparse_step does not divide l + 1. dense [n_layers] 1: the layer has the MLP. */
void ko_moe_read_dense(struct ko_builder *b, uint8_t *dense);

/* A model's layers, as ko_llama_sublayers gives them, and the mixtures in place of their MLPs. */
struct ko_moe_layers {
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    struct ko_moe_spec moe;
    const uint8_t *dense; /* [n_layers] 1: the layer has the MLP; NULL: no layer has */
};

/* Lists the model: embedding, layers, final norm, head. The rotary tables and windows are those of
   `layer`. */
void ko_moe_list(struct ko_builder *b, const struct ko_llama_layer *layer,
                 const struct ko_moe_layers *layers);

#endif
