/* SPDX-License-Identifier: Apache-2.0 */
/* Norms, activations, gates and rotary positions in plain loops. */
#include "kernels/plain/plain.h"

#include <math.h>

double ko_plain_silu(double x)
{
    return x / (1.0 + exp(-x));
}

enum ko_code ko_plain_rms_norm(struct ko_backend *be, const struct ko_rms_norm *args,
                               struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        const float *from = args->x + (size_t)r * (size_t)args->ldx;
        float *to = args->y + (size_t)r * (size_t)args->ldy;
        double squares = 0.0;
        for (int32_t c = 0; c < args->d; c++) {
            squares += (double)from[c] * (double)from[c];
        }
        double scale = 1.0 / sqrt(squares / args->d + (double)args->eps);
        for (int32_t c = 0; c < args->d; c++) {
            double value = (double)from[c] * scale;
            to[c] = (float)(args->weight ? value * (double)args->weight[c] : value);
        }
    }
    return KO_OK;
}

enum ko_code ko_plain_layer_norm(struct ko_backend *be, const struct ko_layer_norm *args,
                                 struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        const float *from = args->x + (size_t)r * (size_t)args->ldx;
        float *to = args->y + (size_t)r * (size_t)args->ldy;
        double sum = 0.0, squares = 0.0;
        for (int32_t c = 0; c < args->d; c++) {
            sum += (double)from[c];
        }
        double mean = sum / args->d;
        for (int32_t c = 0; c < args->d; c++) {
            squares += ((double)from[c] - mean) * ((double)from[c] - mean);
        }
        double scale = 1.0 / sqrt(squares / args->d + (double)args->eps);
        for (int32_t c = 0; c < args->d; c++) {
            to[c] = (float)(((double)from[c] - mean) * scale * (double)args->weight[c] +
                            (args->bias ? (double)args->bias[c] : 0.0));
        }
    }
    return KO_OK;
}

enum ko_code ko_plain_softplus(struct ko_backend *be, const struct ko_activation *args,
                               struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        float *row = args->x + (size_t)r * (size_t)args->ld;
        for (int32_t c = 0; c < args->d; c++) {
            row[c] = row[c] > 20.0F ? row[c] : (float)log1p(exp((double)row[c]));
        }
    }
    return KO_OK;
}

enum ko_code ko_plain_gelu_tanh(struct ko_backend *be, const struct ko_activation *args,
                                struct ko_error *err)
{
    (void)be;
    (void)err;
    const double root = sqrt(2.0 / M_PI);
    for (int32_t r = 0; r < args->n; r++) {
        float *row = args->x + (size_t)r * (size_t)args->ld;
        for (int32_t c = 0; c < args->d; c++) {
            double v = (double)row[c];
            row[c] = (float)(0.5 * v * (1.0 + tanh(root * (v + 0.044715 * v * v * v))));
        }
    }
    return KO_OK;
}

enum ko_code ko_plain_silu_mul(struct ko_backend *be, const struct ko_silu_mul *args,
                               struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        const float *gate = args->gate + (size_t)r * (size_t)args->ld;
        const float *up = args->up + (size_t)r * (size_t)args->ld;
        float *y = args->y + (size_t)r * (size_t)args->ldy;
        for (int32_t c = 0; c < args->d; c++) {
            y[c] = (float)(ko_plain_silu((double)gate[c]) * (double)up[c]);
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
