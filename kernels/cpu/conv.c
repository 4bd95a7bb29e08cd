/* SPDX-License-Identifier: Apache-2.0 */
/* The short causal convolution on the CPU. The threads share the rows, and each row is computed in
   blocks of channels that stay in the cache. */
#include "kernels/cpu/cpu.h"

/* Channels at once. Their weights, inputs and sums stay in the first-level cache. */
enum { BLOCK = 512 };

/* out[row, first .. first + n) */
static void convolve_block(const struct ko_backend *be, const struct ko_conv *args, int32_t row,
                           int32_t first, int32_t n)
{
    const struct ko_rows *rows = &be->rows;
    const struct ko_branch *branch =
        rows->branch[row] < 0 ? NULL : &rows->branches[rows->branch[row]];
    const struct ko_edge_set *edges = NULL;
    const uint8_t *mask = NULL;
    if (branch && (branch->conv || args->mixer) &&
        ko_branch_cuts(branch, args->stage, args->mixer ? KO_MIXER_CONV : KO_MIXER_SSM)) {
        edges = &rows->edges[branch->edge_set];
        mask = args->masks ? ko_cpu_mask(rows, branch, args->masks, args->stage, args->n_channels)
                           : NULL;
    }
    float *out = args->out + ko_at(row, args->n_channels, first);
    int32_t i = rows->position[row], at = row;
    be->isa->start((size_t)n, args->bias ? args->bias + first : NULL, out);
    for (int32_t back = 0; back < args->n_taps && at >= 0; back++, at = rows->previous[at]) {
        bool removed = edges && ko_edge_set_has(edges, i, i - back);
        if (removed && !mask) {
            continue;
        }
        int32_t source = ko_rows_source(rows, at, args->stage);
        int32_t tap = args->n_taps - 1 - back;
        be->isa->tap((size_t)n, args->weight + ko_at(tap, args->n_channels, first),
                     args->in + ko_at(source, args->ld_in, first), removed ? mask + first : NULL,
                     out);
    }
    if (!args->linear) {
        be->isa->silu((size_t)n, out, out);
    }
}

enum ko_code ko_cpu_conv(struct ko_backend *be, const struct ko_conv *args, struct ko_error *err)
{
    (void)err;
    const struct ko_rows *rows = &be->rows;
    int32_t n_rows = (args->mixer ? rows->n_active : rows->n_convolved)[args->stage];
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < n_rows; r++) {
        for (int32_t first = 0; first < args->n_channels; first += BLOCK) {
            int32_t left = args->n_channels - first;
            convolve_block(be, args, r, first, left < BLOCK ? left : BLOCK);
        }
    }
    return KO_OK;
}
