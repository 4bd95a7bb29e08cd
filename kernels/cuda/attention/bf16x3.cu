/* SPDX-License-Identifier: Apache-2.0 */
// Attention in tiles with operands in two parts.
#include "kernels/cuda/attention/launch.cuh"

enum ko_code ko_cuda_attend_bf16x3(struct ko_backend *be, const struct stage_rows &at,
                                   const struct ko_attention *args, int32_t width,
                                   struct ko_error *err)
{
    return attend_with<ko_mma<3>>(be, at, args, width, err);
}
