/* SPDX-License-Identifier: Apache-2.0 */
/* The registry: X(NAME) for each family, in the order in which errors list them. The file
   families/NAME.c defines ko_family_NAME. */
#ifndef KO_MODELS_FAMILIES_H
#define KO_MODELS_FAMILIES_H

#include "src/models/model.h"

#define KO_FAMILIES(X)                                                                             \
    X(mamba)                                                                                       \
    X(falcon_mamba)                                                                                \
    X(mamba2)                                                                                      \
    X(gpt2)                                                                                        \
    X(llama)                                                                                       \
    X(mistral)                                                                                     \
    X(qwen2)                                                                                       \
    X(qwen3)                                                                                       \
    X(vision_language)                                                                             \
    X(gemma)                                                                                       \
    X(gemma2)                                                                                      \
    X(gemma3)                                                                                      \
    X(gpt_neox)                                                                                    \
    X(gptj)                                                                                        \
    X(phi)                                                                                         \
    X(opt)                                                                                         \
    X(olmo2)                                                                                       \
    X(olmo3)                                                                                       \
    X(phi3)                                                                                        \
    X(granite)                                                                                     \
    X(smollm3)                                                                                     \
    X(mixtral)                                                                                     \
    X(qwen3_moe)                                                                                   \
    X(olmoe)                                                                                       \
    X(gpt_oss)                                                                                     \
    X(falcon_h1)                                                                                   \
    X(lfm2)                                                                                        \
    X(qwen3_next)                                                                                  \
    X(qwen3_5)                                                                                     \
    X(granite_h)                                                                                   \
    X(bamba)                                                                                       \
    X(jamba)                                                                                       \
    X(nemotron_h)                                                                                  \
    X(zamba2)                                                                                      \
    X(kimi_linear)                                                                                 \
    X(recurrent_gemma)

#define X(name) extern const struct ko_family ko_family_##name;
KO_FAMILIES(X)
#undef X

/* All families, NULL-terminated. */
extern const struct ko_family *const ko_families[];
/* The family that reads this model_type; NULL if there is none. */
const struct ko_family *ko_family_find(const char *model_type);

#endif
