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

enum ko_code ko_plain_silu_mul(struct ko_backend *be, int32_t n, int32_t d, const float *gate,
                               const float *up, int32_t ld, float *y, int32_t ldy,
                               struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < n; r++) {
        const float *gate_row = gate + (size_t)r * (size_t)ld,
                    *up_row = up + (size_t)r * (size_t)ld;
        float *y_row = y + (size_t)r * (size_t)ldy;
        for (int32_t c = 0; c < d; c++) {
            y_row[c] = (float)(ko_plain_silu((double)gate_row[c]) * (double)up_row[c]);
        }
    }
    return KO_OK;
}

/* n features of one group. */
static void norm_gated(int32_t n, const float *z, const float *weight, float eps, float *x)
{
    double squares = 0.0;
    for (int32_t c = 0; c < n; c++) {
        double value = (double)x[c] * ko_plain_silu((double)z[c]);
        squares += value * value;
    }
    double scale = 1.0 / sqrt(squares / n + (double)eps);
    for (int32_t c = 0; c < n; c++) {
        double value = (double)x[c] * ko_plain_silu((double)z[c]);
        x[c] = (float)(value * scale * (double)weight[c]);
    }
}

enum ko_code ko_plain_gated_norm(struct ko_backend *be, const struct ko_gated_norm *args,
                                 struct ko_error *err)
{
    (void)err;
    int32_t group = args->d / args->n_groups;
    for (int32_t r = 0; r < be->rows.n_active[args->layer]; r++) {
        size_t source = (size_t)ko_rows_source(&be->rows, r, args->layer);
        for (int32_t first = 0; first < args->d; first += group) {
            norm_gated(group, args->z + source * (size_t)args->ld_z + first, args->weight + first,
                       args->eps, args->x + (size_t)r * (size_t)args->d + first);
        }
    }
    return KO_OK;
}

enum ko_code ko_plain_rope(struct ko_backend *be, const struct ko_rope *args, struct ko_error *err)
{
    (void)err;
    int32_t half = args->d_head / 2;
    for (int32_t r = 0; r < be->rows.n_projected[args->layer]; r++) {
        size_t angles = (size_t)be->rows.position[r] * (size_t)half;
        for (int32_t head = 0; head < args->n_heads; head++) {
            float *x = args->x + (size_t)r * (size_t)args->ld + (size_t)head * (size_t)args->d_head;
            for (int32_t k = 0; k < half; k++) {
                double cosine = (double)args->cos[angles + (size_t)k];
                double sine = (double)args->sin[angles + (size_t)k];
                double first = (double)x[k], second = (double)x[k + half];
                x[k] = (float)(first * cosine - second * sine);
                x[k + half] = (float)(second * cosine + first * sine);
            }
        }
    }
    return KO_OK;
}
