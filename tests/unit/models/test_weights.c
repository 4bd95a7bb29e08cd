/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "src/models/model_open.h"
#include "tests/support/checkpoint_edit.h"
#include "tests/support/folder.h"

#define DEMO(name)    KO_SOURCE_DIR "/jobs/models/" name
#define VARIANT(name) KO_SOURCE_DIR "/tests/data/variants/" name

/* Opens an edited copy; KO_OK or the error. */
static enum ko_code open_edited(const char *from, const struct test_edit *edit,
                                struct ko_error *err)
{
    struct ko_checkpoint *cp = NULL;
    struct ko_model *model = NULL;
    char *folder = test_folder_make();
    test_checkpoint_edit(from, folder, edit);
    enum ko_code code = ko_checkpoint_open(folder, "toy", &cp, err);
    if (code == KO_OK) {
        code = ko_model_open(cp, &model, err);
    }
    ko_model_free(model);
    ko_checkpoint_close(cp);
    test_folder_remove(folder);
    return code;
}

/* Missing, one too many, transposed, sizes that do not fit, heads that do not divide, for each
   family; Mamba-1 and GPT-2 in test_model.c. llama2's file is laid out as Mistral's. */
static void broken_checkpoints_are_refused_in_one_line(void **state)
{
    static const struct {
        const char *from;
        struct test_edit edit;
        const char *text;
    } rows[] = {
        {DEMO("falcon-mamba-facts"),
         {.find = "2.mixer.x_proj.weight\"", .replace = "2.mixer.x_proj.weights\""},
         "toy: backbone.layers.2.mixer.x_proj.weight: expected [38,192], file has no tensor of "
         "this name"},
        {DEMO("falcon-mamba-facts"),
         {.config = "{\"num_hidden_layers\": 6}"},
         "toy: backbone.layers.6.mixer.A_log: BF16 [192,16] is not a weight of Falcon-Mamba as "
         "config.json describes it"},
        {DEMO("falcon-mamba-facts"),
         {.find = "1.mixer.A_log\":{\"dtype\":\"BF16\",\"shape\":[192,16]",
          .replace = "1.mixer.A_log\":{\"dtype\":\"BF16\",\"shape\":[16,192]"},
         "toy: backbone.layers.1.mixer.A_log: expected [192,16], file has [16,192]"},
        {DEMO("falcon-mamba-facts"),
         {.config = "{\"intermediate_size\": \"absent\", \"expand\": 16}"},
         "toy: backbone.layers.0.mixer.in_proj.weight: expected [3072,96], file has [384,96]"},
        {DEMO("falcon-mamba-facts"),
         {.config = "{\"tie_word_embeddings\": \"absent\"}"},
         "toy: lm_head.weight: BF16 [2688,96] does not repeat the embedding, although "
         "tie_word_embeddings of config.json is true (given or by default): set it to false"},
        {VARIANT("mamba2-groups"),
         {.find = "3.mixer.dt_bias\"", .replace = "3.mixer.dt_proj.bias\""},
         "toy: backbone.layers.3.mixer.dt_bias: expected [6], file has no tensor of this name"},
        {VARIANT("mamba2-groups"),
         {.config = "{\"num_hidden_layers\": 4}"},
         "toy: backbone.layers.4.mixer.A_log: F16 [6] is not a weight of Mamba-2 as config.json "
         "describes it"},
        {VARIANT("mamba2-groups"),
         {.find = "1.mixer.out_proj.weight\":{\"dtype\":\"F16\",\"shape\":[48,96]",
          .replace = "1.mixer.out_proj.weight\":{\"dtype\":\"F16\",\"shape\":[96,48]"},
         "toy: backbone.layers.1.mixer.out_proj.weight: expected [48,96], file has [96,48]"},
        {VARIANT("mamba2-groups"),
         {.config = "{\"n_groups\": 1}"},
         "toy: backbone.layers.0.mixer.in_proj.weight: expected [230,48], file has [262,48]"},
        {VARIANT("mamba2-groups"),
         {.config = "{\"conv_kernel\": 3}"},
         "toy: backbone.layers.0.mixer.conv1d.weight: expected [160,1,3], file has [160,1,4]"},
        {VARIANT("mamba2-groups"),
         {.config = "{\"num_heads\": 5}"},
         "toy: num_heads: 5 heads of head_dim 16 are not the inner width of 96 (intermediate_size, "
         "or expand times hidden_size)"},
        {VARIANT("mamba2-groups"),
         {.config = "{\"n_groups\": 4}"},
         "toy: n_groups: 4 groups do not divide num_heads of 6"},
        {VARIANT("mamba2-groups"),
         {.config = "{\"tie_word_embeddings\": true}"},
         "toy: lm_head.weight: F16 [512,48] does not repeat the embedding, although "
         "tie_word_embeddings of config.json is true (given or by default): set it to false"},
        {VARIANT("pythia"),
         {.find = "2.mlp.dense_h_to_4h.bias\"", .replace = "2.mlp.dense_h_to_4h.b\""},
         "toy: gpt_neox.layers.2.mlp.dense_h_to_4h.bias: expected [144], file has no tensor of "
         "this name"},
        {VARIANT("pythia"),
         {.find = "1.attention.query_key_value.weight\":{\"dtype\":\"F16\",\"shape\":[192,64]",
          .replace = "1.attention.query_key_value.weight\":{\"dtype\":\"F16\",\"shape\":[64,192]"},
         "toy: gpt_neox.layers.1.attention.query_key_value.weight: expected [192,64], file has "
         "[64,192]"},
        {VARIANT("pythia"),
         {.find = "\"gpt_neox.layers.1.attention.masked_bias\"",
          .replace = "\"gpt_neox.layers.1.attention.masked_row\""},
         "toy: gpt_neox.layers.1.attention.masked_row: F16 [] is not a weight of GPT-NeoX as "
         "config.json describes it"},
        {VARIANT("llama3-scaled"),
         {.find = "4.self_attn.v_proj.weight\"", .replace = "4.self_attn.qkv_proj.weight\""},
         "toy: model.layers.4.self_attn.v_proj.weight: expected [16,64], file has no tensor of "
         "this name"},
        {VARIANT("llama3-scaled"),
         {.config = "{\"num_hidden_layers\": 4}"},
         "toy: model.layers.4.input_layernorm.weight: BF16 [64] is not a weight of Llama as "
         "config.json describes it"},
        {VARIANT("llama3-scaled"),
         {.find = "1.mlp.up_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[160,64]",
          .replace = "1.mlp.up_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[64,160]"},
         "toy: model.layers.1.mlp.up_proj.weight: expected [160,64], file has [64,160]"},
        {VARIANT("llama3-scaled"),
         {.config = "{\"num_key_value_heads\": 4}"},
         "toy: model.layers.0.self_attn.k_proj.weight: expected [32,64], file has [16,64]"},
        {VARIANT("llama3-scaled"),
         {.config = "{\"num_key_value_heads\": \"absent\"}"},
         "toy: model.layers.0.self_attn.k_proj.weight: expected [64,64], file has [16,64]"},
        {VARIANT("llama3-scaled"),
         {.config = "{\"head_dim\": 16}"},
         "toy: model.layers.0.self_attn.q_proj.weight: expected [128,64], file has [64,64]"},
        {VARIANT("llama3-scaled"),
         {.config = "{\"attention_bias\": true}"},
         "toy: model.layers.0.self_attn.q_proj.bias: expected [64], file has no tensor of this "
         "name"},
        {VARIANT("llama3-scaled"),
         {.config = "{\"mlp_bias\": true}"},
         "toy: model.layers.0.mlp.gate_proj.bias: expected [160], file has no tensor of this name"},
        {VARIANT("llama3-scaled"),
         {.config = "{\"tie_word_embeddings\": \"absent\"}"},
         "toy: lm_head.weight: expected [512,64], file has no tensor of this name"},
        {VARIANT("llama3-scaled"),
         {.config = "{\"num_key_value_heads\": 3}"},
         "toy: num_key_value_heads: 3 do not divide num_attention_heads of 8"},
        {VARIANT("llama3-scaled"),
         {.config = "{\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 8.0}}"},
         "toy: rope_scaling: rope_type: 'yarn' is not supported for Llama, only default or llama3"},
        {VARIANT("llama3-scaled"),
         {.config = "{\"hidden_act\": \"gelu\"}"},
         "toy: hidden_act: 'gelu' is not supported for Llama, only silu or swish"},
        {VARIANT("llama2"),
         {.config = "{\"tie_word_embeddings\": true}"},
         "toy: lm_head.weight: F16 [608,48] does not repeat the embedding, although "
         "tie_word_embeddings of config.json is true (given or by default): set it to false"},
        {VARIANT("llama2"),
         {.config = "{\"model_type\": \"mistral\", \"sliding_window\": 6}",
          .find = "2.mlp.down_proj.weight\"",
          .replace = "2.mlp.w2.weight\""},
         "toy: model.layers.2.mlp.down_proj.weight: expected [48,128], file has no tensor of this "
         "name"},
        {VARIANT("llama2"),
         {.config =
              "{\"model_type\": \"mistral\", \"sliding_window\": 6, \"num_hidden_layers\": 3}"},
         "toy: model.layers.3.input_layernorm.weight: F16 [48] is not a weight of Mistral as "
         "config.json describes it"},
        {VARIANT("llama2"),
         {.config = "{\"model_type\": \"mistral\", \"sliding_window\": 6}",
          .find = "1.mlp.down_proj.weight\":{\"dtype\":\"F16\",\"shape\":[48,128]",
          .replace = "1.mlp.down_proj.weight\":{\"dtype\":\"F16\",\"shape\":[128,48]"},
         "toy: model.layers.1.mlp.down_proj.weight: expected [48,128], file has [128,48]"},
        {VARIANT("llama2"),
         {.config =
              "{\"model_type\": \"mistral\", \"sliding_window\": 6, \"num_key_value_heads\": 2}"},
         "toy: model.layers.0.self_attn.k_proj.weight: expected [24,48], file has [48,48]"},
        {VARIANT("llama2"),
         {.config = "{\"model_type\": \"mistral\", \"sliding_window\": 6, \"num_key_value_heads\": "
                    "\"absent\"}"},
         "toy: num_key_value_heads: 8 do not divide num_attention_heads of 4"},
        {VARIANT("llama2"),
         {.config = "{\"model_type\": \"mistral\", \"sliding_window\": null, \"layer_types\": "
                    "[\"full_attention\", \"sliding_attention\", \"full_attention\", "
                    "\"sliding_attention\"]}"},
         "toy: layer_types: sliding_attention needs a sliding_window"},
        {VARIANT("qwen2"),
         {.find = "3.self_attn.k_proj.bias\"", .replace = "3.self_attn.k_norm.bias\""},
         "toy: model.layers.3.self_attn.k_proj.bias: expected [8], file has no tensor of this "
         "name"},
        {VARIANT("qwen2"),
         {.config = "{\"num_hidden_layers\": 4, \"layer_types\": \"absent\"}"},
         "toy: model.layers.4.input_layernorm.weight: BF16 [56] is not a weight of Qwen2 as "
         "config.json describes it"},
        {VARIANT("qwen2"),
         {.find = "1.mlp.gate_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[120,56]",
          .replace = "1.mlp.gate_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[56,120]"},
         "toy: model.layers.1.mlp.gate_proj.weight: expected [120,56], file has [56,120]"},
        {VARIANT("qwen2"),
         {.config = "{\"model_type\": \"llama\"}"},
         "toy: model.layers.0.self_attn.k_proj.bias: BF16 [8] is not a weight of Llama as "
         "config.json "
         "describes it"},
        {VARIANT("qwen2"),
         {.config = "{\"num_hidden_layers\": 4}"},
         "toy: layer_types: expected a list of 4 words, one per layer"},
        {VARIANT("qwen2"),
         {.config = "{\"layer_types\": [\"full_attention\", \"full_attention\", "
                    "\"full_attention\", \"full_attention\", \"sliding_attention\"]}"},
         "toy: layer_types: sliding_attention needs a sliding_window"},
        {VARIANT("qwen2"),
         {.config = "{\"num_key_value_heads\": 2}"},
         "toy: num_key_value_heads: 2 do not divide num_attention_heads of 7"},
        {VARIANT("qwen2"),
         {.config = "{\"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 2.0}}"},
         "toy: rope_parameters: rope_type: 'linear' is not supported for Qwen2, only default or "
         "llama3"},
        {VARIANT("qwen3"),
         {.find = "2.self_attn.k_norm.weight\"", .replace = "2.self_attn.k_nrom.weight\""},
         "toy: model.layers.2.self_attn.k_norm.weight: expected [12], file has no tensor of this "
         "name"},
        {VARIANT("qwen3"),
         {.find = "1.self_attn.q_norm.weight\":{\"dtype\":\"BF16\",\"shape\":[12]",
          .replace = "1.self_attn.q_norm.weight\":{\"dtype\":\"BF16\",\"shape\":[2,6]"},
         "toy: model.layers.1.self_attn.q_norm.weight: expected [12], file has [2,6]"},
        {VARIANT("qwen3"),
         {.config = "{\"head_dim\": \"absent\"}"},
         "toy: model.layers.0.self_attn.q_proj.weight: expected [768,48], file has [72,48]"},
        {VARIANT("qwen3"),
         {.config = "{\"model_type\": \"llama\"}"},
         "toy: model.layers.0.self_attn.k_norm.weight: BF16 [12] is not a weight of Llama as "
         "config.json describes it"},
        {VARIANT("kimi-linear-experts"),
         {.find = "0.self_attn.A_log\":{\"dtype\":\"F32\",\"shape\":[1,1,4,1]",
          .replace = "0.self_attn.A_log\":{\"dtype\":\"F32\",\"shape\":[4,1,1,1]"},
         "toy: model.layers.0.self_attn.A_log: expected [1,1,4,1], file has [4,1,1,1]"},
        {VARIANT("kimi-linear-experts"),
         {.find = "3.self_attn.v_conv1d.weight\"", .replace = "3.self_attn.v_conv2d.weight\""},
         "toy: model.layers.3.self_attn.v_conv1d.weight: expected [32,1,4], file has no tensor of "
         "this name"},
        {VARIANT("kimi-linear-experts"),
         {.config = "{\"v_head_dim\": 9}"},
         "toy: model.layers.2.self_attn.kv_b_proj.weight: expected [45,10], file has [42,10]"},
        {VARIANT("qwen3-next-experts"),
         {.config = "{\"shared_expert_intermediate_size\": 12}"},
         "toy: model.layers.0.mlp.shared_expert.gate_proj.weight: expected [12,40], file has "
         "[20,40]"},
        {VARIANT("gemma2"),
         {.config = "{\"model_type\": \"gemma\"}"},
         "toy: model.layers.0.post_feedforward_layernorm.weight: F32 [48] is not a weight of Gemma "
         "as config.json describes it"},
        {VARIANT("gemma2"),
         {.config = "{\"model_type\": \"gemma3_text\", \"attn_logit_softcapping\": null}"},
         "toy: model.layers.0.self_attn.q_norm.weight: expected [14], file has no tensor of this "
         "name"},
        {VARIANT("gemma2"),
         {.config = "{\"attention_bias\": true}"},
         "toy: model.layers.0.self_attn.q_proj.bias: expected [56], file has no tensor of this "
         "name"},
        {VARIANT("gemma3"),
         {.find = "6.pre_feedforward_layernorm.weight\":{\"dtype\":\"BF16\",\"shape\":[48]",
          .replace = "6.pre_feedforward_layernorm.weight\":{\"dtype\":\"BF16\",\"shape\":[6,8]"},
         "toy: model.layers.6.pre_feedforward_layernorm.weight: expected [48], file has [6,8]"},
        {VARIANT("recurrent-gemma"),
         {.find = "1.temporal_block.rg_lru.input_gate_bias\"",
          .replace = "1.temporal_block.rg_lru.input_bias\""},
         "toy: model.layers.1.temporal_block.rg_lru.input_gate_bias: expected [5,10], file has no "
         "tensor of this name"},
        {VARIANT("recurrent-gemma"),
         {.config = "{\"lru_width\": 60}"},
         "toy: model.layers.0.temporal_block.linear_x.weight: expected [60,40], file has [50,40]"},
        {VARIANT("recurrent-gemma"),
         {.config = "{\"block_types\": [\"recurrent\", \"attention\"]}"},
         "toy: model.layers.1.temporal_block.q_proj.weight: expected [40,40], file has no tensor "
         "of this name"},
        {VARIANT("gemma3"),
         {.config = "{\"tie_word_embeddings\": false}"},
         "toy: lm_head.weight: expected [608,48], file has no tensor of this name"},
        {VARIANT("gemma3"),
         {.config = "{\"num_key_value_heads\": 2}"},
         "toy: model.layers.0.self_attn.k_proj.weight: expected [24,48], file has [12,48]"},
        {VARIANT("olmo3"),
         {.find = "2.self_attn.q_norm.weight\"", .replace = "2.self_attn.q_layernorm.weight\""},
         "toy: model.layers.2.self_attn.q_norm.weight: expected [48], file has no tensor of this "
         "name"},
        {VARIANT("olmo3"),
         {.config = "{\"num_hidden_layers\": 4, \"layer_types\": \"absent\"}"},
         "toy: model.layers.4.mlp.down_proj.weight: BF16 [48,96] is not a weight of OLMo-3 as "
         "config.json describes it"},
        {VARIANT("olmo3"),
         {.find = "1.mlp.up_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[96,48]",
          .replace = "1.mlp.up_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[48,96]"},
         "toy: model.layers.1.mlp.up_proj.weight: expected [96,48], file has [48,96]"},
        {VARIANT("olmo3"),
         {.config = "{\"num_hidden_layers\": 4}"},
         "toy: layer_types: expected a list of 4 words, one per layer"},
        {VARIANT("olmo3"),
         {.config = "{\"sliding_window\": null}"},
         "toy: sliding_window: null, but layer 0 has sliding_attention"},
        {VARIANT("olmo3"),
         {.config = "{\"attention_bias\": true}"},
         "toy: model.layers.0.self_attn.q_proj.bias: expected [48], file has no tensor of this "
         "name"},
        {VARIANT("olmo3"),
         {.config = "{\"model_type\": \"olmo2\", \"rope_scaling\": null, "
                    "\"num_key_value_heads\": 2}"},
         "toy: model.layers.0.self_attn.k_proj.weight: expected [24,48], file has [48,48]"},
        {VARIANT("olmo3"),
         {.config = "{\"model_type\": \"olmo2\", \"rope_scaling\": null}",
          .find = "3.post_feedforward_layernorm.weight\"",
          .replace = "3.input_layernorm.weight\""},
         "toy: model.layers.3.post_feedforward_layernorm.weight: expected [48], file has no tensor "
         "of this name"},
        {VARIANT("olmo3"),
         {.config = "{\"model_type\": \"olmo2\"}"},
         "toy: rope_scaling: rope_type: 'yarn' is not supported for OLMo-2, only default or "
         "llama3"},
        {VARIANT("olmo3"),
         {.config = "{\"model_type\": \"llama\", \"rope_scaling\": null, \"layer_types\": "
                    "\"absent\"}"},
         "toy: model.layers.0.input_layernorm.weight: expected [48], file has no tensor of this "
         "name"},
        {VARIANT("phi3"),
         {.find = "3.self_attn.qkv_proj.weight\"", .replace = "3.self_attn.q_proj.weight\""},
         "toy: model.layers.3.self_attn.qkv_proj.weight: expected [144,48], file has no tensor of "
         "this name"},
        {VARIANT("phi3"),
         {.config = "{\"num_hidden_layers\": 3}"},
         "toy: model.layers.3.input_layernorm.weight: BF16 [48] is not a weight of Phi-3 as "
         "config.json describes it"},
        {VARIANT("phi3"),
         {.config = "{\"num_key_value_heads\": 2}"},
         "toy: model.layers.0.self_attn.qkv_proj.weight: expected [96,48], file has [144,48]"},
        {VARIANT("phi3"),
         {.config = "{\"intermediate_size\": 52}"},
         "toy: model.layers.0.mlp.gate_up_proj.weight: expected [104,48], file has [208,48]"},
        {VARIANT("phi3"),
         {.config = "{\"tie_word_embeddings\": true}"},
         "toy: lm_head.weight: BF16 [608,48] does not repeat the embedding, although "
         "tie_word_embeddings of config.json is true (given or by default): set it to false"},
        {VARIANT("granite"),
         {.find = "2.mlp.gate_proj.weight\"", .replace = "2.mlp.gates_proj.weight\""},
         "toy: model.layers.2.mlp.gate_proj.weight: expected [104,48], file has no tensor of this "
         "name"},
        {VARIANT("granite"),
         {.config = "{\"num_hidden_layers\": 3}"},
         "toy: model.layers.3.input_layernorm.weight: BF16 [48] is not a weight of Granite as "
         "config.json describes it"},
        {VARIANT("granite"),
         {.config = "{\"mlp_bias\": true}"},
         "toy: model.layers.0.mlp.gate_proj.bias: expected [104], file has no tensor of this name"},
        {VARIANT("granite"),
         {.config = "{\"tie_word_embeddings\": \"absent\"}"},
         "toy: lm_head.weight: expected [512,48], file has no tensor of this name"},
        {VARIANT("granite"),
         {.config = "{\"logits_scaling\": 0}"},
         "toy: logits_scaling: expected a number above 0, got 0"},
        {VARIANT("granite-h"),
         {.config = "{\"num_local_experts\": \"absent\", \"num_experts_per_tok\": 1}"},
         "toy: model.layers.0.block_sparse_moe.router.layer.weight: expected [8,48], file has no "
         "tensor of this name"},
        {VARIANT("granite-h"),
         {.config = "{\"layer_types\": [\"mamba\", \"mamba\", \"mamba\", \"mamba\", \"mamba\", "
                    "\"attention\"]}"},
         "toy: model.layers.2.mamba.in_proj.weight: expected [232,48], file has no tensor of this "
         "name"},
        {VARIANT("granite-h"),
         {.config = "{\"mamba_conv_bias\": false}"},
         "toy: model.layers.0.mamba.conv1d.bias: BF16 [124] is not a weight of Granite 4 as "
         "config.json describes it"},
        {VARIANT("granite-h-experts"),
         {.config = "{\"intermediate_size\": 13}"},
         "toy: model.layers.0.block_sparse_moe.input_linear.weight: expected [6,26,40], file has "
         "[6,24,40]"},
        {VARIANT("granite-h-experts"),
         {.config = "{\"shared_intermediate_size\": 12}"},
         "toy: model.layers.0.shared_mlp.input_linear.weight: expected [24,40], file has [48,40]"},
        {VARIANT("jamba-experts"),
         {.find = "2.mamba.b_layernorm.weight\"", .replace = "2.mamba.d_layernorm.weight\""},
         "toy: model.layers.2.mamba.b_layernorm.weight: expected [8], file has no tensor of this "
         "name"},
        {VARIANT("jamba-experts"),
         {.config = "{\"num_experts\": 4}"},
         "toy: model.layers.1.feed_forward.router.weight: expected [4,32], file has [5,32]"},
        {VARIANT("jamba-experts"),
         {.config = "{\"attn_layer_offset\": 2}"},
         "toy: model.layers.1.mamba.in_proj.weight: expected [128,32], file has no tensor of this "
         "name"},
        {VARIANT("nemotron-h-experts"),
         {.find = "1.mixer.gate.e_score_correction_bias\"",
          .replace = "1.mixer.gate.e_score_bias\""},
         "toy: backbone.layers.1.mixer.gate.e_score_correction_bias: expected [8], file has no "
         "tensor of this name"},
        {VARIANT("nemotron-h-experts"),
         {.config = "{\"hybrid_override_pattern\": \"ME*MEME\"}"},
         "toy: backbone.layers.6.mixer.gate.weight: expected [8,40], file has no tensor of this "
         "name"},
        {VARIANT("nemotron-h-experts"),
         {.config = "{\"head_dim\": 4}"},
         "toy: backbone.layers.2.mixer.q_proj.weight: expected [20,40], file has [40,40]"},
        {VARIANT("nemotron-h-experts"),
         {.config = "{\"moe_shared_expert_intermediate_size\": 40}"},
         "toy: backbone.layers.1.mixer.shared_experts.up_proj.weight: expected [40,40], file has "
         "[20,40]"},
        {VARIANT("lfm2"),
         {.find = "1.conv.conv.weight\"", .replace = "1.conv.conv1d.weight\""},
         "toy: model.layers.1.conv.conv.weight: expected [48,1,3], file has no tensor of this "
         "name"},
        {VARIANT("lfm2"),
         {.find = "0.conv.in_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[144,48]",
          .replace = "0.conv.in_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[48,144]"},
         "toy: model.layers.0.conv.in_proj.weight: expected [144,48], file has [48,144]"},
        {VARIANT("lfm2"),
         {.config = "{\"conv_L_cache\": 4}"},
         "toy: model.layers.0.conv.conv.weight: expected [48,1,4], file has [48,1,3]"},
        {VARIANT("lfm2"),
         {.config = "{\"block_auto_adjust_ff_dim\": false}"},
         "toy: model.layers.0.feed_forward.w1.weight: expected [90,48], file has [64,48]"},
        {VARIANT("lfm2"),
         {.config = "{\"full_attn_idxs\": [1, 2, 4]}"},
         "toy: model.layers.1.self_attn.q_proj.weight: expected [48,48], file has no tensor of "
         "this "
         "name"},
        {VARIANT("zamba2"),
         {.find = "gate_up_proj_adapter_list.2.0.weight\"",
          .replace = "gate_up_proj_adapter_list.3.0.weight\""},
         "toy: "
         "model.layers.1.shared_transformer.feed_forward.gate_up_proj_adapter_list.2.0.weight: "
         "expected [6,32], file has no tensor of this name"},
        {VARIANT("zamba2"),
         {.config = "{\"num_mem_blocks\": 2}"},
         "toy: model.layers.4.shared_transformer.input_layernorm.weight: expected [64], file has "
         "no "
         "tensor of this name"},
        {VARIANT("zamba2"),
         {.config = "{\"use_shared_attention_adapter\": false}"},
         "toy: model.layers.1.shared_transformer.self_attn.linear_k_adapter_list.0.0.weight: BF16 "
         "[6,64] is not a weight of Zamba2 as config.json describes it"},
        {VARIANT("zamba2"),
         {.config = "{\"adapter_rank\": 5}"},
         "toy: model.layers.1.shared_transformer.self_attn.linear_q_adapter_list.0.0.weight: "
         "expected [5,64], file has [6,64]"},
        {VARIANT("smollm3"),
         {.find = "3.self_attn.v_proj.weight\"", .replace = "3.self_attn.w_proj.weight\""},
         "toy: model.layers.3.self_attn.v_proj.weight: expected [12,48], file has no tensor of "
         "this name"},
        {VARIANT("smollm3"),
         {.config = "{\"num_hidden_layers\": 4, \"layer_types\": \"absent\"}"},
         "toy: model.layers.4.input_layernorm.weight: BF16 [48] is not a weight of SmolLM3 as "
         "config.json describes it"},
        {VARIANT("smollm3"),
         {.config = "{\"num_key_value_heads\": \"absent\"}"},
         "toy: model.layers.0.self_attn.k_proj.weight: expected [48,48], file has [12,48]"},
        {VARIANT("smollm3"),
         {.config = "{\"no_rope_layers\": [1, 1, 1, 0]}"},
         "toy: no_rope_layers: expected a list of 5 numbers, one per layer"},
        {VARIANT("mamba-odd"),
         {.config = "{\"model_type\": \"absent\"}",
          .find = "2.mixer.D\"",
          .replace = "2.mixer.E\""},
         "toy: backbone.layers.2.mixer.D: expected [80], file has no tensor of this name"},
        {VARIANT("mamba-odd"),
         {.config = "{\"model_type\": \"absent\", \"pad_vocab_size_multiple\": 40}"},
         "toy: backbone.embeddings.weight: expected [520,40], file has [512,40]"},
        {VARIANT("mamba-odd"),
         {.config = "{\"model_type\": \"absent\", \"ssm_cfg\": {\"dt_rank\": 2}}"},
         "toy: backbone.layers.0.mixer.x_proj.weight: expected [34,80], file has [35,80]"},
        {VARIANT("mamba-odd"),
         {.config = "{\"model_type\": \"absent\", \"ssm_cfg\": {\"layer\": \"Mamba2\", "
                    "\"headdim\": 80, \"d_state\": 34}}"},
         "toy: backbone.layers.0.mixer.in_proj.weight: expected [229,40], file has [160,40]"},
        {VARIANT("mamba-odd"),
         {.config = "{\"model_type\": \"absent\", \"tie_embeddings\": false}"},
         "toy: lm_head.weight: expected [512,40], file has no tensor of this name"},
        {VARIANT("mamba-odd"),
         {.config = "{\"model_type\": \"absent\", \"ssm_cfg\": {\"layer\": \"Mamba3\"}}"},
         "toy: ssm_cfg: layer: 'Mamba3' is not supported, only Mamba1 or Mamba2"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        enum ko_code code = open_edited(rows[i].from, &rows[i].edit, &err);
        if (code != KO_E_INPUT || strcmp(err.text, rows[i].text) != 0) {
            fail_msg("row %zu: code %d, '%s' is not '%s'", i, (int)code, err.text, rows[i].text);
        }
    }
}

/* The same for files of other kinds, whose headers stay. */
static void configurations_that_do_not_fit_the_weights_are_refused(void **state)
{
    static const struct {
        const char *from, *config, *text;
    } rows[] = {
        {VARIANT("neox-sequential"), "{\"num_hidden_layers\": 3}",
         "toy: gpt_neox.layers.3.attention.dense.bias: F16 [48] is not a weight of GPT-NeoX as "
         "config.json describes it"},
        {VARIANT("neox-sequential"), "{\"intermediate_size\": \"absent\"}",
         "toy: gpt_neox.layers.0.mlp.dense_h_to_4h.weight: expected [24576,48], file has [100,48]"},
        {VARIANT("neox-sequential"), "{\"attention_bias\": false}",
         "toy: gpt_neox.layers.0.attention.dense.bias: F16 [48] is not a weight of GPT-NeoX as "
         "config.json describes it"},
        {VARIANT("neox-sequential"), "{\"tie_word_embeddings\": true}",
         "toy: embed_out.weight: F16 [512,48] does not repeat the embedding, although "
         "tie_word_embeddings of config.json is true (given or by default): set it to false"},
        {VARIANT("gptj"), "{\"n_layer\": 5}",
         "toy: transformer.h.4.ln_1.weight: expected [48], file has no tensor of this name"},
        {VARIANT("gptj"), "{\"n_inner\": 100}",
         "toy: transformer.h.0.mlp.fc_in.weight: expected [100,48], file has [192,48]"},
        {VARIANT("gptj"), "{\"vocab_size\": 520}",
         "toy: transformer.wte.weight: expected [520,48], file has [512,48]"},
        {VARIANT("gptj"), "{\"tie_word_embeddings\": true}",
         "toy: lm_head.weight: F16 [512,48] does not repeat the embedding, although "
         "tie_word_embeddings of config.json is true (given or by default): set it to false"},
        {VARIANT("phi2"), "{\"num_key_value_heads\": 2}",
         "toy: model.layers.0.self_attn.k_proj.weight: expected [24,48], file has [48,48]"},
        {VARIANT("phi2"), "{\"intermediate_size\": \"absent\"}",
         "toy: model.layers.0.mlp.fc1.weight: expected [8192,48], file has [112,48]"},
        {VARIANT("phi2"), "{\"num_hidden_layers\": 5}",
         "toy: model.layers.4.input_layernorm.weight: expected [48], file has no tensor of this "
         "name"},
        {VARIANT("opt"), "{\"max_position_embeddings\": 66}",
         "toy: decoder.embed_positions.weight: expected [68,48], file has [66,48]"},
        {VARIANT("opt"), "{\"word_embed_proj_dim\": 32}",
         "toy: decoder.embed_tokens.weight: expected [512,32], file has [512,48]"},
        {VARIANT("opt"), "{\"do_layer_norm_before\": false}",
         "toy: decoder.final_layer_norm.bias: F16 [48] is not a weight of OPT as config.json "
         "describes it"},
        {VARIANT("opt"), "{\"enable_bias\": false}",
         "toy: decoder.layers.0.fc1.bias: F16 [104] is not a weight of OPT as config.json "
         "describes it"},
        {VARIANT("opt"), "{\"tie_word_embeddings\": false}",
         "toy: lm_head.weight: expected [512,48], file has no tensor of this name"},
        {VARIANT("opt-projected"), "{\"word_embed_proj_dim\": \"absent\"}",
         "toy: decoder.embed_tokens.weight: expected [512,48], file has [512,32]"},
        {VARIANT("opt-projected"), "{\"do_layer_norm_before\": true}",
         "toy: decoder.final_layer_norm.weight: expected [48], file has no tensor of this name"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        struct ko_checkpoint *cp = NULL;
        struct ko_model *model = NULL;
        char *folder = test_folder_make();
        test_checkpoint_reconfigure(rows[i].from, folder, rows[i].config);
        enum ko_code code = ko_checkpoint_open(folder, "toy", &cp, &err);
        if (code == KO_OK) {
            code = ko_model_open(cp, &model, &err);
        }
        ko_model_free(model);
        ko_checkpoint_close(cp);
        test_folder_remove(folder);
        if (code != KO_E_INPUT || strcmp(err.text, rows[i].text) != 0) {
            fail_msg("row %zu: code %d, '%s' is not '%s'", i, (int)code, err.text, rows[i].text);
        }
    }
}

/* A tensor of n elements under the weight's name, of whole numbers and otherwise right; the weight
   itself is renamed. */
static enum ko_code open_with_integers(const char *from, const char *tensor, const char *shape,
                                       size_t n, struct ko_error *err)
{
    size_t n_file = 0;
    uint64_t length;
    char *path = test_folder_path(from, "model.safetensors"), *file = test_read(path, &n_file);
    char find[160], replace[480];
    int32_t *more = calloc(n, sizeof *more);
    assert_non_null(more);
    memcpy(&length, file, sizeof length);
    size_t end = n_file - sizeof length - length;
    snprintf(find, sizeof find, "\"%s\":{", tensor);
    snprintf(replace, sizeof replace,
             "\"%s\":{\"dtype\":\"I32\",\"shape\":%s,\"data_offsets\":[%zu,%zu]},\"was.%s\":{",
             tensor, shape, end, end + n * sizeof *more, tensor);
    struct test_edit edit = {
        .find = find, .replace = replace, .more = more, .n_more = n * sizeof *more};
    enum ko_code code = open_edited(from, &edit, err);
    free(more);
    free(file);
    free(path);
    return code;
}

static void weights_of_whole_numbers_are_refused(void **state)
{
    static const struct {
        const char *from, *tensor, *shape;
        size_t n;
    } rows[] = {
        {DEMO("falcon-mamba-facts"), "backbone.layers.1.mixer.A_log", "[192,16]", 192 * 16},
        {VARIANT("mamba2-groups"), "backbone.layers.1.mixer.norm.weight", "[96]", 96},
        {VARIANT("llama2"), "model.layers.1.mlp.gate_proj.weight", "[128,48]", 128 * 48},
        {VARIANT("qwen2"), "model.layers.1.self_attn.q_proj.bias", "[56]", 56},
        {VARIANT("gpt2-bare"), "h.1.ln_1.weight", "[48]", 48},
        {VARIANT("pythia"), "gpt_neox.layers.1.mlp.dense_4h_to_h.bias", "[64]", 64},
        {VARIANT("mamba-odd"), "backbone.layers.1.mixer.D", "[80]", 80},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ko_error err = {0};
        char text[160];
        snprintf(text, sizeof text, "toy: %s: expected F32, F16 or BF16, file has I32",
                 rows[i].tensor);
        enum ko_code code =
            open_with_integers(rows[i].from, rows[i].tensor, rows[i].shape, rows[i].n, &err);
        if (code != KO_E_INPUT || strcmp(err.text, text) != 0) {
            fail_msg("row %zu: code %d, '%s' is not '%s'", i, (int)code, err.text, text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_checkpoints_are_refused_in_one_line),
        cmocka_unit_test(configurations_that_do_not_fit_the_weights_are_refused),
        cmocka_unit_test(weights_of_whole_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
