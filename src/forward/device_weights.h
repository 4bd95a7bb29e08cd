/* SPDX-License-Identifier: Apache-2.0 */
/* A model's weights where a backend computes with them: in host memory or in the backend's own. For
   one process; workers of a job share the loading (mpi/compute/weights.h). Call these functions
   from the thread that uses the backend. */
#ifndef KO_FORWARD_DEVICE_WEIGHTS_H
#define KO_FORWARD_DEVICE_WEIGHTS_H

#include <stdint.h>

#include "kernels/kernels.h"
#include "src/base/error.h"
#include "src/checkpoint/checkpoint.h"
#include "src/models/model_load.h"

struct ko_device_weights {
    const struct ko_model *model;     /* borrowed */
    const struct ko_kernels *kernels; /* borrowed */
    struct ko_backend *be;            /* borrowed */
    struct ko_arena arena;            /* for ko_engine_new */
    float *host; /* [value_floats], or the whole array of ko_model_floats where the backend has no
                    memory of its own; owned */
    void *values, *matrices; /* the backend's own memory; NULL where it has none; owned */
};

/* Allocates memory for the weights, with matrices in the backend's type for this precision. It is
   not yet filled. model, kernels and be are borrowed until ko_device_weights_free. */
KO_MUST_CHECK enum ko_code ko_device_weights_new(const struct ko_model *model,
                                                 const struct ko_kernels *kernels,
                                                 struct ko_backend *be, enum ko_precision precision,
                                                 struct ko_device_weights *out,
                                                 struct ko_error *err);
void ko_device_weights_free(struct ko_device_weights *weights); /* leaves {0} */

/* The import of a piece of a matrix. */
struct ko_import ko_device_weights_import(const struct ko_device_weights *weights,
                                          const struct ko_matrix_piece *piece);

/* Loads all weights from the checkpoint with n_threads, and puts every tensor's hash into
   hash [n_weights]. The file's bytes go to the backend as they are stored. Errors as
   ko_model_load. */
KO_MUST_CHECK enum ko_code ko_device_weights_load(struct ko_device_weights *weights,
                                                  const struct ko_checkpoint *checkpoint,
                                                  int n_threads, uint64_t *hash,
                                                  struct ko_error *err);
/* Loads the values and the matrices of one part (see ko_model_load_apart). Only for a backend with
   memory of its own. */
KO_MUST_CHECK enum ko_code ko_device_weights_load_part(struct ko_device_weights *weights,
                                                       const struct ko_checkpoint *checkpoint,
                                                       const struct ko_load_part *part,
                                                       uint64_t *hash, struct ko_error *err);
/* The weights of ko_model_fill_random. */
KO_MUST_CHECK enum ko_code ko_device_weights_fill_random(struct ko_device_weights *weights,
                                                         uint64_t seed, struct ko_error *err);

#endif
