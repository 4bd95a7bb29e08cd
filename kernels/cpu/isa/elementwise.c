/* SPDX-License-Identifier: Apache-2.0 */
/* Activations, norms and simple sums over one vector. Like every file of this folder, it is
   compiled once for each instruction set. */
#include "kernels/cpu/isa/parts.h"
#include "kernels/cpu/isa/vector.h"

void ko_isa_exp(size_t n, const float *x, float *y)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        y[k] = ko_lane_exp(x[k]);
    }
}

void ko_isa_softplus(size_t n, float *x)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        float positive = x[k] > 0.0F ? x[k] : 0.0F;
        /* Beyond 20 the logarithm is less than half a unit of x: the sum is x. */
        float rest = ko_lane_log1p_unit(ko_lane_exp(-fabsf(x[k])));
        x[k] = positive + rest;
    }
}

void ko_isa_silu(size_t n, const float *x, float *y)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        y[k] = x[k] / (1.0F + ko_lane_exp(-x[k]));
    }
}

void ko_isa_silu_mul(size_t n, const float *gate, const float *up, float *y)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        y[k] = gate[k] / (1.0F + ko_lane_exp(-gate[k])) * up[k];
    }
}

void ko_isa_sigmoid_mul(size_t n, const float *gate, const float *up, float *y)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        y[k] = up[k] / (1.0F + ko_lane_exp(-gate[k]));
    }
}

void ko_isa_rotate(size_t n, const float *cos, const float *sin, float *a, float *b)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        float from_a = a[k], from_b = b[k];
        a[k] = from_a * cos[k] - from_b * sin[k];
        b[k] = from_b * cos[k] + from_a * sin[k];
    }
}

void ko_isa_rotate_pairs(size_t n, const float *cos, const float *sin, float *x)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        float from_a = x[2 * k], from_b = x[2 * k + 1];
        x[2 * k] = from_a * cos[k] - from_b * sin[k];
        x[2 * k + 1] = from_b * cos[k] + from_a * sin[k];
    }
}

void ko_isa_gelu(size_t n, float *x)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        x[k] = x[k] * ko_lane_normal(x[k]);
    }
}

void ko_isa_gelu_mul(size_t n, const float *gate, const float *up, float *y)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        y[k] = gate[k] * ko_lane_normal(gate[k]) * up[k];
    }
}

/* 0.5 x (1 + tanh(t)) = x / (1 + exp(-2 t)); 2 sqrt(2 / pi) = 1.5957691... */
KO_LANE float gelu_tanh_lane(float x)
{
    const float twice = 0x1.988454p0F;
    float t = twice * (x + 0.044715F * x * x * x);
    return x / (1.0F + ko_lane_exp(-t));
}

void ko_isa_gelu_tanh(size_t n, float *x)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        x[k] = gelu_tanh_lane(x[k]);
    }
}

void ko_isa_gelu_tanh_mul(size_t n, const float *gate, const float *up, float *y)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        y[k] = gelu_tanh_lane(gate[k]) * up[k];
    }
}

void ko_isa_relu(size_t n, float *x)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        x[k] = x[k] < 0.0F ? 0.0F : x[k];
    }
}

void ko_isa_relu2(size_t n, float *x)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        float kept = x[k] < 0.0F ? 0.0F : x[k];
        x[k] = kept * kept;
    }
}

void ko_isa_scale_cap(size_t n, float scale, float cap, float *x)
{
    if (!(cap > 0.0F)) {
#pragma omp simd
        for (size_t k = 0; k < n; k++) {
            x[k] *= scale;
        }
        return;
    }
    float inner = scale / cap;
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        x[k] = cap * ko_lane_tanh(inner * x[k]);
    }
}

void ko_isa_rms_norm(size_t n, const float *x, const float *weight, float eps, float *y)
{
    float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
    for (size_t k = 0; k < n; k++) {
        squares += x[k] * x[k];
    }
    float scale = 1.0F / sqrtf(squares / (float)n + eps);
    if (!weight) {
#pragma omp simd
        for (size_t k = 0; k < n; k++) {
            y[k] = x[k] * scale;
        }
        return;
    }
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        y[k] = x[k] * scale * weight[k];
    }
}

void ko_isa_layer_norm(size_t n, const float *x, const float *weight, const float *bias, float eps,
                       float *y)
{
    float sum = 0.0F, squares = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (size_t k = 0; k < n; k++) {
        sum += x[k];
    }
    float mean = sum / (float)n;
#pragma omp simd reduction(+ : squares)
    for (size_t k = 0; k < n; k++) {
        squares += (x[k] - mean) * (x[k] - mean);
    }
    float scale = 1.0F / sqrtf(squares / (float)n + eps);
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        y[k] = (x[k] - mean) * scale * weight[k];
    }
    if (bias) {
        ko_isa_add_scaled(n, 1.0F, bias, y);
    }
}

void ko_isa_start(size_t n, const float *bias, float *y)
{
    if (bias) {
        memcpy(y, bias, n * sizeof *y);
    } else {
        memset(y, 0, n * sizeof *y);
    }
}

void ko_isa_tap(size_t n, const float *w, const float *x, const uint8_t *removed, float *y)
{
    if (!removed) {
#pragma omp simd
        for (size_t k = 0; k < n; k++) {
            y[k] += w[k] * x[k];
        }
        return;
    }
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        float added = y[k] + w[k] * x[k];
        y[k] = removed[k] ? y[k] : added;
    }
}

void ko_isa_multiply(size_t n, const float *a, const float *b, float *y)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        y[k] = a[k] * b[k];
    }
}

void ko_isa_select(size_t n, const uint8_t *removed, const float *a, const float *b, float *y)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        y[k] = removed[k] ? a[k] : b[k];
    }
}

void ko_isa_add_scaled(size_t n, float s, const float *x, float *y)
{
#pragma omp simd
    for (size_t k = 0; k < n; k++) {
        y[k] += s * x[k];
    }
}
