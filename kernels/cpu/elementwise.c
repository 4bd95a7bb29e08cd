#include "kernels/cpu/cpu.h"

enum ko_code ko_cpu_rms_norm(struct ko_backend *be, int32_t n, int32_t d, const float *x,
                             int32_t ldx, const float *weight, float eps, float *y, int32_t ldy,
                             struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < n; r++) {
        be->isa->rms_norm((size_t)d, x + (size_t)r * (size_t)ldx, weight, eps,
                          y + (size_t)r * (size_t)ldy);
    }
    return KO_OK;
}

enum ko_code ko_cpu_layer_norm(struct ko_backend *be, int32_t n, int32_t d, const float *x,
                               int32_t ldx, const float *weight, const float *bias, float eps,
                               float *y, int32_t ldy, struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < n; r++) {
        be->isa->layer_norm((size_t)d, x + (size_t)r * (size_t)ldx, weight, bias, eps,
                            y + (size_t)r * (size_t)ldy);
    }
    return KO_OK;
}

enum ko_code ko_cpu_softplus(struct ko_backend *be, int32_t n, int32_t d, float *x, int32_t ld,
                             struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < n; r++) {
        be->isa->softplus((size_t)d, x + (size_t)r * (size_t)ld);
    }
    return KO_OK;
}

enum ko_code ko_cpu_gelu_tanh(struct ko_backend *be, int32_t n, int32_t d, float *x, int32_t ld,
                              struct ko_error *err)
{
    (void)err;
#pragma omp parallel for schedule(static) num_threads(be->threads)
    for (int32_t r = 0; r < n; r++) {
        be->isa->gelu_tanh((size_t)d, x + (size_t)r * (size_t)ld);
    }
    return KO_OK;
}
