/* SPDX-License-Identifier: Apache-2.0 */
/* Norms, activations, gates and rotary positions in plain loops. */
#include "kernels/plain/plain.h"

#include <math.h>

double ko_plain_silu(double x)
{
    return x / (1.0 + exp(-x));
}

/* y [n, d] = x [n, d] / sqrt(mean(x^2) + eps) * weight [d] */
enum ko_code ko_plain_rms_norm(struct ko_backend *be, const struct ko_rms_norm *args,
                               struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        const float *x = args->x + ko_at(r, args->ldx, 0);
        float *y = args->y + ko_at(r, args->ldy, 0);
        double squares = 0.0;
        for (int32_t c = 0; c < args->d; c++) {
            squares += (double)x[c] * (double)x[c];
        }
        double scale = 1.0 / sqrt(squares / args->d + (double)args->eps);
        for (int32_t c = 0; c < args->d; c++) {
            double value = (double)x[c] * scale;
            y[c] = (float)(args->weight ? value * (double)args->weight[c] : value);
        }
    }
    return KO_OK;
}

/* y [n, d] = (x [n, d] - mean(x)) / sqrt(variance(x) + eps) * weight [d] + bias [d] */
enum ko_code ko_plain_layer_norm(struct ko_backend *be, const struct ko_layer_norm *args,
                                 struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        const float *x = args->x + ko_at(r, args->ldx, 0);
        float *y = args->y + ko_at(r, args->ldy, 0);
        double sum = 0.0, squares = 0.0;
        for (int32_t c = 0; c < args->d; c++) {
            sum += (double)x[c];
        }
        double mean = sum / args->d;
        for (int32_t c = 0; c < args->d; c++) {
            squares += ((double)x[c] - mean) * ((double)x[c] - mean);
        }
        double scale = 1.0 / sqrt(squares / args->d + (double)args->eps);
        for (int32_t c = 0; c < args->d; c++) {
            y[c] = (float)(((double)x[c] - mean) * scale * (double)args->weight[c] +
                           (args->bias ? (double)args->bias[c] : 0.0));
        }
    }
    return KO_OK;
}

/* x [n, d] = log(1 + exp(x)) */
enum ko_code ko_plain_softplus(struct ko_backend *be, const struct ko_activation *args,
                               struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        float *x = args->x + ko_at(r, args->ld, 0);
        for (int32_t c = 0; c < args->d; c++) {
            x[c] = x[c] > 20.0F ? x[c] : (float)log1p(exp((double)x[c]));
        }
    }
    return KO_OK;
}

/* x [n, d] = 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
enum ko_code ko_plain_gelu_tanh(struct ko_backend *be, const struct ko_activation *args,
                                struct ko_error *err)
{
    (void)be;
    (void)err;
    const double root = sqrt(2.0 / M_PI);
    for (int32_t r = 0; r < args->n; r++) {
        float *x = args->x + ko_at(r, args->ld, 0);
        for (int32_t c = 0; c < args->d; c++) {
            double v = (double)x[c];
            x[c] = (float)(0.5 * v * (1.0 + tanh(root * (v + 0.044715 * v * v * v))));
        }
    }
    return KO_OK;
}

/* y [n, d] = silu(gate [n, d]) * up [n, d] */
enum ko_code ko_plain_silu_mul(struct ko_backend *be, const struct ko_silu_mul *args,
                               struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        for (int32_t c = 0; c < args->d; c++) {
            size_t at = ko_at(r, args->ld, c);
            double gate = ko_plain_silu((double)args->gate[at]);
            args->y[ko_at(r, args->ldy, c)] = (float)(gate * (double)args->up[at]);
        }
    }
    return KO_OK;
}

/* One group of n channels: x = x silu(z), divided by its root mean square, times weight. */
static void norm_group(int32_t n, const float *z, const float *weight, float eps, float *x)
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

/* x [n_active, n_groups, d / n_groups], z of the same shape */
enum ko_code ko_plain_gated_norm(struct ko_backend *be, const struct ko_gated_norm *args,
                                 struct ko_error *err)
{
    (void)err;
    int32_t width = args->d / args->n_groups;
    for (int32_t r = 0; r < be->rows.n_active[args->layer]; r++) {
        int32_t source = ko_rows_source(&be->rows, r, args->layer);
        for (int32_t first = 0; first < args->d; first += width) {
            norm_group(width, args->z + ko_at(source, args->ld_z, first), args->weight + first,
                       args->eps, args->x + ko_at(r, args->d, first));
        }
    }
    return KO_OK;
}

/* x [n_projected, n_heads, d_head]: turns the pairs (k, k + half) of each head by the angles of the
   row's position, cos and sin [positions, half] */
enum ko_code ko_plain_rope(struct ko_backend *be, const struct ko_rope *args, struct ko_error *err)
{
    (void)err;
    int32_t half = args->d_head / 2;
    for (int32_t r = 0; r < be->rows.n_projected[args->layer]; r++) {
        for (int32_t head = 0; head < args->n_heads; head++) {
            float *x = args->x + ko_at(r, args->ld, head * args->d_head);
            for (int32_t k = 0; k < half; k++) {
                size_t angle = ko_at(be->rows.position[r], half, k);
                double cosine = (double)args->cos[angle], sine = (double)args->sin[angle];
                double first = (double)x[k], second = (double)x[k + half];
                x[k] = (float)(first * cosine - second * sine);
                x[k + half] = (float)(second * cosine + first * sine);
            }
        }
    }
    return KO_OK;
}
