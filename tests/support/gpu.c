/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/gpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if KO_HAVE_CUDA
#include "kernels/cuda/devices.h"

const struct ko_kernels *test_gpu(const char **why)
{
    *why = "no GPU visible";
    return ko_cuda_device_count() > 0 ? &ko_kernels_cuda : NULL;
}
#else
const struct ko_kernels *test_gpu(const char **why)
{
    *why = "this build has no CUDA backend";
    return NULL;
}
#endif

bool test_gpu_asked(void)
{
    const char *text = getenv("KO_BACKEND");
    return text && strcmp(text, "cuda") == 0;
}

enum ko_precision test_precision(void)
{
    static const char *const words[] = {"float32", "bf16x3", "tf32", "bfloat16"};
    const char *text = getenv("KO_PRECISION");
    if (!text || text[0] == '\0') {
        return KO_FLOAT32;
    }
    for (int k = 0; k < 4; k++) {
        if (strcmp(text, words[k]) == 0) {
            return (enum ko_precision)k;
        }
    }
    fprintf(stderr, "KO_PRECISION: unknown precision '%s'\n", text);
    abort();
}
