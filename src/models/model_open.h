/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a model: from a checkpoint, or from a configuration alone. */
#ifndef KO_MODELS_MODEL_OPEN_H
#define KO_MODELS_MODEL_OPEN_H

#include "src/models/model.h"

/* Reads the configuration, declares the weights and checks that each is in the file with its shape
   and a float dtype
   ("MODEL: TENSOR: expected [..], file has [..]"), and that nothing is left over. Where the names do
   not fit, but would without a beginning that all of them have ("module.", "_orig_mod."), the
   checkpoint is left without it (ko_checkpoint_stripped). Reads no weight. Free with ko_model_free. */
KO_MUST_CHECK enum ko_code ko_model_open(struct ko_checkpoint *checkpoint, struct ko_model **out,
                                         struct ko_error *err);
/* The same from a configuration alone, for plans without weights and for random weights, under the
   family's own naming. */
KO_MUST_CHECK enum ko_code ko_model_from_config(const char *name, json_object *config,
                                                struct ko_model **out, struct ko_error *err);
/* Adds a line for everything that keeps ko_model_open from opening, as far as it can be known: of
   the configuration its first fault, of the weights every one. */
KO_MUST_CHECK enum ko_code ko_model_problems(const struct ko_checkpoint *checkpoint,
                                             struct ko_strings *problems, struct ko_error *err);

#endif
