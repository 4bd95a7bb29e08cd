/* SPDX-License-Identifier: Apache-2.0 */
/* Packs keys and values for attend_tile.c. Like every file of this folder, it is compiled once for
   each instruction set. */
#include "kernels/cpu/isa/parts.h"
#include "kernels/cpu/isa/vector.h"

enum { PANEL = KO_ATTEND_PANEL };

void ko_isa_attend_pack(const struct ko_attend_pack *args)
{
    const size_t d = (size_t)args->d_head, d_value = (size_t)args->d_value;
    const size_t width = ko_attend_width(args->d_value);
    float *keys = args->panel->keys, *values = args->panel->values;
    uint32_t odd = 0;
    if (args->n < PANEL) {
        memset(keys, 0, d * PANEL * sizeof *keys);
    }
    for (size_t j = 0; j < (size_t)args->n; j++) {
        const float *k = args->k + (size_t)args->row[j] * args->ld;
        const float *v = args->v + (size_t)args->row[j] * args->ld_v;
        float *to = values + j * width;
        for (size_t c = 0; c < d; c++) {
            keys[c * PANEL + j] = k[c];
        }
#pragma omp simd reduction(| : odd)
        for (size_t c = 0; c < d_value; c++) {
            to[c] = v[c];
            odd |= (ko_lane_bits(v[c]) & 0x7F800000U) == 0x7F800000U ? 1U : 0U;
        }
        memset(to + d_value, 0, (width - d_value) * sizeof *to);
    }
    *args->panel->finite = odd == 0;
}
