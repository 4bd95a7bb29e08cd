/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a model: from a checkpoint, or from a configuration alone. */
#ifndef KO_MODELS_MODEL_OPEN_H
#define KO_MODELS_MODEL_OPEN_H

#include "src/models/model.h"

/* Builds the model from the checkpoint's configuration. Checks that each of its weights is in the
   file with its shape and a float dtype ("MODEL: TENSOR: expected [..], file has [..]") and that no
   tensor is left over. If the names do not fit, but would without a prefix that all of them share
   ("module.", "_orig_mod."), the prefix is removed from the checkpoint (ko_checkpoint_stripped).
   Reads no weight. Free with ko_model_free. */
KO_MUST_CHECK enum ko_code ko_model_open(struct ko_checkpoint *checkpoint, struct ko_model **out,
                                         struct ko_error *err);
/* The same from a configuration alone, for plans without weights and for random weights. The names
   are the family's own. */
KO_MUST_CHECK enum ko_code ko_model_from_config(const char *name, json_object *config,
                                                struct ko_model **out, struct ko_error *err);
/* Adds a line for each reason why ko_model_open fails: the first error of the configuration, or all
   errors of the weights. */
KO_MUST_CHECK enum ko_code ko_model_problems(const struct ko_checkpoint *checkpoint,
                                             struct ko_strings *problems, struct ko_error *err);

#endif
