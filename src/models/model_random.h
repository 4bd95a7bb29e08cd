/* SPDX-License-Identifier: Apache-2.0 */
/* Random weights in place of a checkpoint's. */
#ifndef KO_MODELS_MODEL_RANDOM_H
#define KO_MODELS_MODEL_RANDOM_H

#include "src/models/model_load.h"

/* Fills floats [ko_model_floats] with random weights of reasonable scale (decays spread, norms near
   one), for measuring. */
void ko_model_fill_random(const struct ko_model *model, uint64_t seed, float *floats);
/* The same for a backend with its own memory: the matrices go to the sink (NULL: they are left
   out). */
KO_MUST_CHECK enum ko_code ko_model_fill_random_apart(const struct ko_model *model, uint64_t seed,
                                                      float *values,
                                                      const struct ko_matrix_sink *sink,
                                                      struct ko_error *err);

#endif
