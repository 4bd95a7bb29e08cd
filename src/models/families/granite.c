/* SPDX-License-Identifier: Apache-2.0 */
/* Granite 3: Granite Team 2024; transformers' GraniteForCausalLM. Llama with four multipliers: of
   the embedding, of the scores (instead of 1 / sqrt(d_head)), of what sublayers add to the residual
   stream, and, as a divisor, of the logits. */
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/granite_like.h"
#include "src/models/families/llama_like.h"

static const struct ko_llama_defaults defaults = {
    .d_model = 4096,
    .d_ff = 11008,
    .n_layers = 32,
    .n_heads = 32,
    .vocabulary = 32000,
    .max_positions = 2048,
    .bos_id = 1,
};

static void list_granite(struct ko_builder *b, const struct ko_llama_layer *layer,
                         const struct ko_granite_multipliers *multipliers)
{
    struct ko_attention_spec attention;
    struct ko_mlp_spec mlp;
    ko_llama_sublayers(layer, &attention, &mlp);
    attention.scale = multipliers->attention;
    attention.output.scale = mlp.output.scale = multipliers->residual;
    ko_llama_begin(b);
    ko_declare_rope(b, &layer->rope, &attention.rope);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_llama_add(b, l, &attention, &mlp);
    }
    ko_llama_end(b, layer->norm_eps);
}

static void build_granite(struct ko_builder *b)
{
    struct ko_llama_layer layer;
    struct ko_granite_multipliers multipliers;
    ko_llama_read(b, &defaults, &layer);
    ko_config_bool(b, "attention_bias", &layer.qkv_bias);
    layer.o_bias = layer.qkv_bias;
    ko_config_bool(b, "mlp_bias", &layer.mlp_bias);
    ko_granite_read_multipliers(b, &multipliers);
    list_granite(b, &layer, &multipliers);
}

const struct ko_family ko_family_granite = {
    .name = "granite",
    .title = "Granite",
    .model_types = {"granite"},
    .build = build_granite,
};
