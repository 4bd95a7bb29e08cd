/* SPDX-License-Identifier: Apache-2.0 */
/* One call of the unembedding, and its kernels over a tile of logits. */
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
    int32_t n_kept;     // may be larger than KEPT: some are missing
    int32_t above, top_id;
    int32_t again; // the second pass counts for this row
    float kept[KEPT];
};
static_assert(sizeof(struct metrics_row) <= 512, "METRICS_ROW_BYTES of memory.c");

// One call. Arrays of the caller are on the device by now.
struct unembedding {
    struct metrics_row *row; // [n]
    float *logit;            // [n, width]
    const int32_t *clean, *target, *foil;
    const int32_t *distinct;       // [n] number of the row's target among the distinct ones
    int n, width, first, n_tokens; // the tile's tokens are [first, first + n_tokens)
};

// A tile's part of every row's metrics, the rows that others are compared with first.
void ko_cuda_add_tile(const struct ko_backend *be, const struct unembedding *a);
// The second pass, for the rows that need it.
void ko_cuda_count_tile(const struct ko_backend *be, const struct unembedding *a);

#endif
