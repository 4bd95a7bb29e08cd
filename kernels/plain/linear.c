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

enum ko_code ko_plain_linear(struct ko_backend *be, int32_t m, const float *x, int32_t ldx,
                             const struct ko_matrix *w, const float *bias, bool accumulate,
                             float *y, int32_t ldy, struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < m; r++) {
        const float *x_row = x + (size_t)r * (size_t)ldx;
        float *y_row = y + (size_t)r * (size_t)ldy;
        if (w->in_first) {
            row_by_in(x_row, w, bias, accumulate, y_row);
        } else {
            row_by_out(x_row, w, bias, accumulate, y_row);
        }
    }
    return KO_OK;
}
