/* SPDX-License-Identifier: Apache-2.0 */
/* Which of three positions turns a rotary pair (M-RoPE: Wang et al. 2024). */
#ifndef KO_KERNELS_ROPE_AXIS_H
#define KO_KERNELS_ROPE_AXIS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __CUDACC__
#define KO_INLINE static __host__ __device__ __forceinline__
#else
#define KO_INLINE static inline
#endif

/* The most pairs of a head with sections. */
enum { KO_SECTION_PAIRS = 512 };

/* The axis of pair k (transformers' apply_multimodal_rotary_pos_emb of Qwen2-VL, and
   apply_interleaved_mrope of Qwen3-VL). */
KO_INLINE int32_t ko_rope_axis(const int32_t section[3], bool woven, int32_t k)
{
    if (woven) {
        return k % 3 > 0 && k < 3 * section[k % 3] ? k % 3 : 0;
    }
    return k < section[0] ? 0 : k < section[0] + section[1] ? 1 : 2;
}

#undef KO_INLINE

#endif
