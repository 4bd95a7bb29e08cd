/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products on the CPU, by OpenBLAS. The bias is written into the output first, and the
   product is then added to it. */
#include <cblas.h>

#include "kernels/cpu/cpu.h"

void ko_cpu_product(const struct ko_linear *args, int32_t first, int32_t n_out)
{
    const struct ko_matrix *w = &args->w;
    if (args->n == 0 || n_out == 0) {
        return;
    }
    const float *weight = (const float *)w->data +
                          (w->in_first ? ko_at(0, w->n_out, first) : ko_at(first, w->n_in, 0));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, w->in_first ? CblasNoTrans : CblasTrans, args->n,
                n_out, w->n_in, 1.0F, args->x, args->ldx, weight, w->in_first ? w->n_out : w->n_in,
                args->accumulate ? 1.0F : 0.0F, args->y, args->ldy);
}

enum ko_code ko_cpu_linear(struct ko_backend *be, const struct ko_linear *args,
                           struct ko_error *err)
{
    (void)err;
    size_t width = (size_t)args->w.n_out;
    if (args->bias) {
#pragma omp parallel for schedule(static) num_threads(be->threads)
        for (int32_t r = 0; r < args->n; r++) {
            float *row = args->y + ko_at(r, args->ldy, 0);
            if (args->accumulate) {
                be->isa->add_scaled(width, 1.0F, args->bias, row);
            } else {
                be->isa->start(width, args->bias, row);
            }
        }
    }
    struct ko_linear product = *args;
    product.accumulate = args->accumulate || args->bias;
    ko_cpu_product(&product, 0, args->w.n_out);
    return KO_OK;
}
