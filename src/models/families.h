/* The families, each defined in the file of its name. */
#ifndef KO_MODELS_FAMILIES_H
#define KO_MODELS_FAMILIES_H

#include "src/models/model.h"

/* Mamba-1: Gu & Dao 2023; transformers' MambaForCausalLM. */
extern const struct ko_family ko_family_mamba;
/* GPT-2: Radford et al. 2019; transformers' GPT2LMHeadModel. */
extern const struct ko_family ko_family_gpt2;

#endif
