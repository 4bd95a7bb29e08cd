/* A clean forward pass of one prompt on the plain kernels. */
#ifndef TESTS_SUPPORT_TRUNK_H
#define TESTS_SUPPORT_TRUNK_H

#include "src/models/model.h"

/* x [n, d_model]: the rows after the final norm. Every buffer begins as NaN, so that what a family
   reads without having written it shows. Aborts where a kernel fails. */
void test_run_trunk(const struct ko_model *model, const float *arena, const int32_t *tokens,
                    int32_t n, float *x);
/* The weight of the tensor in the arena, not transformed back; aborts where there is none. */
const float *test_weight(const struct ko_model *model, const float *arena, const char *tensor);

#endif
