/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of attention share. */
#ifndef KO_KERNELS_CUDA_ATTENTION_ATTENTION_CUH
#define KO_KERNELS_CUDA_ATTENTION_ATTENTION_CUH

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

enum { KO_CUDA_WIDEST_HEAD = 256 };

/* Attends in tiles for the rows of prompts with more than KO_CUDA_SHORT tokens. width: the greater of
   d_head and d_value, at most KO_CUDA_WIDEST_HEAD. The errors of CUDA. */
typedef enum ko_code ko_cuda_attend(struct ko_backend *be, const struct stage_rows &at,
                                    const struct ko_attention *args, int32_t width,
                                    struct ko_error *err);

/* One for each kind of product (products.cuh): compiled apart, since each takes long. */
ko_cuda_attend ko_cuda_attend_float32, ko_cuda_attend_bf16x3, ko_cuda_attend_tf32;

#endif
