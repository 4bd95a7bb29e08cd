/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by Mamba-1, Falcon-Mamba and Mamba-2: the tensors around the blocks, and keys of
   config.json. Hybrids with blocks of Mamba-2 read keys of theirs here too. */
#ifndef KO_MODELS_FAMILIES_MAMBA_LIKE_H
#define KO_MODELS_FAMILIES_MAMBA_LIKE_H

#include "src/models/model.h"
#include "src/models/sublayers/mamba1.h"
#include "src/models/sublayers/mamba2.h"

/* Reads model->shape, model->ends.tied and the block of a Mamba-1 that does not refine. */
void ko_mamba_read(struct ko_builder *b, struct ko_mamba1_spec *out);
/* The activation, which must be SiLU, model->ends.tied (default: `tied`), and the biases. */
void ko_mamba_read_switches(struct ko_builder *b, bool tied, bool *bias, bool *conv_bias);

/* The keys of a Mamba-2 block's sizes, for messages. */
struct ko_mamba2_keys {
    const char *n_heads, *d_head, *n_groups, *d_state;
};
/* Checks the widths of a block of Mamba-2, and how its heads are divided into groups that share B and
   C. */
void ko_mamba2_check(struct ko_builder *b, const struct ko_mamba2_keys *keys,
                     const struct ko_mamba2_spec *block);
/* The range of delta: the default is from 0 to infinity. */
void ko_mamba2_read_limit(struct ko_builder *b, const char *key, struct ko_mamba2_spec *out);

/* Adds a block to the model: ko_mamba1_add or ko_mamba2_add, for the family's own spec. */
typedef void ko_mamba_add_block(struct ko_builder *b, const void *block);
/* Lists a model of one block per layer. norm: of the blocks and after the last one. Names begin with
   "backbone.", or with nothing if the model was saved without its head. The embedding is
   "embeddings.weight", or "embedding.weight" as in the original release. */
void ko_mamba_list(struct ko_builder *b, const struct ko_norm *norm, ko_mamba_add_block *add,
                   const void *block);
/* The same for blocks of Mamba-1. */
void ko_mamba1_list(struct ko_builder *b, const struct ko_mamba1_spec *block);

#endif
