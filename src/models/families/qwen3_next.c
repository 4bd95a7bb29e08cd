/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen3-Next: Qwen Team 2025; transformers' Qwen3NextForCausalLM. Three layers of Gated DeltaNet for
   one with gated attention. */
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/qwen_next_like.h"

static const struct ko_llama_defaults defaults = {
    .d_model = 2048,
    .d_ff = 5632,
    .n_layers = 48,
    .n_heads = 16,
    .n_kv_heads = 2,
    .d_head = 256,
    .vocabulary = 151936,
    .max_positions = 32768,
    .bos_id = -1,
    .rope = &ko_qwen_next_rope,
};

/* Layers with a mixture of experts: not those in mlp_only_layers, and each decoder_sparse_step-th. */
static void read_dense_layers(struct ko_builder *b, uint8_t *dense)
{
    int32_t step = 1;
    ko_config_size(
        b, &(const struct ko_size_row){"decoder_sparse_step", NULL, 1, KO_MAX_LAYERS, &step});
    for (int32_t l = 0; l < b->model->shape.n_layers; l++) {
        dense[l] = (l + 1) % step != 0;
    }
    ko_config_layer_list(b, "mlp_only_layers", dense);
}

static void build_qwen3_next(struct ko_builder *b)
{
    struct ko_qwen_next q;
    uint8_t dense[KO_MAX_LAYERS] = {0};
    ko_qwen_next_read(b, &defaults, true, &q);
    read_dense_layers(b, dense);
    ko_declare_prefix(b, "embed_tokens.weight", "model.");
    ko_qwen_next_begin(b, &q);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        if (!dense[l]) {
            ko_config_fail(b, "mlp_only_layers", "mixtures of experts are not supported");
        }
        ko_qwen_next_mixer(b, l, &q);
        ko_mlp_add(b, &q.mlp);
    }
    ko_qwen_next_end(b, &q);
}

const struct ko_family ko_family_qwen3_next = {
    .name = "qwen3_next",
    .title = "Qwen3-Next",
    .model_types = {"qwen3_next"},
    .ignored_beginnings = {"mtp."},
    .build = build_qwen3_next,
};
