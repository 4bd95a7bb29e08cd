/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a model's weights from its checkpoint into memory. */
#ifndef KO_MODELS_MODEL_LOAD_H
#define KO_MODELS_MODEL_LOAD_H

#include "src/models/model.h"

/* What one call loads: part `part` of n_parts. Parts have about equal bytes; a weight is in one
   part. n_threads: that read and convert (at most KO_IMPORT_LANES do). The result does not depend
   on it. */
struct ko_load_part {
    int32_t part, n_parts;
    int n_threads;
};

/* Loads a part of the weights into floats [ko_model_floats]. Every value must be finite ("MODEL:
   TENSOR: element 17 is not finite"; the first one, if several are not). Writes the XXH3-64 of each
   of the part's tensors into hash [n_weights] and leaves the other hashes alone. Part 0 also derives
   the tables that are not in the file. KO_E_STOPPED if model->load_stop, which is asked in the
   caller's thread, wants it meanwhile. */
KO_MUST_CHECK enum ko_code ko_model_load(const struct ko_model *model,
                                         const struct ko_checkpoint *checkpoint,
                                         const struct ko_load_part *part, float *floats,
                                         uint64_t *hash, struct ko_error *err);

/* Elements of a matrix, as they lie in the file, perhaps unaligned. */
struct ko_matrix_piece {
    const struct ko_weight *matrix;
    size_t first; /* element of the matrix */
    enum ko_element type;
    const void *data; /* [n] */
    size_t n;
    int lane; /* of the thread that gives it, [0, KO_IMPORT_LANES) */
};
/* The number of the piece's first element among those of all matrices of the model. */
int64_t ko_matrix_piece_number(const struct ko_matrix_piece *piece);

/* Takes matrices that do not stay in host memory. */
struct ko_matrix_sink {
    /* The pieces of a matrix come in order and from one thread; other threads may give pieces of
       other matrices at the same time, with other lanes. The piece's data is valid until return. */
    enum ko_code (*take)(void *context, const struct ko_matrix_piece *piece, struct ko_error *err);
    /* Called after the last piece. *bad: the smallest number (ko_matrix_piece_number) of an element
       that is not finite; -1 if all are finite. */
    enum ko_code (*end)(void *context, int64_t *bad, struct ko_error *err);
    void *context;
};
/* The same for a backend with its own memory: loads all values and derived tables into values
   [value_floats] (host memory), and the matrices of the part into the sink. Writes the hashes of
   both. A part is a run of the matrices' elements, see ko_model_parts. */
KO_MUST_CHECK enum ko_code ko_model_load_apart(const struct ko_model *model,
                                               const struct ko_checkpoint *checkpoint,
                                               const struct ko_load_part *part, float *values,
                                               const struct ko_matrix_sink *sink, uint64_t *hash,
                                               struct ko_error *err);
/* begin [n_parts + 1]: part p is the matrices' elements [begin[p], begin[p + 1]), perhaps empty. */
void ko_model_parts(const struct ko_model *model, int32_t n_parts, size_t *begin);
/* Whether the weight is a matrix of the part. */
bool ko_weight_in_part(const struct ko_model *model, const struct ko_weight *weight, int32_t part,
                       int32_t n_parts);

/* The content hash: XXH3-128 of the tensors' hashes, names and shapes, as 32 hex digits. */
void ko_model_content_hash(const struct ko_model *model, const uint64_t *hash, char text[33]);

#endif
