/* SPDX-License-Identifier: Apache-2.0 */
/* Norms, activations, gates, sums and rotary positions in plain loops. */
#include "kernels/plain/plain.h"

#include <math.h>

#include "kernels/rope_axis.h"

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

/* x [n, n_heads, d_head], with stride between heads: RMSNorm of each head, in place */
enum ko_code ko_plain_head_norm(struct ko_backend *be, const struct ko_head_norm *args,
                                struct ko_error *err)
{
    for (int32_t head = 0; head < args->n_heads; head++) {
        float *x = args->x + ko_at(head, args->stride, 0);
        const struct ko_rms_norm one = {.n = args->n,
                                        .d = args->d_head,
                                        .x = x,
                                        .ldx = args->ld,
                                        .weight = args->weight,
                                        .eps = args->eps,
                                        .y = x,
                                        .ldy = args->ld};
        enum ko_code code = ko_plain_rms_norm(be, &one, err);
        if (code != KO_OK) {
            return code;
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

/* 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
static double tanh_gelu(double x)
{
    return 0.5 * x * (1.0 + tanh(sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}

/* 0.5 x (1 + erf(x / sqrt(2))), as erfc so that nothing cancels below 0 */
static double exact_gelu(double x)
{
    return 0.5 * x * erfc(-x / sqrt(2.0));
}

/* max(x, 0); NaN stays NaN */
static double relu_of(double x)
{
    return x < 0.0 ? 0.0 : x;
}

static double relu2_of(double x)
{
    return relu_of(x) * relu_of(x);
}

static double identity_of(double x)
{
    return x;
}

/* x [n, d] = f(x) */
static void activate_rows(const struct ko_activation *args, double (*f)(double))
{
    for (int32_t r = 0; r < args->n; r++) {
        float *x = args->x + ko_at(r, args->ld, 0);
        for (int32_t c = 0; c < args->d; c++) {
            x[c] = (float)f((double)x[c]);
        }
    }
}

enum ko_code ko_plain_gelu(struct ko_backend *be, const struct ko_activation *args,
                           struct ko_error *err)
{
    (void)be;
    (void)err;
    activate_rows(args, exact_gelu);
    return KO_OK;
}

enum ko_code ko_plain_gelu_tanh(struct ko_backend *be, const struct ko_activation *args,
                                struct ko_error *err)
{
    (void)be;
    (void)err;
    activate_rows(args, tanh_gelu);
    return KO_OK;
}

enum ko_code ko_plain_relu(struct ko_backend *be, const struct ko_activation *args,
                           struct ko_error *err)
{
    (void)be;
    (void)err;
    activate_rows(args, relu_of);
    return KO_OK;
}

enum ko_code ko_plain_relu2(struct ko_backend *be, const struct ko_activation *args,
                            struct ko_error *err)
{
    (void)be;
    (void)err;
    activate_rows(args, relu2_of);
    return KO_OK;
}

/* y [n, d] = f(gate [n, d]) * up [n, d] */
static void gate_rows(const struct ko_gate *args, double (*f)(double))
{
    for (int32_t r = 0; r < args->n; r++) {
        for (int32_t c = 0; c < args->d; c++) {
            size_t at = ko_at(r, args->ld, c);
            double gate = f((double)args->gate[at]);
            args->y[ko_at(r, args->ldy, c)] = (float)(gate * (double)args->up[at]);
        }
    }
}

enum ko_code ko_plain_silu_mul(struct ko_backend *be, const struct ko_gate *args,
                               struct ko_error *err)
{
    (void)be;
    (void)err;
    gate_rows(args, ko_plain_silu);
    return KO_OK;
}

enum ko_code ko_plain_gelu_mul(struct ko_backend *be, const struct ko_gate *args,
                               struct ko_error *err)
{
    (void)be;
    (void)err;
    gate_rows(args, exact_gelu);
    return KO_OK;
}

enum ko_code ko_plain_gelu_tanh_mul(struct ko_backend *be, const struct ko_gate *args,
                                    struct ko_error *err)
{
    (void)be;
    (void)err;
    gate_rows(args, tanh_gelu);
    return KO_OK;
}

enum ko_code ko_plain_mul(struct ko_backend *be, const struct ko_gate *args, struct ko_error *err)
{
    (void)be;
    (void)err;
    gate_rows(args, identity_of);
    return KO_OK;
}

/* y [n, d] += scale x [n, d] */
enum ko_code ko_plain_add_scaled(struct ko_backend *be, const struct ko_add_scaled *args,
                                 struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        for (int32_t c = 0; c < args->d; c++) {
            float *y = &args->y[ko_at(r, args->ldy, c)];
            double x = (double)args->x[ko_at(r, args->ldx, c)];
            *y = (float)((double)*y + (double)args->scale * x);
        }
    }
    return KO_OK;
}

/* x [n, d] *= scale [d] */
enum ko_code ko_plain_scale_columns(struct ko_backend *be, const struct ko_scale_columns *args,
                                    struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        for (int32_t c = 0; c < args->d; c++) {
            float *x = &args->x[ko_at(r, args->ld, c)];
            *x = (float)((double)*x * (double)args->scale[c]);
        }
    }
    return KO_OK;
}

static double sigmoid_of(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

/* x [n, d] *= sigmoid(gate [n]) */
enum ko_code ko_plain_gate_rows(struct ko_backend *be, const struct ko_gate_rows *args,
                                struct ko_error *err)
{
    (void)be;
    (void)err;
    for (int32_t r = 0; r < args->n; r++) {
        const double factor = sigmoid_of((double)args->gate[r]);
        for (int32_t c = 0; c < args->d; c++) {
            float *x = &args->x[ko_at(r, args->ld, c)];
            *x = (float)((double)*x * factor);
        }
    }
    return KO_OK;
}

/* One group of n channels: x = x f(z), with the norm before, after, or without it. */
static void gate_group(const struct ko_output_gate *args, int32_t n, const float *z,
                       const float *weight, float *x)
{
    static double (*const functions[])(double) = {[KO_GATE_SILU] = ko_plain_silu,
                                                  [KO_GATE_SIGMOID] = sigmoid_of,
                                                  [KO_GATE_GELU_TANH] = tanh_gelu,
                                                  [KO_GATE_IDENTITY] = identity_of};
    double (*f)(double) = functions[args->function], squares = 0.0;
    for (int32_t c = 0; c < n; c++) {
        double value = (double)x[c];
        value *= args->order == KO_GATE_THEN_NORM ? f((double)z[c]) : 1.0;
        squares += value * value;
    }
    double scale = 1.0 / sqrt(squares / n + (double)args->eps);
    for (int32_t c = 0; c < n; c++) {
        double value = (double)x[c] * f((double)z[c]);
        x[c] = (float)(args->order == KO_GATE_ALONE ? value : value * scale * (double)weight[c]);
    }
}

/* x [n_active, n_groups, d / n_groups], z of the same shape with z_stride between groups */
enum ko_code ko_plain_output_gate(struct ko_backend *be, const struct ko_output_gate *args,
                                  struct ko_error *err)
{
    (void)err;
    int32_t width = args->d / args->n_groups;
    for (int32_t r = 0; r < be->rows.n_active[args->stage]; r++) {
        int32_t source = ko_rows_source(&be->rows, r, args->stage);
        const float *weight = args->weight;
        for (int32_t group = 0; group < args->n_groups; group++) {
            gate_group(args, width, args->z + ko_at(source, args->ld_z, group * args->z_stride),
                       weight, args->x + ko_at(r, args->d, group * width));
            weight += args->shared_weight || !weight ? 0 : width;
        }
    }
    return KO_OK;
}

/* Turns the pairs of one head x [n_rotated] of row r by the tables cosine and sine. */
static void rotate_head(const struct ko_rope *args, const struct ko_rows *rows, int32_t r,
                        const float *cosine, const float *sine, float *x)
{
    int32_t half = args->n_rotated / 2;
    for (int32_t k = 0; k < half; k++) {
        int32_t axis = args->section[0] > 0 ? ko_rope_axis(args->section, args->woven, k) : 0;
        size_t at = ko_at(ko_rows_turn(rows, axis, r), half, k);
        float *a = args->interleaved ? &x[ko_at(k, 2, 0)] : &x[k];
        float *b = args->interleaved ? &x[ko_at(k, 2, 1)] : &x[k + half];
        double first = (double)*a, second = (double)*b;
        *a = (float)(first * (double)cosine[at] - second * (double)sine[at]);
        *b = (float)(second * (double)cosine[at] + first * (double)sine[at]);
    }
}

/* x [n_projected, n_heads, n_rotated], with stride between heads, by the angles of each row's
   position */
enum ko_code ko_plain_rope(struct ko_backend *be, const struct ko_rope *args, struct ko_error *err)
{
    (void)err;
    const struct ko_rows *rows = &be->rows;
    for (int32_t r = 0; r < rows->n_projected[args->stage]; r++) {
        bool is_long = ko_rows_longest(rows, r) > args->long_from;
        const float *cosine = is_long ? args->long_cos : args->cos;
        const float *sine = is_long ? args->long_sin : args->sin;
        for (int32_t head = 0; head < args->n_heads; head++) {
            rotate_head(args, rows, r, cosine, sine,
                        args->x + ko_at(r, args->ld, head * args->stride));
        }
    }
    return KO_OK;
}
