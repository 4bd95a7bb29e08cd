/* SPDX-License-Identifier: Apache-2.0 */
/* The products of experts: rows that are sorted by expert times the matrices of their experts, all
   experts in one launch. */
#ifndef KO_KERNELS_CUDA_EXPERTS_CUH
#define KO_KERNELS_CUDA_EXPERTS_CUH

#include "kernels/cuda/cuda.h"
#include "kernels/cuda/device.cuh"

/* What becomes of a product's outputs. */
enum expert_outputs {
    EXPERT_PLAIN,    // they are the result
    EXPERT_SQUARED,  // max(x, 0)^2 of them
    EXPERT_SPLIT,    // gates, and the outputs of a second matrix are the ups
    EXPERT_ADJACENT, // 2 k is the gate, 2 k + 1 the up
};

/* A pair is a row and one of its choices, number row * n_chosen + choice. Pairs are sorted by
   expert; `place` is a pair's place among them. All pointers are device memory. */
struct expert_product {
    const int32_t *begin; // [n_experts + 1] the expert's first place
    const int32_t *pair;  // [pairs] the pair at a place
    int n_experts, n_chosen, pairs;
    const float *x; // plain: [pairs, n_in] by place; else [rows, n_in]
    int n_in, n_out;
    const void *w[2];     // expert 0's matrices, of the gates and of the ups if these are split
    size_t stride[2];     // elements to the next expert's
    const float *bias[2]; // [n_experts, n_out] or NULL
    bool in_first;
    enum expert_outputs outputs;
    float limit; // of struct ko_experts
    float *y;    // plain: [pairs, n_out] by pair; else [pairs, ff] by place
};

/* Launches it. type: of the matrices. */
KO_MUST_CHECK enum ko_code ko_cuda_expert_product(struct ko_backend *be,
                                                  const struct expert_product *product,
                                                  enum ko_element type, struct ko_error *err);

#endif
