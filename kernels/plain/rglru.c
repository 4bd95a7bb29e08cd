/* SPDX-License-Identifier: Apache-2.0 */
/* The real-gated linear recurrent unit in plain loops. It sums over all earlier positions, as the
   formula says, and keeps no state. It is slow, but easy to check. */
#include "kernels/plain/plain.h"

#include <math.h>
#include <stdlib.h>

#include "src/base/memory.h"

static double sigmoid_of(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* log a of the row, which is 0 or less */
static double log_decay(const struct ko_rglru *args, int32_t row, int32_t c)
{
    double param = (double)args->param[c];
    double soft = param > 20.0 ? param : log1p(exp(param));
    return -8.0 * sigmoid_of((double)args->decay[ko_at(row, args->ld, c)]) * soft;
}

/* h(i)[c] = sum_{j <= i} (prod_{s = j+1 .. i} a(s, c)) m(j, c) sigmoid_of(input[j, c]) u[j, c], without
   the removed edges. */
static double mix_channel(const struct ko_rglru *args, const struct ko_plain_path *path, int32_t c)
{
    double sum = 0.0, span = 0.0; /* span: the sum of log a from j + 1 to i */
    for (int32_t j = path->i; j >= 0; j--) {
        int32_t row = path->row[j];
        double log_a = log_decay(args, row, c);
        if (!ko_plain_removes(path, j)) {
            double m = j == 0 ? 1.0 : sqrt(-expm1(2.0 * log_a));
            sum += exp(span) * m * sigmoid_of((double)args->input[ko_at(row, args->ld, c)]) *
                   (double)args->u[ko_at(row, args->d, c)];
        }
        span += log_a;
    }
    return sum;
}

/* out [n_active, d] from u [rows, d], input and decay [rows, ld] */
enum ko_code ko_plain_rglru(struct ko_backend *be, const struct ko_rglru *args,
                            struct ko_error *err)
{
    const struct ko_rows *rows = &be->rows;
    struct ko_plain_path path = {.row = ko_new((size_t)rows->max_tokens, sizeof *path.row, err)};
    if (!path.row) {
        return KO_E_MEMORY;
    }
    for (int32_t r = 0; r < rows->n_active[args->stage]; r++) {
        ko_plain_walk(rows, r, args->stage, KO_MIXER_SSM, ko_rows_source_after_conv, &path);
        for (int32_t c = 0; c < args->d; c++) {
            args->out[ko_at(r, args->d, c)] = (float)mix_channel(args, &path, c);
        }
    }
    free(path.row);
    return KO_OK;
}
