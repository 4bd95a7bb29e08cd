/* SPDX-License-Identifier: Apache-2.0 */
/* What Mamba-1, Falcon-Mamba and Mamba-2 share: the names of their tensors around the mixer, and the
   keys of config.json that mean the same in all. */
#ifndef KO_MODELS_FAMILIES_MAMBA_LIKE_H
#define KO_MODELS_FAMILIES_MAMBA_LIKE_H

#include <json-c/json.h>

#include "src/models/model.h"
#include "src/models/sublayers/mamba1.h"

/* Reads model->shape, model->ends.tied and the block of a Mamba-1, which does not refine yet. */
KO_MUST_CHECK enum ko_code ko_mamba_read(struct ko_model *model, json_object *config,
                                         struct ko_mamba1_spec *out, struct ko_error *err);
/* Adds a block to the model: ko_mamba1_add or ko_mamba2_add, for the family's own spec. */
typedef enum ko_code ko_mamba_add_block(struct ko_model *model, int32_t layer, const char *prefix,
                                        const void *block, struct ko_error *err);
/* Lists a model of one block a layer. norm: of the blocks and behind the last one. Names begin with
   "backbone.", or with nothing where the model was saved without its head; the embedding is
   "embeddings.weight", or "embedding.weight" as in the original release. */
KO_MUST_CHECK enum ko_code ko_mamba_list(struct ko_model *model,
                                         const struct ko_checkpoint *checkpoint,
                                         const struct ko_norm *norm, ko_mamba_add_block *add,
                                         const void *block, struct ko_error *err);
/* Such a model of Mamba-1's blocks. */
KO_MUST_CHECK enum ko_code ko_mamba1_list(struct ko_model *model,
                                          const struct ko_checkpoint *checkpoint,
                                          const struct ko_mamba1_spec *block, struct ko_error *err);

#endif
