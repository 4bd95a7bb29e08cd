/* SPDX-License-Identifier: Apache-2.0 */
/* The two ways in which the CPU computes attention. Each prompt takes one of them, by a rule that
   looks at the prompt alone. */
#ifndef KO_KERNELS_CPU_ATTENTION_H
#define KO_KERNELS_CPU_ATTENTION_H

#include "kernels/cpu/attention_memory.h"

/* Whether the prompt is computed by tiles: its last row sees enough positions. */
static inline bool ko_cpu_attention_is_tiled(const struct ko_backend *be,
                                             const struct ko_attention *args, int32_t prompt)
{
    const int32_t n = be->rows.n_tokens[prompt];
    return (n < args->reach ? n : args->reach) >= be->tiled_from;
}

/* The branch of the row, if it removes edges here; else NULL. */
static inline const struct ko_branch *
ko_cpu_attention_cut(const struct ko_rows *rows, const struct ko_attention *args, int32_t row)
{
    const int32_t b = rows->branch[row];
    const bool cuts = b >= 0 && ko_branch_cuts(&rows->branches[b], args->stage, KO_MIXER_ATTENTION);
    return cuts ? &rows->branches[b] : NULL;
}

/* The rows of all prompts that are tiled. */
KO_MUST_CHECK enum ko_code ko_cpu_attention_tiles(struct ko_backend *be,
                                                  const struct ko_attention *args,
                                                  struct ko_error *err);

#endif
