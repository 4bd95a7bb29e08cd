/* SPDX-License-Identifier: Apache-2.0 */
/* A model's weights: declaring them, checking them against the file, placing them in memory. */
#ifndef KO_MODELS_WEIGHTS_H
#define KO_MODELS_WEIGHTS_H

#include "src/base/text.h"
#include "src/models/model.h"

/* Adds a copy of *weight to the model and fills in tensor (the formatted name; in MXFP4 it ends with
   "blocks"), scales, matrix, offset and n. *index: the weight's number. */
KO_MUST_CHECK enum ko_code ko_model_add_weight(struct ko_model *model,
                                               const struct ko_weight *weight, size_t *index,
                                               struct ko_error *err, const char *format, ...)
    KO_PRINTF(5, 6);
/* Reserves n floats among the values for a derived table. *offset: where they begin. */
KO_MUST_CHECK enum ko_code ko_model_reserve(struct ko_model *model, size_t n, size_t *offset,
                                            struct ko_error *err);
/* Writes what follows from the configuration (rotary tables, constants) into the values
   [value_floats], host memory. */
void ko_model_derive(const struct ko_model *model, float *values);
/* Checks that every declared weight is in the checkpoint with its shape and a float dtype, and that
   no tensor is left over. KO_E_INPUT "MODEL: TENSOR: ...". */
KO_MUST_CHECK enum ko_code ko_weights_check(const struct ko_model *model,
                                            const struct ko_checkpoint *checkpoint,
                                            struct ko_error *err);
/* The same, but adds a line for each error and goes on. */
KO_MUST_CHECK enum ko_code ko_weights_problems(const struct ko_model *model,
                                               const struct ko_checkpoint *checkpoint,
                                               struct ko_strings *problems, struct ko_error *err);
/* Checks one weight against its tensor, and in MXFP4 against that of its scales. */
KO_MUST_CHECK enum ko_code ko_weight_check(const struct ko_model *model,
                                           const struct ko_weight *weight,
                                           const struct ko_checkpoint *checkpoint,
                                           struct ko_error *err);
/* Finds how the checkpoint stores the matrices, and which are exactly bfloat16: those that the
   checkpoint stores as BF16 or in MXFP4. NULL: all of them, as if a checkpoint were stored so. The
   matrices of a layer's experts, which one operation reads, are all exact or all not exact. */
void ko_model_find_exact(struct ko_model *model, const struct ko_checkpoint *checkpoint);
/* Whether it is a matrix of experts. */
bool ko_weight_is_of_experts(const struct ko_weight *weight);
/* The type of the numbers of a tensor of weights (ko_weight_check refuses other dtypes). */
enum ko_element ko_element_of(enum ko_dtype dtype);
/* The number of the weight's elements in the file. */
int64_t ko_weight_elements(const struct ko_weight *weight);
/* Transforms the file's elements [first, first + n) and puts them in their place in the weight's
   memory. Parts may come in any order, but those of KO_DECAY_NORMS must ascend from element 0. */
void ko_weight_place(const struct ko_weight *weight, int64_t first, int64_t n, const float *values,
                     float *to);

#endif
