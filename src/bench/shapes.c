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
#define MISTRAL(vocab, theta, window)                                                              \
    "{\"model_type\": \"mistral\", \"hidden_size\": 4096, \"num_hidden_layers\": 32, "             \
    "\"num_attention_heads\": 32, \"num_key_value_heads\": 8, \"intermediate_size\": 14336, "      \
    "\"max_position_embeddings\": 32768, \"vocab_size\": " #vocab                                  \
    ", \"rms_norm_eps\": 1e-05, \"rope_theta\": " #theta ", \"sliding_window\": " #window          \
    ", \"tie_word_embeddings\": false}"

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
    X("llama-3.2-1b", LLAMA(2048, 16, 32, 64, 8192, 131072, LLAMA32_REST))                         \
    X("llama-3.2-3b", LLAMA(3072, 28, 24, 128, 8192, 131072, LLAMA32_REST))                        \
    X("llama-3-8b", LLAMA(4096, 32, 32, 128, 14336, 8192, "\"tie_word_embeddings\": false"))       \
    X("mistral-7b-v0.1", MISTRAL(32000, 10000.0, 4096))                                            \
    X("mistral-7b-v0.3", MISTRAL(32768, 1000000.0, null))

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
