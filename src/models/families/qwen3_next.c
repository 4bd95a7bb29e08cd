/* SPDX-License-Identifier: Apache-2.0 */
/* Qwen3-Next: Qwen Team 2025; transformers' Qwen3NextForCausalLM. Three layers of Gated DeltaNet for
   one with gated attention, and in most models a mixture of experts with a shared one. */
#include <string.h>

#include "src/formats/json.h"
#include "src/models/config.h"
#include "src/models/declare.h"
#include "src/models/families.h"
#include "src/models/families/moe_like.h"
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

struct qwen3_next {
    struct ko_qwen_next shared;
    struct ko_moe_spec moe;
    struct ko_mlp_spec shared_expert;
    uint8_t dense[KO_MAX_LAYERS]; /* 1: the layer has an MLP */
};

/* The widths of experts, and which layers have them. num_experts 0: none has. */
static void read_experts(struct ko_builder *b, struct qwen3_next *q)
{
    static const char key[] = "num_experts";
    const struct ko_size_row widths[] = {
        {"moe_intermediate_size", NULL, 512, KO_MAX_WIDTH, &q->moe.d_ff},
        {"shared_expert_intermediate_size", NULL, 512, KO_MAX_WIDTH, &q->shared_expert.d_ff},
    };
    int64_t n = 512;
    ko_moe_read_dense(b, q->dense);
    if (b->code == KO_OK) {
        b->code = ko_json_int(b->config, key, 0, KO_MAX_EXPERTS, &n, b->where, b->err);
    }
    if (n == 0) {
        memset(q->dense, 1, sizeof q->dense);
    }
    if (!memchr(q->dense, 0, (size_t)b->model->shape.n_layers)) {
        return;
    }
    ko_moe_read(b, key, 512, 10, &q->moe);
    ko_config_sizes(b, widths, 2);
    ko_config_bool(b, "norm_topk_prob", &q->moe.among_chosen);
    ko_moe_check(b, &q->moe);
}

static void read_qwen3_next(struct ko_builder *b, struct qwen3_next *q)
{
    ko_qwen_next_read(b, &defaults, KO_DELTANET_FUSED, &q->shared);
    q->shared_expert = q->shared.mlp;
    q->shared_expert.gate = "mlp.shared_expert.gate_proj";
    q->shared_expert.up = "mlp.shared_expert.up_proj";
    q->shared_expert.down = "mlp.shared_expert.down_proj";
    q->moe = (struct ko_moe_spec){
        .among_chosen = true,
        .norm_name = q->shared.mlp.norm_name,
        .norm = q->shared.mlp.norm,
        .router = "mlp.gate",
        .experts = "mlp.experts",
        .gate = "gate_proj",
        .up = "up_proj",
        .down = "down_proj",
        .shared = &q->shared_expert,
        .shared_gate = "mlp.shared_expert_gate",
    };
    read_experts(b, q);
}

static void build_qwen3_next(struct ko_builder *b)
{
    struct qwen3_next q;
    read_qwen3_next(b, &q);
    ko_declare_prefix(b, "embed_tokens.weight", "model.");
    ko_qwen_next_begin(b, &q.shared);
    for (int32_t l = 0; l < b->model->shape.n_layers && b->code == KO_OK; l++) {
        ko_qwen_next_mixer(b, l, &q.shared);
        if (q.dense[l]) {
            ko_mlp_add(b, &q.shared.mlp);
        } else {
            ko_moe_add(b, &q.moe);
        }
    }
    ko_qwen_next_end(b, &q.shared);
}

const struct ko_family ko_family_qwen3_next = {
    .name = "qwen3_next",
    .title = "Qwen3-Next",
    .model_types = {"qwen3_next"},
    .ignored_beginnings = {"mtp."},
    .build = build_qwen3_next,
};
