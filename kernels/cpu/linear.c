/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products on the CPU, by OpenBLAS. The bias is written into the output first, and the
   product is then added to it. */
#include <cblas.h>

#include "kernels/cpu/cpu.h"

void ko_cpu_gemm(int32_t m, const float *x, int32_t ldx, const struct ko_matrix *w, int32_t first,
                 int32_t n_out, float beta, float *y, int32_t ldy)
{
    if (m == 0 || n_out == 0) {
        return;
    }
    size_t skip = (size_t)first * (w->in_first ? 1 : (size_t)w->n_in);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, w->in_first ? CblasNoTrans : CblasTrans, m, n_out,
                w->n_in, 1.0F, x, ldx, (const float *)w->data + skip,
                w->in_first ? w->n_out : w->n_in, beta, y, ldy);
}

enum ko_code ko_cpu_linear(struct ko_backend *be, const struct ko_linear *args,
                           struct ko_error *err)
{
    (void)err;
    size_t width = (size_t)args->w.n_out;
    if (args->bias) {
#pragma omp parallel for schedule(static) num_threads(be->threads)
        for (int32_t r = 0; r < args->n; r++) {
            float *row = args->y + (size_t)r * (size_t)args->ldy;
            if (args->accumulate) {
                be->isa->add_scaled(width, 1.0F, args->bias, row);
            } else {
                be->isa->start(width, args->bias, row);
            }
        }
    }
    ko_cpu_gemm(args->n, args->x, args->ldx, &args->w, 0, args->w.n_out,
                args->accumulate || args->bias ? 1.0F : 0.0F, args->y, args->ldy);
    return KO_OK;
}
