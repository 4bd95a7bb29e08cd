#include "kernels/plain/plain.h"

#include <math.h>

double ko_plain_silu(double x)
{
    return x / (1.0 + exp(-x));
}

enum ko_code ko_plain_rms_norm(struct ko_backend *be, int32_t n, int32_t d, const float *x,
                               int32_t ldx, const float *weight, float eps, float *y, int32_t ldy,
                               struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < n; r++) {
        const float *from = x + (size_t)r * (size_t)ldx;
        float *to = y + (size_t)r * (size_t)ldy;
        double squares = 0.0;
        for (int32_t c = 0; c < d; c++) {
            squares += (double)from[c] * (double)from[c];
        }
        double scale = 1.0 / sqrt(squares / d + (double)eps);
        for (int32_t c = 0; c < d; c++) {
            double value = (double)from[c] * scale;
            to[c] = (float)(weight ? value * (double)weight[c] : value);
        }
    }
    return KO_OK;
}

enum ko_code ko_plain_layer_norm(struct ko_backend *be, int32_t n, int32_t d, const float *x,
                                 int32_t ldx, const float *weight, const float *bias, float eps,
                                 float *y, int32_t ldy, struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < n; r++) {
        const float *from = x + (size_t)r * (size_t)ldx;
        float *to = y + (size_t)r * (size_t)ldy;
        double sum = 0.0, squares = 0.0;
        for (int32_t c = 0; c < d; c++) {
            sum += (double)from[c];
        }
        double mean = sum / d;
        for (int32_t c = 0; c < d; c++) {
            squares += ((double)from[c] - mean) * ((double)from[c] - mean);
        }
        double scale = 1.0 / sqrt(squares / d + (double)eps);
        for (int32_t c = 0; c < d; c++) {
            to[c] = (float)(((double)from[c] - mean) * scale * (double)weight[c] +
                            (bias ? (double)bias[c] : 0.0));
        }
    }
    return KO_OK;
}

enum ko_code ko_plain_softplus(struct ko_backend *be, int32_t n, int32_t d, float *x, int32_t ld,
                               struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < n; r++) {
        float *row = x + (size_t)r * (size_t)ld;
        for (int32_t c = 0; c < d; c++) {
            row[c] = row[c] > 20.0F ? row[c] : (float)log1p(exp((double)row[c]));
        }
    }
    return KO_OK;
}

enum ko_code ko_plain_gelu_tanh(struct ko_backend *be, int32_t n, int32_t d, float *x, int32_t ld,
                                struct ko_error *err)
{
    (void)be;
    (void)err;
    const double root = sqrt(2.0 / M_PI);
    for (int32_t r = 0; r < n; r++) {
        float *row = x + (size_t)r * (size_t)ld;
        for (int32_t c = 0; c < d; c++) {
            double v = (double)row[c];
            row[c] = (float)(0.5 * v * (1.0 + tanh(root * (v + 0.044715 * v * v * v))));
        }
    }
    return KO_OK;
}
