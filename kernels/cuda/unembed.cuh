/* SPDX-License-Identifier: Apache-2.0 */
/* The state of one unembedding, and its kernels over a tile of logits. */
#ifndef KO_KERNELS_CUDA_UNEMBED_CUH
#define KO_KERNELS_CUDA_UNEMBED_CUH

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

enum { UNEMBED_THREADS = 256, KEPT = 64, WIDEST_TILE = 16 * UNEMBED_THREADS };

struct metrics_row {
    double sum;        // of exp(logit - top)
    double difference; // sum of exp(clean - clean's top) (clean - logit)
    double rescale;    // exp(old top - top) of the latest tile
    float top;
    float target, foil; // logits
    float low, high;    // the band around the estimate of the target's logit
    int32_t n_kept;     // logits in the band; only the first KEPT are in kept
    int32_t above, top_id;
    int32_t again; // 1: the row needs the second pass
    float kept[KEPT];
};
static_assert(sizeof(struct metrics_row) <= 512, "METRICS_ROW_BYTES of memory.c");

// All pointers are device memory.
struct unembedding {
    struct metrics_row *row; // [n] of the scored tokens
    float *product;          // [rows of x, width] of the rows and the tile's tokens, with the bias
    const int32_t *clean, *target, *foil;
    const int32_t *distinct;       // [n] index of the target among the distinct targets
    const int32_t *source;         // [n] the row of x
    int n, width, first, n_tokens; // the tile's tokens are [first, first + n_tokens)
    float scale, cap, inverse_cap; // inverse_cap: 1 / cap; without a cap both are 0
};

// The logit of a product. Nothing here is fused with what follows, so that a logit has the same
// bits wherever it is computed.
static __device__ __forceinline__ float logit_of(const struct unembedding &a, float product)
{
    const float x = __fmul_rn(a.scale, product);
    return a.cap == 0.0F ? x : __fmul_rn(a.cap, tanhf(__fmul_rn(x, a.inverse_cap)));
}

// Adds a tile to every row's metrics. Rows that other rows are compared with are computed first.
void ko_cuda_add_tile(const struct ko_backend *be, const struct unembedding *a);
// The second pass: counts a tile's logits for the rows that need it.
void ko_cuda_count_tile(const struct ko_backend *be, const struct unembedding *a);

#endif
