/* SPDX-License-Identifier: Apache-2.0 */
// Attention in tiles with float32 arithmetic.
#include "kernels/cuda/attention/launch.cuh"

enum ko_code ko_cuda_attend_float32(struct ko_backend *be, const struct stage_rows &at,
                                    const struct ko_attention *args, int32_t width,
                                    struct ko_error *err)
{
    return attend_with<ko_ffma>(be, at, args, width, err);
}
