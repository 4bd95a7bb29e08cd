/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of one row and one head: scores, softmax, and the weighted sum of the values. Like
   every file of this folder, it is compiled once for each instruction set. */
#include "kernels/cpu/isa/parts.h"
#include "kernels/cpu/isa/vector.h"

void ko_isa_attend(const struct ko_attend *args)
{
    size_t n = (size_t)args->n_keys, d = (size_t)args->d_head, d_value = (size_t)args->d_value;
    float *weight = args->weight, *out = args->out;
    memset(out, 0, d_value * sizeof *out);
    if (n == 0) {
        return;
    }
    for (size_t j = 0; j < n; j++) {
        weight[j] =
            args->scale * ko_lane_dot(d, args->q, args->k + (size_t)args->key_row[j] * args->ld);
    }
    if (args->cap > 0.0F) {
        ko_isa_scale_cap(n, 1.0F, args->cap, weight);
    }
    float top = ko_isa_max(n, weight), sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < n; j++) {
        weight[j] = ko_lane_exp(weight[j] - top);
        sum += weight[j];
    }
    if (args->sink) {
        /* Where this is infinite, the weights are 0, as they are to float32's precision. */
        sum += ko_lane_exp(*args->sink - top);
    }
    for (size_t j = 0; j < n; j++) {
        if (!args->zeroed || !args->zeroed[j]) {
            ko_isa_add_scaled(d_value, weight[j] / sum,
                              args->v + (size_t)args->key_row[j] * args->ld_v, out);
        }
    }
}
