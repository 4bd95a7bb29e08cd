/* SPDX-License-Identifier: Apache-2.0 */
/* Frees a wave. */
#include "src/tree/waves/wave.h"

#include <stdlib.h>

void ko_wave_free(struct ko_wave *wave)
{
    for (int32_t i = 0; i < wave->n_edge_sets; i++) {
        free((void *)(uintptr_t)wave->edge_set[i].target); /* holds the sources too */
    }
    for (int32_t i = 0; i < wave->n_removals; i++) {
        free((void *)(uintptr_t)wave->removal[i].at);
        free((void *)(uintptr_t)wave->removal[i].donor_at);
        free((void *)(uintptr_t)wave->removal[i].within);
    }
    for (int32_t b = 0; b < wave->n_branches; b++) {
        free((void *)(uintptr_t)wave->branch[b].stages);
    }
    free(wave->removal);
    free(wave->fact);
    free(wave->run);
    free(wave->branch);
    free(wave->edge_set);
    free(wave->cell);
    *wave = (struct ko_wave){0};
}
