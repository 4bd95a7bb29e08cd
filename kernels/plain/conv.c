/* SPDX-License-Identifier: Apache-2.0 */
/* The short causal convolution in plain loops, with its removed edges. */
#include "kernels/plain/plain.h"

/* out[row, c] = silu(bias[c] + sum_back weight[n_taps - 1 - back, c] in[row of position - back, c])
   or the sum itself */
static void convolve_row(const struct ko_rows *rows, const struct ko_conv *args, int32_t row)
{
    const struct ko_branch *cut =
        ko_plain_cut(rows, row, args->stage, args->mixer ? KO_MIXER_CONV : KO_MIXER_SSM);
    cut = cut && (cut->conv || args->mixer) ? cut : NULL;
    int32_t n_channels = args->n_channels, i = rows->position[row];
    for (int32_t c = 0; c < n_channels; c++) {
        bool masked = cut && (!args->masks ||
                              ko_plain_masked(rows, cut, args->masks, args->stage, n_channels, c));
        double sum = args->bias ? (double)args->bias[c] : 0.0;
        int32_t at = row; /* the row of position i - back */
        for (int32_t back = 0; back < args->n_taps && at >= 0; back++, at = rows->previous[at]) {
            if (masked && ko_edge_set_has(&rows->edges[cut->edge_set], i, i - back)) {
                continue;
            }
            int32_t tap = args->n_taps - 1 - back, source = ko_rows_source(rows, at, args->stage);
            sum += (double)args->weight[ko_at(tap, n_channels, c)] *
                   (double)args->in[ko_at(source, args->ld_in, c)];
        }
        args->out[ko_at(row, n_channels, c)] = (float)(args->linear ? sum : ko_plain_silu(sum));
    }
}

enum ko_code ko_plain_conv(struct ko_backend *be, const struct ko_conv *args, struct ko_error *err)
{
    (void)err;
    const struct ko_rows *rows = &be->rows;
    int32_t n_rows = (args->mixer ? rows->n_active : rows->n_convolved)[args->stage];
    for (int32_t r = 0; r < n_rows; r++) {
        convolve_row(rows, args, r);
    }
    return KO_OK;
}
