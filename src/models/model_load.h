/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a model's weights from its checkpoint into memory. */
#ifndef KO_MODELS_MODEL_LOAD_H
#define KO_MODELS_MODEL_LOAD_H

#include "src/models/model.h"

/* Loads part `part` of n_parts of the weights (each part about equal in bytes; a weight is in one
   part) into floats [ko_model_floats], checking that every value is finite ("MODEL: TENSOR: element
   17 is not finite"), and writes the XXH3-64 of each of its tensors into hash [n_weights], leaving
   the others alone. Part 0 also derives what is not in the file. KO_E_STOPPED where
   model->load_stop says so. */
KO_MUST_CHECK enum ko_code ko_model_load(const struct ko_model *model,
                                         const struct ko_checkpoint *checkpoint, int32_t part,
                                         int32_t n_parts, float *floats, uint64_t *hash,
                                         struct ko_error *err);

/* Where matrices go that are not wanted in host memory. */
struct ko_matrix_sink {
    /* n elements of `type` as they lie in the file, perhaps unaligned, for the place `offset` among
       the matrices. The pieces of a matrix come in order; they are free again on return. */
    enum ko_code (*take)(void *context, size_t offset, enum ko_element type, const void *data,
                         size_t n, struct ko_error *err);
    /* After the last piece. *bad: the number, counted over all pieces, of the first element that is
       not finite; -1: none. */
    enum ko_code (*end)(void *context, int64_t *bad, struct ko_error *err);
    void *context;
};
/* The same for a backend with memory of its own: every value into values [value_floats] host
   memory, with what is derived, and the matrices of part `part` of n_parts into the sink; hash is
   written for both. A part is a run of the matrices' elements, see ko_model_parts. */
KO_MUST_CHECK enum ko_code ko_model_load_apart(const struct ko_model *model,
                                               const struct ko_checkpoint *checkpoint, int32_t part,
                                               int32_t n_parts, float *values,
                                               const struct ko_matrix_sink *sink, uint64_t *hash,
                                               struct ko_error *err);
/* begin [n_parts + 1]: part p is the matrices' elements [begin[p], begin[p + 1]), perhaps none. */
void ko_model_parts(const struct ko_model *model, int32_t n_parts, size_t *begin);
/* Whether a matrix is in the part. */
bool ko_weight_in_part(const struct ko_model *model, const struct ko_weight *weight, int32_t part,
                       int32_t n_parts);

/* XXH3-128 of the tensors' hashes, names and shapes: the content hash, 32 hex digits. */
void ko_model_content_hash(const struct ko_model *model, const uint64_t *hash, char text[33]);

#endif
