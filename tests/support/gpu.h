/* SPDX-License-Identifier: Apache-2.0 */
/* Tests on a GPU, where there is one. */
#ifndef TESTS_SUPPORT_GPU_H
#define TESTS_SUPPORT_GPU_H

#include <stdbool.h>

#include "kernels/kernels.h"

enum { TEST_SKIPPED = 77 };

/* The CUDA backend where this build has it and sees a GPU; else NULL and the reason in *why. */
const struct ko_kernels *test_gpu(const char **why);
/* Whether $KO_BACKEND asks for the GPU alone. */
bool test_gpu_asked(void);
/* The precision of $KO_PRECISION, float32 where it is not set. Aborts for an unknown one. */
enum ko_precision test_precision(void);

#endif
