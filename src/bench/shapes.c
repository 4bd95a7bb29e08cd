/* SPDX-License-Identifier: Apache-2.0 */
/* The configurations of published models by name, so that a shape is known without its
   checkpoint. */
#include <string.h>

#include "src/bench/shapes.h"

#define MAMBA(d_model, n_layer, vocab)                                                             \
    "{\"model_type\": \"mamba\", \"hidden_size\": " #d_model ", \"num_hidden_layers\": " #n_layer  \
    ", \"vocab_size\": " #vocab                                                                    \
    ", \"expand\": 2, \"state_size\": 16, \"conv_kernel\": 4, \"time_step_rank\": \"auto\", "      \
    "\"tie_word_embeddings\": true}"
#define GPT2(d_model, n_layer, n_heads)                                                            \
    "{\"model_type\": \"gpt2\", \"n_embd\": " #d_model ", \"n_layer\": " #n_layer                  \
    ", \"n_head\": " #n_heads                                                                      \
    ", \"n_positions\": 1024, \"vocab_size\": 50257, \"tie_word_embeddings\": true}"

#define FALCON_MAMBA                                                                               \
    "{\"model_type\": \"falcon_mamba\", \"hidden_size\": 4096, \"num_hidden_layers\": 64, "        \
    "\"vocab_size\": 65024, \"intermediate_size\": 8192, \"expand\": 16, \"state_size\": 16, "     \
    "\"conv_kernel\": 4, \"time_step_rank\": 256, \"mixer_rms_eps\": 1e-06, "                      \
    "\"tie_word_embeddings\": false}"
#define MAMBA2(d_model, n_layer)                                                                   \
    "{\"d_model\": " #d_model ", \"n_layer\": " #n_layer                                           \
    ", \"vocab_size\": 50277, \"ssm_cfg\": {\"layer\": \"Mamba2\"}, "                              \
    "\"pad_vocab_size_multiple\": 16, \"tie_embeddings\": true}"
#define LLAMA(d_model, n_layer, n_heads, head_dim, d_ff, positions, rest)                          \
    "{\"model_type\": \"llama\", \"hidden_size\": " #d_model ", \"num_hidden_layers\": " #n_layer  \
    ", \"num_attention_heads\": " #n_heads ", \"head_dim\": " #head_dim                            \
    ", \"num_key_value_heads\": 8, \"intermediate_size\": " #d_ff                                  \
    ", \"max_position_embeddings\": " #positions                                                   \
    ", \"vocab_size\": 128256, \"rms_norm_eps\": 1e-05, \"rope_theta\": 500000.0, " rest "}"
#define LLAMA32_REST                                                                               \
    "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 32.0, \"low_freq_factor\": 1.0, "   \
    "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 8192}, "                     \
    "\"tie_word_embeddings\": true"
#define LLAMA31_REST                                                                               \
    "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, "    \
    "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 8192}, "                     \
    "\"tie_word_embeddings\": false"
#define MISTRAL(vocab, theta, window)                                                              \
    "{\"model_type\": \"mistral\", \"hidden_size\": 4096, \"num_hidden_layers\": 32, "             \
    "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"intermediate_size\": 14336, "      \
    "\"max_position_embeddings\": 32768, \"vocab_size\": " #vocab                                  \
    ", \"rms_norm_eps\": 1e-05, \"rope_theta\": " #theta ", \"sliding_window\": " #window          \
    ", \"tie_word_embeddings\": false}"
#define QWEN3_8B                                                                                   \
    "{\"model_type\": \"qwen3\", \"hidden_size\": 4096, \"num_hidden_layers\": 36, "               \
    "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"head_dim\": 128, "                 \
    "\"intermediate_size\": 12288, \"max_position_embeddings\": 40960, \"vocab_size\": 151936, "   \
    "\"rope_theta\": 1000000, \"tie_word_embeddings\": false}"
#define GEMMA(type, d_model, n_layer, n_heads, n_kv_heads, d_ff, vocab, positions, rest)           \
    "{\"model_type\": \"" type "\", \"hidden_size\": " #d_model                                    \
    ", \"num_hidden_layers\": " #n_layer ", \"num_attention_heads\": " #n_heads                    \
    ", \"num_key_value_heads\": " #n_kv_heads ", \"head_dim\": 256, \"intermediate_size\": " #d_ff \
    ", \"vocab_size\": " #vocab ", \"max_position_embeddings\": " #positions rest "}"
#define GEMMA2_REST                                                                                \
    ", \"query_pre_attn_scalar\": 256, \"attn_logit_softcapping\": 50.0, "                         \
    "\"final_logit_softcapping\": 30.0, \"sliding_window\": 4096, \"rope_theta\": 10000.0"
#define GEMMA3_REST                                                                                \
    ", \"query_pre_attn_scalar\": 256, \"sliding_window\": 512, \"sliding_window_pattern\": 6, "   \
    "\"rope_theta\": 1000000, \"rope_local_base_freq\": 10000"
#define OLMO(version, positions, vocab, rest)                                                      \
    "{\"model_type\": \"olmo" #version                                                             \
    "\", \"hidden_size\": 4096, \"num_hidden_layers\": 32, \"num_attention_heads\": 32, "          \
    "\"num_key_value_heads\": 32, \"intermediate_size\": 11008, "                                  \
    "\"max_position_embeddings\": " #positions ", \"vocab_size\": " #vocab                         \
    ", \"rms_norm_eps\": 1e-06, \"rope_theta\": 500000, \"tie_word_embeddings\": false" rest "}"
#define OLMO3_REST                                                                                 \
    ", \"sliding_window\": 4096, \"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 8.0, "    \
    "\"beta_fast\": 32, \"beta_slow\": 1, \"attention_factor\": 1.2079441541679836, "              \
    "\"original_max_position_embeddings\": 8192}"
#define PHI3(d_model, n_layer, n_heads, n_kv_heads, d_ff, positions, vocab, theta, window)         \
    "{\"model_type\": \"phi3\", \"hidden_size\": " #d_model ", \"num_hidden_layers\": " #n_layer   \
    ", \"num_attention_heads\": " #n_heads ", \"num_key_value_heads\": " #n_kv_heads               \
    ", \"intermediate_size\": " #d_ff ", \"max_position_embeddings\": " #positions                 \
    ", \"original_max_position_embeddings\": " #positions ", \"vocab_size\": " #vocab              \
    ", \"rms_norm_eps\": 1e-05, \"rope_theta\": " #theta ", \"sliding_window\": " #window          \
    ", \"tie_word_embeddings\": false}"
#define GRANITE33_8B                                                                               \
    "{\"model_type\": \"granite\", \"hidden_size\": 4096, \"num_hidden_layers\": 40, "             \
    "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"intermediate_size\": 12800, "      \
    "\"max_position_embeddings\": 131072, \"vocab_size\": 49159, \"rms_norm_eps\": 1e-05, "        \
    "\"rope_theta\": 10000000.0, \"attention_multiplier\": 0.0078125, "                            \
    "\"embedding_multiplier\": 12.0, \"residual_multiplier\": 0.22, \"logits_scaling\": 16.0, "    \
    "\"tie_word_embeddings\": true}"
#define SMOLLM3_3B                                                                                 \
    "{\"model_type\": \"smollm3\", \"hidden_size\": 2048, \"num_hidden_layers\": 36, "             \
    "\"num_attention_heads\": 16, \"num_key_value_heads\": 4, \"intermediate_size\": 11008, "      \
    "\"max_position_embeddings\": 65536, \"vocab_size\": 128256, \"rms_norm_eps\": 1e-06, "        \
    "\"rope_theta\": 5000000.0, \"no_rope_layer_interval\": 4, \"use_sliding_window\": false, "    \
    "\"sliding_window\": null}"

#define PYTHIA(hidden, n_layer, n_heads, d_ff, vocab)                                              \
    "{\"model_type\": \"gpt_neox\", \"hidden_size\": " #hidden                                     \
    ", \"num_hidden_layers\": " #n_layer ", \"num_attention_heads\": " #n_heads                    \
    ", \"intermediate_size\": " #d_ff ", \"vocab_size\": " #vocab                                  \
    ", \"max_position_embeddings\": 2048, \"hidden_act\": \"gelu\", \"rotary_pct\": 0.25, "        \
    "\"rotary_emb_base\": 10000, \"use_parallel_residual\": true, \"layer_norm_eps\": 1e-05, "     \
    "\"tie_word_embeddings\": false}"
#define GPTJ                                                                                       \
    "{\"model_type\": \"gptj\", \"n_embd\": 4096, \"n_layer\": 28, \"n_head\": 16, \"n_inner\": "  \
    "null, \"rotary_dim\": 64, \"n_positions\": 2048, \"vocab_size\": 50400, "                     \
    "\"tie_word_embeddings\": false}"
#define PHI2                                                                                       \
    "{\"model_type\": \"phi\", \"hidden_size\": 2560, \"num_hidden_layers\": 32, "                 \
    "\"num_attention_heads\": 32, \"num_key_value_heads\": 32, \"intermediate_size\": 10240, "     \
    "\"max_position_embeddings\": 2048, \"vocab_size\": 51200, \"partial_rotary_factor\": 0.4, "   \
    "\"rope_theta\": 10000.0, \"layer_norm_eps\": 1e-05, \"tie_word_embeddings\": false}"
#define OPT(hidden, n_layer, n_heads, d_ff)                                                        \
    "{\"model_type\": \"opt\", \"hidden_size\": " #hidden ", \"num_hidden_layers\": " #n_layer     \
    ", \"num_attention_heads\": " #n_heads ", \"ffn_dim\": " #d_ff                                 \
    ", \"max_position_embeddings\": 2048, \"vocab_size\": 50272, "                                 \
    "\"word_embed_proj_dim\": " #hidden                                                            \
    ", \"do_layer_norm_before\": true, \"activation_function\": \"relu\"}"

/* Mixtures of experts, as in the config.json of mistralai/Mixtral-8x7B-v0.1, Qwen/Qwen3-30B-A3B,
   allenai/OLMoE-1B-7B-0924 and openai/gpt-oss-20b. The latter without its quantization_config: the
   file's experts are MXFP4, but backends hold them like all other matrices. */
#define MIXTRAL_8X7B                                                                               \
    "{\"model_type\": \"mixtral\", \"hidden_size\": 4096, \"num_hidden_layers\": 32, "             \
    "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"intermediate_size\": 14336, "      \
    "\"num_local_experts\": 8, \"num_experts_per_tok\": 2, \"max_position_embeddings\": 32768, "   \
    "\"vocab_size\": 32000, \"rms_norm_eps\": 1e-05, \"rope_theta\": 1000000.0, "                  \
    "\"sliding_window\": null, \"tie_word_embeddings\": false}"
#define QWEN3_30B_A3B                                                                              \
    "{\"model_type\": \"qwen3_moe\", \"hidden_size\": 2048, \"num_hidden_layers\": 48, "           \
    "\"num_attention_heads\": 32, \"num_key_value_heads\": 4, \"head_dim\": 128, "                 \
    "\"intermediate_size\": 6144, \"moe_intermediate_size\": 768, \"num_experts\": 128, "          \
    "\"num_experts_per_tok\": 8, \"norm_topk_prob\": true, \"decoder_sparse_step\": 1, "           \
    "\"mlp_only_layers\": [], \"max_position_embeddings\": 40960, \"vocab_size\": 151936, "        \
    "\"rms_norm_eps\": 1e-06, \"rope_theta\": 1000000.0, \"use_sliding_window\": false, "          \
    "\"tie_word_embeddings\": false}"
#define OLMOE_1B_7B                                                                                \
    "{\"model_type\": \"olmoe\", \"hidden_size\": 2048, \"num_hidden_layers\": 16, "               \
    "\"num_attention_heads\": 16, \"num_key_value_heads\": 16, \"intermediate_size\": 1024, "      \
    "\"num_experts\": 64, \"num_experts_per_tok\": 8, \"norm_topk_prob\": false, "                 \
    "\"clip_qkv\": null, \"max_position_embeddings\": 4096, \"vocab_size\": 50304, "               \
    "\"rms_norm_eps\": 1e-05, \"rope_theta\": 10000.0, \"tie_word_embeddings\": false}"
#define GPT_OSS_20B                                                                                \
    "{\"model_type\": \"gpt_oss\", \"hidden_size\": 2880, \"num_hidden_layers\": 24, "             \
    "\"num_attention_heads\": 64, \"num_key_value_heads\": 8, \"head_dim\": 64, "                  \
    "\"attention_bias\": true, \"intermediate_size\": 2880, \"num_local_experts\": 32, "           \
    "\"num_experts_per_tok\": 4, \"swiglu_limit\": 7.0, \"sliding_window\": 128, "                 \
    "\"max_position_embeddings\": 131072, \"vocab_size\": 201088, \"rms_norm_eps\": 1e-05, "       \
    "\"rope_theta\": 150000, \"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 32.0, "       \
    "\"beta_fast\": 32.0, \"beta_slow\": 1.0, \"truncate\": false, "                               \
    "\"original_max_position_embeddings\": 4096}, \"tie_word_embeddings\": false}"
/* tiiuae/Falcon-H1-0.5B-Base, -1.5B-Base, -1.5B-Deep-Base, -3B-Base and -7B-Base: the sizes of
   their report (Falcon-LLM Team 2025) and of their config.json as programs that read it quote it,
   with factors like theirs. They have 0.52, 1.55, 1.55, 3.15 and 7.6 billion parameters. */
#define FALCON_H1(hidden, layers, heads, d_head, inner, ssm_heads, state, ff, vocab)               \
    "{\"model_type\": \"falcon_h1\", \"hidden_size\": " #hidden                                    \
    ", \"num_hidden_layers\": " #layers ", \"num_attention_heads\": " #heads                       \
    ", \"num_key_value_heads\": 2, \"head_dim\": " #d_head ", \"mamba_d_ssm\": " #inner            \
    ", \"mamba_n_heads\": " #ssm_heads ", \"mamba_d_state\": " #state                              \
    ", \"mamba_n_groups\": 1, \"mamba_d_conv\": 4, \"mamba_rms_norm\": false, "                    \
    "\"intermediate_size\": " #ff ", \"vocab_size\": " #vocab                                      \
    ", \"max_position_embeddings\": 16384, \"rope_theta\": 1e11, \"ssm_in_multiplier\": 1.25, "    \
    "\"ssm_multipliers\": [0.35, 0.25, 0.35, 0.5, 0.35], \"mlp_multipliers\": [0.88, 0.59], "      \
    "\"ssm_out_multiplier\": 0.24, \"attention_out_multiplier\": 0.94, "                           \
    "\"tie_word_embeddings\": false}"
/* Qwen/Qwen3.5-9B: the defaults of transformers' Qwen3_5TextConfig. */
#define QWEN35_9B                                                                                  \
    "{\"model_type\": \"qwen3_5_text\", \"hidden_size\": 4096, \"num_hidden_layers\": 32, "        \
    "\"num_attention_heads\": 16, \"num_key_value_heads\": 4, \"head_dim\": 256, "                 \
    "\"intermediate_size\": 12288, \"linear_num_key_heads\": 16, \"linear_num_value_heads\": 32, " \
    "\"linear_key_head_dim\": 128, \"linear_value_head_dim\": 128, "                               \
    "\"linear_conv_kernel_dim\": 4, \"full_attention_interval\": 4, "                              \
    "\"max_position_embeddings\": 32768, \"vocab_size\": 248320, \"rms_norm_eps\": 1e-06, "        \
    "\"rope_theta\": 10000000.0, \"partial_rotary_factor\": 0.25, \"tie_word_embeddings\": false}"
/* Qwen/Qwen3-Next-80B-A3B-Instruct: its config.json as programs that read it quote it, and for the
   rest the defaults of transformers' Qwen3NextConfig, which are this model's. */
#define QWEN3_NEXT_80B_A3B                                                                         \
    "{\"model_type\": \"qwen3_next\", \"hidden_size\": 2048, \"num_hidden_layers\": 48, "          \
    "\"num_attention_heads\": 16, \"num_key_value_heads\": 2, \"head_dim\": 256, "                 \
    "\"intermediate_size\": 5120, \"moe_intermediate_size\": 512, "                                \
    "\"shared_expert_intermediate_size\": 512, \"num_experts\": 512, "                             \
    "\"num_experts_per_tok\": 10, \"norm_topk_prob\": true, \"decoder_sparse_step\": 1, "          \
    "\"mlp_only_layers\": [], \"linear_num_key_heads\": 16, \"linear_num_value_heads\": 32, "      \
    "\"linear_key_head_dim\": 128, \"linear_value_head_dim\": 128, "                               \
    "\"linear_conv_kernel_dim\": 4, \"full_attention_interval\": 4, "                              \
    "\"max_position_embeddings\": 262144, \"vocab_size\": 151936, \"rms_norm_eps\": 1e-06, "       \
    "\"rope_theta\": 10000000.0, \"partial_rotary_factor\": 0.25, \"tie_word_embeddings\": false}"
/* LiquidAI/LFM2-350M, -700M, -1.2B and -2.6B: their config.json as programs that read it quote it,
   and for the rest the defaults of transformers' Lfm2Config. They have the 354, 742, 1,170 and
   2,569 million parameters of their model cards. */
#define LFM2(d_model, n_layer, n_heads, d_ff, adjust, attention)                                   \
    "{\"model_type\": \"lfm2\", \"hidden_size\": " #d_model ", \"num_hidden_layers\": " #n_layer   \
    ", \"num_attention_heads\": " #n_heads                                                         \
    ", \"num_key_value_heads\": 8, \"block_ff_dim\": " #d_ff                                       \
    ", \"block_multiple_of\": 256, \"block_auto_adjust_ff_dim\": " #adjust                         \
    ", \"conv_L_cache\": 3, \"full_attn_idxs\": " attention                                        \
    ", \"max_position_embeddings\": 128000, \"vocab_size\": 65536, \"norm_eps\": 1e-05, "          \
    "\"theta\": 1000000.0, \"tie_embedding\": true}"
#define LFM2_SIX "[2, 5, 8, 10, 12, 14]"
/* Layers of hybrids, with the comma behind them. */
#define SSM          "\"mamba\", "
#define SSM_3        SSM SSM SSM
#define SSM_4        SSM_3 SSM
#define SSM_5        SSM_4 SSM
#define SSM_9        SSM_5 SSM_4
#define ATTENTION    "\"attention\", "
#define SHARED       "\"hybrid\", "
#define SSM_5_SHARED SSM_5 SHARED
/* Zyphra/Zamba2-2.7B: the config.json and the defaults of mamba_config.py in Zyphra's repository
   Zamba2, in the keys of transformers. The hybrid layers are the defaults of its Zamba2Config.
   Zamba2-1.2B and -7B: their config.json of the first layout, in the keys of transformers; 1.2 and
   7.4 billion parameters. Of the 7B we know its layers and widths; its groups, its rotary positions
   and that its attention has no adapters are assumed. */
#define ZAMBA2(d_model, n_layer, d_ff, d_state, ssm_heads, groups, blocks, rest)                   \
    "{\"model_type\": \"zamba2\", \"hidden_size\": " #d_model ", \"num_hidden_layers\": " #n_layer \
    ", \"num_attention_heads\": 32, \"num_key_value_heads\": 32, \"intermediate_size\": " #d_ff    \
    ", \"mamba_d_state\": " #d_state                                                               \
    ", \"mamba_d_conv\": 4, \"mamba_expand\": 2, \"mamba_ngroups\": " #groups                      \
    ", \"n_mamba_heads\": " #ssm_heads ", \"num_mem_blocks\": " #blocks                            \
    ", \"adapter_rank\": 128, \"max_position_embeddings\": 4096, \"vocab_size\": 32000, "          \
    "\"rms_norm_eps\": 1e-05, " rest "}"
#define ZAMBA2_1_2B_REST                                                                           \
    "\"use_mem_rope\": true, \"use_shared_attention_adapter\": true, \"layers_block_type\": "      \
    "[" SSM_5_SHARED SSM_5_SHARED SSM_5_SHARED SSM_5_SHARED SSM_5_SHARED SSM_5_SHARED SSM          \
    "\"mamba\"]"
#define ZAMBA2_2_7B_REST "\"use_mem_rope\": false, \"use_shared_attention_adapter\": false"
#define ZAMBA2_7B_REST                                                                             \
    "\"use_mem_rope\": true, \"use_shared_attention_adapter\": false, \"layers_block_type\": "     \
    "[" SSM SSM_5_SHARED SSM_4 SHARED SSM_5_SHARED SSM_5_SHARED SSM_5_SHARED SSM_5_SHARED          \
        SSM_5_SHARED SSM_5_SHARED SSM_5_SHARED SSM_5_SHARED SSM_5_SHARED SSM_5_SHARED SSM_5_SHARED \
            SSM SSM "\"mamba\"]"
/* nvidia/Nemotron-H-8B-Base-8K: its config.json as programs that read it quote it, and for the rest
   the defaults of NVIDIA's NemotronHConfig, which are this model's. It has 8.1 billion
   parameters. */
#define NEMOTRON_H_8B                                                                              \
    "{\"model_type\": \"nemotron_h\", \"hidden_size\": 4096, \"num_hidden_layers\": 52, "          \
    "\"hybrid_override_pattern\": \"M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-\", "      \
    "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"attention_head_dim\": 128, "       \
    "\"intermediate_size\": 21504, \"mamba_num_heads\": 128, \"mamba_head_dim\": 64, "             \
    "\"n_groups\": 8, \"ssm_state_size\": 128, \"conv_kernel\": 4, \"vocab_size\": 131072, "       \
    "\"layer_norm_epsilon\": 1e-05, \"tie_word_embeddings\": false}"
/* ibm-granite/granite-4.0-h-350m, -h-1b, -h-micro, -h-tiny and -micro: their config.json as
   programs that read it quote it. They have 0.34, 1.46, 3.19, 6.94 and 3.40 billion parameters. In
   -micro every layer has attention. */
#define GRANITE4_H(d_model, n_layer, layers, n_heads, n_kv_heads, d_ff, shared, experts, used,     \
                   ssm_heads, d_ssm_head, positions, rest)                                         \
    "{\"model_type\": \"granitemoehybrid\", \"hidden_size\": " #d_model                            \
    ", \"num_hidden_layers\": " #n_layer ", \"layer_types\": " layers                              \
    ", \"num_attention_heads\": " #n_heads ", \"num_key_value_heads\": " #n_kv_heads               \
    ", \"intermediate_size\": " #d_ff ", \"shared_intermediate_size\": " #shared                   \
    ", \"num_local_experts\": " #experts ", \"num_experts_per_tok\": " #used                       \
    ", \"mamba_n_heads\": " #ssm_heads ", \"mamba_d_head\": " #d_ssm_head                          \
    ", \"mamba_n_groups\": 1, \"mamba_d_state\": 128, \"mamba_d_conv\": 4, \"mamba_expand\": 2, "  \
    "\"position_embedding_type\": \"nope\", \"max_position_embeddings\": " #positions              \
    ", \"vocab_size\": 100352, \"rms_norm_eps\": 1e-05, \"embedding_multiplier\": 12, "            \
    "\"tie_word_embeddings\": true, " rest "}"
#define GRANITE4_EVERY_TENTH                                                                       \
    "[" SSM_5 ATTENTION SSM_9 ATTENTION SSM_9 ATTENTION SSM_9 ATTENTION SSM_3 "\"mamba\"]"
#define GRANITE4_OF_350M                                                                           \
    "[" SSM_9 SSM ATTENTION SSM SSM ATTENTION SSM_3 ATTENTION SSM_9 ATTENTION SSM_3 "\"mamba\"]"
#define GRANITE4_FACTORS(attention, residual, logits)                                              \
    "\"attention_multiplier\": " #attention ", \"residual_multiplier\": " #residual                \
    ", \"logits_scaling\": " #logits
#define ATTENTION_3 ATTENTION ATTENTION ATTENTION
#define ATTENTION_9 ATTENTION_3 ATTENTION_3 ATTENTION_3
#define GRANITE4_MICRO                                                                             \
    "{\"model_type\": \"granitemoehybrid\", \"hidden_size\": 2560, \"num_hidden_layers\": 40, "    \
    "\"layer_types\": [" ATTENTION_9 ATTENTION_9 ATTENTION_9 ATTENTION_9 ATTENTION_3               \
    "\"attention\"], \"num_attention_heads\": 40, \"num_key_value_heads\": 8, "                    \
    "\"num_local_experts\": 0, \"intermediate_size\": 8192, \"shared_intermediate_size\": 8192, "  \
    "\"mamba_n_heads\": 128, \"mamba_d_head\": 40, \"mamba_n_groups\": 1, "                        \
    "\"mamba_d_state\": 256, \"mamba_d_conv\": 4, \"mamba_expand\": 2, "                           \
    "\"position_embedding_type\": \"rope\", \"rope_theta\": 10000000, "                            \
    "\"max_position_embeddings\": 131072, \"vocab_size\": 100352, \"rms_norm_eps\": 1e-05, "       \
    "\"embedding_multiplier\": 12, \"tie_word_embeddings\": true, " GRANITE4_FACTORS(0.015625,     \
                                                                                     0.22, 10) "}"
/* ibm-ai-platform/Bamba-9B: its config.json. It has 9.78 billion parameters. */
#define BAMBA_9B                                                                                   \
    "{\"model_type\": \"bamba\", \"hidden_size\": 4096, \"num_hidden_layers\": 32, "               \
    "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"intermediate_size\": 14336, "      \
    "\"attn_layer_indices\": [9, 18, 27], \"attn_rotary_emb\": 64, \"mamba_n_heads\": 128, "       \
    "\"mamba_d_head\": 64, \"mamba_n_groups\": 1, \"mamba_d_state\": 128, \"mamba_d_conv\": 4, "   \
    "\"mamba_expand\": 2, \"vocab_size\": 128256, \"rms_norm_eps\": 1e-05, "                       \
    "\"tie_word_embeddings\": false}"
/* ai21labs/AI21-Jamba-Reasoning-3B: its config.json as programs that read it quote it. It has 3.03
   billion parameters. */
#define JAMBA_3B                                                                                   \
    "{\"model_type\": \"jamba\", \"hidden_size\": 2560, \"num_hidden_layers\": 28, "               \
    "\"num_attention_heads\": 20, \"num_key_value_heads\": 1, \"intermediate_size\": 8192, "       \
    "\"attn_layer_period\": 14, \"attn_layer_offset\": 7, \"num_experts\": 1, "                    \
    "\"mamba_d_state\": 16, \"mamba_d_conv\": 4, \"mamba_expand\": 2, \"mamba_dt_rank\": 160, "    \
    "\"vocab_size\": 65536, \"rms_norm_eps\": 1e-06, \"max_position_embeddings\": 262144, "        \
    "\"tie_word_embeddings\": true}"
/* google/recurrentgemma-2b: the sizes of table 1 of the paper (Botev et al. 2024), 2.68 billion
   parameters, in the keys of transformers, where an MLP's width counts twice. */
#define RECURRENTGEMMA_2B                                                                          \
    "{\"model_type\": \"recurrent_gemma\", \"hidden_size\": 2560, \"num_hidden_layers\": 26, "     \
    "\"num_attention_heads\": 10, \"num_key_value_heads\": 1, \"intermediate_size\": 15360, "      \
    "\"lru_width\": 2560, \"attention_window_size\": 2048, \"vocab_size\": 256000}"

/* X(name, configuration as the published checkpoint has it). */
#define SHAPES(X)                                                                                  \
    X("mamba-130m", MAMBA(768, 24, 50280))                                                         \
    X("mamba-1.4b", MAMBA(2048, 48, 50280))                                                        \
    X("mamba-2.8b", MAMBA(2560, 64, 50280))                                                        \
    X("mamba-7b-rw", MAMBA(4096, 64, 50432))                                                       \
    X("falcon-mamba-7b", FALCON_MAMBA)                                                             \
    X("falcon3-mamba-7b", FALCON_MAMBA)                                                            \
    X("mamba2-130m", MAMBA2(768, 24))                                                              \
    X("mamba2-1.3b", MAMBA2(2048, 48))                                                             \
    X("mamba2-2.7b", MAMBA2(2560, 64))                                                             \
    X("gpt2-medium", GPT2(1024, 24, 16))                                                           \
    X("gpt2-large", GPT2(1280, 36, 20))                                                            \
    X("gpt2-xl", GPT2(1600, 48, 25))                                                               \
    X("pythia-2.8b", PYTHIA(2560, 32, 32, 10240, 50304))                                           \
    X("pythia-6.9b", PYTHIA(4096, 32, 32, 16384, 50432))                                           \
    X("gpt-j-6b", GPTJ)                                                                            \
    X("phi-2", PHI2)                                                                               \
    X("opt-6.7b", OPT(4096, 32, 32, 16384))                                                        \
    X("llama-3.2-1b", LLAMA(2048, 16, 32, 64, 8192, 131072, LLAMA32_REST))                         \
    X("llama-3.2-3b", LLAMA(3072, 28, 24, 128, 8192, 131072, LLAMA32_REST))                        \
    X("llama-3-8b", LLAMA(4096, 32, 32, 128, 14336, 8192, "\"tie_word_embeddings\": false"))       \
    X("llama-3.1-8b", LLAMA(4096, 32, 32, 128, 14336, 131072, LLAMA31_REST))                       \
    X("mistral-7b-v0.1", MISTRAL(32000, 10000.0, 4096))                                            \
    X("mistral-7b-v0.3", MISTRAL(32768, 1000000.0, null))                                          \
    X("qwen3-8b", QWEN3_8B)                                                                        \
    X("gemma-2b", GEMMA("gemma", 2048, 18, 8, 1, 16384, 256000, 8192, ""))                         \
    X("gemma-2-9b", GEMMA("gemma2", 3584, 42, 16, 8, 14336, 256000, 8192, GEMMA2_REST))            \
    X("gemma-3-1b", GEMMA("gemma3_text", 1152, 26, 4, 1, 6912, 262144, 32768, GEMMA3_REST))        \
    X("olmo-2-7b", OLMO(2, 4096, 100352, ""))                                                      \
    X("olmo-3-7b", OLMO(3, 65536, 100278, OLMO3_REST))                                             \
    X("phi-3-mini", PHI3(3072, 32, 32, 32, 8192, 4096, 32064, 10000.0, 2047))                      \
    X("phi-4", PHI3(5120, 40, 40, 10, 17920, 16384, 100352, 250000, null))                         \
    X("granite-3.3-8b", GRANITE33_8B)                                                              \
    X("smollm3-3b", SMOLLM3_3B)                                                                    \
    X("mixtral-8x7b", MIXTRAL_8X7B)                                                                \
    X("qwen3-30b-a3b", QWEN3_30B_A3B)                                                              \
    X("olmoe-1b-7b", OLMOE_1B_7B)                                                                  \
    X("gpt-oss-20b", GPT_OSS_20B)                                                                  \
    X("falcon-h1-0.5b", FALCON_H1(1024, 36, 8, 64, 1536, 24, 128, 2048, 32784))                    \
    X("falcon-h1-1.5b", FALCON_H1(2048, 24, 8, 128, 3072, 48, 256, 4608, 65537))                   \
    X("falcon-h1-1.5b-deep", FALCON_H1(1280, 66, 6, 128, 1536, 24, 256, 3072, 65536))              \
    X("falcon-h1-3b", FALCON_H1(2560, 32, 10, 128, 4096, 32, 256, 6144, 65536))                    \
    X("falcon-h1-7b", FALCON_H1(3072, 44, 12, 128, 3072, 24, 256, 12288, 130048))                  \
    X("qwen3.5-9b", QWEN35_9B)                                                                     \
    X("qwen3-next-80b-a3b", QWEN3_NEXT_80B_A3B)                                                    \
    X("lfm2-350m", LFM2(1024, 16, 16, 6656, true, LFM2_SIX))                                       \
    X("lfm2-700m", LFM2(1536, 16, 24, 10240, true, LFM2_SIX))                                      \
    X("lfm2-1.2b", LFM2(2048, 16, 32, 12288, true, LFM2_SIX))                                      \
    X("lfm2-2.6b", LFM2(2048, 30, 32, 10752, false, "[2, 5, 9, 13, 17, 21, 24, 27]"))              \
    X("zamba2-1.2b", ZAMBA2(2048, 38, 8192, 128, 64, 1, 1, ZAMBA2_1_2B_REST))                      \
    X("zamba2-2.7b", ZAMBA2(2560, 54, 10240, 64, 80, 1, 2, ZAMBA2_2_7B_REST))                      \
    X("zamba2-7b", ZAMBA2(3584, 81, 14336, 64, 112, 2, 2, ZAMBA2_7B_REST))                         \
    X("nemotron-h-8b", NEMOTRON_H_8B)                                                              \
    X("granite-4.0-h-350m", GRANITE4_H(768, 32, GRANITE4_OF_350M, 12, 4, 2048, 2048, 0, 0, 48, 32, \
                                       32768, GRANITE4_FACTORS(0.015625, 0.246, 3)))               \
    X("granite-4.0-h-1b", GRANITE4_H(1536, 40, GRANITE4_EVERY_TENTH, 12, 4, 4096, 4096, 0, 0, 48,  \
                                     64, 131072, GRANITE4_FACTORS(0.0078125, 0.22, 6)))            \
    X("granite-4.0-h-micro", GRANITE4_H(2048, 40, GRANITE4_EVERY_TENTH, 32, 8, 8192, 8192, 0, 0,   \
                                        64, 64, 131072, GRANITE4_FACTORS(0.015625, 0.22, 8)))      \
    X("granite-4.0-h-tiny", GRANITE4_H(1536, 40, GRANITE4_EVERY_TENTH, 12, 4, 512, 1024, 64, 6,    \
                                       48, 64, 131072, GRANITE4_FACTORS(0.0078125, 0.22, 6)))      \
    X("granite-4.0-micro", GRANITE4_MICRO)                                                         \
    X("bamba-9b", BAMBA_9B)                                                                        \
    X("jamba-3b", JAMBA_3B)                                                                        \
    X("recurrentgemma-2b", RECURRENTGEMMA_2B)

#define X(name, config) name,
static const char *const names[] = {SHAPES(X)};
#undef X
#define X(name, config) config,
static const char *const configs[] = {SHAPES(X)};
#undef X
enum { N_SHAPES = sizeof names / sizeof names[0] };

const char *ko_shape_config(const char *shape_name)
{
    for (size_t i = 0; i < N_SHAPES; i++) {
        if (strcmp(names[i], shape_name) == 0) {
            return configs[i];
        }
    }
    return NULL;
}

const char *const *ko_shape_names(size_t *n)
{
    *n = N_SHAPES;
    return names;
}
