/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products in plain loops. There is one loop for each order in which a matrix can be
   stored. */
#include "kernels/plain/plain.h"

/* Outputs summed side by side where the matrix is stored [in, out], so that it is read in order. */
enum { SIDE_BY_SIDE = 64 };

static void finish(double sum, int32_t out, const float *bias, bool accumulate, float *y)
{
    if (bias) {
        sum += (double)bias[out];
    }
    if (accumulate) {
        sum += (double)y[out];
    }
    y[out] = (float)sum;
}

static void row_by_out(const float *x, const struct ko_matrix *w, const float *bias,
                       bool accumulate, float *y)
{
    for (int32_t out = 0; out < w->n_out; out++) {
        const float *weight = (const float *)w->data + (size_t)out * (size_t)w->n_in;
        double sum = 0.0;
        for (int32_t in = 0; in < w->n_in; in++) {
            sum += (double)x[in] * (double)weight[in];
        }
        finish(sum, out, bias, accumulate, y);
    }
}

static void row_by_in(const float *x, const struct ko_matrix *w, const float *bias, bool accumulate,
                      float *y)
{
    for (int32_t first = 0; first < w->n_out; first += SIDE_BY_SIDE) {
        int32_t n = w->n_out - first < SIDE_BY_SIDE ? w->n_out - first : SIDE_BY_SIDE;
        double sum[SIDE_BY_SIDE] = {0.0};
        for (int32_t in = 0; in < w->n_in; in++) {
            const float *weight = (const float *)w->data + (size_t)in * (size_t)w->n_out + first;
            for (int32_t k = 0; k < n; k++) {
                sum[k] += (double)x[in] * (double)weight[k];
            }
        }
        for (int32_t k = 0; k < n; k++) {
            finish(sum[k], first + k, bias, accumulate, y);
        }
    }
}

enum ko_code ko_plain_linear(struct ko_backend *be, const struct ko_linear *args,
                             struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        const float *x = args->x + (size_t)r * (size_t)args->ldx;
        float *y = args->y + (size_t)r * (size_t)args->ldy;
        if (args->w.in_first) {
            row_by_in(x, &args->w, args->bias, args->accumulate, y);
        } else {
            row_by_out(x, &args->w, args->bias, args->accumulate, y);
        }
    }
    return KO_OK;
}
