/* SPDX-License-Identifier: Apache-2.0 */
/* A clean forward pass of one prompt on the plain kernels. */
#ifndef TESTS_SUPPORT_TRUNK_H
#define TESTS_SUPPORT_TRUNK_H

#include "src/models/model.h"

/* floats [ko_model_floats]; x [n, d_model]: the rows that the unembedding reads (in a model that
   projects them, [n, embedding_width] at its beginning). Every buffer begins as
   NaN, so that what a family reads without having written it shows. Aborts where a kernel fails. */
void test_run_trunk(const struct ko_model *model, const float *floats, const int32_t *tokens,
                    int32_t n, float *x);
/* A weight in floats [ko_model_floats], not transformed back. */
const float *test_place(const struct ko_model *model, const float *floats,
                        const struct ko_weight *weight);
/* The weight of the tensor; aborts where there is none. */
const float *test_weight(const struct ko_model *model, const float *floats, const char *tensor);

#endif
