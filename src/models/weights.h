/* SPDX-License-Identifier: Apache-2.0 */
/* The declared weights against the file, and the way of a tensor's elements into memory. */
#ifndef KO_MODELS_WEIGHTS_H
#define KO_MODELS_WEIGHTS_H

#include "src/base/text.h"
#include "src/models/model.h"

/* Adds a weight: a copy of *weight, whose tensor, matrix, offset and n are filled in. *index: its
   number. The name of its tensor is formatted. */
KO_MUST_CHECK enum ko_code ko_model_add_weight(struct ko_model *model,
                                               const struct ko_weight *weight, size_t *index,
                                               struct ko_error *err, const char *format, ...)
    KO_PRINTF(5, 6);
/* n floats among the values for a table that is derived, from *offset on. */
KO_MUST_CHECK enum ko_code ko_model_reserve(struct ko_model *model, size_t n, size_t *offset,
                                            struct ko_error *err);
/* Writes what follows from the configuration (rotary tables) into its places among the values
   [value_floats], host memory. */
void ko_model_derive(const struct ko_model *model, float *values);
/* Every declared weight is in the checkpoint with its shape and a float dtype, and no tensor is
   left over. KO_E_INPUT "MODEL: TENSOR: ...". */
KO_MUST_CHECK enum ko_code ko_weights_check(const struct ko_model *model,
                                            const struct ko_checkpoint *checkpoint,
                                            struct ko_error *err);
/* The same to the end: adds a line for everything that is wrong. */
KO_MUST_CHECK enum ko_code ko_weights_problems(const struct ko_model *model,
                                               const struct ko_checkpoint *checkpoint,
                                               struct ko_strings *problems, struct ko_error *err);
/* One weight against its tensor (NULL: missing). */
KO_MUST_CHECK enum ko_code ko_weight_check(const struct ko_model *model,
                                           const struct ko_weight *weight,
                                           const struct ko_tensor *tensor, struct ko_error *err);
/* Elements of the weight in the file. */
int64_t ko_weight_elements(const struct ko_weight *weight);
/* Puts the file's elements [first, first + n) to their place in the weight's memory,
   transformed. Parts may come in any order but for KO_DECAY_NORMS, which adds up from element 0 on.
 */
void ko_weight_place(const struct ko_weight *weight, int64_t first, int64_t n, const float *values,
                     float *to);

#endif
