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

enum ko_code ko_cpu_linear(struct ko_backend *be, int32_t m, const float *x, int32_t ldx,
                           const struct ko_matrix *w, const float *bias, bool accumulate, float *y,
                           int32_t ldy, struct ko_error *err)
{
    (void)err;
    size_t width = (size_t)w->n_out;
    if (bias) {
#pragma omp parallel for schedule(static) num_threads(be->threads)
        for (int32_t r = 0; r < m; r++) {
            float *row = y + (size_t)r * (size_t)ldy;
            if (accumulate) {
                be->isa->add_scaled(width, 1.0F, bias, row);
            } else {
                be->isa->start(width, bias, row);
            }
        }
    }
    ko_cpu_gemm(m, x, ldx, w, 0, w->n_out, accumulate || bias ? 1.0F : 0.0F, y, ldy);
    return KO_OK;
}
