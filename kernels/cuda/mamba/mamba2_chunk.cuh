/* SPDX-License-Identifier: Apache-2.0 */
/* Mamba-2 over long trunks in chunks. */
#ifndef KO_KERNELS_CUDA_MAMBA_MAMBA2_CHUNK_CUH
#define KO_KERNELS_CUDA_MAMBA_MAMBA2_CHUNK_CUH

#include "kernels/cuda/mamba/mamba2.cuh"

/* The rows of long trunks, and what the trunk adds to the branches' rows there. The steps, their sums
   and the scores are known, and branches' rows have their sums over their own keys. */
void ko_cuda_mamba2_chunks(struct ko_backend *be, const struct stage_rows &at,
                           const struct ko_mamba2 &args, const struct mamba2_scratch &scratch);
/* What the trunk adds to the rows of branches. */
void ko_cuda_mamba2_chunk_items(struct ko_backend *be, const struct stage_rows &at,
                                const struct ko_mamba2 &args, const struct mamba2_scratch &scratch);

#endif
