/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products in plain loops. There is one loop for each order in which a matrix can be
   stored. */
#include "kernels/plain/plain.h"

/* Outputs that are summed side by side where w is stored [n_in, n_out], so that w is read in order.
 */
enum { SIDE_BY_SIDE = 64 };

/* y[row, out] = sum + bias[out], or y += sum + bias */
static void finish_sum(const struct ko_linear *args, int32_t row, int32_t out, double sum)
{
    float *y = &args->y[ko_at(row, args->ldy, out)];
    if (args->bias) {
        sum += (double)args->bias[out];
    }
    if (args->accumulate) {
        sum += (double)*y;
    }
    *y = (float)sum;
}

/* w [n_out, n_in] */
static void multiply_by_out(const struct ko_linear *args, int32_t row)
{
    const struct ko_matrix *w = &args->w;
    const float *x = args->x + ko_at(row, args->ldx, 0);
    for (int32_t out = 0; out < w->n_out; out++) {
        const float *weight = (const float *)w->data + ko_at(out, w->n_in, 0);
        double sum = 0.0;
        for (int32_t in = 0; in < w->n_in; in++) {
            sum += (double)x[in] * (double)weight[in];
        }
        finish_sum(args, row, out, sum);
    }
}

/* w [n_in, n_out] */
static void multiply_by_in(const struct ko_linear *args, int32_t row)
{
    const struct ko_matrix *w = &args->w;
    const float *x = args->x + ko_at(row, args->ldx, 0);
    for (int32_t first = 0; first < w->n_out; first += SIDE_BY_SIDE) {
        int32_t n = w->n_out - first < SIDE_BY_SIDE ? w->n_out - first : SIDE_BY_SIDE;
        double sum[SIDE_BY_SIDE] = {0.0};
        for (int32_t in = 0; in < w->n_in; in++) {
            const float *weight = (const float *)w->data + ko_at(in, w->n_out, first);
            for (int32_t k = 0; k < n; k++) {
                sum[k] += (double)x[in] * (double)weight[k];
            }
        }
        for (int32_t k = 0; k < n; k++) {
            finish_sum(args, row, first + k, sum[k]);
        }
    }
}

/* y [n, n_out] = x [n, n_in] W + bias [n_out] */
enum ko_code ko_plain_linear(struct ko_backend *be, const struct ko_linear *args,
                             struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        if (args->w.in_first) {
            multiply_by_in(args, r);
        } else {
            multiply_by_out(args, r);
        }
    }
    return KO_OK;
}
