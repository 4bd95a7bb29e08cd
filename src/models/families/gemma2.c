/* SPDX-License-Identifier: Apache-2.0 */
/* Gemma 2: Riviere et al. 2024; transformers' Gemma2ForCausalLM. Every other layer slides, from the
   first on. Attention scores and logits have soft caps, and each sublayer has a norm behind it. */
#include "src/models/config.h"
#include "src/models/families.h"
#include "src/models/families/gemma_like.h"

static const struct ko_llama_defaults defaults = {
    .d_model = 2304,
    .d_ff = 9216,
    .n_layers = 26,
    .n_heads = 8,
    .n_kv_heads = 4,
    .d_head = 256,
    .vocabulary = 256000,
    .max_positions = 8192,
    .bos_id = 2,
    .tied = true,
};

static void build_gemma2(struct ko_builder *b)
{
    static const struct ko_rope_support rope = {
        .theta_key = "rope_theta", .theta = 10000, .scalings = 1U << KO_ROPE_LINEAR};
    struct ko_gemma g;
    ko_gemma_read(b, &defaults, &g);
    g.post_norms = true;
    ko_gemma_read_windows(b, 2, &g);
    ko_gemma_cap(b, "attn_logit_softcapping", 50, &g.cap);
    ko_gemma_cap(b, "final_logit_softcapping", 30, &b->model->ends.logit_cap);
    ko_config_rope(b, &rope, g.layer.d_head, g.layer.max_positions, &g.layer.rope);
    ko_gemma_list(b, &g);
}

const struct ko_family ko_family_gemma2 = {
    .name = "gemma2",
    .title = "Gemma 2",
    .model_types = {"gemma2"},
    .build = build_gemma2,
};
