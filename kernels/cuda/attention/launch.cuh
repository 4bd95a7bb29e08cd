/* SPDX-License-Identifier: Apache-2.0 */
/* Launches attention in tiles with one kind of product. */
#ifndef KO_KERNELS_CUDA_ATTENTION_LAUNCH_CUH
#define KO_KERNELS_CUDA_ATTENTION_LAUNCH_CUH

#include "kernels/cuda/attention/attention.cuh"
#include "kernels/cuda/attention/tile.cuh"

static inline bool reads_by_four(const struct ko_attention *a)
{
    return a->d_head % 4 == 0 && a->d_value % 4 == 0 && a->ld % 4 == 0 && a->ld_v % 4 == 0 &&
           a->stride % 4 == 0 && a->stride_v % 4 == 0 && (uintptr_t)a->k % 16 == 0 &&
           (uintptr_t)a->v % 16 == 0;
}

template <class KIND, int D, int KEYS>
static enum ko_code launch_tiles(struct ko_backend *be, const struct stage_rows &at,
                                 const struct ko_attention *args, struct ko_error *err)
{
    const int heads_a_key = args->n_heads / args->n_kv_heads;
    struct attend_shape shape;
    shape.n_together = heads_a_key < TILE_QUERIES ? heads_a_key : TILE_QUERIES;
    shape.n_tile_rows = TILE_QUERIES / shape.n_together;
    shape.n_parts = (heads_a_key + shape.n_together - 1) / shape.n_together;
    shape.by_four = reads_by_four(args);
    const struct ko_cuda_rows *rows = &be->rows;
    /* The trunk and the branches of each prompt end with a tile that may not be full. */
    const int n_tiles = rows->n_long_rows / shape.n_tile_rows + 2 * rows->n_long_prompts;
    const dim3 grid((unsigned)n_tiles, (unsigned)(args->n_kv_heads * shape.n_parts));
    static_assert((int)TILE_QUERIES == (int)TILE_SPREAD && KEYS == tile_keys(D) &&
                      (int)KIND::K_PAD <= (int)MOST_KEY_PAD &&
                      (int)KIND::V_PAD <= (int)MOST_VALUE_PAD,
                  "tiles_fit allows for what a block takes");
    const size_t bytes = tile_bytes(D, KEYS, KIND::K_PAD, KIND::V_PAD);
    enum ko_code code =
        ko_cuda_check(be,
                      cudaFuncSetAttribute(attend_tiles<KIND, D, KEYS>,
                                           cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes),
                      "attention", err);
    if (code == KO_OK) {
        attend_tiles<KIND, D, KEYS>
            <<<grid, ATTEND_THREADS, bytes, be->stream>>>(*rows, at, *args, shape);
    }
    return code;
}

template <class KIND>
static enum ko_code attend_with(struct ko_backend *be, const struct stage_rows &at,
                                const struct ko_attention *args, int32_t width,
                                struct ko_error *err)
{
    if (width <= 64) {
        return launch_tiles<KIND, 64, 64>(be, at, args, err);
    }
    if (width <= 96) {
        return launch_tiles<KIND, 96, 64>(be, at, args, err);
    }
    if (width <= 128) {
        return launch_tiles<KIND, 128, 64>(be, at, args, err);
    }
    return launch_tiles<KIND, KO_CUDA_WIDEST_HEAD, 32>(be, at, args, err);
}

#endif
