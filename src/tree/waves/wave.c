/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the clean runs of a wave, and frees it. */
#include "src/tree/waves/wave.h"

#include <stdlib.h>

int32_t ko_wave_clean_branch(const struct ko_wave *wave, int32_t prompt, int32_t sequence)
{
    int32_t b = 0;
    if (sequence == ko_wave_sequence(wave, prompt)) {
        return -1;
    }
    while (wave->branch[b].prompt != prompt || wave->sequence[b] != sequence) {
        b++; /* the forks of trunks are the first branches */
    }
    return b;
}

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
    free(wave->trunk_sequence);
    free(wave->branch);
    free(wave->sequence);
    free(wave->edge_set);
    free(wave->cell);
    *wave = (struct ko_wave){0};
}
