/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of attention share. */
#ifndef KO_KERNELS_CUDA_ATTENTION_ATTENTION_CUH
#define KO_KERNELS_CUDA_ATTENTION_ATTENTION_CUH

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

enum { KO_CUDA_WIDEST_HEAD = 256 };

/* The tiles' shape for heads of a width: numbers of a row, and keys. */
enum { TILE_SPREAD = 64, MOST_KEY_PAD = 16, MOST_VALUE_PAD = 4 };
static constexpr int tile_row(int width)
{
    return width <= 64 ? 64 : width <= 96 ? 96 : width <= 128 ? 128 : KO_CUDA_WIDEST_HEAD;
}
static constexpr int tile_keys(int row)
{
    return row <= 128 ? 64 : 32;
}
/* The most bytes of shared memory that a block takes: queries, keys and values of a tile. */
static constexpr size_t tile_bytes(int row, int keys, int key_pad, int value_pad)
{
    return sizeof(float) * ((size_t)(TILE_SPREAD + keys) * (size_t)(row + key_pad) +
                            (size_t)keys * (size_t)(row + value_pad));
}

/* Attends in tiles for the rows of prompts with more than KO_CUDA_SHORT tokens. width: the greater of
   d_head and d_value, at most KO_CUDA_WIDEST_HEAD. The errors of CUDA. */
typedef enum ko_code ko_cuda_attend(struct ko_backend *be, const struct stage_rows &at,
                                    const struct ko_attention *args, int32_t width,
                                    struct ko_error *err);

/* One for each kind of product (products.cuh): compiled apart, since each takes long. */
ko_cuda_attend ko_cuda_attend_float32, ko_cuda_attend_bf16x3, ko_cuda_attend_tf32;

#endif
