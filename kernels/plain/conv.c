/* SPDX-License-Identifier: Apache-2.0 */
/* The short causal convolution of Mamba layers in plain loops, with its removed edges. */
#include "kernels/plain/plain.h"

static void conv_row(const struct ko_rows *rows, const struct ko_conv *args, int32_t row)
{
    const struct ko_branch *cut = ko_plain_cut(rows, row, args->layer);
    const struct ko_edge_set *edges = cut && cut->conv ? &rows->edges[cut->edge_set] : NULL;
    int32_t i = rows->position[row];
    for (int32_t c = 0; c < args->n_channels; c++) {
        bool masked =
            edges && ko_plain_masked(rows, cut, args->masks, args->layer, args->n_channels, c);
        double sum = args->bias ? (double)args->bias[c] : 0.0;
        int32_t at = row;
        for (int32_t back = 0; back < args->n_taps && at >= 0; back++, at = rows->previous[at]) {
            if (masked && ko_edge_set_has(edges, i, i - back)) {
                continue;
            }
            size_t source = (size_t)ko_rows_source(rows, at, args->layer);
            size_t tap = (size_t)(args->n_taps - 1 - back);
            sum += (double)args->weight[tap * (size_t)args->n_channels + (size_t)c] *
                   (double)args->in[source * (size_t)args->ld_in + (size_t)c];
        }
        args->out[(size_t)row * (size_t)args->n_channels + (size_t)c] = (float)ko_plain_silu(sum);
    }
}

enum ko_code ko_plain_conv(struct ko_backend *be, const struct ko_conv *args, struct ko_error *err)
{
    (void)err;
    for (int32_t r = 0; r < be->rows.n_convolved[args->layer]; r++) {
        conv_row(&be->rows, args, r);
    }
    return KO_OK;
}
