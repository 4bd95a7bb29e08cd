/* SPDX-License-Identifier: Apache-2.0 */
/* The gates of the real-gated linear recurrent unit. Like every file of this folder, it is compiled
   once for each instruction set. */
#include "kernels/cpu/isa/parts.h"
#include "kernels/cpu/isa/vector.h"

void ko_isa_lru_gates(size_t n, const float *u, const float *scale, bool first, float *input,
                      float *decay)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        float log_a = scale[k] / (1.0F + ko_lane_exp(-decay[k]));
        float a = ko_lane_exp(log_a);
        /* 1 - a^2 = (1 + a^2) tanh(-log a), without the cancellation where a is near 1. */
        float m = first ? 1.0F : sqrtf((1.0F + a * a) * ko_lane_tanh(-log_a));
        input[k] = m * (u[k] / (1.0F + ko_lane_exp(-input[k])));
        decay[k] = a;
    }
}
